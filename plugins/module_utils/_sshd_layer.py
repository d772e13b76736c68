# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server layer: sshd_config and the running sshd."""

from __future__ import annotations

import os
import posixpath
from typing import Any

from . import _managed, _openssh, _service
from ._accounts import members_of_groups
from ._command import Run
from ._errors import HardeningError
from ._files import Disk, FileChange
from ._placement import Request, drop_in_paths, sshd_candidate
from ._rivals import beaten, competing_lines, describe_winner, statements_by_setting
from ._settings import SSHD, Setting, Value, wanted_values
from ._ssh_match import Block, Connection, example_connection
from ._ssh_text import directives, split_arguments
from ._ssh_tree import Files, Place, included_paths, sshd_winner
from ._staging import staged
from ._transaction import Plan

DEFAULT_PATH = "/etc/ssh/sshd_config"
_CRITERIA = ("user", "group", "host", "address", "localaddress", "localport", "rdomain")


def present() -> bool:
    """Whether this host has the layer."""
    return _openssh.find("sshd") is not None


def plan(options: dict[str, Any], run: Run) -> Plan:
    """
    Read, edit in memory, and have sshd validate the whole tree with the candidate in place.

    Raises HardeningError, with nothing written.
    """
    wanted = wanted_values(SSHD, options, "sshd")
    absent = options["state"] == "absent"
    match = _match_criteria(options.get("match"), wanted)
    _check_request(wanted, absent, match, options["exclusive"])
    program = _openssh.find("sshd")
    if program is None:
        raise HardeningError("sshd: no sshd is installed on this host: install openssh-server")
    if os.geteuid() != 0:
        raise HardeningError("sshd: sshd_config can only be read and changed by root: run with become: true")

    path = options["path"] or DEFAULT_PATH
    place = Place(path, posixpath.dirname(DEFAULT_PATH), has_drop_ins=path == DEFAULT_PATH)
    disk = Disk()
    if disk.read(path) is None:
        raise HardeningError(f"sshd: there is no {path}")
    candidate = sshd_candidate(disk, place, Request(wanted, match, "first", options["exclusive"], absent))
    settings = list(wanted) if wanted else list(SSHD)
    found = statements_by_setting(candidate, place, settings)

    members = members_of_groups() if _mentions_groups(found, match) else {}
    base = Connection(local_port=_port(disk, place))
    scope = (Block("match", tuple(split_arguments(match))),) if match else ()
    connection = example_connection(scope, base, members)
    if connection is None:
        raise HardeningError(
            f"sshd: match: {match}: no connection can be thought of that this selects, so its values cannot be checked"
        )

    dump, broken = _dump_or_complaint(run, program, path, connection)
    before = _openssh.values(dump, settings)
    if dump and not absent:
        _require_known(run, program, dump, wanted)
    changes = [
        FileChange(changed, disk.read(changed), text)
        for changed, text in candidate.texts.items()
        if disk.read(changed) != text
    ]
    if changes or broken:
        dump = _validated(run, program, candidate, place, connection, broken)
    effective = _openssh.values(dump, settings)
    for setting, value in ({} if absent else wanted).items():
        if effective.get(setting.option) != value:
            winner = describe_winner(candidate, disk, found[setting], sshd_winner, connection)
            raise HardeningError(beaten("sshd", setting, value, effective.get(setting.option), winner))
    activate = _activation(run, dump, disk, place, bool(changes)) if options["reload"] else None
    return Plan(
        layer="sshd",
        before=before,
        effective=effective,
        steps=_ours_first(changes, absent),
        competing=competing_lines(candidate, found, sshd_winner, base, members),
        read_back=lambda: _openssh.values(_openssh.sshd_dump(run, program, path, connection), settings),
        activate=activate,
        extra={"reloaded": activate is not None},
    )


def _match_criteria(raw: str | None, wanted: dict[Setting, Value]) -> str:
    """The criteria of a Match line in one spelling. Raises HardeningError if sshd would read them otherwise."""
    if not raw:
        return ""
    words = split_arguments(raw)
    if "\n" in raw or "#" in raw or len(words) % 2 or any(word.lower() not in _CRITERIA for word in words[::2]):
        raise HardeningError(
            f"sshd: match: {raw!r} is not a list of criteria and patterns such as 'User backup' or "
            f"'Group sftp Address 10.0.0.0/8'; the criteria are {', '.join(_CRITERIA)}"
        )
    fixed = [setting.option for setting in wanted if not setting.in_match]
    if fixed:
        raise HardeningError(f"sshd: {', '.join(fixed)}: sshd does not take this in a Match block")
    return " ".join(raw.split())


