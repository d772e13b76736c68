# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that root runs as a user has the user's rights and nothing else, and cannot hold root up."""

from __future__ import annotations

import os
import signal
import time

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils import _command
from ansible_collections.keepalive.hardening.plugins.module_utils._accounts import account
from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result, run_as, time_limit
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError


def shell(script: str) -> Result:
    def not_as_root(command: list[str]) -> Result:
        raise AssertionError(command)

    return run_as(account("alice"), not_as_root, ["/bin/sh", "-c", script])


def test_it_has_the_users_rights_and_home() -> None:
    alice = account("alice")
    answer = shell("id -ru; id -u; id -rg; id -g; echo $HOME; pwd; echo $LC_ALL; ps -o sid= -p $$ | tr -d ' '; echo $$")
    *said, session, process = answer.out.split()
    assert said == [str(alice.uid), str(alice.uid), str(alice.gid), str(alice.gid), alice.home, "/", "C"]
    assert session == process


def test_it_has_nothing_open_that_was_roots() -> None:
    with open("/etc/shadow", "rb") as secret:
        os.set_inheritable(secret.fileno(), True)
        opened = shell("ls -l /proc/$$/fd").out
    assert len([line for line in opened.splitlines() if "->" in line]) == 3
    assert "shadow" not in opened


def test_what_it_says_and_how_it_ends_is_told() -> None:
    assert shell("echo out; echo err >&2; exit 7") == Result(7, "out\n", "err\n")
    assert shell("kill -9 $$").code == -9
    assert shell("cat").out == "", "there is no input"
    ignored = int(shell("grep SigIgn /proc/$$/status").out.split()[1], 16)
    # Python ignores these, and programs count on them.
    assert not any(ignored & 1 << number - 1 for number in (signal.SIGPIPE, signal.SIGXFSZ))


def test_a_program_that_is_not_there_is_an_answer() -> None:
    answer = run_as(account("alice"), lambda _command: Result(0, "", ""), ["/nowhere/ssh"])
    assert answer.code == 255
    assert "No such file" in answer.err


@pytest.mark.parametrize("script", ["sleep 1000", "kill -STOP $$", "exec >&- 2>&-; sleep 1000", "yes"])
def test_it_cannot_hold_root_up(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_command, "_USER_SECONDS", 0.5)
    monkeypatch.setattr(_command, "_LARGEST_ANSWER", 100_000)
    began = time.monotonic()
    answer = shell(f"echo $$ >&2; {script}")
    assert time.monotonic() - began < 5
    assert answer.code == 255
    assert "run as alice, answered too much or took over 0.5 s" in answer.err
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_time_limit_ends_it() -> None:
    with pytest.raises(HardeningError, match="a test took longer than 1 s"), time_limit(1, "a test"):
        shell("sleep 1000")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_what_it_leaves_behind_is_not_waited_for() -> None:
    began = time.monotonic()
    answer = shell("sleep 30 & echo $!")
    assert time.monotonic() - began < 10
    assert answer.code == 0
    os.kill(int(answer.out), 9)
