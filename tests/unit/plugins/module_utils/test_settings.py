# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: which values each option takes, and what is said about those it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import (
    SSH,
    SSHD,
    SYSCTL,
    Setting,
    keyword_table,
    wanted_values,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._values import render

LAYERS = {"sshd": SSHD, "ssh": SSH, "sysctl": SYSCTL}


def values_by_option(layer: str, options: dict[str, Any]) -> dict[str, Any]:
    wanted = wanted_values(LAYERS[layer], options, layer)
    return {setting.option: value for setting, value in wanted.items()}


@pytest.mark.parametrize(
    ("layer", "option", "raw", "value"),
    [
        ("sshd", "client_alive_interval", "1m30s", 90),
        ("sshd", "client_alive_interval", "0", 0),
        ("sshd", "client_alive_count_max", "0", 0),
        ("sshd", "tcp_keepalive", False, False),
        ("sshd", "channel_timeout", {"session:*": "5m"}, {"session:*": 300}),
        ("sshd", "channel_timeout", {}, {}),
        ("sshd", "unused_connection_timeout", "none", 0),
        ("ssh", "server_alive_interval", "15", 15),
        ("ssh", "server_alive_count_max", "1", 1),
        ("ssh", "tcp_keepalive", True, True),
        ("ssh", "connect_timeout", "none", 0),
        ("ssh", "connect_timeout", "1m", 60),
        ("sysctl", "tcp_keepalive_time", "32767", 32767),
        ("sysctl", "tcp_keepalive_time", "1", 1),
        ("sysctl", "tcp_keepalive_intvl", "1", 1),
        ("sysctl", "tcp_keepalive_intvl", "32767", 32767),
        ("sysctl", "tcp_keepalive_probes", "1", 1),
        ("sysctl", "tcp_keepalive_probes", "127", 127),
        ("sysctl", "tcp_retries2", "3", 3),
        ("sysctl", "tcp_retries2", "255", 255),
    ],
)
def test_a_good_value_is_understood(layer: str, option: str, raw: Any, value: Any) -> None:
    result = values_by_option(layer, {option: raw})
    assert result == {option: value}
    assert type(result[option]) is type(value)


@pytest.mark.parametrize(
    ("layer", "option", "raw", "complaint"),
    [
        ("sshd", "client_alive_interval", "none", "is not a time"),
        ("sshd", "client_alive_interval", "5 minutes", "is not a time"),
        ("sshd", "client_alive_interval", "2147484", "outside the safe range"),
        ("sshd", "client_alive_count_max", "03", "plain digits"),
        ("sshd", "client_alive_count_max", "1m", "plain digits"),
        ("sshd", "channel_timeout", {"session": "5m"}, "matches no channel type"),
        ("sshd", "channel_timeout", {"session:*": "soon"}, "is not a time"),
        ("ssh", "server_alive_count_max", "0", "leaves a healthy connection"),
        ("ssh", "connect_timeout", "-1", "is not a time"),
        ("sysctl", "tcp_keepalive_time", "0", "safe range 1 to 32767"),
        ("sysctl", "tcp_keepalive_time", "32768", "safe range 1 to 32767"),
        ("sysctl", "tcp_keepalive_time", "2h", "plain digits"),
        ("sysctl", "tcp_keepalive_intvl", "-1", "plain digits"),
        ("sysctl", "tcp_keepalive_intvl", "0", "safe range 1 to 32767"),
        ("sysctl", "tcp_keepalive_intvl", "32768", "32767"),
        ("sysctl", "tcp_keepalive_probes", "0", "kills healthy idle connections"),
        ("sysctl", "tcp_keepalive_probes", "128", "127"),
        ("sysctl", "tcp_keepalive_probes", "010", "plain digits"),
        ("sysctl", "tcp_retries2", "0x10", "plain digits"),
        ("sysctl", "tcp_retries2", "2", "a moment of packet loss"),
        ("sysctl", "tcp_retries2", "256", "255"),
    ],
)
def test_a_bad_value_is_refused_with_its_option_and_the_reason(
    layer: str, option: str, raw: Any, complaint: str
) -> None:
    with pytest.raises(HardeningError, match=f"^{layer}: {option}: .*{complaint}"):
        values_by_option(layer, {option: raw})


def test_every_bad_option_is_named_at_once() -> None:
    options = {"tcp_keepalive_time": "2h", "tcp_keepalive_intvl": "75", "tcp_keepalive_probes": "0", "tcp_retries2": ""}
    with pytest.raises(HardeningError) as caught:
        values_by_option("sysctl", options)
    problems = [problem.split(": ")[1] for problem in str(caught.value).split("; ")]
    assert problems == ["tcp_keepalive_time", "tcp_keepalive_probes", "tcp_retries2"]


def test_an_option_that_is_not_given_is_not_managed() -> None:
    assert values_by_option("sshd", {"client_alive_interval": None, "tcp_keepalive": False}) == {"tcp_keepalive": False}
    assert values_by_option("sshd", {}) == {}


TIMES = strategies.integers(0, 1_000_000).map(str) | strategies.sampled_from(["1m30s", "2H", "010", "10s5"])
RAW_VALUES = {
    "time": TIMES,
    "none_or_time": TIMES | strategies.just("none"),
    "number": strategies.integers(3, 127).map(str),
    "flag": strategies.booleans(),
    "channel_timeouts": strategies.dictionaries(
        strategies.sampled_from(["*", "session:*", "session:shell", "x11-connection", "session:subsystem:sftp"]), TIMES
    ),
}


@given(strategies.data())
@pytest.mark.parametrize(
    "setting",
    [pytest.param(setting, id=f"{layer}.{setting.option}") for layer, all_of in LAYERS.items() for setting in all_of],
)
def test_a_value_survives_being_written_and_read(setting: Setting, data: strategies.DataObject) -> None:
    value = setting.parse(data.draw(RAW_VALUES[setting.kind]))
    assert setting.interpret(render(value)) == value


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    [
        (SSHD[0], "1M", 60),
        (SSHD[2], "true", True),
        (SSHD[3], "none", {}),
        (SSHD[3], "session:*=1m x11-*=5", {"session:*": 60, "x11-*": 5}),
        (SSHD[4], "none", 0),
        (SSHD[4], "None", 0),
        (SSH[3], "none", 0),
    ],
)
def test_what_the_tools_of_every_version_print_is_understood(setting: Setting, text: str, value: Any) -> None:
    assert setting.interpret(text) == value


@pytest.mark.parametrize("setting", [SSHD[2], SSH[2]])
def test_the_old_name_of_tcpkeepalive_sets_it_too(setting: Setting) -> None:
    assert keyword_table((setting,)) == {"tcpkeepalive": setting, "keepalive": setting}


def test_settings_are_listed_in_one_order() -> None:
    assert [setting.order for setting in (*SSHD, *SSH, *SYSCTL)] == list(range(13))


def test_only_tcpkeepalive_cannot_stand_in_a_match_block() -> None:
    assert [setting.option for setting in SSHD if not setting.in_match] == ["tcp_keepalive"]
