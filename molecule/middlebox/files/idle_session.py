#!/usr/bin/env python3
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Hold an ssh session open and see whether it still answers after being idle.

    idle_session.py SECONDS TIMES SSH_ARGUMENT...

Sends a line at once, and one more after each of TIMES idle periods of SECONDS, until one brings no echo. Prints JSON:

    session  the pid of the session's process on the server
    echoes   for each line that was sent, the seconds until its echo came; null if none came
    alive    whether ssh is still running after that

Then ssh is killed. If the session hangs, its process on the server knows nothing of that and stays.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from contextlib import suppress

# Much longer than an echo takes, also where a packet has to be sent again.
PATIENCE = 3
LOGIN_PATIENCE = 10


def read_line(ssh: subprocess.Popen[bytes], patience: float) -> bytes:
    """The next line that comes back; empty if none comes in time or ssh has ended."""
    ready, _, _ = select.select([ssh.stdout], [], [], patience)
    return ssh.stdout.readline() if ready else b""


def time_echo(ssh: subprocess.Popen[bytes], line: bytes) -> float | None:
    """Send a line; the seconds until it is back, or None."""
    sent = time.monotonic()
    # ssh may have ended by itself. Then no echo comes.
    with suppress(BrokenPipeError):
        ssh.stdin.write(line)
    return round(time.monotonic() - sent, 3) if read_line(ssh, PATIENCE) == line else None


def hold_session(idle: float, times: int, ssh_arguments: list[str]) -> dict[str, object]:
    """Open a session, use it and kill it; what became of it, as described above."""
    command = ["ssh", *ssh_arguments, "echo $PPID; exec cat"]
    with subprocess.Popen(command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ssh:
        try:
            session = int(read_line(ssh, LOGIN_PATIENCE))
            echoes = [time_echo(ssh, b"at once\n")]
            while echoes[-1] is not None and len(echoes) <= times:
                time.sleep(idle)
                echoes.append(time_echo(ssh, b"after being idle\n"))
            return {"session": session, "echoes": echoes, "alive": ssh.poll() is None}
        finally:
            ssh.kill()


if __name__ == "__main__":
    print(json.dumps(hold_session(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
