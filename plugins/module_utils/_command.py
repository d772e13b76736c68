# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs on the host, with our own rights or a user's."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, NoReturn

from ._errors import HardeningError
from ._files import CODEC, Account


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
# Seconds for which a program's end may go unnoticed: before it has closed its output, and after that.
_OUTPUT_PATIENCE, _END_PATIENCE = 0.05, 0.001


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
    """
    Run a program, given by its path, in a child process that has given up root for good.

    What it has started and left behind goes on, as the user's own.
    """
    if os.geteuid() == account.uid:
        return run(command)
    (out, child_out), (err, child_err) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        _become(account, command, child_out, child_err)
    os.close(child_out)
    os.close(child_err)
    try:
        code, answers = _wait(child, [out, err])
    finally:
        os.close(out)
        os.close(err)
    if code is None:
        said = f"answered too much or took over {_USER_SECONDS} s"
        return Result(255, "", f"{' '.join(command)}, run as {account.name}, {said}")
    return Result(code, *(answer.decode(**CODEC) for answer in answers))


def _wait(child: int, readers: list[int]) -> tuple[int | None, list[bytes]]:
    """How the child ended, and what came from each reader; None if that took too long or was too much."""
    deadline = time.monotonic() + _USER_SECONDS
    answers = dict.fromkeys(readers, b"")
    waiting = list(readers)
    ended, status = 0, 0
    try:
        while sum(map(len, answers.values())) <= _LARGEST_ANSWER and time.monotonic() < deadline:
            if not ended:
                ended, status = os.waitpid(child, os.WNOHANG)
            # Neither waits for the other: it may close its output and stay, or end and leave somebody who holds it.
            patience = 0 if ended else _OUTPUT_PATIENCE if waiting else _END_PATIENCE
            ready = select.select(waiting, [], [], patience)[0]
            if ended and not ready:
                return os.waitstatus_to_exitcode(status), list(answers.values())
            for reader in ready:
                piece = os.read(reader, 65536)
                answers[reader] += piece
                if not piece:
                    waiting.remove(reader)
        return None, []
    finally:
        # Asked again, since an alarm may come between its end and our note of that.
        with suppress(ChildProcessError):
            if not ended and not os.waitpid(child, os.WNOHANG)[0]:
                # Also a child that its user has stopped.
                os.kill(child, signal.SIGKILL)
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)


def _become(account: Account, command: list[str], out: int, err: int) -> NoReturn:
    """Go on as the program, with the account's rights and nothing of root's."""
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        # Nothing that root has open, such as the lock, is the user's to hold.
        os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 65536))
        os.setgroups(account.groups)
        os.setgid(account.gid)
        os.setuid(account.uid)
        os.chdir("/")
        # Python ignores these, and a program inherits that.
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        # glob(3), which expands the ~ of an Include, believes the environment.
        own = {"HOME": account.home, "USER": account.name, "LOGNAME": account.name, "LC_ALL": "C"}
        os.execve(command[0], command, {**os.environ, **own})
    except Exception as problem:
        os.write(2, str(problem).encode(**CODEC))
    finally:
        # Nothing of the parent's, such as its temporary files, is the child's to tidy up.
        os._exit(255)
