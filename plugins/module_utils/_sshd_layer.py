# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server layer: sshd_config and the running sshd."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable
from typing import Any

from . import _managed, _openssh
from ._accounts import members_of_groups
from ._changes import FileChange, file_changes
from ._command import Run
from ._daemons import Daemon, PendingReload, find_daemons, last_reading, require_no_override
from ._errors import HardeningError
from ._files import Disk
from ._placement import Request, drop_in_paths, main_file, require_not_vendors, sshd_candidate
from ._platform import is_linux, require_linux
from ._rivals import beaten, competing_lines, others, stated, statements_by_setting
from ._settings import SSHD, Setting, Value, wanted_values
from ._ssh_match import Block, Connection, example_connections, selects
from ._ssh_text import split_arguments
from ._ssh_tree import Files, Place, Statement, included_paths, sshd_winner, walk
from ._staging import staged
from ._transaction import Plan
from ._values import GLOBAL_TIMEOUT

DEFAULT_PATH = "/etc/ssh/sshd_config"
_CRITERIA = ("user", "group", "host", "address", "localaddress", "localport", "rdomain")


def present() -> bool:
    """Whether this host has the layer."""
    return is_linux() and _openssh.find("sshd") is not None


def plan(options: dict[str, Any], run: Run) -> Plan:
    """
    Read, edit in memory, and have sshd validate the whole tree with the candidate in place.

    Raises HardeningError, with nothing written.
    """
    wanted = wanted_values(SSHD, options, "sshd")
    absent = options["state"] == "absent"
    match = _match_criteria(options.get("match"), wanted)
    _check_request(wanted, absent, match, options["exclusive"])
    require_linux("sshd")
    program = _openssh.find("sshd")
    if program is None:
        raise HardeningError("sshd: no sshd is installed on this host: install openssh-server")
    if os.geteuid() != 0:
        raise HardeningError("sshd: sshd_config can only be read and changed by root: run with become: true")

    disk = Disk()
    usual = main_file(disk, DEFAULT_PATH)
    path = options["path"] or usual
    place = Place(path, posixpath.dirname(DEFAULT_PATH), has_drop_ins=path == usual)
    if disk.read(path) is None:
        raise HardeningError(f"sshd: there is no {path}")
    candidate = sshd_candidate(disk, place, Request(wanted, match, "first", options["exclusive"], absent))
    settings = list(wanted) if wanted else list(SSHD)
    found = statements_by_setting(candidate, place, SSHD)

    members = members_of_groups() if mentions_groups(found, match) else {}
    base = Connection(local_port=first_port(disk, place))
    scope = (Block("match", tuple(split_arguments(match))),) if match else ()
    connections = example_connections(scope, base, members)
    if not connections:
        raise HardeningError(
            f"sshd: match: {match}: no connection can be thought of that this selects, so its values cannot be checked"
        )
    connection = connections[0]

    dump, broken = _dump_or_complaint(run, program, path, connection)
    before = _openssh.values(dump, settings)
    if dump and not absent:
        _require_known(run, program, dump, wanted, match)
    changes = file_changes(disk, candidate.texts)
    require_not_vendors("sshd", (change.path for change in changes))
    if changes or broken:
        dump = _validated(run, program, candidate, place, connection, broken)
    effective = _openssh.values(dump, settings)
    for setting, value in ({} if absent else wanted).items():
        if effective.get(setting.option) != value:
            by = sshd_winner(found[setting], connection)
            raise beaten("sshd", setting, value, effective.get(setting.option), candidate, disk, by)
        _require_no_rival(setting, value, found[setting], connections, candidate, disk)
    if not absent:
        keywords = [keyword for setting in wanted for keyword in setting.keywords]
        require_no_override(place.main, usual, keywords)
    due = bool(changes) or _outdated(dump, list(found.values()), place)
    daemons = _daemons(place) if due else []
    activate = _activation(run, dump, daemons, place) if due and daemons and options["reload"] else None
    pending = [PendingReload(path)] if activate or (changes and daemons) else []
    managed = {setting: lines for setting, lines in found.items() if setting in settings or _ours(candidate, lines)}
    return Plan(
        layer="sshd",
        before=before,
        effective=effective,
        steps=[*pending, *_ours_first(changes, absent)] if changes or activate else [],
        competing=competing_lines(candidate, managed, sshd_winner, base, members),
        read_back=lambda: _openssh.values(_openssh.sshd_dump(run, program, path, connection), settings),
        activate=activate,
        warnings=_warnings(dump, disk, place) if options["reload"] and not activate else [],
        extra={"reloaded": activate is not None},
    )


def _require_no_rival(
    setting: Setting,
    value: Value,
    statements: list[Statement],
    connections: list[Connection],
    candidate: Files,
    disk: Files,
) -> None:
    """
    Raises HardeningError if another's line wins for some connection that the value is meant for.

    sshd -T was asked about one that was made up; sshd knows no groups of its user.
    """
    for connection in connections:
        # What only sshd can judge, sshd has judged.
        known = [statement for statement in statements if selects(statement.scope, connection) is not None]
        by = sshd_winner(known, connection)
        if by and others(candidate, [by]) and stated(setting, by) != value:
            raise beaten("sshd", setting, value, stated(setting, by), candidate, disk, by)


