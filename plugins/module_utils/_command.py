# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs on the host, with our own rights or a user's."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

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


def run_as(account: Account, run: Run, command: list[str]) -> Result:
    """Run a program in a child process that has given up root for good."""
    if os.geteuid() == account.uid:
        return run(command)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _run_and_exit(account, run, command, reader, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="ascii") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    if not answer:
        return Result(255, "", f"{' '.join(command)}, run as {account.name}, did not end within {_USER_SECONDS} s")
    return Result(*json.loads(answer))


def _run_and_exit(account: Account, run: Run, command: list[str], reader: int, writer: int) -> None:
    try:
        os.setsid()
        os.close(reader)
        os.setgroups(account.groups)
        os.setgid(account.gid)
        os.setuid(account.uid)
        os.chdir("/")
        # glob(3), which expands the ~ of an Include, believes the environment.
        os.environ.update(HOME=account.home, USER=account.name, LOGNAME=account.name)
        signal.signal(signal.SIGALRM, lambda *_args: os.killpg(0, signal.SIGKILL))
        signal.alarm(_USER_SECONDS)
        with os.fdopen(writer, "w", encoding="ascii") as stream:
            json.dump(run(command), stream)
    except Exception as problem:
        with os.fdopen(writer, "w", encoding="ascii") as stream:
            json.dump(Result(255, "", str(problem)), stream)
    finally:
        # Nothing of the parent's, such as its locks and temporary files, is the child's to tidy up.
        os._exit(0)
