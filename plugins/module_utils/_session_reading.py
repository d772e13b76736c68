# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at the SSH sessions of this host, and at which of them we run in ourselves."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Collection
from contextlib import suppress

from . import _openssh, _sshd_layer
from ._command import Run
from ._ends import end_with
from ._errors import HardeningError
from ._files import Disk
from ._placement import main_file
from ._processes import Process, ancestors, is_ours, open_sockets, processes, seconds_since_boot
from ._sessions import Session, is_sshd, sessions
from ._settings import SSHD, Kernel
from ._ssh_match import Connection
from ._tcp_sockets import open_connections
from ._timeline import probe_period

_TERMINALS = "/dev/pts"
# Without auditd a session has no number (include/linux/audit.h, AUDIT_SID_UNSET).
_NO_AUDIT_SESSION = "4294967295"


def read_sessions() -> list[Session]:
    """Every session of a client that has logged in, oldest first. Raises HardeningError if we are not root."""
    if os.geteuid() != 0:
        raise HardeningError("only root can see whose connection is whose: run with become: true")
    found = processes()
    sshds = [process.pid for process in found if is_sshd(process) and is_ours(process.pid)]
    sockets = {pid: open_sockets(pid) for pid in sshds}
    listed = sessions(found, sockets, open_connections(), _terminals(), seconds_since_boot())
    line = list(ancestors(os.getpid()))
    return [session._replace(user=_user(session), own=_is_own(session, line)) for session in listed]


def sshd_period(run: Run) -> int | None:
    """The silence after which sshd probes a new session, by its files; None where none is known of."""
    program = _openssh.find("sshd")
    if program is None:
        return None
    try:
        dump = _openssh.sshd_dump(run, program, main_file(Disk(), _sshd_layer.DEFAULT_PATH), Connection())
    except _openssh.Refused:
        return None
    end = end_with("server", _openssh.values(dump, SSHD), _openssh.version(run, program), Kernel())
    return probe_period(end)


def _user(session: Session) -> str:
    """Who has logged in: several names may share a uid, and sshd's title may be cut short."""
    uid = session.process.uid
    with suppress(KeyError):
        if pwd.getpwnam(session.user).pw_uid == uid:
            return session.user
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return session.user


def _terminals() -> dict[str, float]:
    """Seconds since each terminal was read or written; the kernel notes it to 8 s (drivers/tty/tty_io.c)."""
    used = {}
    for name in os.listdir(_TERMINALS) if os.path.isdir(_TERMINALS) else ():
        with suppress(OSError):
            status = os.stat(os.path.join(_TERMINALS, name))
            used[f"pts/{name}"] = max(0.0, time.time() - max(status.st_atime, status.st_mtime))
    return used


def _is_own(session: Session, line: Collection[Process]) -> bool:
    """Whether we run in the session: we descend from it, are of its audit session, or were told its client's port."""
    pids = {process.pid for process in line}
    if {session.process.pid, session.monitor.pid} & pids:
        return True
    audit = _audit_session(os.getpid())
    if audit != _NO_AUDIT_SESSION and audit == _audit_session(session.process.pid):
        return True
    peer = " ".join(map(str, session.socket.peer))
    return any(told.startswith(f"{peer} ") for told in map(_ssh_connection, pids))


def _audit_session(pid: int) -> str:
    with suppress(OSError), open(f"/proc/{pid}/sessionid", encoding="ascii") as stream:
        return stream.read().strip()
    return _NO_AUDIT_SESSION


def _ssh_connection(pid: int) -> str:
    """What sshd has told a process of its connection: the client's address and port, and the server's."""
    with suppress(OSError), open(f"/proc/{pid}/environ", encoding="utf-8", errors="replace") as stream:
        for variable in stream.read().split("\0"):
            if variable.startswith("SSH_CONNECTION="):
                return variable.partition("=")[2]
    return ""
