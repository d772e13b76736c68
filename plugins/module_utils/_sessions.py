# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SSH sessions of a host: from processes and sockets to sessions, and whether each is alive. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from ._processes import Process
from ._ssh_match import address_matches
from ._tcp_sockets import CLOSE_WAIT, ESTABLISHED, RETRANSMISSION, TcpSocket
from ._timeline import retried_for

#: Its client answers, and as far as can be told it is in use.
ACTIVE = "active"
#: Its client answers, and its terminal is not used.
IDLE = "idle"
#: What it has sent is not acknowledged any more, or its client has closed the connection.
HUNG = "hung"
#: It is silent, and nothing tells whether its client is still there.
UNKNOWN = "unknown"
VERDICTS = (ACTIVE, IDLE, HUNG, UNKNOWN)

# From 9.8 a session has a program of its own.
_PROGRAMS = ("sshd", "sshd-session")
# sshd.c and session.c: "sshd: alice [priv]" is the monitor, "sshd: alice@pts/0" the session, "sshd: alice" a tunnel.
_TERMINALS = r"(?:pts/\d+|tty\w+)(?:,(?:pts/\d+|tty\w+))*"
_SESSION_TITLE = re.compile(rf"sshd(?:-session)?(?:\.\w+)?: (?P<user>[^\[]+?)(?:@(?P<what>{_TERMINALS}|notty))?$")
# Retransmissions in a row; from the third on, a second and a half or more have passed.
_HUNG_RETRANSMITS = 3
# A probe's answer may be that much late, since sshd looks at its clock once a second and the path may be slow.
_LATE = 3


class Session(NamedTuple):
    """One connection of a client that has logged in. Times are seconds."""

    user: str
    socket: TcpSocket
    #: The session's own process, and root's that watches over it; the same for root's own sessions.
    process: Process
    monitor: Process
    #: terminal, command, sftp or tunnel
    kind: str
    #: Names below /dev.
    terminals: tuple[str, ...]
    #: Sessions that share the connection.
    channels: int
    age: float
    #: Since the last key was typed or anything was printed; None where not all that runs has a terminal.
    idle_for: float | None
    #: Whether it is the connection that this very code runs in.
    own: bool = False


class Verdict(NamedTuple):
    """Whether a session is alive, and how that is known."""

    word: str
    reason: str


def is_sshd(process: Process) -> bool:
    """Whether it runs sshd, be it a build of its own, as Alpine's sshd.pam is."""
    return process.program.partition(".")[0] in _PROGRAMS


