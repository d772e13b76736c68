# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed at any moment leaves a valid configuration, and the next one completes it."""

from __future__ import annotations

import glob
import itertools
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.keepalive.hardening.tests.hosts import service, support
from ansible_collections.keepalive.hardening.tests.hosts.support import harden, run_ok, snapshot, sshd_says, write

KILLED = 9
MAIN = "/etc/ssh/sshd_config"


@pytest.fixture(autouse=True)
def running(as_installed: None) -> Iterator[None]:
    """Two lines of others to comment out, and an sshd that has read them."""
    write(MAIN, "Include /etc/ssh/sshd_config.d/*.conf\nClientAliveInterval 15\n")
    write("/etc/ssh/sshd_config.d/10-a.conf", "ClientAliveInterval 20\n")
    service.reload()
    yield
    for leftover in glob.glob("/tmp/keepalive-*"):
        shutil.rmtree(leftover)


def in_a_child(work: Callable[[], Any]) -> int:
    """Start the work in a process of its own; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(1)
    return pid


def exit_code(pid: int) -> int:
    return os.WEXITSTATUS(os.waitpid(pid, 0)[1])


def run_killed_at(moment: int, options: dict[str, Any], layer: str = "sshd") -> bool:
    """Run until the call of that number that changes something; return whether it came to that call."""

    def work() -> None:
        count = itertools.count()

        def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **more: Any) -> Any:
                if next(count) == moment:
                    os._exit(KILLED)
                return function(*arguments, **more)

            return call

        os.replace, os.unlink = deadly(os.replace), deadly(os.unlink)
        real = support.run_command
        support.run_command = lambda command: (deadly(real) if "reload" in command else real)(command)
        harden(layer, **options)

    code = exit_code(in_a_child(work))
    assert code in (0, KILLED)
    return code == KILLED


def moments(options: dict[str, Any], prepare: Callable[[], Any]) -> Iterator[int]:
    """Every moment at which such a run can be killed, after it was."""
    for moment in itertools.count():
        prepare()
        if not run_killed_at(moment, options):
            assert moment > 6
            return
        yield moment


PRESENT = {"client_alive_interval": 60, "exclusive": True}
ABSENT = {"client_alive_interval": 60, "state": "absent"}


def test_a_killed_run_is_completed_by_the_next() -> None:
    before = snapshot()

    for moment in moments(PRESENT, lambda: harden("sshd", state="absent")):
        run_ok("/usr/sbin/sshd", "-t")
        assert sshd_says("ClientAliveInterval") in ("20", "60"), f"killed at {moment}"
        assert service.answers()

        harden("sshd", **PRESENT)

        assert sshd_says("ClientAliveInterval") == "60"
        assert service.reads() > max(os.stat(path).st_ctime_ns for path in (MAIN, "/etc/ssh/sshd_config.d/10-a.conf"))
        assert not harden("sshd", **PRESENT).changed
    harden("sshd", state="absent")
    assert snapshot() == before


def test_a_killed_absent_is_completed_by_the_next() -> None:
    before = snapshot()

    for moment in moments(ABSENT, lambda: harden("sshd", **PRESENT)):
        run_ok("/usr/sbin/sshd", "-t")
        assert sshd_says("ClientAliveInterval") in ("20", "60"), f"killed at {moment}"

        harden("sshd", **ABSENT)

        assert snapshot() == before
        assert not harden("sshd", **ABSENT).changed


def test_a_killed_run_can_be_taken_back() -> None:
    before = snapshot()

    for moment in moments(PRESENT, lambda: harden("sshd", state="absent")):
        harden("sshd", state="absent")

        now = snapshot()
        # A name that no Include takes, and that the next run which writes the file uses again.
        staged = [path for path in now if path.endswith(".keepalive-new") and Path(path).name.startswith(".")]
        assert {path: now[path] for path in now if path not in staged} == before, f"killed at {moment}"


def test_two_runs_at_once_end_as_one_after_the_other() -> None:
    for _attempt in range(5):
        options = [{"client_alive_interval": value, "client_alive_count_max": value} for value in (30, 60)]
        pids = [in_a_child(partial(harden, "sshd", **each)) for each in options]
        assert [exit_code(pid) for pid in pids] == [0, 0]
        assert sshd_says("ClientAliveInterval") == sshd_says("ClientAliveCountMax")
        assert sshd_says("ClientAliveInterval") in ("30", "60")
        assert not [path for path in snapshot("/etc/ssh") if Path(path).name.startswith(".")]
        assert not harden("sshd", client_alive_interval=sshd_says("ClientAliveInterval")).changed


OTHER_LAYERS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("ssh", {}, {"server_alive_interval": 60, "exclusive": True}),
    ("ssh", {"users": ["alice"]}, {"server_alive_interval": 60, "exclusive": True}),
    ("sysctl", {}, {"tcp_keepalive_time": 120, "exclusive": True}),
)


@pytest.mark.parametrize(("layer", "place", "values"), OTHER_LAYERS, ids=["system", "user", "sysctl"])
@pytest.mark.parametrize("absent", [False, True], ids=["present", "absent"])
def test_a_killed_run_of_the_other_layers_is_completed(
    layer: str, place: dict[str, Any], values: dict[str, Any], absent: bool
) -> None:
    write("/etc/ssh/ssh_config.d/10-a.conf", "ServerAliveInterval 20\n")
    write("/home/alice/.ssh/config", "Host a*\n    ServerAliveInterval 20", owner="alice")
    write("/etc/sysctl.d/10-a.conf", "net.ipv4.tcp_keepalive_time = 600\n")
    before = snapshot()

    for moment in itertools.count():
        if absent:
            harden(layer, **place, **values)
        killed = run_killed_at(moment, {**place, "state": "absent"} if absent else {**place, **values}, layer)
        run_ok("ssh", "-G", "anyhost")

        harden(layer, **place, **values)
        assert not harden(layer, **place, **values).changed
        harden(layer, **place, state="absent")
        assert snapshot() == before, f"killed at {moment}"
        if not killed:
            assert moment > 1
            return
