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

from ._errors import HardeningError
from ._settings import SSH, SSHD, SYSCTL
from ._ssh_text import split_lines

_BEGIN = "# BEGIN keepalive.hardening"
_END = "# END keepalive.hardening"
_COMMENTED = "#keepalive.hardening# "
_UNFINISHED = ", after an unfinished line"
_BEGIN_LINE = re.compile(
    rf"{_BEGIN} \((?P<position>[a-z-]+)(?P<created>(?:, created [a-z]+)*)(?P<unfinished>{_UNFINISHED})?\)"
)
_NOTE = "# Written by Ansible, keepalive.hardening; state=absent takes it back. Changes here are lost."
_DIRECTIVES = "|".join(re.escape(setting.directive) for setting in (*SSHD, *SSH, *SYSCTL))
_OWN_LINE = re.compile(rf"{_BEGIN_LINE.pattern}|{_NOTE}|(?: {{4}})?(?:Match|Host|{_DIRECTIVES}) .*|{_END}")


def require_whole(path: str, text: str) -> None:
    """Raises HardeningError if someone edited our marks, so that it cannot be told any more what is ours."""
    owned = own_lines(text)
    for number, line in enumerate(split_lines(text), start=1):
        foreign = _OWN_LINE.fullmatch(line.rstrip("\r\n")) is None
        if foreign if number in owned else (_BEGIN in line or _END in line):
            raise HardeningError(
                f"{path}, line {number}: the block of keepalive.hardening was edited by hand, so it cannot be told "
                f"what is whose; delete the lines that are its, from '{_BEGIN}' to '{_END}', and run again"
            )


def block(position: str, body: list[str], created: Collection[str] = ()) -> list[str]:
    """The lines of a block, without endings; ``created`` remembers what absent has to remove besides."""
    remembered = "".join(f", created {what}" for what in created)
    return [f"{_BEGIN} ({position}{remembered})", _NOTE, *body, _END]


def own_file(position: str, body: list[str]) -> str:
    """The text of a file that is all ours."""
    return "\n".join([*block(position, body), ""])


def insert_before(text: str, number: int, lines: list[str]) -> str:
    """The text with lines inserted before line ``number``, counted from 1, in the text's own line ending."""
    existing = split_lines(text)
    ending = "\r\n" if existing and existing[0].endswith("\r\n") else "\n"
    return "".join(existing[: number - 1] + [line + ending for line in lines] + existing[number - 1 :])


def append(text: str, lines: list[str]) -> str:
    """The text with a block at its end; that a final newline was missing is remembered, so that strip() restores it."""
    if text and not text.endswith("\n"):
        return "\n".join([text, lines[0][:-1] + _UNFINISHED + ")", *lines[1:], ""])
    return insert_before(text, text.count("\n") + 1, lines)


def blocks(text: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Position, what was created and body of every block of ours."""
    if _BEGIN not in text:
        return
    lines = split_lines(text)
    for start, stop, begin in _block_spans(lines):
        yield (
            begin["position"],
            tuple(re.findall(r"created ([a-z]+)", begin["created"])),
            "".join(lines[start + 1 : stop]),
        )


def _block_spans(lines: list[str]) -> Iterator[tuple[int, int, re.Match[str]]]:
    begin: re.Match[str] | None = None
    for index, line in enumerate(lines):
        found = _BEGIN_LINE.fullmatch(line.rstrip("\r\n"))
        if found:
            start, begin = index, found
        elif begin and line.rstrip("\r\n") == _END:
            yield start, index, begin
            begin = None


def own_lines(text: str) -> set[int]:
    """Numbers, counted from 1, of the lines in our blocks."""
    if _BEGIN not in text:
        return set()
    return {number for start, stop, _begin in _block_spans(split_lines(text)) for number in range(start + 1, stop + 2)}


def same_line(number: int, text: str, other: str) -> int:
    """Number that a line of another's has in ``other``, which differs from ``text`` in our blocks only."""
    ours, ours_there = own_lines(text), own_lines(other)
    index = sum(1 for earlier in range(1, number) if earlier not in ours)
    rest = (there for there in range(1, len(split_lines(other)) + 1) if there not in ours_there)
    return next((there for position, there in enumerate(rest) if position == index), number)


def strip(text: str) -> str:
    """The text without our blocks: the inverse of insert_before() and append()."""
    lines = split_lines(text)
    for start, stop, begin in reversed(list(_block_spans(lines))):
        # Someone who added lines behind the block has finished ours too.
        if begin["unfinished"] and start and stop == len(lines) - 1:
            lines[start - 1] = lines[start - 1].rstrip("\n")
        del lines[start : stop + 1]
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