def _ours(candidate: Files, statements: list[Statement]) -> bool:
    return len(others(candidate, statements)) < len(statements)


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


def mentions_groups(found: dict[Setting, Any], match: str = "") -> bool:
    """Whether any line depends on its user's groups, which take some time to look up."""
    scopes = [str(block) for statements in found.values() for statement in statements for block in statement.scope]
    return any("group" in scope.lower() for scope in [*scopes, match])


def first_port(disk: Disk, place: Place) -> int:
    """The first port that sshd is told to listen on, for Match LocalPort."""
    ports = (line.value for line in walk(disk, place, frozenset(["port"])) if line.line.keyword == "port")
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
    with staged(candidate, place, reader=None) as (copy, root):
        dump, complaint = _dump_or_complaint(run, program, copy, connection)
    if complaint:
        raise HardeningError(
            "sshd: sshd does not accept the configuration, nothing was changed; mend what it says first: "
            + (broken or complaint.replace(root, ""))
        )
    return dump


def _require_known(run: Run, program: str, dump: dict[str, str], wanted: dict[Setting, Value], match: str) -> None:
    _openssh.require_support(run, program, dump, wanted)
    values = {setting.option: value for setting, value in wanted.items()}
    if values.get("client_alive_count_max") == 0 and _openssh.version(run, program) < (8, 2):
        raise HardeningError(
            "sshd: client_alive_count_max: before OpenSSH 8.2, 0 ends a session at the first missed probe"
        )
    timeouts = values.get("channel_timeout")
    if isinstance(timeouts, dict) and GLOBAL_TIMEOUT in timeouts and _openssh.version(run, program) < (9, 7):
        raise HardeningError("sshd: channel_timeout: before OpenSSH 9.7, global is taken and does nothing")
    if match and timeouts == {}:
        # Measured on 9.2, 10.0 and 10.6: "internal error: bad timeout none", in which case sshd -T sees nothing wrong.
        raise HardeningError(
            "sshd: channel_timeout: with ChannelTimeout none in a Match block sshd closes every login it selects; "
            "give the patterns a time of 0 instead, such as {'session:*': 0}"
        )
    if match and timeouts and _openssh.version(run, program) <= (10, 0):
        raise HardeningError(
            "sshd: channel_timeout: up to OpenSSH 10.0 sshd takes ChannelTimeout in a Match block and ignores it"
        )


def _ours_first(changes: list[FileChange], absent: bool) -> list[FileChange]:
    """
    In an order in which no prefix leaves a moment without a value.

    Ours are written before others' lines are commented out, and removed after those are back.
    """

    def holds_ours(change: FileChange) -> bool:
        return bool(_managed.own_lines((change.before if absent else change.after) or ""))

    return sorted(changes, key=lambda change: holds_ours(change) == absent)


def _daemons(place: Place) -> list[Daemon]:
    return find_daemons(place.main, main_file(Disk(), DEFAULT_PATH))


def _activation(run: Run, dump: dict[str, str], daemons: list[Daemon], place: Place) -> Callable[[], None]:
    """What makes every running sshd read its files. Raises HardeningError where one cannot, or would be lost by it."""
    # What a run without changes does not need, it need not compile.
    from . import _service

    configured = _service.configured_listeners(dump)
    for daemon in daemons:
        _service.require_same_listeners(daemon, configured)
    commands = [_service.reload_command(run, daemon, configured) for daemon in daemons]
    must_answer = _service.answers(dump)

    def activate() -> None:
        for daemon, command in zip(daemons, commands):
            if _daemons(place):
                _service.reload(run, command, daemon, lambda: _daemons(place), dump, must_answer)
            else:
                _service.revive(run, command)
        PendingReload(place.main).done()

    return activate


def _outdated(dump: dict[str, str], found: list[list[Statement]], place: Place) -> bool:
    """
    Whether the running sshd may have other values than its files.

    Only files that set our values count: a reload would make effective whatever else was
    changed in others and is perhaps not meant to be yet.
    """
    if PendingReload(place.main).counts(dump):
        return True
    return bool(_unread(dump, {statement.path for statements in found for statement in statements}))


def _unread(dump: dict[str, str], paths: Iterable[str]) -> list[str]:
    """Those of the files and directories that were changed after the running sshd has read its configuration."""
    loaded = last_reading(dump)
    return sorted(path for path in paths if loaded and os.path.exists(path) and os.stat(path).st_ctime_ns > loaded)


def unread_files(dump: dict[str, str], disk: Disk, place: Place) -> list[str]:
    """What a running sshd has not read since it changed; a value may have stood in a line that is gone now."""
    files = included_paths(disk, place)
    directories = {posixpath.dirname(path) for path in [*files[1:], *drop_in_paths(disk, place)]}
    directories.discard(posixpath.dirname(place.main))
    unread = _unread(dump, [*files, *directories])
    return unread if unread and _daemons(place) else []


def _warnings(dump: dict[str, str], disk: Disk, place: Place) -> list[str]:
    """What a run that does not reload has to say."""
    unread = unread_files(dump, disk, place)
    if not unread:
        return []
    return [
        f"sshd: {', '.join(unread)} changed after sshd has read it, in lines that are not ours to make effective. "
        "Until sshd is reloaded, new connections may get older values"
    ]
