# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An sshd that a socket unit starts, and a second sshd beside the first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.tests.hosts import service
from ansible_collections.keepalive.hardening.tests.hosts.support import harden, run, run_ok, snapshot, write

needs_systemd = pytest.mark.skipif(not service.HAS_SYSTEMD, reason="socket units are systemd's")

SECOND = "/etc/ssh/sshd_config_second"


@pytest.fixture
def socket_unit() -> Iterator[None]:
    """ssh.socket holds the port, and starts sshd at the first connection."""
    service.stop()
    run_ok("systemctl", "start", "ssh.socket")
    service.until(service.answers)
    yield
    run_ok("systemctl", "stop", "ssh.socket", "ssh.service")
    service.start()


@needs_systemd
def test_a_socket_activated_sshd_takes_the_change_and_goes_on_answering(socket_unit: None) -> None:
    before = snapshot()
    # Debian 11's unit starts an sshd for each connection; later ones start a listener, which has read the old files.
    listener = service.reads()

    plan = harden("sshd", client_alive_interval=60)

    assert plan.extra["reloaded"] == bool(listener)
    assert not listener or service.reads() > listener
    assert service.answers()
    assert run("systemctl", "is-failed", "ssh.service").stdout.strip() != "failed"
    assert not harden("sshd", client_alive_interval=60).changed
    harden("sshd", state="absent")
    assert snapshot() == before
    assert service.answers()


@needs_systemd
def test_a_restart_that_would_end_sessions_is_refused(socket_unit: None) -> None:
    if not service.reads():
        pytest.skip("no listener that would have to be restarted")
    override = Path("/run/systemd/system/ssh.service.d/kill.conf")
    override.parent.mkdir(parents=True, exist_ok=True)
    override.write_text("[Service]\nKillMode=control-group\n")
    run_ok("systemctl", "daemon-reload")
    before = snapshot()
    try:
        with pytest.raises(HardeningError, match="would end every session"):
            harden("sshd", client_alive_interval=60)
    finally:
        shutil.rmtree(override.parent)
        run_ok("systemctl", "daemon-reload")
    assert snapshot() == before


@needs_systemd
def test_a_second_sshd_is_reloaded_and_the_first_is_left_alone() -> None:
    write(SECOND, "Port 2222\nPidFile /run/sshd-second.pid\n")
    run_ok(
        "systemd-run",
        "--unit=sshd-second",
        "--property=ExecReload=/bin/kill -HUP $MAINPID",
        "/usr/sbin/sshd",
        "-D",
        "-f",
        SECOND,
    )
    service.until(lambda: service.answers(2222))
    pid_file = Path("/run/sshd-second.pid")
    try:
        before, first, second = snapshot(), service.reads(), os.stat(pid_file).st_mtime_ns
        plan = harden("sshd", path=SECOND, client_alive_interval=60)
        assert plan.extra["reloaded"]
        assert [change.path for change in plan.file_changes] == [SECOND]
        assert os.stat(pid_file).st_mtime_ns > second
        assert service.reads() == first
        assert "clientaliveinterval 60" in run_ok("sshd", "-T", "-f", SECOND).lower()
        harden("sshd", path=SECOND, state="absent")
        assert snapshot() == before
    finally:
        run("systemctl", "stop", "sshd-second")
