# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
What this collection writes into a file, with marks by which it finds and takes back every byte of it. Pure.

Three things carry a mark: a block between a BEGIN and an END line, a file of our own (it starts
with a BEGIN line), and another's line that `exclusive` commented out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from ._ssh_text import split_lines

_BEGIN = "# BEGIN keepalive.hardening"
_END = "# END keepalive.hardening"
_COMMENTED = "#keepalive.hardening# "
_BEGIN_LINE = re.compile(rf"{_BEGIN} \((?P<position>[a-z-]+)(?P<created>(?:, created [a-z]+)*)\)")

_NOTE = "# Written by Ansible, keepalive.hardening; state=absent takes it back. Changes here are lost."


def block(position: str, body: list[str], created: Collection[str] = ()) -> list[str]:
    """The lines of a block, without endings; ``created`` remembers what absent has to remove besides."""
    remembered = "".join(f", created {what}" for what in created)
    return [f"{_BEGIN} ({position}{remembered})", _NOTE, *body, _END]


def own_file(position: str, body: list[str]) -> str:
    """The text of a file that is all ours."""
    return "\n".join([*block(position, body), ""])


def is_own_file(text: str) -> bool:
    """Whether nothing but our block stands in the text."""
    return text.startswith(_BEGIN) and not strip(text).strip()


def insert_before(text: str, number: int, lines: list[str]) -> str:
    """The text with lines inserted before line ``number``, counted from 1, in the text's own line ending."""
    existing = split_lines(text)
    ending = "\r\n" if existing and existing[0].endswith("\r\n") else "\n"
    return "".join(existing[: number - 1] + [line + ending for line in lines] + existing[number - 1 :])


def append(text: str, lines: list[str]) -> str:
    """The text with lines at its end; a missing final newline stays missing, so that strip() can restore it."""
    if text and not text.endswith("\n"):
        return text + "\n" + "\n".join(lines)
    return insert_before(text, text.count("\n") + 1, lines)


def blocks(text: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Position, what was created and body of every block of ours."""
    lines = split_lines(text)
    for start, stop, position, created in _block_spans(lines):
        yield position, created, "".join(lines[start + 1 : stop])


def _block_spans(lines: list[str]) -> Iterator[tuple[int, int, str, tuple[str, ...]]]:
    start: int | None = None
    for index, line in enumerate(lines):
        begin = _BEGIN_LINE.fullmatch(line.rstrip("\r\n"))
        if begin:
            start, found = index, begin
        elif start is not None and line.rstrip("\r\n") == _END:
            yield start, index, found["position"], tuple(re.findall(r"created ([a-z]+)", found["created"]))
            start = None


def own_lines(text: str) -> set[int]:
    """Numbers, counted from 1, of the lines in our blocks."""
    return {
        number
        for start, stop, _position, _created in _block_spans(split_lines(text))
        for number in range(start + 1, stop + 2)
    }


def same_line(number: int, text: str, other: str) -> int:
    """Number that a line of another's has in ``other``, which differs from ``text`` in our blocks only."""
    ours, ours_there = own_lines(text), own_lines(other)
    index = sum(1 for earlier in range(1, number) if earlier not in ours)
    rest = (there for there in range(1, len(split_lines(other)) + 1) if there not in ours_there)
    return next((there for position, there in enumerate(rest) if position == index), number)


def strip(text: str) -> str:
    """The text without our blocks: the inverse of insert_before() and append()."""
    lines = split_lines(text)
    for start, stop, _position, _created in reversed(list(_block_spans(lines))):
        without_ending = not lines[stop].endswith("\n")
        del lines[start : stop + 1]
        if without_ending and start:
            lines[start - 1] = lines[start - 1].rstrip("\n")
    return "".join(lines)


def comment_out(text: str, numbers: Collection[int]) -> str:
    """The text with the lines of these numbers, counted from 1, commented out by our mark."""
    return "".join(
        _COMMENTED + line if number in numbers else line for number, line in enumerate(split_lines(text), start=1)
    )


def uncomment(text: str, ours: Callable[[str], bool]) -> str:
    """The text with those lines restored that comment_out() marked and for which ``ours`` holds."""
    lines = []
    for line in split_lines(text):
        original = line[len(_COMMENTED) :]
        lines.append(original if line.startswith(_COMMENTED) and ours(original) else line)
    return "".join(lines)
