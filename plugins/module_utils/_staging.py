# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a whole configuration with the candidate in place, for the real tool to read before anything is written."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ._files import Account, acting_as
from ._ssh_tree import Files, Place, included_paths, relocated


@contextmanager
def staged(
    files: Files, place: Place, reader: Account | None, private: bool, read_after: str = ""
) -> Iterator[tuple[str, str]]:
    """
    The path of the copy's main file, and the root to take out of what the tool says about it.

    ``reader`` owns a private copy; in one that is not private everybody can read what everybody
    can read in the original. ``read_after`` is a file that ssh reads behind these.
    """
    owner = reader if private else None
    # Root's own TMPDIR may be closed to others.
    parent = None if reader is None else "/tmp" if private else "/run"
    with acting_as(owner):
        root = tempfile.mkdtemp(prefix="keepalive-", dir=parent)
    umask = os.umask(0o077 if private else 0o022)
    try:
        with acting_as(owner):
            os.chmod(root, 0o700 if private else 0o755)
            for path in included_paths(files, place):
                text = files.read(path)
                # A main file that is to be removed is empty here: ssh insists on the one that -F names.
                if text is not None or path == place.main:
                    _write(root + path, relocated(text or "", place, root))
                if not private and os.path.exists(path):
                    os.chmod(root + path, stat.S_IMODE(os.stat(path).st_mode))
            if read_after:
                with open(root + place.main, "a", encoding="utf-8") as stream:
                    stream.write(f"\nHost *\nInclude {read_after}\n")
        os.umask(umask)
        yield root + place.main, root
    finally:
        os.umask(umask)
        with acting_as(owner):
            shutil.rmtree(root, ignore_errors=True)


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        stream.write(text)
