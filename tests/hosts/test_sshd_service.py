# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running sshd takes the change, keeps its connections, and is never lost."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils import _daemons, _service
from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.tests.hosts import service, support
from ansible_collections.keepalive.hardening.tests.hosts.support import harden, run_ok, snapshot, write

MAIN = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-keepalive.conf"
BANNER = "/etc/ssh/sshd_config.d/50-banner.conf"
RIVAL = "/etc/ssh/sshd_config.d/50-rival.conf"


@pytest.fixture(autouse=True)
def running(as_installed: None) -> Iterator[None]:
    """An sshd that runs and has read the files as they are, before and after."""
    service.reload()
    yield
    if not service.PID_FILE.exists():
        service.start()


def greets_with(word: str) -> bool:
    """Whether the running sshd has read a VersionAddendum: it is what a server says first."""
    try:
        with socket.create_connection(("127.0.0.1", 22), timeout=5) as connection:
            return word in connection.makefile().readline()
    except OSError:
        return False


def test_a_change_is_loaded_once() -> None:
    write(BANNER, "VersionAddendum loaded\n")
    before, read = snapshot(), service.reads()

    plan = harden("sshd", client_alive_interval=60)

    assert plan.extra == {"reloaded": True}
    assert service.reads() > read
    assert greets_with("loaded")
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


def touch_ours() -> None:
    os.utime(DROP_IN)


def add_a_rival() -> None:
    write(RIVAL, "Match User backup\nClientAliveInterval 5\n")


def write_without_reload() -> None:
    harden("sshd", client_alive_interval=30, reload=False)
    harden("sshd", client_alive_interval=60, reload=False)


@pytest.mark.parametrize(
    "change",
    [
        touch_ours,
        add_a_rival,
        write_without_reload,
    ],
)
def test_a_daemon_that_has_not_read_a_change_is_reloaded(change: Callable[[], None]) -> None:
    harden("sshd", client_alive_interval=60)
    service.reload()
    change()

    plan = harden("sshd", client_alive_interval=60)

    assert (plan.changed, plan.extra, plan.file_changes) == (True, {"reloaded": True}, [])
    assert not harden("sshd", client_alive_interval=60).changed


def test_what_others_have_not_loaded_yet_is_not_loaded_for_them() -> None:
    harden("sshd", client_alive_interval=60)
    write(BANNER, "VersionAddendum later\n")

    plan = harden("sshd", client_alive_interval=60)
    assert not plan.changed
    assert BANNER in plan.warnings[0]
    assert not greets_with("later")


def test_a_rival_that_is_gone_but_still_loaded_is_warned_of() -> None:
    add_a_rival()
    harden("sshd", client_alive_interval=60)
    service.reload()
    assert not harden("sshd", client_alive_interval=60).warnings
    os.unlink(RIVAL)
    assert "may get older values" in harden("sshd", client_alive_interval=60).warnings[0]


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


@contextmanager
def moved_away(folder: Path) -> Iterator[None]:
    """An sshd without host keys, as before its first start."""
    keys = list(Path("/etc/ssh").glob("ssh_host_*"))
    for key in keys:
        shutil.move(str(key), folder)
    try:
        yield
    finally:
        for key in keys:
            shutil.move(str(folder / key.name), key)


def test_a_stopped_service_stays_stopped(tmp_path: Path) -> None:
    service.stop()
    # It need not be there.
    shutil.rmtree("/run/sshd", ignore_errors=True)
    with moved_away(tmp_path):
        before = snapshot()
        plan = harden("sshd", client_alive_interval=60, match="User backup")
        assert plan.effective == {"client_alive_interval": 60}
        assert plan.extra == {"reloaded": False}
        assert not harden("sshd", client_alive_interval=60, match="User backup").changed
        assert not service.answers()
        harden("sshd", state="absent")
        assert snapshot() == before
        assert not Path("/run/sshd.pid").exists()


def test_a_reload_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    # Without host keys the running daemon goes on, but none could start.
    pid = service.PID_FILE.read_text()
    with moved_away(tmp_path):
        before = snapshot()
        with pytest.raises(HardeningError, match=r"reload.* failed: (?s:.*)no hostkeys available"):
            harden("sshd", client_alive_interval=60)
        assert snapshot() == before

    assert service.PID_FILE.read_text() == pid
    assert service.answers()


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
    service.until(service.answers)


def test_values_that_are_not_effective_after_all_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    rival = "/etc/ssh/sshd_config.d/00-a.conf"
    before, real = snapshot(), support.run_command

    def interfered_with(command: list[str]) -> Result:
        if "reload" in command:
            write(rival, "ClientAliveInterval 5\n")
        return real(command)

    monkeypatch.setattr(support, "run_command", interfered_with)
    with pytest.raises(HardeningError, match=r"effective after the change are .*5.*, not .*60"):
        harden("sshd", client_alive_interval=60)

    os.unlink(rival)
    assert snapshot() == before


