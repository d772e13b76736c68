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
    doubles_interval,
    layer_values,
    parse_intent,
    probing,
)

WISH = strategies.none() | strategies.integers(1, 300) | strategies.integers(1, 86400)
VERSIONS = [(0, 0), (8, 0), (8, 4), (9, 1), (9, 2), (9, 4), (9, 5), (10, 0), (10, 6)]


def keeps(intent: Intent, period: int, count: int) -> bool:
    """The measured rules: given up between period * count, a second early, and period * (count + 1)."""
    return (
        (intent.detect_within is None or period * (count + 1) <= intent.detect_within)
        and (intent.ride_out is None or period * count - 1 >= intent.ride_out)
        and (intent.path_idle_timeout is None or period < intent.path_idle_timeout)
    )


@given(strategies.builds(Intent, WISH, WISH, WISH), strategies.booleans())
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


@pytest.mark.parametrize("sshd", VERSIONS)
def test_the_server_of_9_2_to_9_4_gets_half_the_interval(sshd: tuple[int, int]) -> None:
    values = layer_values(Intent(detect_within=120, path_idle_timeout=60), sshd)
    assert values["ssh"]["server_alive_interval"] == "30"
    assert values["sshd"]["client_alive_interval"] == ("15" if doubles_interval(sshd) else "30")


@given(strategies.builds(Intent, st := strategies.none(), WISH, st))
def test_the_kernel_rides_out_what_ssh_rides_out(intent: Intent) -> None:
    values = layer_values(intent, (10, 0))["sysctl"]
    idle = int(values["tcp_keepalive_time"]) + int(values["tcp_keepalive_intvl"]) * int(values["tcp_keepalive_probes"])
    assert idle >= (intent.ride_out or 0)
    # ip-sysctl.rst: 924.6 s at least for 15 retransmissions, 120 s for each further one.
    assert 924.6 + 120 * (int(values.get("tcp_retries2", 15)) - 15) >= min(intent.ride_out or 0, 29000)


@pytest.mark.parametrize("raw", ["0", "86401", "-1", "1m", "010", ""])
def test_a_wish_is_a_number_of_seconds(raw: Any) -> None:
    with pytest.raises(HardeningError, match="intent: ride_out"):
        parse_intent({"ride_out": raw})
