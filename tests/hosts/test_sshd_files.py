# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""sshd_config's files keep what they are, and where one cannot be changed, none is."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.tests.hosts import support
from ansible_collections.keepalive.hardening.tests.hosts.support import (
    entry,
    harden,
    read_only,
    run,
    run_ok,
    snapshot,
    sshd_says,
    write,
)

MAIN = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-keepalive.conf"
# A line of another's in two files: exclusive has to change three.
RIVALS = "Include /etc/ssh/sshd_config.d/*.conf\nClientAliveInterval 15\n"


def assert_refused(words: str, **options: object) -> None:
    """The run fails with these words and changes nothing."""
    before = snapshot()
    with pytest.raises(HardeningError, match=words):
        harden("sshd", reload=False, **options)
    assert snapshot() == before


@pytest.mark.parametrize("target", ["/etc/ssh/real_config", "real_config", "/home/admin/sshd_config"])
def test_a_symbolic_link_stays_one(target: str) -> None:
    write(os.path.join("/etc/ssh", target), "ClientAliveInterval 15\n")
    os.unlink(MAIN)
    os.symlink(target, MAIN)
    before = snapshot()

    harden("sshd", client_alive_interval=60, exclusive=True, reload=False)

    assert os.readlink(MAIN) == target
    assert sshd_says("ClientAliveInterval") == "60"
    harden("sshd", state="absent", reload=False)
    assert snapshot() == before


def test_mode_owner_and_acl_are_kept() -> None:
    write(MAIN, "ClientAliveInterval 15\n", mode=0o640, owner="admin")
    run_ok("setfacl", "-m", "u:backup:r,g:adm:r", MAIN)
    before = entry(MAIN)

    harden("sshd", client_alive_interval=60, reload=False)

    assert entry(MAIN)._replace(content=before.content) == before
    assert entry(MAIN).content != before.content
    harden("sshd", state="absent", reload=False)
    assert entry(MAIN) == before


def test_a_new_drop_in_can_be_read_by_everybody() -> None:
    umask = os.umask(0o077)
    try:
        harden("sshd", client_alive_interval=60, reload=False)
    finally:
        os.umask(umask)

    assert (oct(entry(DROP_IN).mode), entry(DROP_IN).owner) == ("0o100644", (0, 0))


def test_line_endings_stay_what_they_are() -> None:
    Path(MAIN).write_bytes(b"Port 22\r\nClientAliveInterval 15\r\n")

    harden("sshd", client_alive_interval=60, exclusive=True, reload=False)

    assert b"\n" not in Path(MAIN).read_bytes().replace(b"\r\n", b"")


def test_bytes_that_are_no_utf8_are_kept() -> None:
    Path(MAIN).write_bytes(b"# caf\xe9 \xff\nClientAliveInterval 15\n#\xc3\xa9")
    before = snapshot()

    harden("sshd", client_alive_interval=60, exclusive=True, reload=False)

    assert sshd_says("ClientAliveInterval") == "60"
    harden("sshd", state="absent", reload=False)
    assert snapshot() == before


@pytest.mark.parametrize(
    ("path", "line"),
    [(MAIN, 2), ("/etc/ssh/sshd_config.d/50-broken.conf", 2), ("/etc/ssh/sshd_config.d/more/broken.conf", 2)],
)
def test_a_configuration_that_is_broken_elsewhere_is_left_alone(path: str, line: int) -> None:
    write("/etc/ssh/sshd_config.d/10-more.conf", "Include sshd_config.d/more/*.conf\n")
    # Without an Include in the main file, our lines would stand above that line.
    write(path, "Port 22\nNoSuchKeyword yes\n")

    assert_refused(rf"does not accept.*{re.escape(path)}.*line {line}", client_alive_interval=60)


def test_our_own_broken_drop_in_is_mended() -> None:
    harden("sshd", client_alive_interval=60, reload=False)
    text = Path(DROP_IN).read_text()
    write(DROP_IN, text.replace("ClientAliveInterval 60", "ClientAliveInterval sixty"))

    harden("sshd", client_alive_interval=60, reload=False)

    assert Path(DROP_IN).read_text() == text


def test_channel_timeout_needs_openssh_9_2() -> None:
    options = {"channel_timeout": {"session:*": "5m", "x11-connection": 30}, "unused_connection_timeout": "1m"}
    if not sshd_says("UnusedConnectionTimeout"):
        assert_refused(r"is OpenSSH 8\.\d+: channel_timeout.*needs OpenSSH 9\.2", **options)
        return
    before = snapshot()

    harden("sshd", reload=False, **options)

    assert sorted(sshd_says("ChannelTimeout").split()) == ["session:*=300", "x11-connection=30"]
    assert sshd_says("UnusedConnectionTimeout") == "60"
    assert not harden("sshd", reload=False, **options).changed
    harden("sshd", state="absent", reload=False)
    assert snapshot() == before


