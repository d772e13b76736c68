# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments for tools that the development environment cannot hold."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, python: Path, *requirements: str) -> str:
    """Make the folder a fresh environment; return what uv says if it cannot."""
    # It need not be there.
    shutil.rmtree(folder, ignore_errors=True)
    own = ROOT / ".cache" / "uv" / "bin" / "uv"
    # .ci/setup makes it where there is no uv in PATH that runs.
    uv = str(own) if own.exists() else "uv"
    for command in (
        [uv, "venv", "--quiet", "--python", str(python), str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *requirements],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            return done.stdout.strip()
    return ""
