# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
When the ends of an SSH connection probe, keep the path open, and give up once it is cut. Pure.

All times are seconds. The rules were measured on OpenSSH 8.4, 9.2, 10.0 and 10.6; molecule/partition measures
them again, and docs/how-keepalive-works.md explains them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ._settings import Kernel

#: Stands for the version of an OpenSSH that is not known.
NEWEST = (99, 0)

#: What goes on when the path is cut. Nothing is sent:
IDLE = "idle"
#: This end has sent something that is not acknowledged, before the cut or once after it.
IN_FLIGHT = "in_flight"
#: This end keeps sending, more often than it would probe, such as top or tail -f on a server.
STEADY_OUTPUT = "steady_output"
#: A time-based RekeyLimit has fallen due on a silent connection.
REKEY_DUE = "rekey_due"

# A client counts whole seconds and may give up this much too early.
_CLIENT_EARLY = 1
# net/ipv4/tcp_timer.c, tcp_model_timeout(): the timeouts double from TCP_RTO_MIN up to TCP_RTO_MAX.
_RTO_MIN = 0.2
_RTO_MAX = 120
_DOUBLINGS = 9
# The first timeout, at most, on a path with a round trip of up to a second.
_RTO_FIRST = 1
# What a path with a round trip of a second adds to it: its first timeouts are longer than TCP_RTO_MIN.
_SLOW_START = 3


class End(NamedTuple):
    """What one end of a connection is set to."""

    #: server or client
    side: str
    #: ClientAliveInterval or ServerAliveInterval; 0 never probes.
    interval: int
    #: ClientAliveCountMax or ServerAliveCountMax
    count_max: int
    version: tuple[int, int] = NEWEST
    tcp_keepalive: bool = True
    kernel: Kernel = Kernel()


class Window(NamedTuple):
    """When an end gives up, counted from the moment at which the path was cut."""

    earliest: float
    latest: float
    #: Which layer decides: ssh, tcp_keepalive or tcp_retries2.
    layer: str


def doubles_interval(sshd: tuple[int, int]) -> bool:
    """Whether this sshd probes at every second interval only (OpenSSH commits d478cdc7a and 9d7193a83)."""
    return (9, 2) <= sshd <= (9, 4)


def probe_period(end: End) -> int | None:
    """Silence after which SSH sends its first probe, and the next ones from then on; None for never."""
    if not end.interval:
        return None
    return end.interval * (2 if end.side == "server" and doubles_interval(end.version) else 1)


def refresh_period(end: End) -> int | None:
    """How often this end makes a healthy silent connection send something, by whichever layer; None for never."""
    kernel = end.kernel.tcp_keepalive_time if _kernel_probes(end) else None
    return min(filter(None, (probe_period(end), kernel)), default=None)


def ends_healthy_after(end: End) -> int | None:
    """Silence after which a healthy connection is ended: a count of 0 does not wait for an answer; None for never."""
    waits = end.count_max > 0 or (end.side == "server" and end.version >= (8, 2))
    impatient = [] if waits else [probe_period(end)]
    if _kernel_probes(end) and end.kernel.tcp_keepalive_probes == 0:
        impatient.append(end.kernel.tcp_keepalive_time)
    return min(filter(None, impatient), default=None)


def login_patience(end: End) -> int | None:
    """How long a client waits for the server's next word while logging in, such as on a push; None for ever."""
    return end.interval * end.count_max or None if end.side == "client" else None


def retransmission_timeout(retries2: int) -> tuple[float, float]:
    """
    How long unacknowledged data is retried, at least and at most.

    The kernel gives up at the first timeout that ends behind the least; the timeouts double
    up to TCP_RTO_MAX. Holds for round trips of up to a second.
    """
    least = retried_for(retries2 + 1)
    return least, round(least + min(least, _RTO_MAX) + _SLOW_START, 1)


def retried_for(retransmissions: int) -> float:
    """How long data is unacknowledged at least once it was sent again so many times."""
    doubled = ((1 << min(retransmissions, _DOUBLINGS + 1)) - 1) * _RTO_MIN
    return round(doubled + max(0, retransmissions - _DOUBLINGS - 1) * _RTO_MAX, 1)


