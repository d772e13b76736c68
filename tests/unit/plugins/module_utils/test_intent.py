# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever intent is accepted is kept; what is refused cannot be kept by any interval and count."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._intent import (
    Intent,
    ends,
    layer_choices,
    parse_intent,
    plan,
    probing,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._middleboxes import IDLE_TIMEOUTS
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import (
    IDLE,
    NEWEST,
    REKEY_DUE,
    STEADY_OUTPUT,
    doubles_interval,
    gives_up,
    probe_period,
    refresh_period,
)

WISH = strategies.none() | strategies.integers(1, 300) | strategies.integers(1, 29724)
INTENTS = strategies.builds(Intent, WISH, WISH, WISH)
VERSIONS = [(8, 0), (8, 4), (8, 7), (9, 1), (9, 2), (9, 4), (9, 5), (10, 0), (10, 6), NEWEST]


def keeps(intent: Intent, period: int, count: int) -> bool:
    """The measured rules: given up between period * count, a second early, and period * (count + 1)."""
    return (
        (intent.detect_within is None or period * (count + 1) <= intent.detect_within)
        and (intent.ride_out is None or period * count - 1 >= intent.ride_out)
        and (intent.path_idle_timeout is None or period < intent.path_idle_timeout)
    )


@given(INTENTS, strategies.booleans())
def test_an_intent_is_kept_or_cannot_be_kept(intent: Intent, doubled: bool) -> None:
    factor = 2 if doubled else 1
    try:
        interval, count = probing(intent, doubled)
    except HardeningError:
        # The shortest interval keeps whatever can be kept: it tells the two ends apart best.
        least = max(-(-((intent.ride_out or 0) + 1) // factor), 1)
        assert not keeps(intent, factor, least)
        return
    assert interval >= 1
    assert count >= 1
    assert keeps(intent, interval * factor, count)


@given(strategies.integers(1, 300), strategies.integers(1, 300), strategies.booleans())
def test_the_nearest_intent_that_is_named_can_be_kept(detect: int, ride_out: int, doubled: bool) -> None:
    try:
        probing(Intent(detect, ride_out), doubled)
    except HardeningError as refusal:
        nearest = int(str(refusal).rpartition(" ")[2])
        assert nearest > detect
        probing(Intent(nearest, ride_out), doubled)


@given(INTENTS, strategies.sampled_from(VERSIONS))
def test_the_timeline_of_the_plan_keeps_the_intent(intent: Intent, sshd: tuple[int, int]) -> None:
    try:
        choices = layer_choices(intent, sshd)
    except HardeningError:
        return
    both = ends(choices, sshd)
    late = set()
    for end in both:
        for situation in (IDLE, *plan(intent, sshd)["timeline"][end.side]["gives_up"]):
            window = gives_up(end, situation)
            assert window, "somebody would never notice"
            assert window.earliest >= (intent.ride_out or 0)
            if intent.detect_within and window.latest > intent.detect_within:
                late.add((end.side, situation))
        period, refresh = probe_period(end), refresh_period(end)
        assert period
        assert refresh
        assert period < (intent.path_idle_timeout or 7200)
        assert refresh <= period
    # Only where sshd has bugs that no value can make up for, and then the plan says so.
    assert late <= {("server", STEADY_OUTPUT), ("server", REKEY_DUE)}
    assert len(plan(intent, sshd)["exceptions"]) == len(late)


@pytest.mark.parametrize(("sshd", "said"), [((8, 4), False), ((9, 2), True), ((10, 6), True)])
def test_the_plan_says_when_sshd_notices_late(sshd: tuple[int, int], said: bool) -> None:
    exceptions = plan(Intent(detect_within=60), sshd)["exceptions"]
    assert bool(exceptions) == said
    assert all("a server that keeps sending notices a dead peer after up to 1048 s" in text for text in exceptions)


@pytest.mark.parametrize("sshd", VERSIONS)
def test_the_server_of_9_2_to_9_4_gets_half_the_interval(sshd: tuple[int, int]) -> None:
    values = plan(Intent(detect_within=120, path_idle_timeout=60), sshd)
    assert values["ssh"]["server_alive_interval"] == 30
    assert values["sshd"]["client_alive_interval"] == (15 if doubles_interval(sshd) else 30)
    assert ("every second interval" in values["reasons"]["sshd"]["client_alive_interval"]) == doubles_interval(sshd)


def test_every_value_has_a_reason_that_names_the_wish() -> None:
    answer = plan(Intent(300, 120, 240), (9, 2))
    for layer, reasons in answer["reasons"].items():
        assert set(reasons) == set(answer[layer])
        assert all(reasons.values())
    assert "240 s" in answer["reasons"]["sshd"]["client_alive_interval"]
    assert "within 240 s (300 allowed)" in answer["reasons"]["sshd"]["client_alive_count_max"]
    assert "rides out 179 s (120 needed)" in answer["reasons"]["ssh"]["server_alive_count_max"]


def test_tcp_retries2_is_raised_for_a_long_outage_and_left_alone_otherwise() -> None:
    assert "tcp_retries2" not in plan(Intent(ride_out=924), NEWEST)["sysctl"]
    assert plan(Intent(ride_out=1000), NEWEST)["sysctl"]["tcp_retries2"] == 16


@pytest.mark.parametrize("name", IDLE_TIMEOUTS)
def test_a_middlebox_is_known_by_name(name: str) -> None:
    seconds = IDLE_TIMEOUTS[name]
    assert parse_intent({"path_idle_timeout": name}) == parse_intent({"path_idle_timeout": seconds})
    period = plan(parse_intent({"path_idle_timeout": name}), (9, 2))["timeline"]["server"]["probes_every"]
    assert period < seconds


def test_an_unknown_middlebox_is_refused_with_the_known_ones() -> None:
    with pytest.raises(HardeningError, match=r"path_idle_timeout: 'aws_nbl' is neither .* aws_nlb"):
        parse_intent({"path_idle_timeout": "aws_nbl"})


@pytest.mark.parametrize("raw", ["0", "29725", "-1", "1m", "010", "", "aws_nlb"])
def test_a_wish_is_a_number_of_seconds(raw: Any) -> None:
    with pytest.raises(HardeningError, match="intent: ride_out"):
        parse_intent({"ride_out": raw})
