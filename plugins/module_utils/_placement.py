# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where our values go in sshd_config and ssh_config: from the files as they are to the files as they shall be. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable
from typing import NamedTuple

from . import _managed
from ._errors import HardeningError
from ._rivals import statements_by_setting, without_rivals
from ._settings import SSH, SSHD, Setting, Value
from ._ssh_entries import Entries, at, read_entries, ssh_body, sshd_body, with_values, without_values
from ._ssh_text import directives
from ._ssh_tree import Files, Overlay, Place, glob_matches, included_paths, walk

_DROP_IN = "00-keepalive.conf"
# Where openSUSE ships what others ship in /etc/ssh. Its sshd and ssh read a file there where /etc/ssh has none of that
# name (the patch vendordir of its package).
_VENDORS = "/usr/etc/ssh"


class Request(NamedTuple):
    """What the options ask for."""

    wanted: dict[Setting, Value]
    #: Match criteria or Host patterns that the values belong to, "" for everybody.
    scope: str
    #: first or last.
    position: str
    exclusive: bool
    absent: bool


class _Start(NamedTuple):
    """What a candidate is made from."""

    #: The files as if we had never written to them, but for rivals that exclusive comments out.
    bare: Overlay
    #: Where a drop-in of ours would be read.
    drop_ins: list[str]
    #: The values that shall be there.
    entries: Entries


def main_file(files: Files, usual: str) -> str:
    """The file that OpenSSH starts from if it is told none: the usual one in /etc/ssh, or else its distribution's."""
    vendors = posixpath.join(_VENDORS, posixpath.basename(usual))
    return vendors if files.read(usual) is None and files.read(vendors) is not None else usual


def require_not_vendors(layer: str, paths: Iterable[str]) -> None:
    """Raises HardeningError for a file that belongs to the distribution, whose next update would undo a change."""
    for path in paths:
        if path.startswith(f"{_VENDORS}/"):
            raise HardeningError(
                f"{layer}: {path} would have to be changed, but it is the distribution's own, and its updates would "
                f"undo that; copy {_VENDORS}/{layer}_config to /etc/ssh, from where it is read instead, and run again"
            )


def sshd_candidate(files: Files, place: Place, request: Request) -> Overlay:
    """sshd_config as it shall be: values in a drop-in, if one comes before all rivals, else in the main file."""
    bare, drop_ins, entries = _start(files, place, request, SSHD)
    if not entries:
        return bare
    for path in drop_ins:
        trial = Overlay(files, {**bare.texts, path: _managed.own_file("drop-in", sshd_body(entries))})
        if comes_first(trial, place, path, entries, blocks_apart=True):
            return trial
    text = bare.read(place.main) or ""
    scoped = {key: value for key, value in entries.items() if key.scope}
    if scoped:
        # The main file's own global lines end at its first Match, so a block there cuts nothing off.
        number = next((line.number for line in directives(text) if line.keyword == "match"), None)
        lines = _managed.block("match", sshd_body(scoped))
        text = _managed.append(text, lines) if number is None else _managed.insert_before(text, number, lines)
    plain = {key: value for key, value in entries.items() if not key.scope}
    if plain:
        text = _managed.insert_before(text, 1, _managed.block("first", sshd_body(plain)))
    return Overlay(files, {**bare.texts, place.main: text})


def ssh_candidate(files: Files, place: Place, request: Request) -> Overlay:
    """
    ssh_config as it shall be.

    The first values are in a drop-in, if one comes before all rivals, else on top of the main
    file; the last ones at its end.
    """
    bare, drop_ins, entries = _start(files, place, request, SSH)
    created = _created(files, place)
    if not entries:
        gone = "file" in created and not bare.read(place.main)
        return Overlay(files, {**bare.texts, place.main: None}) if gone else bare
    texts, text = dict(bare.texts), bare.read(place.main) or ""
    last, first = at(entries, "last"), at(entries, "first")
    if last:
        text = texts[place.main] = _managed.append(text, _managed.block("last", ssh_body(last), created))
    for path in drop_ins if first else ():
        trial = Overlay(files, {**texts, path: _managed.own_file("drop-in", ssh_body(first))})
        if comes_first(trial, place, path, first, blocks_apart=False):
            return trial
    if first:
        lines = _managed.block("first", ssh_body(first), () if last else created)
        texts[place.main] = _managed.insert_before(text, 1, lines)
    return Overlay(files, texts)


def _start(files: Files, place: Place, request: Request, settings: tuple[Setting, ...]) -> _Start:
    drop_ins = drop_in_paths(files, place) if place.has_drop_ins else []
    owned = {place.main, *drop_ins}
    paths = {*included_paths(files, place), *owned}
    if place.has_drop_ins:
        # Orphans of ours count too: their Include may be gone from the main file.
        owned.add(posixpath.join(f"{place.main}.d", _DROP_IN))
        paths |= {*owned, *files.glob(f"{place.main}.d/*")}
    elif not place.home:
        # What another configuration includes may be shared, and is left to the one whose directory it is.
        paths = owned
    # Exclusive speaks for everybody, so what it commented out is no affair of a request for some.
    restored = frozenset() if request.scope else frozenset(request.wanted or settings)
    bare = without_marks(files, sorted(paths), owned, restored)
    if request.exclusive and not request.absent:
        # Before ours are placed, so that every later run finds the same place.
        bare = without_rivals(bare, place, request.wanted, paths)
    entries = read_entries(filter(None, map(files.read, sorted(owned))), settings)
    if request.absent:
        entries = without_values(entries, request.scope, request.wanted)
    else:
        entries = with_values(entries, request.position, request.scope, request.wanted)
    usable = [path for path in drop_ins if bare.read(path) is None and files.has_directory(posixpath.dirname(path))]
    return _Start(bare, usable, entries)


def _created(files: Files, place: Place) -> tuple[str, ...]:
    """What of the main file we created: remembered in our block from an earlier run, or about to be created now."""
    text = files.read(place.main)
    if text is None:
        return ("file",) if files.has_directory(posixpath.dirname(place.main)) else ("file", "directory")
    return next((created for _position, created, _body in _managed.blocks(text) if created), ())


def without_marks(files: Files, paths: Iterable[str], owned: Collection[str], restored: Collection[Setting]) -> Overlay:
    """
    The configuration as if we had never written to it.

    Blocks go from the ``owned`` paths only: one in an included file may belong to another
    configuration. Lines that exclusive commented out come back where they set one of ``restored``.
    """
    keywords = {keyword for setting in restored for keyword in setting.keywords}

    def ours(line: str) -> bool:
        return any(directive.keyword in keywords for directive in directives(line))

    texts: dict[str, str | None] = {}
    for path in paths:
        text = files.read(path)
        if text is not None and "keepalive.hardening" in text:
            _managed.require_whole(path, text)
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
            path = posixpath.join(posixpath.dirname(pattern), _DROP_IN) if pattern else ""
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
