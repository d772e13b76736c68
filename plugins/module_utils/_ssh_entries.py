# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
The values that we keep in an ssh-style configuration: read them back, change them, write them out. Pure.

An entry is one value for one scope at one position. What a file should look like follows from
its text without our marks and the entries alone, so a second run finds nothing to change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from . import _managed
from ._settings import Setting, Value, keyword_table
from ._ssh_text import directives
from ._values import render


class Key(NamedTuple):
    """Which value an entry holds."""

    #: Where in a file it stands: first, before all that others say, or last.
    position: str
    #: The Match criteria or Host patterns that it belongs to; "" for everybody.
    scope: str
    setting: Setting


#: In the order in which the scopes were first seen.
Entries = dict[Key, str]


def read_entries(texts: Iterable[str], settings: tuple[Setting, ...]) -> Entries:
    """The entries that stand in the blocks of these texts."""
    table = keyword_table(settings)
    entries: Entries = {}
    for text in texts:
        for position, _created, body in _managed.blocks(text):
            scope = ""
            for line in directives(body):
                if line.keyword in ("match", "host"):
                    scope = "" if line.rest == "*" else line.rest
                elif line.keyword in table:
                    entries[Key("last" if position == "last" else "first", scope, table[line.keyword])] = line.rest
    return entries


def with_values(entries: Entries, position: str, scope: str, wanted: dict[Setting, Value]) -> Entries:
    """The entries with these values; each keeps its place, so the order of tasks does not matter."""
    result = {
        key: text
        for key, text in entries.items()
        if key.scope != scope or key.setting not in wanted or key.position == position
    }
    for setting, value in wanted.items():
        result[Key(position, scope, setting)] = render(value)
    return result


def without_values(entries: Entries, scope: str, settings: Iterable[Setting]) -> Entries:
    """
    The entries without these settings of the scope.

    No settings means all of them, and no scope as well means every entry there is.
    """
    chosen = frozenset(settings)
    return {
        key: text
        for key, text in entries.items()
        if not ((key.scope == scope or (not scope and not chosen)) and (key.setting in chosen or not chosen))
    }


def sshd_body(entries: Entries) -> list[str]:
    """The entries as lines of sshd_config: global ones first, since a Match block lasts to the end."""
    lines = _lines(entries, "", "")
    for scope in _scopes(entries):
        lines += [f"Match {scope}", *_lines(entries, scope, "    ")]
    return lines


def ssh_body(entries: Entries) -> list[str]:
    """
    The entries as lines of ssh_config: narrow scopes first, since the first line wins.

    The last line's scope is every host, as at the top of a file, so the lines below are not affected.
    """
    lines = []
    for scope in _scopes(entries):
        lines += [f"Host {scope}", *_lines(entries, scope, "    ")]
    return [*lines, "Host *", *_lines(entries, "", "    ")]


def _scopes(entries: Entries) -> list[str]:
    return [scope for scope in dict.fromkeys(key.scope for key in entries) if scope]


def _lines(entries: Entries, scope: str, indent: str) -> list[str]:
    keys = sorted((key for key in entries if key.scope == scope), key=lambda key: key.setting.order)
    return [f"{indent}{key.setting.directive} {entries[key]}" for key in keys]


def at(entries: Entries, position: str) -> Entries:
    """The entries that stand at a position."""
    return {key: text for key, text in entries.items() if key.position == position}
