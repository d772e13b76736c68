# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's lines that set what we set: finding them, judging them, commenting them out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Optional

from . import _managed
from ._settings import Setting, Value, keyword_table
from ._ssh_match import Connection, example_connection
from ._ssh_tree import Files, Overlay, Place, Statement, walk

#: Which of the statements that set one directive decides for a connection.
Winner = Callable[["list[Statement]", Connection], Optional[Statement]]
Members = dict[str, tuple[str, tuple[str, ...]]]


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
