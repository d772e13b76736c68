# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running sshd of a host, with systemd or without."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.keepalive.hardening.tests.hosts.support import run_ok

PID_FILE = Path("/run/sshd.pid")
HAS_SYSTEMD = Path("/run/systemd/system").is_dir()


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.01)


def answers(port: int = 22) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def reads() -> int:
    """Changes each time that sshd has read its configuration: it then writes its pid file."""
    # sshd removes it before it writes it anew.
    with suppress(FileNotFoundError):
        return PID_FILE.stat().st_mtime_ns
    return 0


def reload() -> None:
    """Have sshd read its configuration, and wait until it has; start it if it does not run."""
    if not PID_FILE.exists():
        start()
    before = reads()
    os.kill(int(PID_FILE.read_text()), signal.SIGHUP)
    until(lambda: reads() != before and answers())


def stop() -> None:
    if HAS_SYSTEMD:
        run_ok("systemctl", "stop", "ssh")
    else:
        os.kill(int(PID_FILE.read_text()), signal.SIGTERM)
    until(lambda: not answers())


def start() -> None:
    if HAS_SYSTEMD:
        # Tests start it more often than systemd thinks healthy.
        run_ok("systemctl", "reset-failed", "ssh")
        run_ok("systemctl", "start", "ssh")
    else:
        Path("/run/sshd").mkdir(exist_ok=True)
        run_ok("/usr/sbin/sshd")
    until(answers)
