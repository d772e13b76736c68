# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading files, with the rights of the user they belong to."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ._errors import HardeningError

_LARGEST = 16 << 20
#: How many groups a process can be in: 16 on macOS, where users are in more.
MOST_GROUPS = os.sysconf("SC_NGROUPS_MAX")
# Lossless for any bytes: what is not UTF-8 survives a round trip.
CODEC = {"encoding": "utf-8", "errors": "surrogateescape"}


class Account(NamedTuple):
    """A user on whose behalf files are read and written."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


@contextmanager
def acting_as(account: Account | None) -> Iterator[None]:
    """
    Leave the file system's permission checks to the kernel, with the user's own rights.

    Whatever links a user plants in a home then lead root nowhere the user could not go alone.
    """
    if account is None or os.geteuid() == account.uid:
        yield
        return
    own_groups, own_gid = os.getgroups()[:MOST_GROUPS], os.getegid()
    os.setgroups(account.groups)
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(own_gid)
        os.setgroups(own_groups)


def read_text(path: str) -> str | None:
    """
    The text of a regular file, None if there is none.

    Raises HardeningError for anything else; a FIFO is not waited for.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise HardeningError(f"cannot read {path}: {problem.strerror}") from problem
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise HardeningError(f"{path} is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise HardeningError(f"{path} is larger than {_LARGEST >> 20} MiB, which no configuration is")
    return content.decode(**CODEC)


class Disk:
    """The files as they are, each read once."""

    def __init__(self, account: Account | None = None):
        self.account = account
        self._texts: dict[str, str | None] = {}
        self._globs: dict[str, list[str]] = {}

    def read(self, path: str) -> str | None:
        if path not in self._texts:
            with acting_as(self.account):
                self._texts[path] = read_text(path)
        return self._texts[path]

    def glob(self, pattern: str) -> list[str]:
        if pattern not in self._globs:
            with acting_as(self.account):
                found = [path for path in glob.glob(pattern) if not os.path.isdir(path)]
            self._globs[pattern] = sorted(found, key=os.fsencode)
        return self._globs[pattern]

    def has_directory(self, path: str) -> bool:
        with acting_as(self.account):
            return os.path.isdir(path)
