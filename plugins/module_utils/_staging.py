# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a whole configuration with the candidate in place, for the real tool to read before anything is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ._files import Account, acting_as
from ._ssh_tree import Files, Place, included_paths, relocated


@contextmanager
def staged(files: Files, place: Place, reader: Account | None, private: bool) -> Iterator[tuple[str, str]]:
    """
    The path of the copy's main file, and the root to take out of what the tool says about it.

    ``reader`` owns a private copy; one that is not private can be read by everybody, as the
    system's ssh_config can.
    """
    owner = reader if private else None
    with acting_as(owner):
        root = tempfile.mkdtemp(prefix="keepalive-")
    umask = os.umask(0o077 if private else 0o022)
    try:
        with acting_as(owner):
            os.chmod(root, 0o700 if private else 0o755)
            for path in included_paths(files, place):
                text = files.read(path)
                # A main file that is to be removed is empty here: ssh insists on the one that -F names.
                if text is not None or path == place.main:
                    _write(root + path, relocated(text or "", place, root))
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
