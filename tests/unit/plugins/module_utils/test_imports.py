# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module's archive holds is compiled once."""

from __future__ import annotations

import importlib
import zipfile
import zipimport
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._imports import compile_once

NAMES = ("keepalive_first", "keepalive_second")


def test_each_source_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "payload.zip"
    with zipfile.ZipFile(archive, "w") as payload:
        for name in NAMES:
            payload.writestr(f"{name}.py", f"NAME = '{name}'\n")
    compiled: list[str] = []
    compile_source = zipimport._compile_source  # type: ignore[attr-defined]

    def counted(path: str, source: bytes) -> Any:
        compiled.append(Path(path).stem)
        return compile_source(path, source)

    monkeypatch.setattr(zipimport, "_compile_source", counted)
    monkeypatch.syspath_prepend(str(archive))
    monkeypatch.setattr(zipimport, "_get_module_code", zipimport._get_module_code)  # type: ignore[attr-defined]
    compile_once()

    assert [importlib.import_module(name).NAME for name in NAMES] == list(NAMES)
    assert compiled == list(NAMES)
