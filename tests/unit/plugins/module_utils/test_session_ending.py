# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ending real processes, of which no other is hit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils import _session_ending
from ansible_collections.keepalive.hardening.plugins.module_utils._processes import Process, read_process
from ansible_collections.keepalive.hardening.plugins.module_utils._session_ending import NOT, end_sessions
from ansible_collections.keepalive.hardening.plugins.module_utils._sessions import Session
from ansible_collections.keepalive.hardening.plugins.module_utils._tcp_sockets import ESTABLISHED, TcpSocket

SOCKET = TcpSocket(77, ESTABLISHED, ("192.0.2.2", 22), ("198.51.100.1", 50000), 0, 0, 0, 0, 0, 0)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
POLITE = "import time; print(flush=True); time.sleep(600)"

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process and waits until it is ready."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one(program: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout
        process.stdout.readline()
        return process

    yield start_one
    for process in started:
        with process:
            process.kill()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_session_ending, "_POLITE_SECONDS", 0.5)
    monkeypatch.setattr(_session_ending, "_FIRM_SECONDS", 2.0)


def record(process: subprocess.Popen[bytes]) -> Process:
    found = read_process(process.pid)
    assert found
    return found


def ways(sessions: list[Session]) -> dict[int, str]:
    how: dict[int, str] = {}
    end_sessions(sessions, how)
    return how


def session(process: Process, monitor: Process | None = None) -> Session:
    return Session("alice", SOCKET, process, monitor or process, "command", (), 1, 100.0, None)


def test_a_session_that_does_as_it_is_told_ends_politely(start: Start) -> None:
    process = start(POLITE)
    assert ways([session(record(process))]) == {process.pid: "politely"}
    assert process.wait(1) == -15


def test_one_that_does_not_ends_firmly(start: Start) -> None:
    process = start(STUBBORN)
    assert ways([session(record(process))]) == {process.pid: "firmly"}
    assert process.wait(1) == -9


def test_one_that_has_ended_meanwhile_ended_by_itself(start: Start) -> None:
    process = start(POLITE)
    ended = session(record(process))
    process.kill()
    process.wait()
    assert ways([ended]) == {process.pid: "by_itself"}


@pytest.mark.parametrize("other", [{"started": 1.0}, {"program": "sshd"}])
def test_a_process_that_got_the_number_of_another_is_not_hit(start: Start, other: dict[str, object]) -> None:
    process = start(POLITE)
    looked_at = record(process)._replace(**other)  # type: ignore[arg-type]
    assert ways([session(looked_at)]) == {process.pid: "by_itself"}
    assert process.poll() is None


def test_a_monitor_whose_number_another_got_is_not_hit(start: Start) -> None:
    process, other = start(STUBBORN), start(POLITE)
    ways([session(record(process), record(other)._replace(started=1.0))])
    assert other.poll() is None


def test_a_monitor_that_stays_is_ended_firmly(start: Start) -> None:
    process, monitor = start(POLITE), start(POLITE)
    assert ways([session(record(process), record(monitor))]) == {process.pid: "firmly"}
    assert process.wait(1) == -15
    assert monitor.wait(1) == -9


def test_a_monitor_of_a_session_that_ended_by_itself_is_left_alone(start: Start) -> None:
    process, monitor = start(POLITE), start(POLITE)
    ended = session(record(process), record(monitor))
    process.kill()
    process.wait()
    assert ways([ended]) == {process.pid: "by_itself"}
    assert monitor.poll() is None


def test_many_end_side_by_side(start: Start) -> None:
    processes = [start(STUBBORN) for _ in range(3)] + [start(POLITE)]
    began = time.monotonic()
    how = ways([session(record(process)) for process in processes])
    assert time.monotonic() - began < 2
    assert list(how.values()) == ["firmly"] * 3 + ["politely"]


def test_nothing_is_done_to_nobody() -> None:
    assert ways([]) == {}


def test_one_that_cannot_be_killed_is_told_beside_those_that_ended(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, other = start(STUBBORN), start(POLITE)
    # Nothing that a test may start resists SIGKILL.
    send = _session_ending._signal

    def resisted(handles: list[int], number: signal.Signals) -> None:
        if number != signal.SIGKILL:
            send(handles, number)

    monkeypatch.setattr(_session_ending, "_signal", resisted)
    monkeypatch.setattr(_session_ending, "_FIRM_SECONDS", 0.1)
    assert ways([session(record(process)), session(record(other))]) == {process.pid: NOT, other.pid: "politely"}


def test_no_handle_stays_open(start: Start) -> None:
    process = start(POLITE)
    before = set(os.listdir("/proc/self/fd"))
    ways([session(record(process)), session(record(process)._replace(pid=2**22 - 1))])
    assert set(os.listdir("/proc/self/fd")) == before
