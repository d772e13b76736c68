# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's lines that set what we set: finding them, judging them, commenting them out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple, Optional

from . import _managed
from ._errors import HardeningError
from ._settings import Setting, Value, keyword_table
from ._ssh_match import Block, Connection, example_connections, requirement, traits
from ._ssh_tree import Files, Overlay, Place, Statement, walk

#: Which of the statements that set one directive decides for a connection.
Winner = Callable[["list[Statement]", Connection], Optional[Statement]]
#: As good as no scope at all; our own block at the top of a file ends with it.
_EVERY_HOST = Block("host", ("*",))
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


def without_rivals(files: Overlay, place: Place, settings: Iterable[Setting], paths: Collection[str]) -> Overlay:
    """The configuration with every line of another's in ``paths`` that sets one of the settings commented out."""
    numbers: dict[str, set[int]] = {}
    for statements in statements_by_setting(files, place, settings).values():
        for statement in others(files, statements):
            if statement.path not in paths:
                continue
            numbers.setdefault(statement.path, set()).add(statement.line.number)
    texts = {path: _managed.comment_out(files.read(path) or "", lines) for path, lines in numbers.items()}
    return Overlay(files.base, {**files.texts, **texts})


class Judged(NamedTuple):
    """A line that sets an option, and what becomes of it."""

    setting: Setting
    statement: Statement
    #: Whether it decides for any connection that it could apply to.
    wins: bool
    #: The line that decides for the first of them.
    winner: Statement | None


class _Index:
    """Statements by what their scopes ask for: thousands need not each be held against each one's connections."""

    def __init__(self, statements: list[Statement]):
        self._statements = statements
        self._by_trait: dict[tuple[str, str], list[int]] = {}
        self._others: list[int] = []
        for number, statement in enumerate(statements):
            required = requirement(statement.scope)
            for trait in required:
                self._by_trait.setdefault(trait, []).append(number)
            if not required:
                self._others.append(number)

    def possible(self, connection: Connection) -> list[Statement]:
        """Those that may select the connection, in their order."""
        numbers = {*self._others, *(number for trait in traits(connection) for number in self._by_trait.get(trait, ()))}
        return [self._statements[number] for number in sorted(numbers)]


def judged(
    found: dict[Setting, list[Statement]], winner: Winner, base: Connection, members: Members
) -> Iterator[Judged]:
    """Every line, with its fate."""
    for setting, statements in found.items():
        index, known = _Index(statements), dict[Connection, Optional[Statement]]()
        for statement in statements:
            connections = example_connections(statement.scope, base, members)
            for connection in connections:
                if connection not in known:
                    known[connection] = winner(index.possible(connection), connection)
            winners = [known[connection] for connection in connections]
            yield Judged(setting, statement, statement in winners, winners[0] if winners else None)


def scope_text(statement: Statement) -> str:
    """The blocks that a line depends on; nothing for a line that is for everybody."""
    return " / ".join(str(block) for block in statement.scope if block != _EVERY_HOST)


def covers_everybody(statement: Statement) -> bool:
    """Whether a line depends on nothing."""
    return all(str(block).lower() in ("host *", "match all") for block in statement.scope)


def competing_lines(
    files: Files, found: dict[Setting, list[Statement]], winner: Winner, base: Connection, members: Members
) -> list[dict[str, Any]]:
    """The results' ``competing``: every line of another's that sets a managed option, and whether it wins."""
    foreign = set(others(files, (statement for statements in found.values() for statement in statements)))
    return [
        {
            "path": statement.path,
            "line": statement.line.number,
            "option": setting.option,
            "value": statement.value,
            "scope": scope_text(statement),
            "wins": wins,
        }
        for setting, statement, wins, _winner in judged(found, winner, base, members)
        if statement in foreign
    ]


def stated(setting: Setting, statement: Statement) -> Value | None:
    """The value that a line states; None for what is no value."""
    try:
        return setting.interpret(statement.value)
    except ValueError:
        return None


def beaten(
    layer: str,
    setting: Setting,
    wanted: Value,
    found: Value | None,
    candidate: Files,
    disk: Files,
    by: Statement | None,
) -> HardeningError:
    """The error for a value that would not be effective: the line that wins, as it stands on disk, and what to do."""
    message = f"{layer}: {setting.option} would be {found}, not {wanted}: "
    if by is None or (not others(candidate, [by]) and stated(setting, by) == wanted):
        return HardeningError(
            f"{message}no line in the files does that; look at the options that the program is started with"
        )
    scope = f" in {' / '.join(map(str, by.scope))}" if by.scope else ""
    if not others(candidate, [by]):
        return HardeningError(
            f"{message}a value that this collection has set{scope} wins; change or take back that one first"
        )
    number = _managed.same_line(by.line.number, candidate.read(by.path) or "", disk.read(by.path) or "")
    return HardeningError(
        f"{message}{by.path}, line {number}{scope} wins: {by.line.keyword} {by.value}. "
        "Remove that line, or set exclusive: true (for all hosts and users) to have every competing line commented out"
    )
