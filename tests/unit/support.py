# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests share: files in memory, Debian's own files, and texts of every kind."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import glob_matches

_FIXTURES = Path(__file__).parent / "fixtures"

DEBIANS = sorted(path.name for path in _FIXTURES.iterdir())


class MemoryFiles:
    """A few texts by path, as the files of a host."""

    def __init__(self, texts: dict[str, str]):
        self.texts = texts

    def read(self, path: str) -> str | None:
        return self.texts.get(path)

    def glob(self, pattern: str) -> list[str]:
        return sorted((path for path in self.texts if glob_matches(pattern, path)), key=os.fsencode)

    def has_directory(self, path: str) -> bool:
        return any(name.startswith(f"{path}/") for name in self.texts)


def debian(release: str) -> MemoryFiles:
    """The configuration files as the packages of a Debian release ship them."""
    root = _FIXTURES / release
    paths = (path for path in root.rglob("*") if path.is_file())
    return MemoryFiles({f"/{path.relative_to(root)}": path.read_text(encoding="utf-8") for path in paths})


DEBIAN_TEXTS = {f"{release}:{path}": text for release in DEBIANS for path, text in debian(release).texts.items()}

# What str.splitlines() takes for line ends and getline(3) does not, CRLF, and bytes that are not UTF-8.
_PIECES = strategies.sampled_from(
    [
        "\n",
        "\r\n",
        "\n\n",
        "\r",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x85",
        "\u2028",
        "\udcff",
        " ",
        "\t",
        "#",
        '"',
        "Match all",
        "x",
    ]
)

#: Texts of files in any state: mixed line endings, a missing final newline, any bytes.
file_texts = strategies.lists(_PIECES | strategies.text(max_size=8), max_size=12).map("".join)
