# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs on the host, with our own rights or a user's."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ._errors import HardeningError
from ._files import Account


class Result(NamedTuple):
    """How a program ended."""

    code: int
    out: str
    err: str


#: Runs a program to its end; AnsibleModule.run_command() is behind it.
Run = Callable[["list[str]"], Result]

# A program that a user can make hang must not hold up root for longer.
_USER_SECONDS = 60
_LARGEST_ANSWER = 16 << 20


@contextmanager
def time_limit(seconds: int, what: str) -> Iterator[None]:
    """Raises HardeningError where the body takes longer."""

    def give_up(*_args: object) -> None:
        raise HardeningError(f"{what} took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def run_as(account: Account, run: Run, command: list[str]) -> Result:
    """Run a program in a child process that has given up root for good."""
    if os.geteuid() == account.uid:
        return run(command)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _run_and_exit(account, run, command, writer)
    os.close(writer)
    try:
        answer = _read_all(reader, time.monotonic() + _USER_SECONDS)
    finally:
        os.close(reader)
        # Also a child that its user has stopped. What it has started may go on, as the user's own.
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not answer:
        return Result(255, "", f"{' '.join(command)}, run as {account.name}, was ended or took over {_USER_SECONDS} s")
    return Result(*json.loads(answer))


def _read_all(descriptor: int, deadline: float) -> bytes:
    """What comes until the other end closes; nothing if that is after the deadline."""
    answer = b""
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(descriptor, 65536)
        if not piece:
            return answer
        answer += piece
        if len(answer) > _LARGEST_ANSWER:
            break
    return b""


def _run_and_exit(account: Account, run: Run, command: list[str], writer: int) -> None:
    try:
        os.setsid()
        # Nothing that root has open, such as the lock, is the user's to hold.
        os.closerange(3, writer)
        os.closerange(writer + 1, min(os.sysconf("SC_OPEN_MAX"), 65536))
        os.setgroups(account.groups)
        os.setgid(account.gid)
        os.setuid(account.uid)
        os.chdir("/")
        # glob(3), which expands the ~ of an Include, believes the environment.
        os.environ.update(HOME=account.home, USER=account.name, LOGNAME=account.name)
        answer = run(command)
    except Exception as problem:
        answer = Result(255, "", str(problem))
    try:
        # Python's own folder may be closed to the user, so nothing may have to be imported here, such as a codec.
        with os.fdopen(writer, "wb") as stream:
            stream.write(json.dumps(answer).encode())
    finally:
        # Nothing of the parent's, such as its temporary files, is the child's to tidy up.
        os._exit(0)
