# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what a host is set to, layer by layer, without changing anything."""

from __future__ import annotations

import os
import posixpath
import pwd
import re
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from . import _openssh, _ssh_layer, _sshd_layer, _sysctl_layer
from ._accounts import account, bystander, members_of_groups, users_with_groups
from ._command import Run, time_limit
from ._errors import HardeningError
from ._facts import AnsibleConnection, Chroot, Facts, Failure, KernelSettings, Line, OpenSSH, Origin, Server
from ._files import Account, Disk
from ._placement import main_file
from ._rivals import Judged, Members, Winner, covers_everybody, judged, scope_text, stated, statements_by_setting
from ._settings import SSH, SSHD, SYSCTL, Kernel, Setting, Value
from ._ssh_match import Connection, criteria, example_connections, selects
from ._ssh_tree import Place, Statement, ssh_winner, sshd_winner, walk
from ._sysctl_placement import readings
from ._sysctl_text import Assignment, normalize, winner
from ._values import parse_whole_number

# A name service may be slow, and a file may include more files than anyone could read.
_SECONDS = 150
# login.defs(5), UID_MIN
_FIRST_PERSON = 1000
# Documentation/admin-guide/sysctl/fs.rst, overflowuid
_NOBODY = 65534

T = TypeVar("T")


def observe(
    layers: Iterable[str], users: list[str], ssh_arguments: dict[str, str], path_idle_timeout: int | None, run: Run
) -> Facts:
    """
    The facts of the named layers; what cannot be read is one of them.

    ``users`` are those whose own ssh_config counts, besides everybody's, ``ssh_arguments`` those with which
    Ansible reaches each host from this one. Raises HardeningError if root has to look and we are not root.
    """
    if "sshd" in layers and os.geteuid() != 0:
        raise HardeningError("sshd: sshd_config can only be read by root: run with become: true, or leave sshd out")
    failures: list[Failure] = []
    return Facts(
        server=_attempt(failures, "sshd", lambda: _server(run)) if "sshd" in layers else None,
        clients=_clients(run, users, failures) if "ssh" in layers else {},
        kernel=_attempt(failures, "sysctl", _kernel) if "sysctl" in layers else None,
        live=_live() if _sysctl_layer.present() else Kernel(),
        ansible=[_ansible_connection(run, host, arguments) for host, arguments in ssh_arguments.items()],
        path_idle_timeout=path_idle_timeout,
        failures=failures,
    )


def _attempt(failures: list[Failure], layer: str, read: Callable[[], T], user: str = "") -> T | None:
    """What ``read`` returns; where it fails or takes too long, that is noted."""
    try:
        with time_limit(_SECONDS, f"{layer}: reading the configuration"):
            return read()
    except (HardeningError, OSError, ValueError) as problem:
        failures.append(Failure(layer, str(problem), user))
        return None


def _server(run: Run) -> Server:
    program = _openssh.find("sshd")
    if program is None:
        raise HardeningError("sshd: no sshd is installed on this host")
    disk = Disk()
    main = main_file(disk, _sshd_layer.DEFAULT_PATH)
    place = Place(main, posixpath.dirname(_sshd_layer.DEFAULT_PATH), has_drop_ins=True)
    found = statements_by_setting(disk, place, SSHD)
    members = members_of_groups() if _sshd_layer.mentions_groups(found) else {}
    base = Connection(local_port=_sshd_layer.first_port(disk, place))
    try:
        dump = _openssh.sshd_dump(run, program, place.main, base)
    except _openssh.Refused as problem:
        raise HardeningError(f"sshd: sshd does not accept its configuration: {problem}") from problem
    rekey = dump.get("rekeylimit", "").split()
    return Server(
        _openssh_facts(_openssh.version(run, program), dump, SSHD, found, found, sshd_winner, base, members),
        rekey_seconds=int(rekey[1]) if len(rekey) > 1 and rekey[1].isdigit() else 0,
        unread=_sshd_layer.unread_files(dump, disk, place),
        chroots=list(_unsafe_chroots(disk, place, base)),
    )


