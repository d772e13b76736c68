# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a configuration with its Includes: which line sets what, for whom, and which one wins. Pure."""

from __future__ import annotations

import fnmatch
import glob
import os.path
import posixpath
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ._errors import HardeningError
from ._ssh_match import Block, Connection, selects
from ._ssh_text import Line, directives, quote_argument, split_lines

# servconf.h SERVCONF_MAX_DEPTH and readconf.c READCONF_MAX_DEPTH.
_DEEPEST_INCLUDE = 16


class Files(Protocol):
    """Where texts come from: the disk, or a candidate laid over it."""

    def read(self, path: str) -> str | None:
        """The text of a file, or None if there is none."""

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, in byte order."""

    def has_directory(self, path: str) -> bool:
        """Whether there is a directory of that path."""


class Overlay:
    """Other files with some texts replaced; None as text means that the file is gone."""

    def __init__(self, base: Files, texts: dict[str, str | None]):
        self.base = base
        self.texts = texts

    def read(self, path: str) -> str | None:
        return self.texts[path] if path in self.texts else self.base.read(path)

    def glob(self, pattern: str) -> list[str]:
        gone = {path for path, text in self.texts.items() if text is None}
        added = {path for path, text in self.texts.items() if text is not None and glob_matches(pattern, path)}
        return sorted((set(self.base.glob(pattern)) | added) - gone, key=os.fsencode)

    def has_directory(self, path: str) -> bool:
        return self.base.has_directory(path)


def glob_matches(pattern: str, path: str) -> bool:
    """Whether glob(3) would find the path; a * stops at slashes and skips dotfiles."""
    parts, names = pattern.split("/"), path.split("/")
    return len(parts) == len(names) and all(
        (fnmatch.fnmatchcase(name, part) if glob.has_magic(part) else name == part)
        and (not name.startswith(".") or part.startswith("."))
        for part, name in zip(parts, names)
    )


class Place(NamedTuple):
    """Where the Includes of a configuration start from."""

    #: The main file.
    main: str
    #: The directory that a relative Include means.
    directory: str
    #: What ~ means, for ssh_config.
    home: str = ""
    #: Whether a drop-in that the main file includes is for this configuration alone.
    has_drop_ins: bool = False

    def include_pattern(self, argument: str) -> str | None:
        """
        The absolute glob pattern of an Include's argument; None if only OpenSSH can expand it.

        Raises HardeningError for what glob(3) reads otherwise than Python does.
        """
        if "\\" in argument or "[[" in argument:
            raise HardeningError(f"Include {argument}: cannot be followed; write it without backslashes and classes")
        if "%" in argument or "${" in argument:
            return None
        if argument.startswith("~/") and self.home:
            return posixpath.join(self.home, argument[2:])
        if argument.startswith("~"):
            return None
        return argument if argument.startswith("/") else posixpath.join(self.directory, argument)


class Statement(NamedTuple):
    """A line that sets something, and the blocks it stands in, outermost first."""

    path: str
    line: Line
    scope: tuple[Block, ...]

    @property
    def value(self) -> str:
        return " ".join(self.line.arguments)


def walk(files: Files, place: Place, keywords: frozenset[str]) -> Iterator[Statement]:
    """
    Every line with one of ``keywords`` or Include, in the order in which OpenSSH reads them.

    Raises HardeningError where Includes nest too deeply, as those of a file that includes itself.
    """
    yield from _walk_file(files, place, place.main, keywords | {"include", "match", "host"}, (), 0)


def _walk_file(
    files: Files, place: Place, path: str, keywords: frozenset[str], outer: tuple[Block, ...], depth: int
) -> Iterator[Statement]:
    if depth > _DEEPEST_INCLUDE:
        raise HardeningError(f"{path} is included more than {_DEEPEST_INCLUDE} levels deep, which OpenSSH refuses")
    text = files.read(path)
    if text is None:
        return
    scope = outer
    for line in directives(text):
        if line.keyword not in keywords:
            continue
        if line.keyword in ("match", "host"):
            # A block ends at the next one or at the end of its file, and never leaves the enclosing Include.
            scope = (*outer, Block(line.keyword, tuple(line.arguments)))
            continue
        yield Statement(path, line, scope)
        if line.keyword == "include":
            for argument in line.arguments:
                pattern = place.include_pattern(argument)
                for included in files.glob(pattern) if pattern else ():
                    yield from _walk_file(files, place, included, keywords, scope, depth + 1)


def included_paths(files: Files, place: Place) -> list[str]:
    """The files of the configuration, each once, the main one first."""
    paths = {place.main: None}
    for statement in walk(files, place, frozenset()):
        for argument in statement.line.arguments:
            pattern = place.include_pattern(argument)
            paths.update(dict.fromkeys(files.glob(pattern) if pattern else ()))
    return list(paths)


def sshd_winner(statements: list[Statement], connection: Connection) -> Statement | None:
    """
    The line that decides for the connection, of all that set one directive in sshd_config.

    A satisfied Match block beats every global line; among equals the first wins (servconf.c,
    parse_server_match_config()). A scope that only sshd can judge counts as satisfied.
    """
    satisfied = [statement for statement in statements if selects(statement.scope, connection) is not False]
    return next((statement for statement in satisfied if statement.scope), satisfied[0] if satisfied else None)


def ssh_winner(statements: list[Statement], connection: Connection) -> Statement | None:
    """As sshd_winner, for ssh_config, where blocks have no priority: the first satisfied line wins."""
    return next((statement for statement in statements if selects(statement.scope, connection) is not False), None)


def relocated(text: str, place: Place, root: str) -> str:
    """
    The text with its Includes pointing below ``root``, line by line the same otherwise.

    A copy of the whole tree below ``root`` can then be read by the real tool before anything is written.
    """
    includes = [line for line in directives(text) if line.keyword == "include"]
    if not includes:
        return text
    lines = split_lines(text)
    for line in includes:
        words = []
        for argument in line.arguments:
            pattern = place.include_pattern(argument)
            words.append(quote_argument(argument if pattern is None else root + pattern))
        lines[line.number - 1] = f"Include {' '.join(words)}\n"
    return "".join(lines)
