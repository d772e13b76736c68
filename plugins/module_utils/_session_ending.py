# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ending SSH sessions: politely, then firmly, and never a process that is not the one that was looked at."""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ._errors import HardeningError
from ._processes import Process, read_process
from ._sessions import Session

# What sshd takes to end the session's terminal, PAM session and processes.
_POLITE_SECONDS = 5.0
_FIRM_SECONDS = 5.0
_AT_ONCE = 100

#: How a session ended that nothing ends.
NOT = "not"


def end_sessions(sessions: list[Session], how: dict[int, str]) -> None:
    """
    End the sessions, many side by side.

    ``how`` gets how each ended, by the pid of its process: politely, firmly, by_itself before we came, or NOT.
    Raises HardeningError or OSError for what cannot be done here, for those that are not in ``how`` yet.
    """
    # Each takes two descriptors, of which a process may have some hundred.
    for start in range(0, len(sessions), _AT_ONCE):
        how.update(_end(sessions[start : start + _AT_ONCE]))


def _end(sessions: list[Session]) -> dict[int, str]:
    with _handles(sessions) as handles:
        how = {pid: "politely" if held else "by_itself" for pid, held in handles.items()}
        for session in sessions:
            # sshd takes it for the end of the session and tidies up.
            _signal(handles[session.process.pid][:1], signal.SIGTERM)
        _wait(handles, _POLITE_SECONDS)
        for pid, held in handles.items():
            if _alive(held):
                how[pid] = "firmly"
                _signal(held, signal.SIGKILL)
        _wait(handles, _FIRM_SECONDS)
        return {pid: NOT if _alive(handles[pid]) else ended for pid, ended in how.items()}


@contextmanager
def _handles(sessions: list[Session]) -> Iterator[dict[int, list[int]]]:
    """Handles of each session's processes, its own first; none of a process that is not the same any more."""
    opened: dict[int, list[int]] = {}
    try:
        for session in sessions:
            held = opened.setdefault(session.process.pid, [])
            for process in dict.fromkeys((session.process, session.monitor)):
                handle = _open(process)
                if handle is not None:
                    held.append(handle)
                elif process == session.process:
                    break
        yield opened
    finally:
        for held in opened.values():
            for handle in held:
                os.close(handle)


def _open(process: Process) -> int | None:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    except OSError as problem:
        if problem.errno != errno.ENOSYS:
            raise
        raise HardeningError("this kernel has no handles of processes (pidfd, Linux 5.3)") from problem
    same = False
    try:
        # What has the number now may be another process. What we hold a handle of stays the same.
        now = read_process(process.pid)
        same = bool(now and now.started == process.started and now.program == process.program)
    finally:
        if not same:
            os.close(handle)
    return handle if same else None


def _signal(handles: list[int], number: signal.Signals) -> None:
    for handle in handles:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)


def _alive(handles: list[int]) -> bool:
    """Whether one of the processes is: a handle can be read once its process has ended."""
    ended = select.poll()
    for handle in handles:
        ended.register(handle, select.POLLIN)
    return len(ended.poll(0)) < len(handles)


def _wait(handles: dict[int, list[int]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(map(_alive, handles.values())):
        time.sleep(0.05)
