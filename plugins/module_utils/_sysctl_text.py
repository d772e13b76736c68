# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""sysctl.d files: what they assign, and which assignment wins. Pure."""

from __future__ import annotations

import fnmatch
import glob
import posixpath
from collections.abc import Iterable
from typing import NamedTuple

from ._ssh_text import split_lines

#: sysctl.d(5): in order of priority; a file replaces one of the same name further down.
BOOT_DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")

#: sysctl(8), --system, of procps, which reads /etc/sysctl.conf after all of them.
PROCPS_DIRECTORIES = ("/run/sysctl.d", "/etc/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
_SYSCTL_CONF = "/etc/sysctl.conf"
# What Alpine goes through at boot, one after the other, each with those directories whose files of the same name are
# read instead (aports, main/openrc/sysctl.initd).
_ALPINES_BOOT = {
    "/lib/sysctl.d": ("/etc/sysctl.d", "/run/sysctl.d"),
    "/usr/lib/sysctl.d": ("/etc/sysctl.d", "/run/sysctl.d"),
    "/etc/sysctl.d": ("/run/sysctl.d",),
    _SYSCTL_CONF: (),
    "/run/sysctl.d": (),
}


class Assignment(NamedTuple):
    """One line of a sysctl.d file."""

    path: str
    #: Counted from 1.
    line: int
    #: With slashes, such as net/ipv4/tcp_retries2; may hold wildcards.
    key: str
    #: None for a bare -key, which takes the key out of wildcards' reach.
    value: str | None

    def covers(self, key: str) -> bool:
        """Whether it says something about the key, by name or by wildcard."""
        if not glob.has_magic(self.key):
            return self.key == key
        parts, names = self.key.split("/"), key.split("/")
        return len(parts) == len(names) and all(map(fnmatch.fnmatchcase, names, parts))


def normalize(key: str) -> str:
    """
    The key with slashes as separators.

    The first separator decides which of . and / it is, as sysctl_normalize() in systemd.
    """
    first = next((character for character in key if character in "./"), "/")
    return key.translate(str.maketrans("./", "/.")) if first == "." else key


def assignments(path: str, text: str) -> list[Assignment]:
    """Every assignment and exclusion in a file."""
    found = []
    for number, line in enumerate(split_lines(text), start=1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        key, equals, value = stripped.partition("=")
        if not equals and not key.startswith("-"):
            continue
        found.append(Assignment(path, number, normalize(key.lstrip("-").strip()), value.strip() if equals else None))
    return found


def reading_order(directories: Iterable[str], names: dict[str, list[str]]) -> list[str]:
    """
    The files that are read, in this order: sorted by name, each name from the first directory that has it.

    ``names`` maps a directory to the names in it.
    """
    chosen: dict[str, str] = {}
    for directory in directories:
        for name in names.get(directory, []):
            if name.endswith(".conf"):
                chosen.setdefault(name, posixpath.join(directory, name))
    return [chosen[name] for name in sorted(chosen, key=lambda name: name.encode(errors="surrogateescape"))]


def orders(names: dict[str, list[str]], alpine: bool) -> dict[str, list[str]]:
    """Who reads the files, to their paths in reading order. ``names`` as for reading_order()."""
    return {
        "the next boot": _alpines_order(names) if alpine else reading_order(BOOT_DIRECTORIES, names),
        "sysctl --system": [*reading_order(PROCPS_DIRECTORIES, names), _SYSCTL_CONF],
    }


def _alpines_order(names: dict[str, list[str]]) -> list[str]:
    order = []
    for source, instead in _ALPINES_BOOT.items():
        hidden = {name for directory in instead for name in names.get(directory, [])}
        own = [name for name in names.get(source, []) if name not in hidden]
        order += [source] if source == _SYSCTL_CONF else reading_order([source], {source: own})
    return order


def winner(read: Iterable[Assignment], key: str) -> Assignment | None:
    """
    The assignment whose value the key gets, None if it keeps what it has.

    The last assignment wins, but one by name beats every wildcard, and an exclusion keeps
    wildcards off (systemd's sysctl.c, apply_all() and apply_glob_option()).
    """
    latest: dict[str, Assignment] = {}
    for assignment in read:
        earlier = latest.get(assignment.key)
        if earlier is None or earlier.value != assignment.value:
            latest.pop(assignment.key, None)
            latest[assignment.key] = assignment
    if key in latest:
        return latest[key] if latest[key].value is not None else None
    wildcards = [entry for entry in latest.values() if entry.value is not None and entry.covers(key)]
    return wildcards[-1] if wildcards else None
