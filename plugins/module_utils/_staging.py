# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a whole configuration with the candidate in place, for the real tool to read before anything is written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ._errors import HardeningError
from ._files import Account, acting_as
from ._ssh_tree import Files, Place, included_paths, relocated


@contextmanager
def staged(
    files: Files, place: Place, reader: Account | None, read_after: Place | None = None
) -> Iterator[tuple[str, str]]:
    """
    The path of the copy's main file, and the root to take out of what the tool says about it.

    The copy is ``reader``'s alone, root's if that is None. ``read_after`` is a configuration that ssh
    reads behind this one. Raises HardeningError for a file that the reader may not read.
    """
    with acting_as(reader):
        # Root's own TMPDIR may be closed to others.
        root = tempfile.mkdtemp(prefix="keepalive-", dir="/tmp" if reader else None)
    try:
        with acting_as(reader):
            _copy(files, place, root, reader)
            if read_after:
                _copy(files, read_after, root, reader)
                with open(root + place.main, "a", encoding="utf-8") as stream:
                    stream.write(f"\nHost *\nInclude {root}{read_after.main}\n")
        yield root + place.main, root
    finally:
        # A copy that cannot be removed is no reason to fail a run that is valid otherwise.
        with acting_as(reader):
            shutil.rmtree(root, ignore_errors=True)


def _copy(files: Files, place: Place, root: str, reader: Account | None) -> None:
    for path in included_paths(files, place):
        if reader and os.path.exists(path) and not os.access(path, os.R_OK, effective_ids=True):
            raise HardeningError(f"{path} cannot be read by {reader.name}: ssh fails for every user who cannot")
        text = files.read(path)
        # A main file that is to be removed is empty here: ssh insists on the one that -F names.
        if text is not None or path == place.main:
            os.makedirs(os.path.dirname(root + path), mode=0o700, exist_ok=True)
            descriptor = os.open(root + path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
                stream.write(relocated(text or "", place, root))