def test_no_block_is_given_a_channel_timeout_that_locks_out_or_does_nothing() -> None:
    if not sshd_says("UnusedConnectionTimeout"):
        assert_refused(r"needs OpenSSH 9\.2", channel_timeout={}, match="User alice")
        return
    assert_refused("closes every login", channel_timeout={}, match="User alice")
    words = r"up to OpenSSH 10\.0" if "OpenSSH_10.6" not in run("ssh", "-V").stderr else ""
    if words:
        assert_refused(words, channel_timeout={"session:*": 60}, match="User alice")
    else:
        harden("sshd", channel_timeout={"session:*": 60}, match="User alice", reload=False)
        assert sshd_says("ChannelTimeout", user="alice") == "session:*=60"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no option is given"),
        ({"client_alive_interval": "-1"}, "client_alive_interval"),
        ({"client_alive_interval": "1.5"}, "client_alive_interval"),
        ({"client_alive_count_max": "0x3"}, "client_alive_count_max"),
        ({"channel_timeout": {"session": 3}}, "matches no channel type"),
        ({"client_alive_interval": 9, "match": "Usr backup"}, "criteria"),
        ({"client_alive_interval": 9, "match": "User a\nPermitRootLogin yes"}, "criteria"),
        ({"tcp_keepalive": True, "match": "User a"}, "tcp_keepalive"),
        ({"client_alive_interval": 9, "match": "User a", "exclusive": True}, "exclusive"),
        ({"client_alive_interval": 9, "path": "/etc/ssh/none"}, "there is no /etc/ssh/none"),
        ({"client_alive_interval": 9, "path": "/etc/ssh"}, "/etc/ssh is not a regular file"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(options: dict[str, object], words: str) -> None:
    assert_refused(words, **options)


def test_what_someone_else_writes_meanwhile_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    write(MAIN, "Port 22\n")
    real = support.run_command

    def slow(command: list[str]) -> Result:
        # By now the file has been read, and its candidate is being checked.
        write(MAIN, "Port 22\nX11Forwarding no\n")
        return real(command)

    monkeypatch.setattr(support, "run_command", slow)
    with pytest.raises(HardeningError, match="sshd_config was changed by someone else while this ran"):
        harden("sshd", client_alive_interval=60, reload=False)

    assert Path(MAIN).read_text() == "Port 22\nX11Forwarding no\n"


@contextmanager
def immutable(path: str) -> Iterator[None]:
    """The file or folder with chattr's i."""
    get_flags, set_flags, immutable_flag = 0x80086601, 0x40086602, 0x10
    descriptor = os.open(path, os.O_RDONLY)
    try:
        old = fcntl.ioctl(descriptor, get_flags, bytes(8))
        flags = struct.pack("q", struct.unpack("q", old)[0] | immutable_flag)
        try:
            fcntl.ioctl(descriptor, set_flags, flags)
        except OSError:
            pytest.skip("this file system has no immutable files")
        try:
            yield
        finally:
            fcntl.ioctl(descriptor, set_flags, old)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("obstacle", [read_only, immutable])
@pytest.mark.parametrize("path", ["/etc/ssh", "/etc/ssh/sshd_config.d", "/etc/ssh/sshd_config"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_one_file_that_cannot_be_written_stops_all(
    obstacle: Callable[[str], AbstractContextManager[None]], path: str, state: str
) -> None:
    write(MAIN, RIVALS)
    write("/etc/ssh/sshd_config.d/50-cloud-init.conf", "ClientAliveInterval 20\n")
    if state == "absent":
        harden("sshd", client_alive_interval=60, exclusive=True, reload=False)

    with obstacle(path):
        assert_refused("cannot (write|change) /etc/ssh", client_alive_interval=60, exclusive=True, state=state)

    harden("sshd", client_alive_interval=60, exclusive=True, state=state, reload=False)
    assert sshd_says("ClientAliveInterval") == ("20" if state == "absent" else "60")


def test_a_full_file_system_is_left_as_it_is() -> None:
    write(MAIN, RIVALS)
    room = Path("/etc/ssh/sshd_config.d")
    shutil.rmtree(room)
    room.mkdir()
    run_ok("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(room))
    try:
        write(str(room / "50-cloud-init.conf"), "ClientAliveInterval 20\n")
        run("dd", "if=/dev/zero", f"of={room}/filler")
        assert_refused("cannot write /etc/ssh.*No space left", client_alive_interval=60, exclusive=True)
    finally:
        run_ok("umount", str(room))
