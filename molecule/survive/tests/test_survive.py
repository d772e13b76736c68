# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that was started as docs/surviving-work.md says outlives its connection and is found again."""

from __future__ import annotations

import functools
import json
import os
import re
import select
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

testinfra_hosts = ["ansible://survive"]

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
STATE = PROJECT / ".cache" / "lab"
DOCUMENT = PROJECT / "docs" / "surviving-work.md"
CUT_OFF = PROJECT / "molecule" / "survive" / "files" / "cut_off.py"

SAYS = "still at work"
PATIENCE = 10
EVERYWHERE = {"disown", "setsid", "tmux"}
BY_SYSTEMD = {"systemd-run", "nobody-lingers"}
ACCOUNTS = EVERYWHERE | {"terminal", "talkative", "stopped"}


def documented(start: str) -> str:
    """The one command in the document that starts so."""
    (command,) = re.findall(rf"^\$ ({start}.*)", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return command


def ssh(*arguments: str) -> list[str]:
    return ["ssh", "-F", str(STATE / "ssh_config"), "-S", "none", *arguments]


def say(account: str, host: str, command: str) -> str:
    """What a command prints in a new session."""
    done = subprocess.run(ssh(f"{account}@{host}", command), capture_output=True, text=True, check=True)
    return done.stdout


def read_until(awaited: str, command: list[str]) -> str:
    """What a command prints on a terminal, up to something that has to come; then it is killed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    printed, deadline = b"", time.monotonic() + PATIENCE
    with subprocess.Popen(command, env={**os.environ, "TERM": "xterm"}, bufsize=0, **pipes) as process:
        while awaited.encode() not in printed and time.monotonic() < deadline:
            ready, _, _ = select.select([process.stdout], [], [], 1)
            printed += process.stdout.read(4096) if ready else b""
        process.kill()
    return printed.decode(errors="replace")


@functools.cache
def cut_off_everywhere(hosts: tuple[tuple[str, bool], ...]) -> dict[str, Future]:
    """Host: the accounts whose work is still running. All hosts at the same time, which takes a quarter of it."""

    def cut_off(name: str, has_systemd: bool) -> set[str]:
        accounts = ACCOUNTS | BY_SYSTEMD if has_systemd else ACCOUNTS
        command = [sys.executable, CUT_OFF, STATE / "ssh_config", name, DOCUMENT, *sorted(accounts)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return set(json.loads(done.stdout))

    pool = ThreadPoolExecutor(len(hosts))
    return {host[0]: pool.submit(cut_off, *host) for host in hosts}


@pytest.fixture(scope="module")
def name(host):
    return host.backend.host


@pytest.fixture(scope="module")
def has_systemd(host):
    return host.backend.get_variables()["lab_init"] == "systemd"


@pytest.fixture(scope="module")
def running(host, name):
    """The accounts whose work runs after their sessions were cut off."""
    inventory = host.backend.ansible_runner.inventory
    variables = inventory["_meta"]["hostvars"]
    hosts = tuple((each, variables[each]["lab_init"] == "systemd") for each in inventory["survive"]["hosts"])
    return cut_off_everywhere(hosts)[name].result()


@pytest.fixture
def systemd(has_systemd):
    if not has_systemd:
        pytest.skip("has no systemd")


def test_what_is_documented_outlives_its_connection_and_nothing_else(running, has_systemd):
    assert running == EVERYWHERE | ({"systemd-run"} if has_systemd else set())


def test_a_service_is_found_again(systemd, running, name):
    account = "systemd-run"
    assert "active (running)" in say(account, name, documented("systemctl --user status"))
    assert SAYS in say(account, name, documented("journalctl"))
    say(account, name, documented("systemctl --user stop"))
    assert say(account, name, "pgrep -xu $(id -u) work; true") == ""


def test_what_setsid_started_is_found_again(running, name):
    account = "setsid"
    assert "./work" in say(account, name, documented("pgrep"))
    assert SAYS in say(account, name, documented("tail"))
    say(account, name, documented("pkill") + "; true")
    assert say(account, name, "pgrep -xu $(id -u) work; true") == ""


def test_a_terminal_in_tmux_is_found_again(running, name):
    assert SAYS in read_until(SAYS, ssh("-tt", f"tmux@{name}", documented("tmux")))


def test_mosh_serves_a_client_whose_locale_is_not_installed(name):
    account = f"tmux@{name}"
    serve = ["env", "LC_ALL=de_DE.UTF-8", *ssh("-o", "SendEnv=LC_ALL", account)]
    own = subprocess.run([*serve, "/usr/bin/mosh-server new"], capture_output=True, text=True, check=False)
    assert "mosh-server needs a UTF-8 native locale" in own.stderr
    served = subprocess.run([*serve, "mosh-server new -- ./work"], capture_output=True, text=True, check=True)
    port, key = re.search(r"MOSH CONNECT (\d+) (\S+)", served.stdout).groups()
    ports = re.search(r"UDP ports (\d+) to (\d+)", DOCUMENT.read_text(encoding="utf-8")).groups()
    assert int(port) in range(*map(int, ports))
    client = f"stty rows 24 cols 80; MOSH_KEY={key} LC_ALL=C.UTF-8 mosh-client 127.0.0.1 {port}"
    assert SAYS in read_until(SAYS, ssh("-tt", account, client))
    say("tmux", name, "pkill -x mosh-server; true")


def test_a_session_from_before_is_still_alive(name):
    session = STATE / f"session-{name}"
    # Without a way to connect anew, only the session from before can answer.
    answer = subprocess.run(
        ["ssh", "-S", session, "-o", "ProxyCommand=false", name, "echo $SSH_CONNECTION"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == Path(f"{session}.connection").read_text()
