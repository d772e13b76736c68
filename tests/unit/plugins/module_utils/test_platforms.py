# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on systems that we know from their packages' files only: where values go, who wins, who reloads."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils import (
    _accounts,
    _changes,
    _daemons,
    _files,
    _module,
    _openssh,
    _service,
    _ssh_layer,
    _sshd_layer,
    _sysctl_layer,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._placement import (
    Request,
    main_file,
    require_not_vendors,
    ssh_candidate,
    sshd_candidate,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._rivals import competing_lines, statements_by_setting
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import SSH, SSHD, SYSCTL
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_match import Connection
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import (
    Overlay,
    Place,
    ssh_winner,
    sshd_winner,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._sysctl_placement import (
    Orders,
    readings,
    require_winner,
    sysctl_candidate,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._sysctl_placement import (
    competing_lines as competing_assignments,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._sysctl_text import normalize, orders, winner
from ansible_collections.keepalive.hardening.plugins.module_utils._transaction import carry_out
from ansible_collections.keepalive.hardening.tests.unit.platforms import PLATFORMS, Platform
from ansible_collections.keepalive.hardening.tests.unit.support import MemoryFiles

SERVERS = [name for name, platform in PLATFORMS.items() if platform.sshd_place]
INTERVAL, ALIVE, TIME = SSHD[0], SSH[0], SYSCTL[0]
OURS = "/etc/sysctl.d/zz-keepalive.conf"


def with_values(platform: Platform, layer: str, rivals: dict[str, str]) -> tuple[Overlay, Place]:
    """The files with 30 seconds asked for, and where reading starts."""
    files = MemoryFiles({**platform.files, **rivals})
    place = Place(main_file(files, f"/etc/ssh/{layer}_config"), "/etc/ssh", has_drop_ins=True)
    setting, candidate = (INTERVAL, sshd_candidate) if layer == "sshd" else (ALIVE, ssh_candidate)
    return candidate(files, place, Request({setting: 30}, "", "first", False, False)), place


def outcome(files: Overlay, place: Place, layer: str) -> tuple[list[str], str, list[tuple[str, bool]]]:
    """The paths that change, the one whose line wins, and the lines of others with whether they win."""
    setting, decide = (INTERVAL, sshd_winner) if layer == "sshd" else (ALIVE, ssh_winner)
    found = statements_by_setting(files, place, [setting])
    wins = decide(found[setting], Connection())
    assert wins
    rivals = competing_lines(files, found, decide, Connection(), {})
    changed = [path for path, text in files.texts.items() if text != files.base.read(path)]
    return changed, wins.path, [(line["path"], line["wins"]) for line in rivals]


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("layer", ["sshd", "ssh"])
def test_a_value_goes_where_it_wins(name: str, layer: str) -> None:
    platform = PLATFORMS[name]
    expected = platform.sshd_place if layer == "sshd" else platform.ssh_place
    if expected:
        assert outcome(*with_values(platform, layer, {}), layer) == ([expected], expected, [])


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("layer", ["sshd", "ssh"])
def test_a_line_that_the_administrator_has_added_to_a_file_of_the_package_is_reported_and_beaten(
    name: str, layer: str
) -> None:
    platform = PLATFORMS[name]
    expected = platform.sshd_place if layer == "sshd" else platform.ssh_place
    line = "ClientAliveInterval 5\n" if layer == "sshd" else "Host *\nServerAliveInterval 5\n"
    shipped = [path for path in platform.files if f"/{layer}_config" in path and not path.endswith("/")]
    for path in shipped if expected else ():
        candidate, place = with_values(platform, layer, {path: platform.files[path] + line})
        assert outcome(candidate, place, layer) == ([expected], expected, [(path, False)])


@pytest.mark.parametrize("layer", ["sshd", "ssh"])
def test_only_the_file_that_opensuse_reads_is_taken_for_the_main_one(layer: str) -> None:
    usual, vendors = f"/etc/ssh/{layer}_config", f"/usr/etc/ssh/{layer}_config"
    assert main_file(MemoryFiles({vendors: ""}), usual) == vendors
    assert main_file(MemoryFiles({vendors: "", usual: ""}), usual) == usual
    assert main_file(MemoryFiles({}), usual) == usual


@pytest.mark.parametrize("layer", ["sshd", "ssh"])
def test_a_file_of_the_distribution_is_not_changed(layer: str) -> None:
    keyword = "ClientAliveInterval" if layer == "sshd" else "ServerAliveInterval"
    earlier = {f"/etc/ssh/{layer}_config.d/00-a.conf": f"{keyword} 5\n"}
    candidate, _place = with_values(PLATFORMS["opensuse"], layer, earlier)
    with pytest.raises(HardeningError, match=f"copy /usr/etc/ssh/{layer}_config to /etc/ssh"):
        require_not_vendors(layer, candidate.texts)
    candidate, _place = with_values(PLATFORMS["opensuse"], layer, {})
    require_not_vendors(layer, candidate.texts)


@pytest.mark.parametrize("name", SERVERS)
def test_the_running_sshd_is_recognized(name: str) -> None:
    platform = PLATFORMS[name]
    main = main_file(MemoryFiles(platform.files), _sshd_layer.DEFAULT_PATH)
    assert _daemons.is_listener(platform.title, platform.program, main, main)
    name = os.path.basename(platform.program)
    assert not _daemons.is_listener(f"{name}: alice@pts/0", platform.program, main, main)
    assert not _daemons.is_listener(platform.title, "/usr/bin/python3", main, main)
    elsewhere = platform.title.replace(platform.program, f"{platform.program} -f /etc/ssh/other")
    assert not _daemons.is_listener(elsewhere, platform.program, main, main)


@pytest.mark.parametrize("name", SERVERS)
def test_what_the_unit_puts_on_the_command_line_is_no_override_unless_it_sets_our_value(name: str) -> None:
    program, title = PLATFORMS[name].program, PLATFORMS[name].title
    assert _daemons.override(title, list(INTERVAL.keywords)) == ""
    other = title.replace(program, f"{program} -oClientAliveInterval=0")
    assert _daemons.override(other, list(INTERVAL.keywords)) == "ClientAliveInterval"


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Platform:
    """A host of the platform, as far as reload_command() looks at it."""
    platform = PLATFORMS[request.param]
    manager = "/run/openrc" if platform.reload[0] == "rc-service" else "/run/systemd/system"
    monkeypatch.setattr(os.path, "isdir", lambda path: path == manager)
    monkeypatch.setattr(os, "access", lambda *_args: False)
    monkeypatch.setattr(_service, "_unit", lambda _pid: _service.unit_in(platform.cgroup))
    monkeypatch.setattr(_service, "open_sockets", lambda _pid: {"socket:[1]"} if platform.socket_unit else set())
    monkeypatch.setattr(_service, "_pid_for_init_scripts", lambda: 7)
    return platform


def systemctl(command: list[str]) -> Result:
    assert command[:2] == ["systemctl", "show"]
    return Result(0, "MainPID=7\nKillMode=process\n", "")


@pytest.mark.parametrize("running", SERVERS, indirect=True)
def test_its_own_service_manager_reloads_it(running: Platform) -> None:
    daemon = _daemons.Daemon(7, running.title, {"socket:[1]": ("0.0.0.0", 22)})
    assert tuple(_service.reload_command(systemctl, daemon, {("0.0.0.0", 22)})) == running.reload


@pytest.mark.parametrize("running", ["alpine"], indirect=True)
def test_openrc_is_not_asked_to_reload_an_sshd_that_it_would_not_signal(running: Platform) -> None:
    daemon = _daemons.Daemon(8, running.title, {"socket:[2]": ("0.0.0.0", 2222)})
    with pytest.raises(HardeningError, match=r"pid 8\) but no service manager"):
        _service.reload_command(systemctl, daemon, {("0.0.0.0", 2222)})


def test_an_sshd_without_a_pid_file_has_read_its_files_once_it_listens_anew() -> None:
    before = _daemons.Daemon(7, "", {"socket:[1]": ("0.0.0.0", 22), "socket:[2]": ("::", 22)})
    other = _daemons.Daemon(8, "", {"socket:[3]": ("0.0.0.0", 2222)})
    anew = before._replace(listening={"socket:[4]": ("0.0.0.0", 22)})
    restarted = before._replace(pid=9)

    def done(*now: _daemons.Daemon) -> bool:
        return _service.listens_anew(before, [before, other], list(now))

    assert not done(before, other)
    assert not done(before._replace(listening={"socket:[1]": ("0.0.0.0", 22)}), other)
    assert done(anew, other)
    assert done(restarted, other)
    # It has ended, and what listens now is elsewhere.
    assert not done(other)
    assert not done()
    assert not done(other._replace(pid=9))


@pytest.mark.parametrize("installed", [["sshd.pam"], ["sshd", "sshd.pam"], ["sshd", "sshd.pam", "sshd.krb5"], ["sshd"]])
def test_the_build_of_sshd_that_alpine_would_start_is_asked(
    installed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in installed:
        (tmp_path / program).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_openssh, "_SERVER_DIRECTORIES", ())
    assert _openssh.find("sshd") == str(tmp_path / installed[-1])


def sysctl_orders(platform: Platform, alpine: bool) -> Orders:
    """As _sysctl_layer.reading_orders() finds them on a host."""
    names: dict[str, list[str]] = {}
    for path in [*platform.files, OURS]:
        directory, name = os.path.split(path)
        if directory.endswith("sysctl.d") and name:
            names.setdefault(directory, []).append(name)
    found = orders(names, alpine).items()
    links = dict(platform.links)
    return {reader: [links.get(path, path) for path in order] for reader, order in found}


@pytest.mark.parametrize("name", SERVERS)
def test_the_kernels_value_wins_at_the_next_boot_and_after_sysctl_system(name: str) -> None:
    files, order = MemoryFiles(PLATFORMS[name].files), sysctl_orders(PLATFORMS[name], name == "alpine")
    candidate = sysctl_candidate(files, order, OURS, {TIME: 60}, False, False)
    require_winner(TIME, 60, candidate, files, order, OURS)
    assert order["the next boot"][-1] == ("/etc/sysctl.conf" if name == "alpine" else OURS)
    assert competing_assignments([TIME], candidate, order) == []


@pytest.mark.parametrize("name", SERVERS)
def test_a_line_in_sysctl_conf_is_named_with_those_who_would_end_with_it(name: str) -> None:
    platform = PLATFORMS[name]
    order = sysctl_orders(platform, name == "alpine")
    files = MemoryFiles({**platform.files, "/etc/sysctl.conf": "net.ipv4.tcp_keepalive_time = 600\n"})
    candidate = sysctl_candidate(files, order, OURS, {TIME: 60}, False, False)
    reader = "the next boot" if name == "alpine" else "sysctl --system"
    with pytest.raises(HardeningError, match=rf"after {reader}: /etc/sysctl\.conf, line 1 wins"):
        require_winner(TIME, 60, candidate, files, order, OURS)
    after_boot = winner(readings(candidate, order)["the next boot"], normalize(TIME.directive))
    assert after_boot
    assert after_boot.path == ("/etc/sysctl.conf" if name == "alpine" else OURS)


def test_alpine_goes_from_directory_to_directory() -> None:
    names = {
        "/lib/sysctl.d": ["00-alpine.conf", "zzz.conf", "b.conf"],
        "/usr/lib/sysctl.d": ["a.conf", "README"],
        "/usr/local/lib/sysctl.d": ["unread.conf"],
        "/etc/sysctl.d": ["b.conf", "a-b.conf", "c.conf"],
        "/run/sysctl.d": ["c.conf"],
    }
    assert orders(names, alpine=True)["the next boot"] == [
        "/lib/sysctl.d/00-alpine.conf",
        "/lib/sysctl.d/zzz.conf",
        "/usr/lib/sysctl.d/a.conf",
        "/etc/sysctl.d/a-b.conf",
        "/etc/sysctl.d/b.conf",
        "/etc/sysctl.conf",
        "/run/sysctl.d/c.conf",
    ]


def test_a_host_is_taken_for_alpine_by_its_release_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "alpine-release"
    monkeypatch.setattr(_sysctl_layer, "_ALPINE", str(release))
    assert _sysctl_layer.reading_orders(OURS)["the next boot"][-1] == OURS
    release.touch()
    order = _sysctl_layer.reading_orders(OURS)["the next boot"]
    assert OURS not in order[order.index("/etc/sysctl.conf", order.index(OURS)) :]


@pytest.fixture
def freebsd(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python has on FreeBSD and macOS, and what it lacks."""
    monkeypatch.setattr(sys, "platform", "freebsd14")
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(sysname="FreeBSD"))
    for name in ("listxattr", "getxattr", "setxattr", "pidfd_open", "O_TMPFILE"):
        monkeypatch.delattr(os, name)


@pytest.mark.usefixtures("freebsd")
def test_beyond_linux_only_the_client_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_openssh, "find", lambda program: f"/usr/bin/{program}")
    assert [name for name in _module.LAYERS if _module.layer(name).present()] == ["ssh"]
    options: dict[str, Any] = {"sshd": {}, "ssh": {}, "sysctl": {}}
    assert _module._choose({**options, "layers": None}) == ({"ssh": {}}, ["sshd", "sysctl"])
    assert _module._unsupported(["sshd"]) == ["sshd: left alone on FreeBSD; beyond Linux only ssh can be managed"]
    assert _module._unsupported([]) == []


def test_on_linux_a_layer_that_the_host_lacks_is_skipped_without_a_word() -> None:
    assert _module._unsupported(["sshd"]) == []


@pytest.mark.usefixtures("freebsd")
@pytest.mark.parametrize(
    ("layer", "more"),
    [
        (_sshd_layer, {"client_alive_interval": "30", "exclusive": False}),
        (_sysctl_layer, {"tcp_keepalive_time": "30", "runtime": True, "persist": True}),
    ],
)
def test_beyond_linux_other_layers_say_that_they_are_not_supported(layer: Any, more: dict[str, Any]) -> None:
    def run(command: list[str]) -> Result:
        raise AssertionError(command)

    with pytest.raises(HardeningError, match="FreeBSD is not supported; beyond Linux only ssh_config can be managed"):
        layer.plan({"state": "present", "path": None, **more}, run)


@pytest.fixture
def own_config(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A file of the user who runs this, and the options that give it a value."""
    config = tmp_path / "config"
    config.write_text("Host *\n")
    config.chmod(0o640)
    options = {"users": [pwd.getpwuid(os.getuid()).pw_name], "path": str(config), "host": "*", "precedence": "first"}
    return config, {**options, "server_alive_interval": "30", "exclusive": False, "state": "present"}


@pytest.mark.usefixtures("freebsd")
def test_beyond_linux_a_clients_file_is_changed_and_given_back(own_config: tuple[Path, dict[str, Any]]) -> None:
    config, options = own_config

    def ssh(command: list[str]) -> Result:
        path = command[command.index("-F") + 1]
        interval = "30" if "ServerAliveInterval 30" in Path(path).read_text() else "0"
        return Result(0, f"serveraliveinterval {interval}\n", "")

    carry_out([_ssh_layer.plan(options, ssh)])
    assert "ServerAliveInterval 30" in config.read_text()
    assert config.stat().st_mode & 0o777 == 0o640
    carry_out([_ssh_layer.plan({**options, "server_alive_interval": None, "state": "absent"}, ssh)])
    assert config.read_text() == "Host *\n"


def test_a_user_in_more_groups_than_a_process_can_be_in_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    # macOS: 16, while its users and root are in about 20.
    monkeypatch.setattr(_accounts, "MOST_GROUPS", 16)
    monkeypatch.setattr(os, "getgrouplist", lambda _name, group: [group, *range(100, 120)])
    user = pwd.getpwuid(os.getuid())
    assert _accounts.account(user.pw_name).groups == (user.pw_gid, *range(100, 115))


def test_root_gets_its_groups_back_as_far_as_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[int]] = []
    monkeypatch.setattr(_files, "MOST_GROUPS", 16)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgroups", lambda: list(range(20)))
    monkeypatch.setattr(os, "setgroups", lambda groups: given.append(list(groups)))
    for name in ("setegid", "seteuid"):
        monkeypatch.setattr(os, name, lambda _id: None)
    with _files.acting_as(_files.Account("alice", 1000, 1000, (1000,), "/home/alice")):
        pass
    assert given == [[1000], list(range(16))]


def test_everybody_is_stood_for_by_a_nobody_whose_group_is_too_large_for_getgrouplist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def overflow(name: str, group: int) -> list[int]:
        raise OverflowError("signed integer is greater than maximum")

    nobody = pwd.struct_passwd(("nobody", "*", 4294967294, 4294967294, "", "/var/empty", "/usr/bin/false"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getgrouplist", overflow)
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: nobody)
    assert _accounts.bystander() == ("nobody", 4294967294, 4294967294, (4294967294,), "/var/empty")


def test_a_file_keeps_its_group_where_new_ones_get_their_directorys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.touch()
    old = path.stat()
    given: list[tuple[int, int]] = []
    new = SimpleNamespace(st_uid=old.st_uid, st_gid=old.st_gid + 1)
    with path.open() as stream, monkeypatch.context() as there:
        there.setattr(os, "fstat", lambda _descriptor: new)
        there.setattr(os, "fchown", lambda _descriptor, user, group: given.append((user, group)))
        _changes._give_attributes(stream.fileno(), _changes._Attributes(old, {}), 0o644)
    assert given == [(old.st_uid, old.st_gid)]
