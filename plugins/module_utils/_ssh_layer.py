# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client layer: the system's ssh_config, or users' own."""

from __future__ import annotations

import os
import posixpath
import re
from typing import Any, NamedTuple

from . import _managed, _openssh
from ._accounts import account, bystander
from ._changes import DirectoryCreation, DirectoryRemoval, FileChange, file_changes
from ._command import Run, time_limit
from ._errors import HardeningError
from ._files import Account, Disk
from ._placement import Request, main_file, require_not_vendors, ssh_candidate
from ._rivals import beaten, competing_lines, statements_by_setting
from ._settings import SSH, wanted_values
from ._ssh_match import Block, Connection, example_connection
from ._ssh_tree import Place, ssh_winner
from ._staging import staged
from ._transaction import Plan, Step

DEFAULT_PATH = "/etc/ssh/ssh_config"
_USER_SECONDS = 150
_HOST_PATTERNS = re.compile(r"!?[A-Za-z0-9.*?:_%@/-]+( +!?[A-Za-z0-9.*?:_%@/-]+)*")


class Target(NamedTuple):
    """One ssh_config to bring to the wanted values."""

    place: Place
    #: Whose file it is; None for the system's.
    owner: Account | None
    #: As whom ssh is asked.
    reader: Account
    #: The -F argument where ssh would not read the file by itself.
    option_f: str | None


def present() -> bool:
    """Whether this host has the layer."""
    return _openssh.find("ssh") is not None


def plan(options: dict[str, Any], run: Run) -> Plan:
    """
    Read, edit in memory, and have ssh validate each whole configuration with the candidate in place.

    Raises HardeningError, with nothing written.
    """
    request = _request(options)
    program = _openssh.find("ssh")
    if program is None:
        raise HardeningError("ssh: no ssh is installed on this host: install openssh-client")
    targets = _targets(options)
    plans = {}
    for target in targets:
        name = target.reader.name
        # A user's files may include more files than anyone could read.
        with time_limit(_USER_SECONDS, f"ssh: reading {target.place.main}, with what it includes,"):
            plans[name] = _plan_target(run, program, target, request)
    by_user = bool(options.get("users"))

    def joined(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return parts if by_user else next(iter(parts.values()))

    return Plan(
        layer="ssh",
        before=joined({name: plan.before for name, plan in plans.items()}),
        effective=joined({name: plan.effective for name, plan in plans.items()}),
        steps=[step for plan in plans.values() for step in plan.steps],
        competing=[line for plan in plans.values() for line in plan.competing],
        read_back=lambda: joined({name: plan.read_back() for name, plan in plans.items()}),
    )


def _request(options: dict[str, Any]) -> Request:
    wanted = wanted_values(SSH, options, "ssh")
    absent = options["state"] == "absent"
    host = options["host"]
    if not _HOST_PATTERNS.fullmatch(host):
        raise HardeningError(f"ssh: host: {host!r} is not a list of host patterns such as 'bastion* *.example.org'")
    if not wanted and not absent:
        raise HardeningError("ssh: no option is given, so there is nothing to do")
    if host != "*" and options["exclusive"]:
        raise HardeningError("ssh: exclusive speaks for every host and cannot be limited by host")
    if options["precedence"] == "last" and options["exclusive"]:
        raise HardeningError("ssh: exclusive contradicts precedence: last, which lets other lines win")
    return Request(wanted, "" if host == "*" else host, options["precedence"], options["exclusive"], absent)


def _targets(options: dict[str, Any]) -> list[Target]:
    users, path = options.get("users"), options.get("path")
    if not users:
        if os.geteuid() != 0:
            raise HardeningError(
                "ssh: the system's ssh_config can only be changed by root: run with become: true, or name users"
            )
        place = systems_place()
        if path and path not in (place.main, DEFAULT_PATH):
            return [Target(Place(path, place.directory), None, bystander(), path)]
        return [Target(place, None, bystander(), None)]
    if path and len(users) > 1:
        raise HardeningError("ssh: path: one file cannot belong to several users")
    targets = []
    for owner in map(account, dict.fromkeys(users)):
        if os.geteuid() not in (0, owner.uid):
            raise HardeningError(
                f"ssh: only root or {owner.name} can change {owner.name}'s file: run with become: true"
            )
        usual = posixpath.join(owner.home, ".ssh", "config")
        place = Place(path or usual, posixpath.dirname(usual), owner.home)
        targets.append(Target(place, owner, owner, path if place.main != usual else None))
    return targets


def systems_place() -> Place:
    """The system's own configuration."""
    return Place(main_file(Disk(), DEFAULT_PATH), posixpath.dirname(DEFAULT_PATH), has_drop_ins=True)


def _plan_target(run: Run, program: str, target: Target, request: Request) -> Plan:
    place, owner = target.place, target.owner
    disk = Disk(owner)
    candidate = ssh_candidate(disk, place, request)
    settings = list(request.wanted) if request.wanted else list(SSH)
    found = statements_by_setting(candidate, place, settings)
    scope = (Block("host", tuple(request.scope.split())),) if request.scope else ()
    # Without a User line, ssh logs in under the local name.
    base = Connection(user=target.reader.name, local_user=target.reader.name)
    connection = example_connection(scope, base, {})
    if connection is None:
        raise HardeningError(f"ssh: host: no host name can be thought of that {request.scope!r} selects")

    def ask(path: str | None) -> dict[str, str]:
        return _openssh.ssh_dump(run, program, connection.host, target.reader, path)

    changes = file_changes(disk, candidate.texts, 0o600 if owner else 0o644)
    require_not_vendors("ssh", (change.path for change in changes))
    try:
        dump, broken = ask(target.option_f), ""
    except _openssh.Refused as problem:
        dump, broken = {}, str(problem)
        if not changes:
            raise HardeningError(f"ssh: ssh does not accept the configuration: {problem}") from problem
    before = _openssh.values(dump, settings)
    if changes or broken:
        system = None if target.option_f or owner is None else systems_place()
        with staged(candidate, place, target.reader, read_after=system) as (copy, root):
            try:
                staged_dump = ask(copy)
            except _openssh.Refused as problem:
                raise HardeningError(
                    "ssh: ssh does not accept the configuration, nothing was changed; mend what it says first: "
                    + (broken or str(problem).replace(root, ""))
                ) from problem
        dump = staged_dump
    effective = _openssh.values(dump, settings)
    enforced = request.position == "first" and not request.absent
    for setting, value in (request.wanted if enforced else {}).items():
        if effective.get(setting.option) != value:
            by = ssh_winner(found[setting], connection)
            raise beaten("ssh", setting, value, effective.get(setting.option), candidate, disk, by)
    return Plan(
        layer="ssh",
        before=before,
        effective=effective,
        steps=_with_directories(changes, target, disk),
        competing=competing_lines(candidate, found, ssh_winner, base, {}),
        read_back=lambda: _openssh.values(ask(target.option_f), settings),
    )


def _with_directories(changes: list[FileChange], target: Target, disk: Disk) -> list[Step]:
    """The changes, with ~/.ssh created before or removed after where it is ours."""
    directory = posixpath.dirname(target.place.main)
    steps: list[Step] = list(changes)
    for change in changes:
        if change.path == target.place.main and change.before is None and not disk.has_directory(directory):
            steps.insert(0, DirectoryCreation(directory, 0o700, target.owner))
        if change.path == target.place.main and change.after is None:
            created = [what for _position, whats, _body in _managed.blocks(change.before or "") for what in whats]
            steps += [DirectoryRemoval(directory, 0o700, target.owner)] if "directory" in created else []
    return steps
