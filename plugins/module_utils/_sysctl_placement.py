# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our values in sysctl.d: from the files as they are to the files as they shall be, and who wins there. Pure."""

from __future__ import annotations

from typing import Any

from . import _managed
from ._errors import HardeningError
from ._settings import SYSCTL, Setting, Value
from ._ssh_tree import Files, Overlay
from ._sysctl_text import BOOT_DIRECTORIES, Assignment, assignments, normalize, winner

#: Who reads the files, to the paths in reading order.
Orders = dict[str, list[str]]
#: Who reads the files, to what is assigned, in that order.
Readings = dict[str, list[Assignment]]


def readings(files: Files, orders: Orders) -> Readings:
    """Every assignment in each order."""
    parsed = {path: assignments(path, files.read(path) or "") for order in orders.values() for path in order}
    return {reader: [line for path in order for line in parsed[path]] for reader, order in orders.items()}


def read_entries(text: str) -> dict[Setting, str]:
    """The values that stand in our block."""
    by_key = {normalize(setting.directive): setting for setting in SYSCTL}
    lines = (line for _position, _created, body in _managed.blocks(text) for line in assignments("", body))
    return {by_key[line.key]: line.value for line in lines if line.key in by_key and line.value is not None}


def sysctl_candidate(
    files: Files, orders: Orders, path: str, wanted: dict[Setting, Value], absent: bool, exclusive: bool
) -> Overlay:
    """
    The files as they shall be: the values in a block at the end of ``path``.

    With ``absent`` the values of ``wanted`` go, all of them if it is empty.
    """
    managed = set(wanted) or set(SYSCTL)
    texts: dict[str, str | None] = {}
    for file in {path, *(file for order in orders.values() for file in order)}:
        text = files.read(file)
        if text is not None and "keepalive.hardening" in text:
            _managed.require_whole(file, text)
            texts[file] = _managed.uncomment(text, lambda line: _sets(line, managed))
    text = texts.get(path, files.read(path))
    bare, entries = _managed.strip(text or ""), read_entries(text or "")
    if absent:
        entries = {setting: value for setting, value in entries.items() if setting not in managed}
    else:
        entries.update({setting: str(value) for setting, value in wanted.items()})
    blocks = [] if text is None else [what for _position, what, _body in _managed.blocks(text)]
    created = ("file",) if text is None else next(filter(None, blocks), ())
    if entries:
        ordered = sorted(entries, key=lambda setting: setting.order)
        body = [f"{setting.directive} = {entries[setting]}" for setting in ordered]
        texts[path] = _managed.append(bare, _managed.block("last", body, created))
    else:
        texts[path] = None if created and not bare else bare
    candidate = Overlay(files, texts)
    return _without_rivals(candidate, orders, managed) if exclusive and not absent else candidate


def _sets(line: str, settings: set[Setting]) -> bool:
    keys = {normalize(setting.directive) for setting in settings}
    return any(assignment.key in keys for assignment in assignments("", line))


def _without_rivals(files: Overlay, orders: Orders, settings: set[Setting]) -> Overlay:
    """The files with every other line commented out that sets one of the keys by its name."""
    keys = {normalize(setting.directive) for setting in settings}
    numbers: dict[str, set[int]] = {}
    for line in (line for read in readings(files, orders).values() for line in read):
        if line.key in keys and line.line not in _managed.own_lines(files.read(line.path) or ""):
            numbers.setdefault(line.path, set()).add(line.line)
    texts = {path: _managed.comment_out(files.read(path) or "", lines) for path, lines in numbers.items()}
    return Overlay(files.base, {**files.texts, **texts})


def require_winner(setting: Setting, value: Value, candidate: Files, disk: Files, orders: Orders, path: str) -> None:
    """Raises HardeningError, naming file and line as they are on disk, where a reader ends with another value."""
    key = normalize(setting.directive)
    for reader, read in readings(candidate, orders).items():
        line = winner(read, key)
        if line is not None and line.value == str(value):
            continue
        excluded = next((line for line in reversed(read) if line.key == key and line.value is None), None)
        by = line or excluded
        if by is None:
            raise HardeningError(
                f"sysctl: {setting.option} would have no effect: {reader} does not read {path}; "
                f"choose a path that ends in .conf in {BOOT_DIRECTORIES[0]}"
            )
        number = _managed.same_line(by.line, candidate.read(by.path) or "", disk.read(by.path) or "")
        states = f"-{setting.directive}" if by.value is None else f"{setting.directive} = {by.value}"
        raise HardeningError(
            f"sysctl: {setting.option} would not be {value} after {reader}: {by.path}, line {number} wins: {states}. "
            "Remove that line, or set exclusive: true to have every competing line commented out"
        )


def competing_lines(settings: list[Setting], files: Files, orders: Orders) -> list[dict[str, Any]]:
    """The results' ``competing``: every line of another's that speaks of a managed key, and whether it wins."""
    read_by = readings(files, orders)
    lines = []
    for setting in settings:
        key = normalize(setting.directive)
        winners = [winner(read, key) for read in read_by.values()]
        for line in dict.fromkeys(line for read in read_by.values() for line in read):
            if line.covers(key) and line.line not in _managed.own_lines(files.read(line.path) or ""):
                lines.append(
                    {
                        "path": line.path,
                        "line": line.line,
                        "option": setting.option,
                        "value": line.value if line.value is not None else "",
                        "scope": "",
                        "wins": line in winners,
                    }
                )
    return lines
