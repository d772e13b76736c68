# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reload took place, and the session that prepare.yml opened before it has lived through it."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from pathlib import Path

testinfra_hosts = ["ansible://servers", "ansible://bastions"]

STATE = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"], ".cache", "lab")


def test_the_running_sshd_has_read_the_files(host):
    # sshd writes its pid file each time that it has read its configuration.
    loaded = host.file("/run/sshd.pid").mtime
    assert loaded >= host.file("/etc/ssh/sshd_config.d/00-keepalive.conf").mtime


def test_a_session_from_before_the_reload_is_still_alive(host):
    session = STATE / f"session-{host.backend.host}"
    record = Path(f"{session}.connection")
    opened = datetime.fromtimestamp(record.stat().st_mtime)
    assert opened < host.file("/run/sshd.pid").mtime
    # Without a way to connect anew, only the session from before can answer.
    answer = subprocess.run(
        ["ssh", "-S", session, "-o", "ProxyCommand=false", host.backend.host, "echo $SSH_CONNECTION"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == record.read_text()
