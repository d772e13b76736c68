# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running sshd takes the change, keeps its connections, and is never lost."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.keepalive.hardening.plugins.module_utils import _service
from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.tests.hosts import service, support
from ansible_collections.keepalive.hardening.tests.hosts.support import harden, run_ok, snapshot, sshd_says, write

MAIN = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-keepalive.conf"
BANNER = "/etc/ssh/sshd_config.d/50-banner.conf"


@pytest.fixture(autouse=True)
def running(as_installed: None) -> Iterator[None]:
    """An sshd that runs and has read the files as they are, before and after."""
    service.reload()
    yield
    if not service.answers():
        service.start()


def greeting() -> str:
    """What sshd says first: it tells whether the running one knows the file in BANNER."""
    with socket.create_connection(("127.0.0.1", 22), timeout=5) as connection:
        return connection.makefile().readline()


def test_a_change_is_loaded_once() -> None:
    write(BANNER, "VersionAddendum loaded\n")
    before, read = snapshot(), service.reads()

    plan = harden("sshd", client_alive_interval=60)

    assert plan.extra == {"reloaded": True}
    assert service.reads() > read
    assert "loaded" in greeting()
    read = service.reads()
    assert not harden("sshd", client_alive_interval=60).changed
    assert service.reads() == read

    assert harden("sshd", state="absent").extra == {"reloaded": True}
    assert snapshot() == before
    assert not harden("sshd", state="absent").changed


def test_without_reload_the_daemon_is_left_alone() -> None:
    read = service.reads()

    assert harden("sshd", client_alive_interval=60, reload=False).extra == {"reloaded": False}

    assert service.reads() == read


def touch() -> None:
    os.utime(MAIN)


def add() -> None:
    write(BANNER, "VersionAddendum changed\n")


def remove() -> None:
    os.unlink(BANNER)


def harden_without_reload() -> None:
    harden("sshd", client_alive_interval=60, reload=False)


@pytest.mark.parametrize("change", [touch, add, remove, harden_without_reload])
def test_a_daemon_that_has_not_read_a_change_is_reloaded(change: Callable[[], None]) -> None:
    if change is remove:
        add()
    harden("sshd", client_alive_interval=60)
    service.reload()
    if change is harden_without_reload:
        harden("sshd", client_alive_interval=30)
    change()

    plan = harden("sshd", client_alive_interval=60)

    assert (plan.changed, plan.extra, plan.file_changes) == (True, {"reloaded": True}, [])
    assert ("changed" in greeting()) == (change is add)
    assert not harden("sshd", client_alive_interval=60).changed


def test_a_connection_survives(tmp_path: Path) -> None:
    key = tmp_path / "key"
    run_ok("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    write("/home/alice/.ssh/authorized_keys", key.with_suffix(".pub").read_text(), owner="alice")
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    command = ["ssh", "-F", "none", "-i", str(key), *options, "alice@127.0.0.1", "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as session:
        assert session.stdin
        assert session.stdout
        for word in (b"before\n", b"after\n"):
            session.stdin.write(word)
            assert session.stdout.readline() == word
            harden("sshd", client_alive_interval=60)
        session.stdin.close()
        assert session.wait(10) == 0


def test_a_stopped_service_stays_stopped(tmp_path: Path) -> None:
    service.stop()
    shutil.rmtree("/run/sshd", ignore_errors=True)
    keys = list(Path("/etc/ssh").glob("ssh_host_*"))
    for key in keys:
        shutil.move(key, tmp_path / key.name)
    before = snapshot()
    try:
        plan = harden("sshd", client_alive_interval=60, match="User backup")
        assert plan.effective == {"client_alive_interval": 60}
        assert plan.extra == {"reloaded": False}
        assert not harden("sshd", client_alive_interval=60, match="User backup").changed
        assert not service.answers()
        harden("sshd", state="absent")
        assert snapshot() == before
    finally:
        for key in keys:
            shutil.move(str(tmp_path / key.name), key)
    harden("sshd", client_alive_interval=60)
    service.start()
    assert sshd_says("ClientAliveInterval") == "60"


def test_a_reload_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    # Without host keys the running daemon goes on, but none could start.
    for key in Path("/etc/ssh").glob("ssh_host_*"):
        shutil.move(key, tmp_path / key.name)
    before = snapshot()

    with pytest.raises(HardeningError, match=r"reload.* failed: (?s:.*)no hostkeys available"):
        harden("sshd", client_alive_interval=60)

    assert snapshot() == before
    assert service.answers()
    for key in tmp_path.iterdir():
        shutil.move(key, f"/etc/ssh/{key.name}")


def test_a_reload_that_kills_sshd_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_service, "_RELOAD_SECONDS", 0.5)
    before, real = snapshot(), support.run_command

    def deadly(command: list[str]) -> Result:
        if "reload" in command:
            service.stop()
            return Result(0, "", "")
        return real(command)

    monkeypatch.setattr(support, "run_command", deadly)
    with pytest.raises(HardeningError, match="sshd took no connection after"):
        harden("sshd", client_alive_interval=60)

    assert snapshot() == before
    assert service.answers()


@pytest.mark.parametrize("line", ["Port 2222", "ListenAddress 127.0.0.1:2222", "Include ports.conf"])
def test_a_reload_that_would_close_the_port_is_refused(line: str) -> None:
    write("/etc/ssh/ports.conf", "Port 2222\n")
    write(MAIN, f"{line}\n")
    before = snapshot()

    with pytest.raises(HardeningError, match="sshd listens on port 22,"):
        harden("sshd", client_alive_interval=60)

    assert snapshot() == before
    assert service.answers()
    assert harden("sshd", client_alive_interval=60, reload=False).changed


def test_an_address_that_is_not_ours_does_not_cost_the_daemon() -> None:
    # sshd -t takes it; a daemon that loads it finds no address to listen on and ends.
    write(MAIN, "ListenAddress 198.51.100.77\n")
    before = snapshot()

    with pytest.raises(HardeningError):
        harden("sshd", client_alive_interval=60)

    assert snapshot() == before
    assert service.answers()


@pytest.mark.parametrize("pid_file", ["none", "/run/other.pid"])
def test_a_daemon_with_another_pid_file_is_found(pid_file: str) -> None:
    original = Path(MAIN).read_bytes()
    write(MAIN, f"PidFile {pid_file}\nVersionAddendum old\n")
    pid = int(service.PID_FILE.read_text())
    os.kill(pid, 1)
    service.until(lambda: "old" in greeting())
    write(MAIN, f"PidFile {pid_file}\nVersionAddendum new\n")
    try:
        assert harden("sshd", client_alive_interval=60).extra == {"reloaded": True}
        service.until(lambda: "new" in greeting(), seconds=2)
    finally:
        Path(MAIN).write_bytes(original)
        os.kill(pid, 1)
        service.until(service.PID_FILE.exists)
        service.until(service.answers)
