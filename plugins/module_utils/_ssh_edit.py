# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the entries that shall be there to the texts that state them, and who competes with them. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable
from typing import Any, Optional

from . import _managed
from ._settings import Setting, Value, keyword_table
from ._ssh_entries import Entries
from ._ssh_match import Connection, example_connection
from ._ssh_text import directives
from ._ssh_tree import Files, Overlay, Place, Statement, glob_matches, walk

DROP_IN = "00-keepalive.conf"

#: Which of the statements that set one directive decides for a connection.
Winner = Callable[["list[Statement]", Connection], Optional[Statement]]
Members = dict[str, tuple[str, tuple[str, ...]]]


def without_marks(
    files: Files, paths: Iterable[str], owned: Collection[str], restored: frozenset[Setting] | None
) -> Overlay:
    """
    The configuration as if we had never written to it.

    Blocks go from the ``owned`` paths only: one in an included file may belong to another
    configuration. Lines that exclusive commented out come back where they set one of
    ``restored``; None means all.
    """
    keywords = None if restored is None else {keyword for setting in restored for keyword in setting.keywords}

    def ours(line: str) -> bool:
        return keywords is None or any(directive.keyword in keywords for directive in directives(line))

    texts: dict[str, str | None] = {}
    for path in paths:
        text = files.read(path)
        if text is not None and "keepalive.hardening" in text:
            original = _managed.uncomment(_managed.strip(text) if path in owned else text, ours)
            texts[path] = None if not original and _is_drop_in(text) else original
    return Overlay(files, texts)


def _is_drop_in(text: str) -> bool:
    return any(position == "drop-in" for position, _created, _body in _managed.blocks(text))


def drop_in_paths(files: Files, place: Place) -> list[str]:
    """Where the main file would find a drop-in of ours: one path for each directory it includes for everybody."""
    paths = []
    for statement in walk(files, place, frozenset()):
        if statement.path != place.main or statement.scope:
            continue
        for argument in statement.line.arguments:
            pattern = place.include_pattern(argument)
            path = posixpath.join(posixpath.dirname(pattern), DROP_IN) if pattern else ""
            if pattern and glob_matches(pattern, path):
                paths.append(path)
    return paths


def comes_first(files: Files, place: Place, path: str, entries: Entries, blocks_apart: bool) -> bool:
    """
    Whether what ``path`` says of every entry is read before what others say.

    ``blocks_apart``: lines in blocks and lines for everybody are no rivals, as in sshd_config.
    """
    statements = statements_by_setting(files, place, {key.setting for key in entries})
    for key in entries:
        rivals = [
            statement
            for statement in statements[key.setting]
            if not blocks_apart or bool(statement.scope) == bool(key.scope)
        ]
        if not rivals or rivals[0].path != path:
            return False
    return True


def statements_by_setting(files: Files, place: Place, settings: Iterable[Setting]) -> dict[Setting, list[Statement]]:
    """The lines that set each setting, in reading order."""
    table = keyword_table(tuple(settings))
    found: dict[Setting, list[Statement]] = {setting: [] for setting in table.values()}
    for statement in walk(files, place, frozenset(table)):
        if statement.line.keyword in table:
            found[table[statement.line.keyword]].append(statement)
    return found


def others(files: Files, statements: Iterable[Statement]) -> list[Statement]:
    """Those of the statements that do not stand in our blocks."""
    ours: dict[str, set[int]] = {}
    result = []
    for statement in statements:
        if statement.path not in ours:
            ours[statement.path] = _managed.own_lines(files.read(statement.path) or "")
        if statement.line.number not in ours[statement.path]:
            result.append(statement)
    return result


def without_rivals(files: Overlay, place: Place, settings: Iterable[Setting]) -> Overlay:
    """The configuration with every line of another's that sets one of the settings commented out by our mark."""
    numbers: dict[str, set[int]] = {}
    for statements in statements_by_setting(files, place, settings).values():
        for statement in others(files, statements):
            numbers.setdefault(statement.path, set()).add(statement.line.number)
    texts = {path: _managed.comment_out(files.read(path) or "", lines) for path, lines in numbers.items()}
    return Overlay(files.base, {**files.texts, **texts})


def competing_lines(
    files: Files, found: dict[Setting, list[Statement]], winner: Winner, base: Connection, members: Members
) -> list[dict[str, Any]]:
    """The results' ``competing``: every line of another's that sets a managed option, and whether it wins."""
    lines = []
    for setting, statements in found.items():
        for statement in others(files, statements):
            connection = example_connection(statement.scope, base, members)
            lines.append(
                {
                    "path": statement.path,
                    "line": statement.line.number,
                    "option": setting.option,
                    "value": statement.value,
                    "scope": " / ".join(map(str, statement.scope)),
                    "wins": connection is not None and winner(statements, connection) == statement,
                }
            )
    return lines


def describe_winner(
    candidate: Files, disk: Files, statements: list[Statement], winner: Winner, connection: Connection
) -> str:
    """File and line, as they are on disk, of the line that beats ours."""
    statement = winner(statements, connection)
    if statement is None or not others(candidate, [statement]):
        return "no line in the files does that: look at the options that the program is started with"
    before = disk.read(statement.path) or ""
    number = _managed.same_line(statement.line.number, candidate.read(statement.path) or "", before)
    scope = f" in {' / '.join(map(str, statement.scope))}" if statement.scope else ""
    return f"{statement.path}, line {number}{scope} wins: {statement.line.keyword} {statement.value}"


def beaten(layer: str, setting: Setting, wanted: Value, found: Value | None, winner: str) -> str:
    """The message for a value that would not be effective."""
    return (
        f"{layer}: {setting.option} would be {found}, not {wanted}: {winner}. "
        "Remove that line, or set exclusive: true to have every competing line commented out"
    )
