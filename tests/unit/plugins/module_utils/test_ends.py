# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people write, as ends of a connection."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._ends import end_with, parse_end, parse_version
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import NEWEST, End

TEN = (10, 0)


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("9.2", (9, 2)),
        ("9.2p1", (9, 2)),
        ("10.0p2", (10, 0)),
        ("9.10", (9, 10)),
        # What YAML makes of a version without quotes.
        (9.2, (9, 2)),
        (10.0, (10, 0)),
        (None, NEWEST),
    ],
)
def test_a_version_is_read_however_it_is_written(written: Any, version: tuple[int, int]) -> None:
    assert parse_version(written) == version


@pytest.mark.parametrize("written", ["", "bookworm", "9", 10, "-9.2", True, [9, 2]])
def test_what_is_no_version_is_refused_with_an_example_of_one(written: Any) -> None:
    with pytest.raises(HardeningError, match=r"is not a version of OpenSSH such as 9\.2"):
        parse_version(written)


def test_options_of_sshd_make_a_servers_end() -> None:
    options = {"client_alive_interval": 15, "client_alive_count_max": 4, "tcp_keepalive": False, "tcp_retries2": 8}
    assert parse_end(options, TEN) == End("server", 15, 4, TEN, False, Kernel(tcp_retries2=8))


def test_options_of_ssh_make_a_clients_end() -> None:
    options = {"server_alive_interval": 15, "server_alive_count_max": 4, "tcp_keepalive_time": 60}
    assert parse_end(options, TEN) == End("client", 15, 4, TEN, True, Kernel(tcp_keepalive_time=60))


@pytest.mark.parametrize("option", ["client_alive_interval", "client_alive_count_max"])
def test_one_option_of_sshd_tells_that_it_is_a_server(option: str) -> None:
    assert parse_end({option: 1}, TEN).side == "server"


@pytest.mark.parametrize("option", ["channel_timeout", "unused_connection_timeout"])
def test_an_option_that_only_sshd_has_tells_that_it_is_a_server(option: str) -> None:
    assert parse_end({option: "none"}, TEN).side == "server"


def test_what_is_left_out_is_as_openssh_and_linux_have_it() -> None:
    assert parse_end({"client_alive_interval": 15}, TEN) == End("server", 15, 3, TEN, True, Kernel())
    assert parse_end({"client_alive_count_max": 2}, TEN) == End("server", 0, 2, TEN, True, Kernel())
    assert parse_end({}, TEN) == End("client", 0, 3, TEN, True, Kernel(7200, 75, 9, 15))


def test_an_option_that_is_none_is_left_out_as_the_modules_do() -> None:
    options = {"client_alive_interval": 15, "client_alive_count_max": None, "tcp_keepalive": None, "tcp_retries2": None}
    assert parse_end(options, TEN) == parse_end({"client_alive_interval": 15}, TEN)


@pytest.mark.parametrize(
    ("written", "seconds"), [("1m30s", 90), ("90", 90), (90, 90), ("2h", 7200), ("10s5", 15), ("1M", 60), (0, 0)]
)
def test_times_are_written_as_openssh_takes_them(written: Any, seconds: int) -> None:
    assert parse_end({"server_alive_interval": written}, TEN).interval == seconds


@pytest.mark.parametrize(
    ("written", "flag"), [(True, True), (False, False), ("yes", True), ("no", False), ("No", False), ("false", False)]
)
def test_flags_are_written_as_ansible_or_openssh_take_them(written: Any, flag: bool) -> None:
    assert parse_end({"tcp_keepalive": written}, TEN).tcp_keepalive is flag


@pytest.mark.parametrize(
    "options",
    [
        {"client_alive_interval": 15, "unused_connection_timeout": "none"},
        {"client_alive_interval": 15, "channel_timeout": {"session:*": "1h"}},
        {"client_alive_interval": 15, "channel_timeout": {}},
        {"server_alive_interval": 15, "connect_timeout": "1m"},
        {"server_alive_interval": 15, "connect_timeout": "none"},
    ],
)
def test_options_of_the_modules_that_are_no_keepalive_make_no_difference(options: dict[str, Any]) -> None:
    end = parse_end(options, TEN)
    assert (end.interval, end.count_max) == (15, 3)


def test_an_unknown_option_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(HardeningError, match=r"client_alive_intervall.*client_alive_interval, client_alive_count_max"):
        parse_end({"client_alive_intervall": 15}, TEN)


def test_a_name_that_is_no_text_is_refused_as_an_unknown_option() -> None:
    with pytest.raises(HardeningError, match="1 is no option"):
        parse_end({1: 15}, TEN)  # type: ignore[dict-item]


@pytest.mark.parametrize("options", [("client_alive_interval", "server_alive_interval"), ("server_alive_count_max",)])
def test_options_of_both_ends_at_once_are_refused(options: tuple[str, ...]) -> None:
    with pytest.raises(HardeningError, match=r"server_alive_.* is no option of one end"):
        parse_end({"client_alive_count_max": 3, **dict.fromkeys(options, 15)}, TEN)


BAD_VALUES = [
    ("client_alive_interval", "5 minutes"),
    ("client_alive_interval", -5),
    ("client_alive_interval", 15.5),
    ("client_alive_interval", [15]),
    ("client_alive_interval", 2147484),
    # YAML's yes is no time.
    ("client_alive_interval", True),
    ("client_alive_count_max", "often"),
    ("client_alive_count_max", "3.5"),
    ("client_alive_count_max", "none"),
    ("client_alive_count_max", -3),
    ("client_alive_count_max", ""),
    ("tcp_keepalive", "perhaps"),
    ("tcp_keepalive_time", "2h"),
    ("tcp_keepalive_time", False),
    ("tcp_keepalive_probes", -1),
    ("tcp_retries2", -1),
    # The kernel reads 010 as eight.
    ("tcp_retries2", "010"),
]


@pytest.mark.parametrize(("option", "value"), BAD_VALUES)
def test_a_bad_value_is_refused_in_words_that_name_its_option(option: str, value: Any) -> None:
    with pytest.raises(HardeningError, match=f"^{option}: ") as refusal:
        parse_end({option: value}, TEN)
    assert "invalid literal" not in str(refusal.value)


@pytest.mark.parametrize(("side", "word"), [("server", "client_alive"), ("client", "server_alive")])
def test_effective_values_make_an_end_as_they_are(side: str, word: str) -> None:
    values = {f"{word}_interval": 20, f"{word}_count_max": 5, "tcp_keepalive": False}
    assert end_with(side, values, (9, 2), Kernel()) == End(side, 20, 5, (9, 2), False, Kernel())


def test_an_interval_that_is_no_number_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError, match="client_alive"):
        end_with("server", {"client_alive_interval": {"session:*": 5}}, TEN, Kernel())
