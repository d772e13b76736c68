# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever intent is accepted is kept; what is refused cannot be kept by any interval and count."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, strategies

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
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import (
    IDLE,
    IN_FLIGHT,
    NEWEST,
    REKEY_DUE,
    STEADY_OUTPUT,
    End,
    doubles_interval,
    gives_up,
    probe_period,
    refresh_period,
    survives,
)

WISH = strategies.none() | strategies.integers(1, 300) | strategies.integers(1, 29603)
INTENTS = strategies.builds(Intent, WISH, WISH, WISH)
VERSIONS = [(8, 0), (8, 4), (8, 7), (9, 1), (9, 2), (9, 4), (9, 5), (10, 0), (10, 6), NEWEST]
SIDES = ["server", "client"]
# So that TCP does not give up before SSH does.
PATIENT = Kernel(tcp_retries2=255)


def keeps(intent: Intent, end: End) -> bool:
    """What _timeline predicts of the end, against the intent."""
    period, windows = probe_period(end), [gives_up(end, situation) for situation in (IDLE, IN_FLIGHT)]
    assert period
    return (
        all(window and window.latest <= (intent.detect_within or math.inf) for window in windows)
        and (survives(end) or 0) >= (intent.ride_out or 0)
        and period < (intent.path_idle_timeout or math.inf)
    )


# A server never gives up early, so it needs less than a client.
@example(Intent(detect_within=5, ride_out=1), "server", False)
@given(INTENTS, strategies.sampled_from(SIDES), strategies.booleans())
def test_an_intent_is_kept_or_cannot_be_kept(intent: Intent, side: str, doubled: bool) -> None:
    doubled = doubled and side == "server"
    version = (9, 2) if doubled else NEWEST
    try:
        interval, count = probing(intent, side, doubled)
    except HardeningError:
        # The shortest interval keeps whatever can be kept: it tells what is dead from what is not best.
        counts = range(1, (intent.detect_within or 0) + 2)
        assert not any(keeps(intent, End(side, 1, count, version, kernel=PATIENT)) for count in counts)
        return
    assert keeps(intent, End(side, interval, count, version, kernel=PATIENT))


@given(strategies.integers(1, 300), strategies.integers(1, 300), strategies.sampled_from(SIDES), strategies.booleans())
def test_the_nearest_intent_that_is_named_can_be_kept_and_none_nearer(
    detect: int, ride_out: int, side: str, doubled: bool
) -> None:
    doubled = doubled and side == "server"
    try:
        probing(Intent(detect, ride_out), side, doubled)
    except HardeningError as refusal:
        nearest = int(str(refusal).rpartition(" ")[2])
        assert nearest > detect
        probing(Intent(nearest, ride_out), side, doubled)
        with pytest.raises(HardeningError):
            probing(Intent(nearest - 1, ride_out), side, doubled)


@pytest.mark.parametrize(("timeout", "interval"), [(8, 6), (40, 30), (80, 60), (81, 60), (2, 1)])
def test_a_quarter_of_the_paths_patience_is_left_for_probes_that_come_late(timeout: int, interval: int) -> None:
    assert probing(Intent(path_idle_timeout=timeout), "client").interval == interval


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
            if intent.detect_within and window.latest > intent.detect_within:
                late.add((end.side, situation))
        period, refresh = probe_period(end), refresh_period(end)
        assert period
        assert refresh
        assert period < (intent.path_idle_timeout or 7200)
        assert refresh <= period
        assert (survives(end) or 0) >= (intent.ride_out or 0)
    # Only where sshd has bugs that no value can make up for, and then the plan says so.
    assert late <= {("server", STEADY_OUTPUT), ("server", REKEY_DUE)}
    told = [text for text in plan(intent, sshd)["exceptions"] if not text.startswith("a login")]
    assert len(told) == len(late)


