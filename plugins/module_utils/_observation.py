# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what a host is set to, layer by layer, without changing anything."""

from __future__ import annotations

import os
import posixpath
import pwd
import shlex
import stat
from collections.abc import Iterable, Iterator

from . import _openssh, _ssh_layer, _sshd_layer, _sysctl_layer
from ._accounts import account, bystander, group_names, members_of_groups
from ._command import Run, time_limit
from ._errors import HardeningError
from ._facts import AnsibleConnection, Chroot, Facts, KernelSettings, Line, OpenSSH, Origin, Server
from ._files import Account, Disk
from ._rivals import Judged, Members, Winner, judged, scope_text, stated, statements_by_setting
from ._settings import SSH, SSHD, SYSCTL, Setting
from ._ssh_match import Connection, selects
from ._ssh_tree import Place, Statement, ssh_winner, sshd_winner, walk
from ._sysctl_placement import readings
from ._sysctl_text import Assignment, normalize, winner
from ._timeline import Kernel
from ._values import parse_whole_number

# A name service may know very many users.
_MOST_USERS = 2000
_NOBODYS_HOST = "keepalive.invalid"


def observe(
    layers: Iterable[str], users: list[str], ssh_arguments: list[str], path_idle_timeout: int | None, run: Run
) -> Facts:
    """
    The facts of the named layers.

    ``users`` are those whose own ssh_config counts, besides everybody's. Raises HardeningError for
    a configuration that cannot be read.
    """
    return Facts(
        server=_server(run) if "sshd" in layers else None,
        clients=_clients(run, users) if "ssh" in layers else {},
        kernel=_kernel() if "sysctl" in layers else None,
        live=_live() if _sysctl_layer.present() else Kernel(),
        ansible=[_ansible_connection(run, arguments) for arguments in ssh_arguments],
        path_idle_timeout=path_idle_timeout,
    )


def _server(run: Run) -> Server:
    program = _openssh.find("sshd")
    if program is None:
        raise HardeningError("sshd: no sshd is installed on this host")
    if os.geteuid() != 0:
        raise HardeningError("sshd: sshd_config can only be read by root: run with become: true, or leave sshd out")
    place = Place(_sshd_layer.DEFAULT_PATH, posixpath.dirname(_sshd_layer.DEFAULT_PATH), has_drop_ins=True)
    disk = Disk()
    found = statements_by_setting(disk, place, SSHD)
    members = members_of_groups() if _sshd_layer.mentions_groups(found) else {}
    base = Connection(local_port=_sshd_layer.first_port(disk, place))
    try:
        dump = _openssh.sshd_dump(run, program, place.main, base)
    except _openssh.Refused as problem:
        raise HardeningError(f"sshd: sshd does not accept its configuration: {problem}") from problem
    rekey = dump.get("rekeylimit", "").split()
    return Server(
        _openssh_facts(_openssh.version(run, program), dump, SSHD, found, sshd_winner, base, members),
        rekey_seconds=int(rekey[1]) if len(rekey) > 1 and rekey[1].isdigit() else 0,
        unread=_sshd_layer.unread_files(dump, disk, place),
        chroots=list(_unsafe_chroots(disk, place)),
    )


def _clients(run: Run, users: list[str]) -> dict[str, OpenSSH]:
    program = _openssh.find("ssh")
    if program is None:
        raise HardeningError("ssh: no ssh is installed on this host")
    version = _openssh.version(run, program)
    clients = {"": _client(run, program, version, bystander(), [_system_place()])}
    for owner in map(account, dict.fromkeys(users)):
        if os.geteuid() not in (0, owner.uid):
            raise HardeningError(f"ssh: only root or {owner.name} can read {owner.name}'s file: run with become: true")
        own = Place(posixpath.join(owner.home, ".ssh", "config"), posixpath.join(owner.home, ".ssh"), owner.home)
        with time_limit(_ssh_layer.USER_SECONDS, f"ssh: reading {own.main}, with what it includes,"):
            clients[owner.name] = _client(run, program, version, owner, [own, _system_place()])
    return clients


def _system_place() -> Place:
    return Place(_ssh_layer.DEFAULT_PATH, posixpath.dirname(_ssh_layer.DEFAULT_PATH))


def _client(run: Run, program: str, version: tuple[int, int], reader: Account, places: list[Place]) -> OpenSSH:
    disk = Disk(reader)
    base = Connection(local_user=reader.name)
    try:
        dump = _openssh.ssh_dump(run, program, base.host, reader)
    except _openssh.Refused as problem:
        raise HardeningError(f"ssh: ssh does not accept the configuration of {reader.name}: {problem}") from problem
    found: dict[Setting, list[Statement]] = {setting: [] for setting in SSH}
    for place in places:
        for setting, statements in statements_by_setting(disk, place, SSH).items():
            found[setting] += statements
    return _openssh_facts(version, dump, SSH, found, ssh_winner, base, {})


