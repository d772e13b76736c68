# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
The timeline against measurements, and against a simulation that knows nothing of its formulas.

molecule/partition measures what can be waited for; the numbers here are those that take minutes or hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import (
    IDLE,
    IN_FLIGHT,
    REKEY_DUE,
    STEADY_OUTPUT,
    End,
    Window,
    ends_healthy_after,
    gives_up,
    login_patience,
    probe_period,
    refresh_period,
    retransmission_timeout,
    survives,
    timeline,
)

FAST = Kernel(tcp_keepalive_time=4, tcp_keepalive_intvl=1, tcp_keepalive_probes=3)


@pytest.mark.parametrize(
    ("end", "every"),
    [
        (End("client", 15, 3), 15),
        (End("server", 15, 3, (9, 1)), 15),
        (End("server", 15, 3, (9, 2)), 30),
        (End("server", 15, 3, (9, 4)), 30),
        (End("server", 15, 3, (9, 5)), 15),
        (End("client", 15, 3, (9, 2)), 15),
        (End("server", 0, 3), None),
    ],
)
def test_sshd_9_2_to_9_4_alone_probes_at_every_second_interval(end: End, every: int | None) -> None:
    assert probe_period(end) == every


# Linux 6.18: seconds from the last byte that was acknowledged to the end of the connection.
@pytest.mark.parametrize(("retries2", "measured"), [(3, 6.7), (5, 13.4), (8, 107), (15, 939)])
def test_a_measured_retransmission_timeout_is_within_the_bounds(retries2: int, measured: float) -> None:
    least, most = retransmission_timeout(retries2)
    assert least <= measured <= most


@pytest.mark.parametrize(("retries2", "least"), [(8, 102.2), (15, 924.6)])
def test_the_least_is_the_one_that_the_kernels_documentation_names(retries2: int, least: float) -> None:
    # Documentation/networking/ip-sysctl.rst, tcp_retries2
    assert retransmission_timeout(retries2)[0] == least


@given(strategies.integers(3, 255), strategies.floats(0.2, 1))
def test_the_kernels_own_loop_ends_within_the_bounds(retries2: int, first_timeout: float) -> None:
    """tcp_retransmit_timer() and retransmits_timed_out() of net/ipv4/tcp_timer.c, step by step."""
    least, most = retransmission_timeout(retries2)
    timeout, now = first_timeout, first_timeout
    started = now
    while now - started < least:
        timeout = min(2 * timeout, 120)
        now += timeout
    assert least <= now <= most


@pytest.mark.parametrize(
    ("end", "situation", "expected"),
    [
        # The man page says 45 s.
        (End("server", 15, 3, (10, 0)), IDLE, Window(45, 60, "ssh")),
        (End("client", 15, 3), IDLE, Window(44, 60, "ssh")),
        (End("server", 15, 3, (9, 2)), IDLE, Window(90, 120, "ssh")),
        # Measured on sshd that keeps sending: 939 s.
        (End("server", 15, 3, (8, 4)), STEADY_OUTPUT, Window(45, 60, "ssh")),
        (End("server", 15, 3, (9, 2)), STEADY_OUTPUT, Window(924.6, 1047.6, "tcp_retries2")),
        (End("server", 15, 3, (10, 6)), STEADY_OUTPUT, Window(924.6, 1047.6, "tcp_retries2")),
        (End("server", 15, 3, (8, 4)), REKEY_DUE, Window(675, 7875, "tcp_keepalive")),
        # A longer count buys nothing: the probe itself is retried no longer.
        (End("client", 60, 30), IDLE, Window(924.6, 1107.6, "tcp_retries2")),
        # Without probes of SSH's own.
        (End("server", 0, 3), IDLE, Window(675, 7875, "tcp_keepalive")),
        (End("server", 0, 3, tcp_keepalive=False), IDLE, None),
        (End("server", 0, 3, tcp_keepalive=False), IN_FLIGHT, Window(924.6, 1047.6, "tcp_retries2")),
        (End("client", 0, 3, kernel=FAST), IDLE, Window(3, 7, "tcp_keepalive")),
        # The kernel's probes come before SSH's.
        (End("server", 300, 3, kernel=FAST), IDLE, Window(3, 907, "tcp_keepalive")),
        # The kernel's probes begin before SSH's, but never end before them.
        (End("server", 300, 3, kernel=Kernel(290, 5, 3)), IDLE, Window(900, 1200, "ssh")),
        # A count of 0.
        (End("server", 2, 0, (8, 2)), IDLE, Window(924.6, 1049.6, "tcp_retries2")),
        (End("server", 2, 0, (8, 0)), IDLE, Window(0, 2, "ssh")),
        (End("client", 2, 0), IDLE, Window(0, 2, "ssh")),
    ],
)
def test_when_an_end_gives_up(end: End, situation: str, expected: Window | None) -> None:
    assert gives_up(end, situation) == expected


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (End("client", 5, 0), 5),
        (End("server", 5, 0, (8, 1)), 5),
        (End("server", 5, 0, (8, 2)), None),
        (End("client", 5, 1), None),
        (End("client", 0, 0), None),
    ],
)
def test_a_count_of_0_ends_healthy_sessions_of_clients_and_of_old_servers(end: End, after: int | None) -> None:
    assert ends_healthy_after(end) == after


def test_a_login_may_take_interval_times_count() -> None:
    assert login_patience(End("client", 5, 3)) == 15
    assert login_patience(End("client", 0, 3)) is None
    assert "login_may_wait" not in timeline(End("server", 5, 3))