def sessions(
    processes: Collection[Process],
    open_sockets: Mapping[int, Collection[int]],
    connections: Collection[TcpSocket],
    terminals: Mapping[str, float],
    now: float,
) -> Iterator[Session]:
    """
    The sessions, oldest first.

    ``open_sockets`` are the inodes that each of sshd's processes has open, by descriptor, ``terminals`` maps a
    terminal to the seconds since it was used, and ``now`` are the seconds since the boot.
    """
    by_inode = {connection.inode: connection for connection in connections}
    children: dict[int, list[Process]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    for process in sorted(processes, key=lambda process: process.started):
        title = _SESSION_TITLE.match(process.title) if is_sshd(process) else None
        held = [by_inode[inode] for inode in open_sockets.get(process.pid, ()) if inode in by_inode]
        monitor = _monitor(process, processes, open_sockets, held)
        # Sessions of an sshd that a user has started are none of this host's.
        if not title or not held or monitor.uid != 0:
            continue
        # What passes through a tunnel was opened later, with a higher descriptor, and not by the monitor.
        watched = [one for one in held if one.inode in open_sockets.get(monitor.pid, ())]
        started = children.get(process.pid, [])
        passing = [one for one in held if one != watched[0] and one.state == ESTABLISHED]
        names = tuple(name for name in (title["what"] or "").split(",") if "/" in name)
        yield Session(
            title["user"],
            watched[0],
            process,
            monitor,
            _kind(title["what"], names, started),
            names,
            len(started),
            now - process.started,
            # What runs beside the terminals, or passes through a tunnel, may be at work while nobody types.
            None if len(started) > len(names) or passing else _unused(names, terminals, now - process.started),
        )


def _monitor(
    process: Process,
    processes: Collection[Process],
    open_sockets: Mapping[int, Collection[int]],
    held: list[TcpSocket],
) -> Process:
    """The parent that holds the same connection; for root's own sessions there is none."""
    for other in processes:
        watches = other.pid == process.parent and is_sshd(other)
        if watches and any(one.inode in open_sockets.get(other.pid, ()) for one in held):
            return other
    return process


def _unused(names: tuple[str, ...], terminals: Mapping[str, float], age: float) -> float | None:
    """Since any of the terminals was used; None where one is not known. The wall clock they are told by may jump."""
    if not names or any(name not in terminals for name in names):
        return None
    return min(age, *(terminals[name] for name in names))


def _kind(what: str | None, terminals: tuple[str, ...], started: list[Process]) -> str:
    if terminals:
        return "terminal"
    if what is None:
        return "tunnel"
    served = [child for child in started if "sftp-server" in child.title or child.title.endswith("@internal-sftp")]
    return "sftp" if started and len(served) == len(started) else "command"


def hung_for(session: Session) -> float | None:
    """How long its client is gone, at least: silent though asked again and again, or closed; None while it is there."""
    sock = session.socket
    if sock.state == CLOSE_WAIT:
        return sock.last_acked
    if sock.timer != RETRANSMISSION or not sock.unacked or sock.retransmits < _HUNG_RETRANSMITS:
        return None
    # The last acknowledgement may be of long before the first loss.
    return min(sock.last_acked, retried_for(sock.retransmits) + sock.last_sent)


def judge(session: Session, period: int | None, idle_after: float) -> Verdict:
    """
    Whether the session is alive.

    ``period`` is the silence after which this host's sshd probes, None if it does not. A session whose
    terminal was not used for ``idle_after`` is idle.
    """
    sock, used = session.socket, session.idle_for
    hung = hung_for(session)
    if hung is not None and sock.state == CLOSE_WAIT:
        return Verdict(HUNG, "its client has closed the connection, and sshd has not ended the session")
    if hung is not None:
        return Verdict(HUNG, f"nothing was acknowledged for {hung:.0f} s, though sent {sock.retransmits} times again")
    # The client's kernel acknowledges what sshd prints, also while nothing is typed.
    silent = min(sock.last_received, sock.last_acked)
    if silent > (period or 0) + _LATE:
        why = f"though sshd is set to probe after {period} s" if period else "and sshd is not known to probe"
        return Verdict(UNKNOWN, f"its client was last heard {silent:.0f} s ago, {why}")
    if used is not None and used < idle_after:
        return Verdict(ACTIVE, f"its terminal was used {used:.0f} s ago")
    if used is None:
        return Verdict(
            ACTIVE, f"its client was heard {silent:.0f} s ago; without a terminal nobody can tell what is idle"
        )
    return Verdict(IDLE, f"its client was heard {silent:.0f} s ago, and its terminal was not used for {used:.0f} s")


class Conditions(NamedTuple):
    """Which sessions are meant: those that meet every one that is given."""

    users: Collection[str] = ()
    #: Addresses and networks.
    peers: Collection[str] = ()
    verdicts: Collection[str] = ()
    idle_for: float | None = None
    hung_for: float | None = None
    older_than: float | None = None

    def select(self, session: Session, verdict: Verdict) -> bool:
        """Whether the session meets all; what is not known of it does not meet anything."""
        return all(
            (
                not self.users or session.user in self.users,
                not self.peers or address_matches(list(self.peers), session.socket.peer[0]),
                not self.verdicts or verdict.word in self.verdicts,
                self.idle_for is None or _reaches(session.idle_for, self.idle_for),
                self.hung_for is None or _reaches(hung_for(session), self.hung_for),
                self.older_than is None or session.age >= self.older_than,
            )
        )


def _reaches(value: float | None, least: float) -> bool:
    return value is not None and value >= least