@pytest.mark.parametrize(("sshd", "said"), [((8, 4), False), ((9, 2), True), ((10, 6), True)])
def test_the_plan_says_when_sshd_notices_late(sshd: tuple[int, int], said: bool) -> None:
    exceptions = plan(Intent(detect_within=80), sshd)["exceptions"]
    assert bool(exceptions) == said
    assert all("a server that keeps sending notices a dead peer after up to 1048 s" in text for text in exceptions)


@pytest.mark.parametrize("sshd", VERSIONS)
def test_the_server_of_9_2_to_9_4_gets_half_the_interval(sshd: tuple[int, int]) -> None:
    values = plan(Intent(path_idle_timeout=60), sshd)
    assert values["ssh"]["server_alive_interval"] == 45
    assert values["sshd"]["client_alive_interval"] == (22 if doubles_interval(sshd) else 45)
    assert ("every second interval" in values["reasons"]["sshd"]["client_alive_interval"]) == doubles_interval(sshd)


def test_every_value_has_a_reason_that_names_the_wish() -> None:
    answer = plan(Intent(300, 120, 240), (9, 2))
    for layer, reasons in answer["reasons"].items():
        assert set(reasons) == set(answer[layer])
        assert all(reasons.values())
    assert "240 s" in answer["reasons"]["sshd"]["client_alive_interval"]
    assert "within 286 s (300 allowed)" in answer["reasons"]["sshd"]["client_alive_count_max"]
    assert "outages up to 128 s (120 needed)" in answer["reasons"]["ssh"]["server_alive_count_max"]


def test_tcp_retries2_is_raised_for_a_long_outage_and_left_alone_otherwise() -> None:
    # With 15, the kernel tries again until 924.6 s after the cut; the last time may be 120 s before that.
    assert "tcp_retries2" not in plan(Intent(ride_out=803), NEWEST)["sysctl"]
    assert plan(Intent(ride_out=804), NEWEST)["sysctl"]["tcp_retries2"] == 16


def test_a_login_that_is_cut_short_is_an_exception() -> None:
    assert plan(Intent(detect_within=20), NEWEST)["exceptions"][-1].startswith("a login that waits longer than 15 s")
    assert not any("a login" in text for text in plan(Intent(detect_within=80), NEWEST)["exceptions"])


def test_what_is_given_wins_and_what_it_breaks_is_an_exception() -> None:
    given = {
        "sshd": {"client_alive_interval": 3600},
        "ssh": {"server_alive_interval": 5},
        "sysctl": {"tcp_retries2": 3},
    }
    answer = plan(Intent(300, 120, 240), (10, 0), given)
    assert answer["sshd"]["client_alive_interval"] == 3600
    assert answer["reasons"]["sshd"]["client_alive_interval"].startswith("given")
    assert answer["timeline"]["client"]["probes_every"] == 5
    told = "\n".join(answer["exceptions"])
    assert "a server probes every 3600 s only, and the path forgets after 240 s" in told
    assert "a client survives outages up to 1 s for certain, not 120" in told


@pytest.mark.parametrize("name", IDLE_TIMEOUTS)
def test_a_middlebox_is_known_by_name(name: str) -> None:
    seconds = IDLE_TIMEOUTS[name]
    assert parse_intent({"path_idle_timeout": name}) == parse_intent({"path_idle_timeout": seconds})
    period = plan(parse_intent({"path_idle_timeout": name}), (9, 2))["timeline"]["server"]["probes_every"]
    assert period < seconds


def test_an_unknown_middlebox_is_refused_with_the_known_ones() -> None:
    with pytest.raises(HardeningError, match=r"path_idle_timeout: 'aws_nbl' is neither .* aws_nlb"):
        parse_intent({"path_idle_timeout": "aws_nbl"})


@pytest.mark.parametrize("raw", ["0", "29604", "-1", "1m", "010", "", "aws_nlb"])
def test_a_wish_is_a_number_of_seconds(raw: Any) -> None:
    with pytest.raises(HardeningError, match="intent: ride_out"):
        parse_intent({"ride_out": raw})