def _check_request(wanted: dict[Setting, Value], absent: bool, match: str, exclusive: bool) -> None:
    if not wanted and not absent:
        raise HardeningError("sshd: no option is given, so there is nothing to do")
    if match and exclusive:
        raise HardeningError("sshd: exclusive speaks for everybody and cannot be limited by match")


def _mentions_groups(found: dict[Setting, Any], match: str) -> bool:
    scopes = [str(block) for statements in found.values() for statement in statements for block in statement.scope]
    return any("group" in scope.lower() for scope in [*scopes, match])


def _port(disk: Disk, place: Place) -> int:
    """The port of the main file's first Port line, for Match LocalPort."""
    ports = (line.rest for line in directives(disk.read(place.main) or "") if line.keyword == "port")
    return next((int(port) for port in ports if port.isdigit()), 22)


def _dump_or_complaint(run: Run, program: str, path: str, connection: Connection) -> tuple[dict[str, str], str]:
    try:
        return _openssh.sshd_dump(run, program, path, connection), ""
    except _openssh.Refused as problem:
        return {}, str(problem)


def _validated(
    run: Run, program: str, candidate: Files, place: Place, connection: Connection, broken: str
) -> dict[str, str]:
    """What sshd makes of the candidate. Raises HardeningError with its words; ``broken`` are those on the old files."""
    with staged(candidate, place, reader=None, private=True) as (copy, root):
        dump, complaint = _dump_or_complaint(run, program, copy, connection)
    if complaint:
        raise HardeningError(
            "sshd: sshd does not accept the configuration, nothing was changed; mend what it says first: "
            + (broken or complaint.replace(root, ""))
        )
    return dump


def _require_known(run: Run, program: str, dump: dict[str, str], wanted: dict[Setting, Value]) -> None:
    _openssh.require_support(run, program, dump, wanted)
    count = next((value for setting, value in wanted.items() if setting.option == "client_alive_count_max"), None)
    if count == 0 and _openssh.version(run, program) < (8, 2):
        raise HardeningError(
            "sshd: client_alive_count_max: before OpenSSH 8.2, 0 ends a session at the first missed probe"
        )


def _ours_first(changes: list[FileChange], absent: bool) -> list[FileChange]:
    """
    In an order in which no prefix leaves a moment without a value.

    Ours are written before others' lines are commented out, and removed after those are back.
    """

    def holds_ours(change: FileChange) -> bool:
        return bool(_managed.own_lines((change.before if absent else change.after) or ""))

    return sorted(changes, key=lambda change: holds_ours(change) == absent)


def _activation(run: Run, dump: dict[str, str], disk: Disk, place: Place, changed: bool) -> Any:
    """What reloads the running sshd, if it has to: files were changed, by us now or by anyone since it read them."""
    daemon = _service.find_daemon(dump, place.main, DEFAULT_PATH)
    if daemon is None or not (changed or _outdated(daemon, disk, place)):
        return None
    _service.require_same_ports(daemon)
    command = _service.reload_command(run, daemon)
    must_answer = _service.answers(daemon)

    def activate() -> None:
        current = _service.find_daemon(dump, place.main, DEFAULT_PATH)
        if current:
            _service.reload(run, current, command, must_answer)
        else:
            _service.revive(run, daemon, command)

    return activate


def _outdated(daemon: _service.Daemon, disk: Disk, place: Place) -> bool:
    """Whether a file was changed, added or removed after the daemon last read its configuration."""
    if daemon.loaded is None:
        return False
    paths = included_paths(disk, place)
    directories = {posixpath.dirname(path) for path in paths[1:]} | {
        posixpath.dirname(path) for path in drop_in_paths(disk, place)
    }
    directories.discard(posixpath.dirname(place.main))
    return any(os.stat(path).st_ctime_ns > daemon.loaded for path in [*paths, *directories] if os.path.exists(path))