def gives_up(end: End, situation: str = IDLE) -> Window | None:
    """When this end gives up a connection whose path is cut in silence; None for never."""
    period = None if _stops_probing(end, situation) else probe_period(end)
    patience = None if period is None or _never_counts(end) else period * end.count_max
    early = _CLIENT_EARLY if end.side == "client" else 0
    retried, retried_most = retransmission_timeout(end.kernel.tcp_retries2)
    kernel = end.kernel
    probing = kernel.tcp_keepalive_intvl * kernel.tcp_keepalive_probes
    if situation not in (IN_FLIGHT, STEADY_OUTPUT) and period is None:
        return Window(probing, kernel.tcp_keepalive_time + probing, "tcp_keepalive") if _kernel_probes(end) else None

    # An SSH probe is data in flight itself: from then on the kernel retries it, and no longer sends its own probes.
    first_probe = period if period and situation != STEADY_OUTPUT else 0
    tcp = Window(retried, first_probe + retried_most, "tcp_retries2")
    if period is None or patience is None:
        window = tcp
    else:
        # What sshd sends after the cut puts its next probe off.
        off = end.interval if end.side == "server" and situation == IN_FLIGHT else 0
        sooner = patience - early - (off if period > end.interval else 0)
        window = _sooner(Window(max(0, sooner), period + patience + off, "ssh"), tcp)
    idle = kernel.tcp_keepalive_time + probing
    if situation == IDLE and period and _kernel_probes(end) and idle < period:
        # All of the kernel's probes fit in between, unless the cut comes shortly before SSH's.
        return Window(min(window.earliest, probing), idle + window.latest - period, "tcp_keepalive")
    return window


def survives(end: End) -> int | None:
    """
    The longest outage that ends no connection for certain, in whole seconds; None for any.

    When the path is back, nothing happens until the kernel tries again what was in flight. It
    doubles its waiting each time, up to TCP_RTO_MAX, so that may take as long as the outage did.
    """
    limits: list[float] = []
    for window in filter(None, (gives_up(end, situation) for situation in (IDLE, IN_FLIGHT))):
        if window.layer == "tcp_keepalive":
            limits.append(end.kernel.tcp_keepalive_intvl * (end.kernel.tcp_keepalive_probes - 1))
        else:
            left = window.earliest - _RTO_FIRST
            limits.append(max(left / 2, left - _RTO_MAX))
    return max(0, int(min(limits))) if limits else None


def outage_patience(outage: int) -> int:
    """How long an end has to wait at least before it gives up, to survive any outage of that length."""
    return outage + min(outage, _RTO_MAX) + _RTO_FIRST


def timeline(end: End) -> dict[str, Any]:
    """All of the above as the modules and filters return it: plain data, None for never."""
    situations = [IDLE, IN_FLIGHT, STEADY_OUTPUT]
    if end.side == "server" and end.version < (8, 7):
        situations.append(REKEY_DUE)
    windows = {situation: gives_up(end, situation) for situation in situations}
    result: dict[str, Any] = {
        "probes_every": probe_period(end),
        "refreshes_path_every": refresh_period(end),
        "gives_up": {name: window and window._asdict() for name, window in windows.items()},
        "survives": survives(end),
        "ends_healthy_after": ends_healthy_after(end),
    }
    if end.side == "client":
        result["login_may_wait"] = login_patience(end)
    return result


def _sooner(one: Window, other: Window) -> Window:
    """When the first of two reasons ends the connection."""
    layer = one.layer if one.latest <= other.latest else other.layer
    return Window(min(one.earliest, other.earliest), min(one.latest, other.latest), layer)


def _kernel_probes(end: End) -> bool:
    """Whether the kernel does; negative times, which it takes, stand for about 50 days."""
    return end.tcp_keepalive and min(end.kernel.tcp_keepalive_time, end.kernel.tcp_keepalive_intvl) > 0


def _never_counts(end: End) -> bool:
    """Whether unanswered probes never end a session: sshd's reading of a count of 0, from 8.2."""
    return end.count_max == 0 and end.side == "server" and end.version >= (8, 2)


def _stops_probing(end: End, situation: str) -> bool:
    """Bugs that silence sshd: by its own output from 9.2, by a RekeyLimit that is due before 8.7."""
    if end.side != "server":
        return False
    return (situation == STEADY_OUTPUT and end.version >= (9, 2)) or (situation == REKEY_DUE and end.version < (8, 7))
