# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's hosts, and what is done to them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHECKOUT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
SSH_CONFIG = CHECKOUT / ".cache" / "lab" / "ssh_config"

HOSTS = ["fleet-first", "fleet-broken", "fleet-pull", "fleet-last"]
# Nothing listens there.
GONE = "fleet-gone ansible_host=127.0.0.1 ansible_port=1"
HARDENED, UNTOUCHED = 30, 0


def on(host: str, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command on a host as root."""
    ssh = ["ssh", "-F", str(SSH_CONFIG), host, "sudo sh -s"]
    return subprocess.run(ssh, input=command, capture_output=True, text=True, check=False)


def said(host: str, command: str) -> str:
    """What a command prints that does not fail."""
    done = on(host, command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sshd(host: str) -> dict[str, str]:
    """What sshd gives a new connection."""
    return dict(line.split(" ", 1) for line in said(host, "sshd -T").splitlines() if " " in line)


def intervals(*hosts: str) -> list[int]:
    return [int(sshd(host)["clientaliveinterval"]) for host in hosts]


@contextmanager
def broken(host: str) -> Iterator[None]:
    """The host's sshd_config with an error, which the sshd that runs has not read."""
    path = "/etc/ssh/sshd_config.d/99-broken.conf"
    said(host, f"echo ClientAliveInterval soon > {path}")
    try:
        yield
    finally:
        said(host, f"rm {path}")


@contextmanager
def no_new_logins(host: str) -> Iterator[None]:
    """For a while only connections that are open already are of use. It ends by itself, since nobody could log in."""
    said(host, "touch /etc/nologin; setsid sh -c 'sleep 12; rm /etc/nologin' </dev/null >/dev/null 2>&1 &")
    try:
        yield
    finally:
        deadline = time.monotonic() + 60
        while on(host, "true").returncode:
            assert time.monotonic() < deadline, f"{host} lets nobody in any more"
            time.sleep(0.5)


def inventory(folder: Path, *hosts: str, ssh: str = "", **variables: Any) -> Path:
    """An inventory of these hosts, in this order."""
    path = folder / "inventory"
    options = f"-F {SSH_CONFIG} -o ControlMaster=auto -o ControlPersist=60s -o ConnectTimeout=2"
    variables |= {
        "ansible_user": "admin",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_args": ssh or options,
    }
    lines = [f"{name}={json.dumps(value)}" for name, value in variables.items()]
    path.write_text("\n".join(["[all]", *hosts, "[all:vars]", *lines]), encoding="utf-8")
    return path


def play(playbook: str, where: Path, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    command = ["ansible-playbook", str(CHECKOUT / playbook), "-i", str(where), "-e", json.dumps(variables), *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
