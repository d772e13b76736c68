# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document that shows what was measured beside what is predicted."""

from __future__ import annotations

from ansible_collections.keepalive.hardening.molecule.partition.tests.measurement import (
    SLACK,
    Measured,
    Measurements,
    Session,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import ends_healthy_after

Sessions = dict[str, Session]

_DECIDES = {"ssh": "", "tcp_keepalive": " K", "tcp_retries2": " R"}

# REUSE-IgnoreStart
_DOCUMENT = """\
<!-- SPDX-FileCopyrightText: The keepalive.hardening authors -->
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
# Measured: when each end gives up

Written by the test, with `make measure`. OpenSSH {versions} hold live
sessions to each other, then all links are cut at once: packets are dropped in silence. A cell is the time from the
cut until the last process of that end is gone, in seconds, and in brackets the earliest and the latest that
[_timeline.py](../plugins/module_utils/_timeline.py) predicts. A value more than {slack} s outside fails the test.

## Silence, with Linux' own TCP settings

`I` is the interval, `C` the count; behind them is who probes. An end that does not probe `hangs`: it was still there
when the link came back after {watched:.0f} s, as predicted, since TCP alone takes at least {least:.0f} s. The session
that neither end probes could be used again at once.

Server, by version of sshd:

{slow_server}

Client, by version of ssh:

{slow_client}

## With TCP settings that end sessions too

{kernel}.
`K` marks where TCP keepalive sets the latest, `R` where `tcp_retries2` does; elsewhere SSH does. A line is sent 0.2 s
after the cut; whoever keeps sending does so every 0.3 s.

Server, by version of sshd:

{fast_server}

Client, by version of ssh:

{fast_client}

A count of 0 makes the client leave a healthy link after one silent interval. Of {patience} s, that was after
{leaving}.
"""
# REUSE-IgnoreEnd


def render(slow: tuple[Sessions, Measurements], fast: tuple[Sessions, Measurements]) -> str:
    """The whole document."""
    slow_sessions, slow_ends = slow
    fast_sessions, fast_ends = fast
    lasting = {name: session for name, session in fast_sessions.items() if not session.leaves}
    leaving = sorted(
        (measured for (_, _, name), measured in fast_ends.items() if name not in lasting),
        key=lambda measured: measured.end.version,
    )
    hanging = [measured for measured in slow_ends.values() if measured.gone is None]
    return _DOCUMENT.format(
        slack=SLACK,
        versions=", ".join(_version(measured) for measured in leaving),
        least=min(measured.predicted.earliest for measured in hanging if measured.predicted),
        watched=min(measured.watched for measured in hanging),
        kernel=", ".join(f"`{key}` {value}" for key, value in leaving[0].end.kernel._asdict().items()),
        slow_server=_table(slow_sessions, slow_ends, "server"),
        slow_client=_table(slow_sessions, slow_ends, "client"),
        fast_server=_table(lasting, fast_ends, "server"),
        fast_client=_table(lasting, fast_ends, "client"),
        patience=ends_healthy_after(leaving[0].end),
        leaving=", ".join(f"{(m.gone or 0) - m.alive:.1f} s with {_version(m)}" for m in leaving),
    )


def render_excerpt(sessions: Sessions, ends: Measurements) -> str:
    """The server's ends that probe alone, beside what the manual page says of them."""
    alone = {name: session for name, session in sessions.items() if session.label.endswith(": server")}
    rows = [row.split(" | ") for row in _table(alone, ends, "server").splitlines()]
    for row, name in zip(rows[2:], alone, strict=True):
        end = next(measured.end for (_, side, session), measured in ends.items() if (side, session) == ("server", name))
        row[0] = f"| {end.interval} s × {end.count_max} | {end.interval * end.count_max} s"
    rows[0][0], rows[1][0] = "| interval × count | the manual page | sshd " + rows[0].pop(1), "| --- | ---"
    return "\n".join(" | ".join(row) for row in rows)


def _table(sessions: Sessions, ends: Measurements, side: str) -> str:
    """A row for each session, a column for each version."""
    hosts = {measured.end.version: host for (host, _, _), measured in sorted(ends.items())}
    columns = [host for _, host in sorted(hosts.items())]
    some = next(iter(sessions))
    rows = [["session", *(_version(ends[host, side, some]) for host in columns)], ["---"] * (len(columns) + 1)]
    for name, session in sessions.items():
        rows.append([session.label, *(_cell(ends[host, side, name]) for host in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(measured: Measured) -> str:
    window, gone = measured.predicted, "hangs" if measured.gone is None else f"{measured.gone:.1f}"
    if window is None or measured.outlives:
        return gone
    return f"{gone} ({window.earliest:g}-{window.latest:g}){_DECIDES[window.layer]}"


def _version(measured: Measured) -> str:
    return "{}.{}".format(*measured.end.version)