@pytest.mark.parametrize("line", ["Port 2222", "ListenAddress 127.0.0.1:2222", "Include ports.conf"])
def test_a_reload_that_would_close_the_port_is_refused(line: str) -> None:
    write("/etc/ssh/ports.conf", "Port 2222\n")
    write(MAIN, f"{line}\n")
    before = snapshot()

    with pytest.raises(HardeningError, match=r"sshd listens on .*22, and a reload would end that"):
        harden("sshd", client_alive_interval=60)

    assert snapshot() == before
    assert service.answers()
    assert harden("sshd", client_alive_interval=60, reload=False).changed


def test_an_address_that_is_not_ours_does_not_cost_the_daemon() -> None:
    # sshd -t takes it; a daemon that loads it finds no address to listen on and ends.
    write(MAIN, "ListenAddress 198.51.100.77\n")
    before = snapshot()

    with pytest.raises(HardeningError, match=r"sshd listens on .*22, and a reload would end that"):
        harden("sshd", client_alive_interval=60)

    assert snapshot() == before
    assert service.answers()


@pytest.mark.parametrize("pid_file", ["none", "/run/other.pid"])
def test_a_daemon_with_another_pid_file_is_reloaded_or_named(pid_file: str) -> None:
    original = Path(MAIN).read_bytes()
    write(MAIN, f"PidFile {pid_file}\nVersionAddendum old\n")
    pid = int(service.PID_FILE.read_text())
    os.kill(pid, 1)
    service.until(lambda: greets_with("old"))
    write(MAIN, f"PidFile {pid_file}\nVersionAddendum new\n")
    try:
        if service.HAS_SYSTEMD:
            assert harden("sshd", client_alive_interval=60).extra == {"reloaded": True}
            assert greets_with("new")
            assert not harden("sshd", client_alive_interval=60).changed
            harden("sshd", client_alive_interval=70, reload=False)
            assert harden("sshd", client_alive_interval=70).extra == {"reloaded": True}
        else:
            # The init script would reload nothing and say that all is well.
            with pytest.raises(HardeningError, match="no service manager"):
                harden("sshd", client_alive_interval=60)
    finally:
        Path(MAIN).write_bytes(original)
        os.kill(pid, 1)
        service.until(service.PID_FILE.exists)
        service.until(service.answers)


def test_a_pending_address_family_that_would_close_an_address_is_refused() -> None:
    write(BANNER, "AddressFamily inet\n")
    before = snapshot()
    with pytest.raises(HardeningError, match=r"sshd listens on :::22, and a reload would end that"):
        harden("sshd", client_alive_interval=60)
    assert snapshot() == before


def test_connections_that_come_in_are_not_taken_for_daemons() -> None:
    def found() -> list[int]:
        return [daemon.pid for daemon in _daemons.find_daemons(MAIN, MAIN)]

    knocks = "import socket\nfor _ in range(60): socket.create_connection(('127.0.0.1', 22)).recv(4)"
    with subprocess.Popen(["python3", "-c", knocks]) as knocking:
        scans = [found() for _ in range(100)]
        knocking.wait(30)
    assert scans == [[int(service.PID_FILE.read_text())]] * 100


def test_an_sshd_that_a_user_has_started_does_not_count(tmp_path: Path) -> None:
    run_ok("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/home/alice/key")
    shutil.chown("/home/alice/key", "alice")
    command = ["/usr/sbin/sshd", "-D", "-p", "2222", "-h", "/home/alice/key", "-o", "PidFile=none"]
    with subprocess.Popen(["runuser", "-u", "alice", "--", *command, "-o", "ClientAliveInterval=0"]) as theirs:
        service.until(lambda: service.answers(2222))
        try:
            assert harden("sshd", client_alive_interval=60).extra == {"reloaded": True}
        finally:
            run_ok("pkill", "-u", "alice", "sshd")
            theirs.wait(10)


def test_an_sshd_that_does_not_listen_does_not_count() -> None:
    reader, writer = os.pipe()
    # F_SETPIPE_SZ, which Python names from 3.10 on; it has more to say than that.
    fcntl.fcntl(writer, 1031, 4096)
    with subprocess.Popen(["/usr/sbin/sshd", "-T", "-o", "ClientAliveInterval=0"], stdout=writer) as waiting:
        service.until(lambda: select.select([reader], [], [], 0)[0])
        try:
            assert harden("sshd", client_alive_interval=60).extra == {"reloaded": True}
            assert waiting.poll() is None
        finally:
            waiting.kill()
            os.close(reader)
            os.close(writer)


@pytest.mark.skipif(not service.HAS_SYSTEMD, reason="its unit reads SSHD_OPTS")
def test_an_option_on_the_command_line_is_an_error_on_every_run() -> None:
    harden("sshd", client_alive_interval=60)
    defaults = Path("/etc/default/ssh")
    text = defaults.read_text()
    try:
        defaults.write_text("SSHD_OPTS=-oClientAliveInterval=0\n")
        run_ok("systemctl", "restart", "ssh")
        service.until(service.answers)
        for interval in (60, 70):
            with pytest.raises(HardeningError, match="started with -o ClientAliveInterval on its command line"):
                harden("sshd", client_alive_interval=interval)
    finally:
        defaults.write_text(text)
        run_ok("systemctl", "reset-failed", "ssh")
        run_ok("systemctl", "restart", "ssh")
        service.until(service.answers)
