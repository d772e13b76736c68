# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any options, as they are written, become what an end of a connection will do, and that a picture."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.filter import timeline as timeline_file
from ansible_collections.keepalive.hardening.plugins.filter import timeline_svg as timeline_svg_file
from ansible_collections.keepalive.hardening.plugins.module_utils._facts import Facts, OpenSSH
from ansible_collections.keepalive.hardening.plugins.module_utils._report import report
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import SSHD, SYSCTL, Kernel
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import End
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import timeline as predict

timeline = timeline_file.FilterModule().filters()["timeline"]
timeline_svg = timeline_svg_file.FilterModule().filters()["timeline_svg"]
SERVER = {"client_alive_interval": "15s", "client_alive_count_max": 3}


def test_it_is_what_the_modules_return_for_these_values() -> None:
    assert timeline(SERVER, "9.2") == predict(End("server", 15, 3, (9, 2)))
    assert timeline({"server_alive_interval": 15}, "9.2") == predict(End("client", 15, 3, (9, 2)))
    assert timeline({}) == predict(End("client", 0, 3))


@pytest.mark.parametrize("version", ["9.2", 9.2, "9.2p1"])
def test_the_sshd_of_debian_12_probes_half_as_often(version: Any) -> None:
    assert timeline(SERVER, version)["probes_every"] == 30


def test_without_a_version_it_is_the_newest() -> None:
    assert timeline(SERVER) == timeline(SERVER, "10.6")
    assert timeline(SERVER, None) == timeline(SERVER)


def test_values_of_the_kernel_count() -> None:
    kernel = {"tcp_keepalive_time": 4, "tcp_keepalive_intvl": 1, "tcp_keepalive_probes": 3, "tcp_retries2": 8}
    assert timeline({"client_alive_interval": 0, **kernel}) == predict(End("server", 0, 3, kernel=Kernel(4, 1, 3, 8)))


@pytest.mark.parametrize("options", ["client_alive_interval", 15, None, [SERVER]])
def test_what_are_no_options_is_refused(options: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"timeline: .* is not a dictionary of options"):
        timeline(options)


@pytest.mark.parametrize(
    ("options", "version", "says"),
    [
        ({"client_alive_intervall": 15}, None, "client_alive_intervall is no option"),
        ({"client_alive_interval": 15, "server_alive_interval": 15}, None, "server_alive_interval is no option of one"),
        ({"client_alive_interval": "5 minutes"}, None, "client_alive_interval: '5 minutes' is not a time"),
        (SERVER, "bookworm", "'bookworm' is not a version of OpenSSH such as 9.2"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], version: Any, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"timeline: {says}"):
        timeline(options, version)


OPTIONS = [setting.option for setting in (*SSHD, *SYSCTL)]
NUMBERS = strategies.integers(-3, 3) | strategies.integers(0, 100000)
WRITTEN = strategies.none() | strategies.booleans() | NUMBERS | NUMBERS.map(str) | strategies.text(max_size=3)


def predicted_or_refused(options: dict[str, Any]) -> list[dict[str, float]]:
    """The windows of the timeline; none where the options are refused."""
    try:
        return [window for window in timeline(options)["gives_up"].values() if window]
    except AnsibleFilterError:
        return []


@given(strategies.dictionaries(strategies.sampled_from(OPTIONS), WRITTEN, max_size=4))
def test_whatever_is_written_is_refused_or_makes_sense(options: dict[str, Any]) -> None:
    for window in predicted_or_refused(options):
        assert 0 <= window["earliest"] <= window["latest"]


def labels(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_has_a_lane_for_each_label() -> None:
    texts = labels(timeline_svg({"Debian 12": timeline(SERVER, "9.2"), "Debian 13": timeline(SERVER, "10.0")}))
    assert {"Debian 12", "Debian 13"} <= set(texts)
    assert {"gives up after 90 to 120 s (ssh)", "gives up after 45 to 60 s (ssh)"} <= set(texts)


def client(interval: int) -> OpenSSH:
    return OpenSSH((10, 0), {"server_alive_interval": interval, "server_alive_count_max": 3}, {}, [])


def test_what_keepalive_info_returns_is_drawn() -> None:
    assert "client" in labels(timeline_svg(report(Facts(clients={"": client(30)}))["timeline"]))


def test_what_keepalive_info_returns_for_named_users_is_drawn_with_their_names() -> None:
    users = report(Facts(clients={"": client(30), "alice": client(20), "bob": client(0)}))["timeline"]
    words = " ".join(labels(timeline_svg(users)))
    assert "alice" in words
    assert "bob" in words


@pytest.mark.parametrize("timelines", [None, "server", [1], {"server": None}, {"server": {"probes_every": 5}}])
def test_what_are_no_timelines_is_refused_in_words(timelines: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="timeline_svg: "):
        timeline_svg(timelines)
