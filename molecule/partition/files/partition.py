#!/usr/bin/python3
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Open sessions to the next host, cut the links, and see when the processes of both ends are gone.

Runs on every host at once and talks with the test in lines of JSON. It reads which sessions to open and answers
what they are set to; it reads when to cut and which sessions of the previous host to watch, and answers how
that went. Moments are CLOCK_MONOTONIC, which all containers share.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# After this everything is put back, whatever has become of the test.
PATIENCE = 120
# sshd turns some clients away from the tenth login at once on (MaxStartups).
LOGINS_AT_ONCE = 5
# By then the other end of a link is cut too, so nothing that is sent from now on arrives.
BOTH_ARE_CUT = 0.2

TALK = "while sleep 0.3; do echo; done"
# What a session runs on the server, by what goes on there when the links are cut.
REMOTE = {
    "idle": "exec cat",
    "rekey_due": "exec cat",
    "steady_output": TALK,
    "in_flight": "rm -f {pipe}; mkfifo -m 666 {pipe}; cat {pipe}; exec cat",
}
# On the way in: TCP would hear of a packet that is dropped on the way out.
CUT = """
table ip partition {{
  chain input {{
    type filter hook input priority 0;
    ip saddr {{ {} }} drop
  }}
}}
"""


class Watch:
    """Sees processes end."""

    def __init__(self, *pids: int):
        self.pids = pids
        #: When the last of them was gone.
        self.gone: float | None = None
        handles = [os.pidfd_open(pid) for pid in pids]
        self._thread = threading.Thread(target=self._wait, args=(handles,), daemon=True)
        self._thread.start()

    def _wait(self, handles: list[int]) -> None:
        for handle in handles:
            select.select([handle], [], [])
        self.gone = time.monotonic()

    def until(self, moment: float) -> None:
        self._thread.join(max(0, moment - time.monotonic()))

    def kill(self) -> None:
        for pid in self.pids if self.gone is None else ():
            # It may be gone since a moment ago, or with the one before.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Client:
    """A session to the next host, as ssh holds it."""

    def __init__(self, name: str, user: str, session: dict[str, Any], at_exit: Callable[..., Any]):
        self.settings = dump("runuser", "-u", user, "--", "ssh", "-G", "-T", *session["ssh"])
        stdin = subprocess.PIPE
        if session["client"] == "steady_output":
            typist = subprocess.Popen(["sh", "-c", TALK], stdout=subprocess.PIPE)
            at_exit(typist.kill)
            stdin = typist.stdout
        # The parent of what sshd runs is the sshd that serves this session.
        remote = f"echo alive $PPID; {REMOTE[session['server']].format(pipe=printed_by(name))}"
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(["ssh", *session["ssh"], remote], stdin=stdin, user=user, **pipes)
        at_exit(self.process.kill)
        self.watch = Watch(self.process.pid)
        first = self.process.stdout.readline().split()
        if first[:1] != ["alive"]:
            raise RuntimeError(f"{name}: {self.process.stderr.read()}")
        self.alive = time.monotonic()
        self.server_pid = int(first[1])

    def type(self) -> None:
        os.write(self.process.stdin.fileno(), b"typed\n")

    def echoes(self) -> bool:
        """Whether a line that is typed comes back."""
        try:
            self.type()
        except BrokenPipeError:
            return False
        answered, _, _ = select.select([self.process.stdout], [], [], 5)
        return bool(answered) and self.process.stdout.readline() == "typed\n"

    def last_words(self) -> str:
        """What it had to say until now."""
        self.process.kill()
        return self.process.stderr.read().strip()


def measure(at_exit: Callable[..., Any]) -> None:
    plan = hear()
    sessions = plan["sessions"]
    with ThreadPoolExecutor(LOGINS_AT_ONCE) as logins:
        opened = {name: logins.submit(Client, name, plan["user"], sessions[name], at_exit) for name in sessions}
    clients = {name: login.result() for name, login in opened.items()}
    say(
        version=subprocess.run(["ssh", "-V"], check=True, stderr=subprocess.PIPE, text=True).stderr,
        kernel={name: int(Path("/proc/sys/net/ipv4", name).read_text()) for name in plan["kernel"]},
        clients={name: {"settings": client.settings, "pid": client.server_pid} for name, client in clients.items()},
    )

    order = hear()
    settings, served = {}, {}
    for name, session in order["serve"].items():
        settings[name] = dump("sshd", "-T", "-C", "user={user},host={host},addr={address}".format(**session))
        served[name] = Watch(session["pid"], parent(session["pid"]))
        at_exit(served[name].kill)
    ends = {"server": served, "client": {name: client.watch for name, client in clients.items()}}
    time.sleep(max(0, order["cut_at"] - time.monotonic()))
    with cut(order["peers"]) as moment:
        time.sleep(BOTH_ARE_CUT)
        for name, session in sessions.items():
            if session["client"] == "in_flight":
                clients[name].type()
            if session["server"] == "in_flight":
                with open(os.open(printed_by(name), os.O_WRONLY), "w") as pipe:
                    pipe.write("printed\n")
        for watch in [*served.values(), *ends["client"].values()]:
            watch.until(moment + order["for"])
        watched = time.monotonic() - moment
        # Before the link is back, which may end those that hang.
        gone = {side: {name: watch.gone for name, watch in watches.items()} for side, watches in ends.items()}

    idle = [name for name, session in sessions.items() if session["server"] == session["client"] == "idle"]
    echoes = [name for name in idle if gone["client"][name] is None and clients[name].echoes()]
    say(
        **{"cut": moment, "watched": watched, "gone": gone, "settings": settings, "echoes": echoes},
        alive={name: client.alive for name, client in clients.items()},
        said={name: client.last_words() for name, client in clients.items()},
    )
    # The others may still be asking whether their sessions are alive.
    hear()


@contextlib.contextmanager
def cut(peers: list[str]) -> Iterator[float]:
    """Hear nothing of the peers any more; return the moment."""
    subprocess.run(["nft", "-f", "-"], input=CUT.format(", ".join(peers)), text=True, check=True)
    try:
        yield time.monotonic()
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "partition"], check=True)


def dump(*command: str) -> dict[str, str]:
    """The effective settings that ssh or sshd prints."""
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.lower().splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def parent(pid: int) -> int:
    """The process's parent; its name, in brackets, may hold anything."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def printed_by(name: str) -> Path:
    """What is written to this pipe, the session of that name prints."""
    return Path(f"/tmp/partition-{name}")


def hear() -> dict[str, Any]:
    return json.loads(sys.stdin.readline() or sys.exit("the test has gone"))


def say(**answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def main() -> None:
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"not done after {PATIENCE} s"))
    signal.alarm(PATIENCE)
    with contextlib.ExitStack() as afterwards:
        measure(afterwards.callback)


if __name__ == "__main__":
    main()