@pytest.mark.parametrize(
    ("end", "every"),
    [
        (End("client", 30, 3), 30),
        (End("client", 30, 3, kernel=FAST), 4),
        (End("client", 30, 3, tcp_keepalive=False, kernel=FAST), 30),
        (End("client", 0, 3), 7200),
        (End("client", 0, 3, tcp_keepalive=False), None),
    ],
)
def test_the_first_layer_that_sends_keeps_the_path_open(end: End, every: int | None) -> None:
    assert refresh_period(end) == every


def moments(limit: float) -> Iterator[float]:
    """Moments from just above 0 to just below the limit."""
    steps = 40
    return (limit * (step + 0.5) / steps for step in range(steps))


def simulated(end: End, ssh_silent: float, tcp_silent: float, first_timeout: float) -> float:
    """
    An idle end after the cut, layer by layer: when it gives up.

    At the cut, its last complete SSH packet is ``ssh_silent`` old, the last segment ``tcp_silent``.
    """
    kernel, period = end.kernel, probe_period(end) or math.inf
    first_ssh_probe = period - ssh_silent
    if end.tcp_keepalive:
        kernel_ends = kernel.tcp_keepalive_time - tcp_silent + kernel.tcp_keepalive_intvl * kernel.tcp_keepalive_probes
        if kernel_ends < first_ssh_probe:
            return kernel_ends
    ssh_ends = first_ssh_probe + period * end.count_max if end.count_max else math.inf
    timeout, now = first_timeout, first_timeout
    while now - first_timeout < retransmission_timeout(kernel.tcp_retries2)[0]:
        timeout = min(2 * timeout, 120)
        now += timeout
    return min(ssh_ends, first_ssh_probe + now)


KERNELS = strategies.builds(
    Kernel,
    strategies.integers(1, 300),
    strategies.integers(1, 60),
    strategies.integers(1, 12),
    strategies.integers(3, 20),
)
ENDS = strategies.builds(
    End,
    strategies.just("server"),
    strategies.integers(1, 400),
    strategies.integers(0, 12),
    strategies.sampled_from([(8, 4), (9, 2), (10, 0), (10, 6)]),
    strategies.booleans(),
    KERNELS,
)


def retransmissions(first: float, first_timeout: float, retries2: int) -> Iterator[float]:
    """When the kernel tries again what was sent at ``first``, until it gives up."""
    timeout, now = first_timeout, first + first_timeout
    started = now
    while now - started < retransmission_timeout(retries2)[0]:
        yield now
        timeout = min(2 * timeout, 120)
        now += timeout


@given(ENDS, strategies.floats(0, 0.999), strategies.floats(0.2, 1), strategies.booleans())
def test_an_outage_that_is_said_to_be_survived_is(
    end: End, ssh_phase: float, first_timeout: float, sent_something: bool
) -> None:
    end = end._replace(tcp_keepalive=False)
    longest = survives(end)
    period = probe_period(end)
    assert longest is not None
    assert period is not None
    first = 0 if sent_something else period * (1 - ssh_phase)
    ends = simulated(end, ssh_phase * period, 0, first_timeout) if not sent_something else math.inf
    again = list(retransmissions(first, first_timeout, end.kernel.tcp_retries2))
    # The path is back in time for the kernel to try again, or was so before SSH asked anything.
    assert longest < first or any(longest <= moment < ends for moment in again)


@pytest.mark.parametrize(
    ("end", "longest"),
    [
        # Measured with 10 s and 2: outages of 13 s were survived and of 15 s were not; for certain it is less.
        (End("server", 10, 2, (10, 0)), 9),
        (End("client", 10, 2), 9),
        (End("server", 30, 6, (10, 0)), 89),
        (End("server", 30, 6, (9, 2)), 209),
        (End("server", 60, 60, (10, 0)), 803),
        (End("server", 0, 3, kernel=FAST), 2),
        (End("server", 0, 3, tcp_keepalive=False), 803),
    ],
)
def test_an_outage_is_survived_if_the_kernel_tries_again_in_time(end: End, longest: int) -> None:
    assert survives(end) == longest


@given(ENDS, strategies.floats(0, 0.999), strategies.floats(0, 0.999), strategies.floats(0.2, 1))
def test_whatever_the_moment_of_the_cut_the_end_comes_within_the_window(
    end: End, ssh_phase: float, tcp_phase: float, first_timeout: float
) -> None:
    window = gives_up(end)
    assert window is not None
    period = probe_period(end)
    assert period is not None
    # The last segment is not older than the last packet.
    ssh_silent = ssh_phase * period
    tcp_silent = min(tcp_phase * end.kernel.tcp_keepalive_time, ssh_silent)
    ends = simulated(end, ssh_silent, tcp_silent, first_timeout)
    assert window.earliest - 1e-6 <= ends <= window.latest + 1e-6


@pytest.mark.parametrize("end", [End("server", 15, 3, (10, 0)), End("server", 7, 2, (9, 2))])
def test_the_window_is_no_wider_than_it_has_to_be(end: End) -> None:
    window = gives_up(end)
    period = probe_period(end)
    assert window
    assert period
    found = [simulated(end, moment, 0, 0.2) for moment in moments(period)]
    assert min(found) == pytest.approx(window.earliest, abs=period / 40)
    assert max(found) == pytest.approx(window.latest, abs=period / 40)
