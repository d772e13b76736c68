# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an intent to the values of all three layers. Pure; the arithmetic is in docs/values.md."""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

from ._errors import HardeningError
from ._values import parse_whole_number

WISHES = ("detect_within", "ride_out", "path_idle_timeout")
_LONGEST_WISH = 86400
# Silence on a path that nobody described lasts no longer than this.
_LONGEST_SILENCE = 60
# A client counts whole seconds and may give up this much too early.
_EARLY = 1
# Fewer unanswered probes than this are too few to judge a peer by, where there is a choice.
_ENOUGH_PROBES = 3
# Documentation/networking/ip-sysctl.rst: 15 retransmissions last at least 924.6 s, each further one 120 s.
_RETRIES2 = 15
_RETRIES2_SECONDS = 924
_RETRY_SECONDS = 120
# include/net/tcp.h, MAX_TCP_KEEPCNT
_MOST_TCP_PROBES = 127


class Intent(NamedTuple):
    """What an administrator wants of a connection, in seconds; None where there is no wish."""

    #: A dead peer is noticed at the latest after this time.
    detect_within: int | None = None
    #: An outage up to this long ends no session.
    ride_out: int | None = None
    #: The path forgets a connection that was silent for this long.
    path_idle_timeout: int | None = None


class Probing(NamedTuple):
    """An interval in seconds and a count, as an OpenSSH configuration states them."""

    interval: int
    count_max: int


def parse_intent(options: dict[str, Any]) -> Intent:
    """The intent that the options state. Raises HardeningError for what is no number of seconds."""
    wishes = {}
    for wish in WISHES:
        raw = options.get(wish)
        if raw is None:
            continue
        try:
            wishes[wish] = parse_whole_number(raw)
        except ValueError as problem:
            raise HardeningError(f"intent: {wish}: {problem}") from problem
        if not 1 <= wishes[wish] <= _LONGEST_WISH:
            raise HardeningError(f"intent: {wish}: {raw} is outside the range 1 to {_LONGEST_WISH}")
    return Intent(**wishes)


def doubles_interval(sshd: tuple[int, int]) -> bool:
    """Whether this sshd probes at every second interval only (OpenSSH commits d478cdc7a and 9d7193a83)."""
    return (9, 2) <= sshd <= (9, 4)


def probing(intent: Intent, doubled: bool) -> Probing:
    """
    The longest interval, and a count, that keep the intent.

    The time between two probes p is the interval, or twice that where it is ``doubled``. A peer
    is given up between p * count and p * (count + 1) seconds after the path was cut.
    Raises HardeningError that names the wishes which contradict each other and the nearest that do not.
    """
    factor = 2 if doubled else 1
    ride_out = intent.ride_out + _EARLY if intent.ride_out else 0
    silence = _LONGEST_SILENCE
    if intent.path_idle_timeout:
        if intent.path_idle_timeout <= factor:
            raise HardeningError(
                f"intent: path_idle_timeout: {intent.path_idle_timeout} cannot be kept: "
                f"OpenSSH here probes every {factor} s at most; the nearest is {factor + 1}"
            )
        # A quarter is left for probes that come late.
        silence = min(silence, max(factor, intent.path_idle_timeout * 3 // 4))
    for enough in (_ENOUGH_PROBES, 1):
        for interval in range(silence // factor, 0, -1):
            period = interval * factor
            least = max(ceil(ride_out / period), enough)
            if intent.detect_within is None or period * (least + 1) <= intent.detect_within:
                return Probing(interval, least)
    least = max(ceil(ride_out / factor), 1)
    soonest = factor * (least + 1)
    if intent.ride_out is None:
        raise HardeningError(
            f"intent: detect_within: {intent.detect_within} cannot be kept: sshd here needs {soonest} s at least; "
            f"the nearest is detect_within: {soonest}"
        )
    raise HardeningError(
        f"intent: detect_within: {intent.detect_within} and ride_out: {intent.ride_out} contradict each other: "
        f"a peer that may be silent for {intent.ride_out} s is known to be dead after {soonest} s "
        f"at the earliest; the nearest is detect_within: {soonest}"
    )


def layer_values(intent: Intent, sshd: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Layer to options, for a host whose sshd has this version; (0, 0) where it has none."""
    server, client = probing(intent, doubles_interval(sshd)), probing(intent, doubled=False)
    silence = client.interval * client.count_max
    between = ceil(silence / min(client.count_max, _MOST_TCP_PROBES))
    kernel = {
        # What SSH does not probe, such as a forwarded socket, is probed alike.
        "tcp_keepalive_time": str(client.interval),
        "tcp_keepalive_intvl": str(between),
        "tcp_keepalive_probes": str(ceil(silence / between)),
    }
    if intent.ride_out and intent.ride_out > _RETRIES2_SECONDS:
        # Unacknowledged data would end the connection sooner.
        retries = _RETRIES2 + ceil((intent.ride_out - _RETRIES2_SECONDS) / _RETRY_SECONDS)
        kernel["tcp_retries2"] = str(min(retries, 255))
    return {
        "sshd": {
            "client_alive_interval": str(server.interval),
            "client_alive_count_max": str(server.count_max),
            "tcp_keepalive": True,
        },
        "ssh": {
            "server_alive_interval": str(client.interval),
            "server_alive_count_max": str(client.count_max),
            "tcp_keepalive": True,
        },
        "sysctl": kernel,
    }
