# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing files: staged, put in place by one rename, with their attributes, and taken back if need be."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ._errors import HardeningError
from ._files import CODEC, Account, Disk, acting_as, read_text

_STAGED = ".keepalive-new"


class FileChange:
    """
    One file's text before and after, either None where there is no file.

    stage() does all that can fail for want of room or rights, apply() is one rename, undo() puts
    the old file back. A symbolic link stays; the file it leads to is replaced.
    """

    def __init__(
        self,
        path: str,
        before: str | None,
        after: str | None,
        mode: int = 0o644,
        account: Account | None = None,
    ):
        """``mode`` is for a new file; ``account`` is whose rights are used, None for our own."""
        self.path = path
        self.before = before
        self.after = after
        self.mode = mode
        self.account = account
        self.target = path
        #: Where stage() shall keep a copy of the old file; "" for nowhere.
        self.backup_file = ""
        self._staged = ""
        self._attributes: _Attributes | None = None

    def stage(self) -> None:
        with self._explained():
            self.target = os.path.realpath(self.path)
            # Read when the plan was made; whoever wrote since then would lose the change.
            if read_text(self.target) != self.before:
                raise HardeningError(f"{self.path} was changed by someone else while this ran; run again")
            self._attributes = _attributes_of(self.target)
            if self.backup_file and self.before is not None:
                os.replace(self._write_beside(self.before), self.backup_file)
            if self.after is not None:
                self._staged = self._write_beside(self.after)
            else:
                _require_writable(os.path.dirname(self.target))

    def apply(self) -> None:
        with self._explained():
            if self.after is None:
                os.unlink(self.target)
            else:
                os.replace(self._staged, self.target)
                self._staged = ""
            _sync_directory(self.target)

    def undo(self) -> None:
        self.discard()
        with self._explained():
            now = read_text(self.target)
            if now == self.before:
                return
            if now != self.after:
                raise HardeningError(f"{self.path} was changed by someone else while this ran, and is left as it is")
            if self.before is None:
                os.unlink(self.target)
            else:
                os.replace(self._write_beside(self.before), self.target)
            _sync_directory(self.target)

    def discard(self) -> None:
        """Remove what stage() left behind."""
        if self._staged:
            with acting_as(self.account), suppress(OSError):
                os.unlink(self._staged)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with acting_as(self.account):
                yield
        except OSError as problem:
            raise HardeningError(f"cannot write {self.path}: {problem.strerror}") from problem

    def _write_beside(self, text: str) -> str:
        """
        A complete file in the target's directory, with the target's owner, mode and extended attributes.

        The name starts with a dot, which every Include and sysctl.d glob skips, and is always the
        same, so that the next run takes over what a killed run left.
        """
        directory, name = os.path.split(self.target)
        staged = os.path.join(directory, f".{name}{_STAGED}")
        with suppress(FileNotFoundError):
            os.unlink(staged)
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(text.encode(**CODEC))
                stream.flush()
                _give_attributes(descriptor, self._attributes, self.mode)
                os.fsync(descriptor)
        except OSError:
            os.unlink(staged)
            raise
        return staged


def file_changes(disk: Disk, texts: dict[str, str | None], mode: int = 0o644) -> list[FileChange]:
    """
    The changes that bring files to these texts; a new file gets ``mode``.

    Two names of one file, by symbolic links, are one change.
    """
    changes = {}
    for path, text in texts.items():
        if disk.read(path) != text:
            with acting_as(disk.account):
                real = os.path.realpath(path)
            changes[real] = FileChange(path, disk.read(path), text, mode, disk.account)
    return list(changes.values())


class DirectoryCreation:
    """A directory that a new file needs and that is not there."""

    def __init__(self, path: str, mode: int, account: Account | None):
        self.path = path
        self.mode = mode
        self.account = account
        self._made = False

    def stage(self) -> None:
        with acting_as(self.account):
            try:
                os.mkdir(self.path, self.mode)
                self._made = True
            except OSError as problem:
                raise HardeningError(f"cannot create {self.path}: {problem.strerror}") from problem

    def apply(self) -> None:
        """Nothing: the file that is staged inside needs the directory earlier."""

    def undo(self) -> None:
        if self._made:
            with acting_as(self.account), suppress(OSError):
                os.rmdir(self.path)

    discard = undo


class DirectoryRemoval:
    """A directory that an earlier run created; it goes if it is empty."""

    def __init__(self, path: str, mode: int, account: Account | None):
        self.path = path
        self.mode = mode
        self.account = account

    def stage(self) -> None:
        """Nothing: a directory that holds something by now just stays."""

    def apply(self) -> None:
        with acting_as(self.account), suppress(OSError):
            os.rmdir(self.path)

    def undo(self) -> None:
        with acting_as(self.account), suppress(OSError):
            os.mkdir(self.path, self.mode)

    def discard(self) -> None:
        """Nothing was staged."""


# Not all of them: security.ima, for one, vouches for the old content.
_KEPT_ATTRIBUTES = ("system.posix_acl_access", "security.selinux", "user.")


class _Attributes(NamedTuple):
    status: os.stat_result
    #: ACL, SELinux label and the like.
    extended: dict[str, bytes]


def _attributes_of(path: str) -> _Attributes | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    # Python has these on Linux alone.
    names = os.listxattr(path) if hasattr(os, "listxattr") else []
    kept = [name for name in names if name.startswith(_KEPT_ATTRIBUTES)]
    return _Attributes(status, {name: os.getxattr(path, name) for name in kept})


def _give_attributes(descriptor: int, attributes: _Attributes | None, new_mode: int) -> None:
    """Make the open file like the one it replaces; a file that replaces none gets ``new_mode``."""
    if attributes is None:
        os.fchmod(descriptor, new_mode)
        return
    old, new = attributes.status, os.fstat(descriptor)
    # A new file may belong to its directory's group, as on FreeBSD and macOS.
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    for name, value in attributes.extended.items():
        # Labels that a user may not set (security.*) are inherited from the directory instead.
        with suppress(PermissionError):
            os.setxattr(descriptor, name, value)


def sweep(directories: Iterable[str]) -> None:
    """Remove what runs that were killed have staged in these directories of root's, and never put in place."""
    for directory in directories:
        for path in glob.glob(os.path.join(glob.escape(directory), f".*{_STAGED}")):
            with suppress(OSError):
                os.unlink(path)


def _require_writable(directory: str) -> None:
    if not os.access(directory, os.W_OK, effective_ids=True):
        raise HardeningError(f"cannot change {directory}: it is not writable")


def _sync_directory(path: str) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