def _clients(run: Run, users: list[str], failures: list[Failure]) -> dict[str, OpenSSH]:
    """By user, "" for everybody."""
    readings = {"": lambda: _client(run, bystander())}
    # Bound now: a loop's variable would be the last user for all.
    readings.update({user: partial(_users_client, run, user) for user in dict.fromkeys(users)})
    clients = {user: _attempt(failures, "ssh", read, user) for user, read in readings.items()}
    return {user: client for user, client in clients.items() if client}


def _users_client(run: Run, user: str) -> OpenSSH:
    owner = account(user)
    if os.geteuid() not in (0, owner.uid):
        raise HardeningError(f"ssh: only root or {user} can read {user}'s file: run with become: true")
    return _client(run, owner, owner)


def _client(run: Run, reader: Account, owner: Account | None = None) -> OpenSSH:
    """What ssh makes of the system's file, behind the owner's own."""
    program = _openssh.find("ssh")
    if program is None:
        raise HardeningError("ssh: no ssh is installed on this host")
    if os.geteuid() != 0:
        # ssh reads the file of whoever asks.
        owner = reader
    places = [_ssh_layer.systems_place()]
    if owner:
        own = posixpath.join(owner.home, ".ssh")
        places.insert(0, Place(posixpath.join(own, "config"), own, owner.home))
    disk = Disk(reader)
    # Without a User line, ssh logs in under the local name.
    base = Connection(user=reader.name, local_user=reader.name)
    try:
        dump = _openssh.ssh_dump(run, program, base.host, reader)
    except _openssh.Refused as problem:
        raise HardeningError(f"ssh: ssh does not accept the configuration of {reader.name}: {problem}") from problem
    read = [statements_by_setting(disk, place, SSH) for place in places]
    both = {setting: [statement for found in read for statement in found[setting]] for setting in SSH}
    # What users prefer to the system's lines is their choice.
    return _openssh_facts(_openssh.version(run, program), dump, SSH, both, read[0], ssh_winner, base, {})


def _openssh_facts(
    version: tuple[int, int],
    dump: dict[str, str],
    settings: tuple[Setting, ...],
    found: dict[Setting, list[Statement]],
    own: dict[Setting, list[Statement]],
    decide: Winner,
    base: Connection,
    members: Members,
) -> OpenSSH:
    """``found`` are all the lines that set something, ``own`` those of them that compete with each other."""
    effective = _openssh.values(dump, settings)
    deciding = {
        setting: _deciding(setting, effective.get(setting.option), statements, decide, base)
        for setting, statements in found.items()
    }
    return OpenSSH(
        version,
        effective,
        {setting.option: _origin(statement) for setting, statement in deciding.items() if statement},
        # A line that is in effect after all has a scope that only OpenSSH can judge.
        [
            _line(line._replace(wins=line.wins or line.statement == deciding[line.setting]))
            for line in judged(own, decide, base, members)
        ],
    )


def _deciding(
    setting: Setting, value: Value | None, statements: list[Statement], decide: Winner, base: Connection
) -> Statement | None:
    """The line that the value comes from: the first in rank that says so, since not every scope can be judged."""
    remaining = list(statements)
    while True:
        first = decide(remaining, base)
        if first is None or stated(setting, first) == value:
            return first
        remaining.remove(first)


def _origin(statement: Statement) -> Origin:
    return Origin(statement.path, statement.line.number)


def _line(line: Judged) -> Line:
    setting, statement, wins, decides = line
    value = stated(setting, statement)
    # Only a line that is for everybody, or for the same, beats this one for certain.
    beaten = (
        decides
        and not wins
        and (covers_everybody(decides) or decides.scope == statement.scope)
        and stated(setting, decides) != value
    )
    return Line(
        _origin(statement),
        setting.option,
        statement.value,
        value,
        scope_text(statement),
        wins,
        _origin(decides) if decides and beaten else None,
    )


