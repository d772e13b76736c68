#!/usr/bin/env python3
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Start work in sessions on a host, cut them off, and see what is still running.

    cut_off.py SSH_CONFIG HOST DOCUMENT ACCOUNT...

Each account has a session on a terminal and starts work in a way of its own, with the commands of the document. Then
what the clients send is dropped, and sshd gives the sessions up by itself. Prints the accounts whose work is running
after that, as JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 30
# Longer than the second after which logind stops a user's services here, see prepare.yml.
STOPS_WITHIN = 3
TABLE = "cut_off"
CTRL_Z = "\x1a"


def commands(document: str) -> list[str]:
    """What the document says to type at a prompt."""
    return re.findall(r"^\$ (.+)", Path(document).read_text(encoding="utf-8"), re.MULTILINE)


def ways(document: str) -> dict[str, list[str]]:
    """What each account types."""
    documented = {command.split()[0]: command for command in reversed(commands(document))}
    return {
        "terminal": ["./work"],
        "setsid": [documented["setsid"]],
        "tmux": [documented["tmux"], "./work"],
        "disown": ["./work > work.log", CTRL_Z, documented["bg"], documented["disown"]],
        "talkative": ["./work", CTRL_Z, documented["bg"], documented["disown"]],
        "stopped": ["./work > work.log", CTRL_Z, documented["disown"]],
        "systemd-run": [documented["systemd-run"]],
        "nobody-lingers": [documented["systemd-run"]],
    }


class Host:
    """A host, and root on it."""

    def __init__(self, ssh_config: str, name: str):
        self.name = name
        self.ssh_config = ssh_config

    def ssh(self, *arguments: str) -> list[str]:
        """A connection of its own: one that is shared would be cut off too."""
        return ["ssh", "-F", self.ssh_config, "-S", "none", *arguments]

    def run(self, script: str) -> str:
        """What a script that root runs prints."""
        command = self.ssh(self.name, "sudo sh -s")
        return subprocess.run(command, input=script, stdout=subprocess.PIPE, text=True, check=True).stdout

    def wait_for(self, what: str, script: str) -> None:
        """Run a script until it prints nothing."""
        deadline = time.monotonic() + PATIENCE
        while left := self.run(script):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: {what}, but there is\n{left}")
            time.sleep(0.2)

    def working(self) -> set[str]:
        """The accounts whose work runs."""
        return set(self.run("ps -C work -o user:32=; true").split())


def open_session(host: Host, account: str) -> subprocess.Popen[bytes]:
    """A session on a terminal, which prints its client's address and port first."""
    command = host.ssh("-tt", f"{account}@{host.name}", "echo $SSH_CONNECTION; exec bash -l")
    environment = {**os.environ, "TERM": "xterm"}
    return subprocess.Popen(command, bufsize=0, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def type_in_step(sessions: dict[str, subprocess.Popen[bytes]], lines: dict[str, list[str]]) -> None:
    """Type the lines of all sessions, with a pause between one and the next: Ctrl-Z wants something that runs."""
    for step in itertools.zip_longest(*lines.values()):
        for session, line in zip(sessions.values(), step):
            if line is not None:
                session.stdin.write(line.encode() + (b"" if line == CTRL_Z else b"\n"))
        time.sleep(2)


def cut_off(host: Host, lines: dict[str, list[str]]) -> set[str]:
    """The accounts whose work outlives that their sessions are cut off."""
    host.run(f"pkill -9 -x 'work|tmux: server'; nft 'add table inet {TABLE}; delete table inet {TABLE}'")
    with contextlib.ExitStack() as stack:
        sessions, ports = {}, []
        for account in lines:
            session = sessions[account] = stack.enter_context(open_session(host, account))
            stack.callback(session.kill)
            # One after the other: sshd turns some away from the tenth login at once on (MaxStartups).
            ports.append(session.stdout.readline().split()[1].decode())
        type_in_step(sessions, lines)
        deadline = time.monotonic() + PATIENCE
        while missing := set(lines) - host.working():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{host.name}: did not start: {missing}")
            time.sleep(0.2)
        host.run(
            f"nft 'add table inet {TABLE}; add chain inet {TABLE} input {{ type filter hook input priority 0; }};"
            f" add rule inet {TABLE} input tcp sport {{ {','.join(ports)} }} drop'"
        )
        served = " or ".join(f"dport = :{port}" for port in ports)
        host.wait_for("sshd gives up", f"ss -Htnp '( {served} )' | grep users:; true")
    time.sleep(STOPS_WITHIN)
    host.run(f"nft delete table inet {TABLE}")
    return host.working()


if __name__ == "__main__":
    ssh_config, name, document, *accounts = sys.argv[1:]
    known = ways(document)
    print(json.dumps(sorted(cut_off(Host(ssh_config, name), {account: known[account] for account in accounts}))))