def _openssh_facts(
    version: tuple[int, int],
    dump: dict[str, str],
    settings: tuple[Setting, ...],
    found: dict[Setting, list[Statement]],
    decide: Winner,
    base: Connection,
    members: Members,
) -> OpenSSH:
    deciding = {setting: decide(statements, base) for setting, statements in found.items()}
    return OpenSSH(
        version,
        _openssh.values(dump, settings),
        {setting.option: _origin(statement) for setting, statement in deciding.items() if statement},
        [_line(line) for line in judged(found, decide, base, members)],
    )


def _origin(statement: Statement) -> Origin:
    return Origin(statement.path, statement.line.number)


def _line(line: Judged) -> Line:
    setting, statement, wins, decides = line
    value = stated(setting, statement)
    beaten = decides and not wins and stated(setting, decides) != value
    return Line(
        _origin(statement),
        setting.option,
        statement.value,
        value,
        scope_text(statement),
        wins,
        _origin(decides) if decides and beaten else None,
    )


def _unsafe_chroots(disk: Disk, place: Place) -> Iterator[Chroot]:
    """Every ChrootDirectory that sshd will refuse, judged as safely_chroot() in OpenSSH's session.c does."""
    for statement in walk(disk, place, frozenset(["chrootdirectory"])):
        if statement.line.keyword != "chrootdirectory" or statement.value.lower() == "none":
            continue
        # sshd takes the rest of the line, blanks included.
        for path in _expanded(statement):
            fault = _chroot_fault(path)
            if fault:
                yield Chroot(_origin(statement), *fault)
                break


def _expanded(statement: Statement) -> list[str]:
    """The directories that the line stands for, one for each user where it names the user's."""
    pattern = statement.value
    if "%" not in pattern:
        return [pattern]
    paths = []
    for _count, user in zip(range(_MOST_USERS), pwd.getpwall()):
        connection = Connection(user=user.pw_name, groups=group_names(user))
        # Who only may be selected is no reason for an alarm.
        if selects(statement.scope, connection) and statement.scope:
            tokens = {"%%": "%", "%h": user.pw_dir, "%u": user.pw_name, "%U": str(user.pw_uid)}
            path = pattern
            for token, text in tokens.items():
                path = path.replace(token, text)
            paths.append(path)
    return paths


def _chroot_fault(path: str) -> tuple[str, str] | None:
    """The first component that sshd would refuse, and why."""
    if not path.startswith("/"):
        return path, "does not begin at the root"
    parts = [part for part in path.split("/") if part]
    for end in range(len(parts) + 1):
        component = "/" + "/".join(parts[:end])
        try:
            status = os.stat(component)
        except OSError as problem:
            return component, f"cannot be used: {problem.strerror}"
        if not stat.S_ISDIR(status.st_mode):
            return component, "is no directory"
        if status.st_uid != 0:
            return component, "is not owned by root"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return component, f"may be written to by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None


def _live() -> Kernel:
    return Kernel(**{setting.option: _sysctl_layer.live_value(setting) for setting in SYSCTL})


def _kernel() -> KernelSettings:
    disk, orders = _sysctl_layer.SysctlDisk(), _sysctl_layer.reading_orders(_sysctl_layer.DEFAULT_PATH)
    read = readings(disk, orders)["the next boot"]
    deciding = {setting: winner(read, normalize(setting.directive)) for setting in SYSCTL}
    return KernelSettings(
        {setting.option: _sysctl_layer.boot_value(setting, read) for setting in SYSCTL},
        {setting.option: Origin(line.path, line.line) for setting, line in deciding.items() if line},
        [line for setting in SYSCTL for line in _assignments(setting, read, deciding[setting])],
    )


def _assignments(setting: Setting, read: list[Assignment], decides: Assignment | None) -> Iterator[Line]:
    for line in read:
        # A wildcard may be there for other keys.
        if line.key == normalize(setting.directive) and line.value is not None:
            beaten = decides and decides.value != line.value
            yield Line(
                Origin(line.path, line.line),
                setting.option,
                line.value,
                None,
                "",
                line == decides,
                Origin(decides.path, decides.line) if decides and beaten else None,
            )


def _ansible_connection(run: Run, arguments: str) -> AnsibleConnection:
    """What ssh, run as Ansible on this host would run it, makes of the arguments."""
    program = _openssh.find("ssh")
    if program is None:
        raise HardeningError("ansible: no ssh is installed on this host")
    result = run([program, "-G", *shlex.split(arguments), "-o", "CanonicalizeHostname=no", _NOBODYS_HOST])
    if result.code:
        raise HardeningError(f"ansible: ssh does not accept {arguments}: {result.err.strip()}")
    words = dict(line.lower().split(" ", 1) for line in result.out.splitlines() if " " in line)
    interval, count = (
        parse_whole_number(words.get(keyword, "0")) for keyword in ("serveraliveinterval", "serveralivecountmax")
    )
    return AnsibleConnection(arguments, interval, count)