def _unsafe_chroots(disk: Disk, place: Place, base: Connection) -> Iterator[Chroot]:
    """Every ChrootDirectory that sshd will refuse, judged as safely_chroot() in OpenSSH's session.c does."""
    keyword = "chrootdirectory"
    statements = [line for line in walk(disk, place, frozenset([keyword])) if line.line.keyword == keyword]
    for statement in statements:
        for user, path in _chroot_directories(statement, statements, base):
            fault = _chroot_fault(path)
            if fault:
                yield Chroot(_origin(statement), user, *fault)
                break


def _chroot_directories(
    statement: Statement, statements: list[Statement], base: Connection
) -> Iterator[tuple[str, str]]:
    """The directories that the line stands for, with the user whose it is where it names the user's."""
    if statement.value.lower() == "none":
        return
    if "%" not in statement.value and not statement.scope:
        yield "", statement.value
        return
    examples = example_connections(statement.scope, base, members_of_groups()) or [base]
    named = {
        name
        for block in statement.scope
        for attribute, value in criteria(block)
        if attribute == "user"
        for name in value.split(",")
    }
    for entry, groups in users_with_groups():
        # Services have users of their own, whom a pattern such as * selects and who never log in.
        person = entry.pw_uid == 0 or (entry.pw_uid >= _FIRST_PERSON and entry.pw_uid != _NOBODY)
        if not person and entry.pw_name not in named:
            continue
        for example in examples:
            connection = example._replace(user=entry.pw_name, groups=groups)
            # Who only may be selected is no reason for an alarm.
            if selects(statement.scope, connection) and sshd_winner(statements, connection) == statement:
                yield entry.pw_name, _expanded(statement.value, entry)


def _expanded(directory: str, entry: pwd.struct_passwd) -> str:
    tokens = {"%%": "%", "%h": entry.pw_dir, "%u": entry.pw_name, "%U": str(entry.pw_uid)}
    return re.sub("%.", lambda token: tokens.get(token[0], token[0]), directory)


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
        {setting.option: _next_boot(setting, read) for setting in SYSCTL},
        {setting.option: Origin(line.path, line.line) for setting, line in deciding.items() if line},
        [line for setting in SYSCTL for line in _assignments(setting, read, deciding[setting])],
    )


def _next_boot(setting: Setting, read: list[Assignment]) -> Any:
    value = _sysctl_layer.boot_value(setting, read)
    return value if isinstance(value, str) or value <= _sysctl_layer.KERNEL_LARGEST[setting.option] else str(value)


def _assignments(setting: Setting, read: list[Assignment], decides: Assignment | None) -> Iterator[Line]:
    key = normalize(setting.directive)
    # A bare -key takes it back what was assigned before.
    excluded = next((line for line in reversed(read) if line.key == key and line.value is None), None)
    by = decides or excluded
    for line in read:
        # A wildcard may be there for other keys.
        if line.key == key and line.value is not None:
            beaten = by is not None and by.value != line.value
            yield Line(
                Origin(line.path, line.line),
                setting.option,
                line.value,
                None,
                "",
                line == decides,
                Origin(by.path, by.line) if by and beaten else None,
            )


def _ansible_connection(run: Run, host: str, arguments: str) -> AnsibleConnection:
    """What ssh, run as Ansible on this host would run it, makes of the arguments."""
    program = _openssh.find("ssh")
    if program is None:
        return AnsibleConnection(host, problem="no ssh is installed on this control node")
    try:
        words = shlex.split(arguments)
    except ValueError as problem:
        return AnsibleConnection(host, problem=str(problem))
    result = run([program, "-G", *words, "-o", "CanonicalizeHostname=no", host])
    if result.code:
        return AnsibleConnection(host, problem=result.err.strip())
    dump = dict(line.lower().split(" ", 1) for line in result.out.splitlines() if " " in line)
    return AnsibleConnection(host, parse_whole_number(dump.get("serveraliveinterval", "0")))
