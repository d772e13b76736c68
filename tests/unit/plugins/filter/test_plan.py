# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An intent on the controller becomes the values that the modules would set on a host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.keepalive.hardening.plugins.filter.plan import FilterModule
from ansible_collections.keepalive.hardening.plugins.filter.timeline import timeline
from ansible_collections.keepalive.hardening.plugins.module_utils._intent import layer_choices, parse_intent

plan = FilterModule().filters()["plan"]
INTENT = {"detect_within": 300, "ride_out": 60, "path_idle_timeout": "aws_nlb"}
LAYERS = ("sshd", "ssh", "sysctl")


@pytest.mark.parametrize("version", ["8.4", "9.2", "10.0"])
def test_the_values_are_those_that_the_modules_choose(version: str) -> None:
    major, minor = map(int, version.split("."))
    choices = layer_choices(parse_intent(INTENT), (major, minor))
    answer = plan(INTENT, version)
    assert {layer: answer[layer] for layer in LAYERS} == {
        layer: {option: choice.value for option, choice in chosen.items()} for layer, chosen in choices.items()
    }


def test_every_value_has_its_reason() -> None:
    answer = plan(INTENT)
    assert {layer: set(answer["reasons"][layer]) for layer in LAYERS} == {layer: set(answer[layer]) for layer in LAYERS}
    assert all(reason for reasons in answer["reasons"].values() for reason in reasons.values())


def test_the_timelines_are_those_of_the_values() -> None:
    answer = plan(INTENT, "9.2")
    assert answer["timeline"] == {
        "server": timeline(answer["sshd"] | answer["sysctl"], "9.2"),
        "client": timeline(answer["ssh"] | answer["sysctl"]),
    }


@pytest.mark.parametrize("version", ["9.2", "9.2p1", 9.2])
def test_the_sshd_of_debian_12_gets_half_the_interval(version: Any) -> None:
    newest, old = plan(INTENT), plan(INTENT, version)
    assert old["sshd"]["client_alive_interval"] * 2 == newest["sshd"]["client_alive_interval"]
    assert old["ssh"] == newest["ssh"]


def test_a_path_can_be_named_or_measured() -> None:
    assert plan({"path_idle_timeout": "aws_nlb"}) == plan({"path_idle_timeout": 350})
    assert plan({"path_idle_timeout": "40"}, "10.0")["sshd"]["client_alive_interval"] == 30


def test_no_wish_is_an_intent_too() -> None:
    assert plan({})["sshd"]["client_alive_interval"] == 60
    assert plan({"ride_out": None}) == plan({})


def test_a_dead_peer_that_is_noticed_later_than_asked_for_is_an_exception() -> None:
    (exception, *_more) = plan({"detect_within": 60}, "10.0")["exceptions"]
    assert exception.startswith("a server that keeps sending notices a dead peer after up to 1048 s")
    assert plan({"ride_out": 60}, "10.0")["exceptions"] == []


@pytest.mark.parametrize(
    ("intent", "says"),
    [
        ({"detect_within": 1}, "the nearest is detect_within: 3"),
        ({"detect_within": 60, "ride_out": 120}, "contradict each other.*the nearest is detect_within: 243"),
        ({"path_idle_timeout": 1}, "the nearest is 2"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_nearest_that_can(intent: dict[str, int], says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=rf"plan: intent: .*{says}"):
        plan(intent)


@pytest.mark.parametrize("intent", ["300", 300, None, ["detect_within"], {"detect_in": 300}, {1: 2}])
def test_what_is_no_intent_is_refused_with_the_wishes_that_there_are(intent: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"plan: .* is not a dictionary of detect_within, ride_out, path_idle"):
        plan(intent)


@pytest.mark.parametrize(
    ("intent", "says"),
    [
        ({"detect_within": "5m"}, "detect_within: '5m' is not a whole number"),
        ({"detect_within": True}, "detect_within: 'True' is not a whole number"),
        ({"ride_out": 0}, "ride_out: 0 is outside"),
        ({"path_idle_timeout": "aws"}, "path_idle_timeout: "),
    ],
)
def test_a_wish_that_is_no_number_of_seconds_is_named(intent: dict[str, Any], says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"plan: intent: {says}"):
        plan(intent)


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="plan: 'bookworm' is not a version of OpenSSH"):
        plan({}, "bookworm")


def test_an_intent_is_left_as_it_was() -> None:
    intent = {"detect_within": 300, "ride_out": 60}
    plan(intent)
    assert intent == {"detect_within": 300, "ride_out": 60}
