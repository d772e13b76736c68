#!/usr/bin/python3
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Hold ssh sessions open, cut some of them off in silence, and say which still answer.

Talks with the test in lines of JSON: each line that it reads names a function here and its arguments, each line
that it writes is the answer. All is put back at the end.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# After this everything is put back, whatever has become of the test.
PATIENCE = 600
# sshd turns some clients away from the tenth login at once on (MaxStartups).
LOGINS_AT_ONCE = 5
# Answers whoever comes through a tunnel; sshd would take offence at those who do not log in (PerSourcePenalties).
GREETER = 2299
# Much longer than an answer takes.
ANSWER = 3

# In the draft of SFTP that OpenSSH follows: SSH_FXP_INIT for version 3, and SSH_FXP_REALPATH of ".". Their answers
# are packets of type 2 and 104.
SFTP_INIT = b"\0\0\0\5\1\0\0\0\3"
SFTP_REALPATH = b"\0\0\0\x0a\x10\0\0\0\7\0\0\0\1."
# On the way in: TCP would hear of a packet that is dropped on the way out.
CUT = """
table inet sessions {{
  chain input {{
    type filter hook input priority 0;
    {}
  }}
}}
"""


class Session:
    """One ssh, and how it shows that it is alive."""

    def __init__(
        self, name: str, started: list[subprocess.Popen[bytes]], user: str, folder: str, ssh: list[str], answers: str
    ):
        self.name, self.answers = name, answers
        self.forward = f"{folder}/{name}"
        if answers == "tunnel":
            ssh = ["-N", "-L", f"{self.forward}:127.0.0.1:{GREETER}", *ssh]
        ssh = [argument.replace("{folder}", folder) for argument in ssh]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(["ssh", *ssh], user=user, group=user, bufsize=0, cwd="/", **pipes)
        started.append(self.process)
        self._lock = threading.Lock()
        #: Connections through the tunnel that stay open.
        self._passing: list[socket.socket] = []
        self._opened()

    def _opened(self) -> None:
        deadline = time.monotonic() + 20
        while not self._first_answer():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError(f"{self.name} does not open: {self.process.stderr.read().decode()}")

    def _first_answer(self) -> bool:
        if self.answers == "sftp":
            self.process.stdin.write(SFTP_INIT)
            return self._packet() == 2
        if self.answers == "tunnel":
            time.sleep(0.1)
            return self.alive()
        return self._line() == b"ready\n"

    def alive(self) -> bool:
        """Whether an answer comes back through the session."""
        with self._lock, contextlib.suppress(OSError):
            if self.answers == "line":
                self.process.stdin.write(b"typed\n")
                return self._line() == b"typed\n"
            if self.answers == "sftp":
                self.process.stdin.write(SFTP_REALPATH)
                return self._packet() == 104
            if self.answers == "tunnel":
                with self._through() as passing:
                    return passing.recv(8) == b"welcome\n"
            # What it has printed until now tells nothing of now.
            self._drain()
            return bool(self._line())
        return False

    def keep_passing(self) -> None:
        self._passing.append(self._through())
        self._passing[-1].recv(8)

    def _through(self) -> socket.socket:
        passing = socket.socket(socket.AF_UNIX)
        passing.settimeout(ANSWER)
        passing.connect(self.forward)
        return passing

    def _drain(self) -> None:
        while select.select([self.process.stdout], [], [], 0)[0] and self.process.stdout.read(1 << 16):
            pass

    def _line(self) -> bytes:
        return self.process.stdout.readline() if select.select([self.process.stdout], [], [], ANSWER)[0] else b""

    def _packet(self) -> int:
        """The type of the packet that comes back."""
        if not select.select([self.process.stdout], [], [], ANSWER)[0]:
            return -1
        length = int.from_bytes(self.process.stdout.read(4), "big")
        return (self.process.stdout.read(length) or b"\xff")[0]


class Sessions:
    """What the test may ask for."""

    def __init__(self, folder: str) -> None:
        #: For the sockets of all sessions.
        self.folder = folder
        self.held: dict[str, Session] = {}
        #: Every ssh, also one that does not get through.
        self.started: list[subprocess.Popen[bytes]] = []
        self.typing = threading.Event()

    def open(self, user: str, sessions: dict[str, dict[str, Any]]) -> dict[str, int | None]:
        """Open sessions; answers the port that each is connected from, which is null if it shares a connection."""
        shutil.chown(self.folder, user)
        servers: dict[str, ThreadPoolExecutor] = {}
        opening = {}
        with contextlib.ExitStack() as stack:
            for name, session in sessions.items():
                server = session.pop("server")
                if server not in servers:
                    servers[server] = stack.enter_context(ThreadPoolExecutor(LOGINS_AT_ONCE))
                opening[name] = servers[server].submit(Session, name, self.started, user, self.folder, **session)
        self.held.update({name: session.result() for name, session in opening.items()})
        ports = ports_by_pid()
        return {name: ports.get(self.held[name].process.pid) for name in sessions}

    def keep_typing(self, names: list[str]) -> None:
        """A line every second in each, until the end."""

        def keep_on() -> None:
            while not self.typing.wait(1):
                self.alive(names)

        threading.Thread(target=keep_on, daemon=True).start()

    def keep_passing(self, names: list[str]) -> None:
        """Have a connection through each of the tunnels."""
        for name in names:
            self.held[name].keep_passing()

    def cut(self, ports: list[tuple[str, int, int]]) -> None:
        """Hear nothing any more of these servers, from their port on ours."""
        rules = [f"ip saddr {address} tcp sport {theirs} tcp dport {ours} drop" for address, theirs, ours in ports]
        nft(CUT.format("\n    ".join(rules)))

    def alive(self, names: list[str]) -> dict[str, bool]:
        """Which of these answer."""
        with ThreadPoolExecutor(len(names)) as pool:
            return dict(zip(names, pool.map(lambda name: self.held[name].alive(), names)))

    def leave(self, names: list[str]) -> None:
        """Have these clients end, and wait until they have."""
        for name in names:
            self.held[name].process.kill()
            self.held[name].process.wait()

    def close(self) -> None:
        self.typing.set()
        nft("add table inet sessions\ndelete table inet sessions\n")
        for process in self.started:
            process.kill()


def nft(rules: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def ports_by_pid() -> dict[int, int]:
    """The local port of each process that has one connection."""
    listing = subprocess.run(["ss", "-Htnp", "state", "established"], stdout=subprocess.PIPE, text=True, check=True)
    ports = {}
    for line in listing.stdout.splitlines():
        for pid in re.findall(r"pid=(\d+)", line):
            ports[int(pid)] = int(line.split()[2].rpartition(":")[2])
    return ports


def main() -> None:
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not done after {PATIENCE} s"))
    signal.alarm(PATIENCE)
    with tempfile.TemporaryDirectory() as folder:
        hold(Sessions(folder))


def hold(sessions: Sessions) -> None:
    try:
        for line in sys.stdin:
            name, arguments = json.loads(line)
            print(json.dumps(getattr(sessions, name)(**arguments)), flush=True)
    finally:
        sessions.close()


if __name__ == "__main__":
    main()
