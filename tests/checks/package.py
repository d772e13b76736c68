# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Build the tarball and let galaxy-importer look at it as Galaxy does on upload.

    uv run tests/checks/package.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.checks import environment  # found from the root of the checkout only
from tests.checks.core import ROOT

WORK = ROOT / ".cache" / "package"
IMPORTER = "galaxy-importer==0.4.44"
SETTINGS = {
    "GALAXY_IMPORTER_CHECK_REQUIRED_TAGS": "true",
    "GALAXY_IMPORTER_RUN_FLAKE8": "true",
    # tests/checks/sanity.py and matrix.py do that.
    "GALAXY_IMPORTER_RUN_ANSIBLE_TEST": "false",
    "GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP": str(WORK / "tmp"),
}
# What ruff's format leads to. flake8 on its own reports neither; the importer selects all, W503 and its contrary.
FORMAT = re.compile(r": (E203|W503) ")


def build(folder: Path) -> Path:
    """Build the tarball of this checkout in a fresh folder."""
    # It need not be there.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    galaxy = Path(sys.executable).parent / "ansible-galaxy"
    subprocess.run(
        [galaxy, "collection", "build", "--output-path", folder, ROOT], stdout=subprocess.DEVNULL, check=True
    )
    (tarball,) = folder.glob("*.tar.gz")
    return tarball


def importer() -> Path:
    """Install the importer, whose flake8 and ansible-lint are its own; return the folder of its programs."""
    folder = WORK / IMPORTER
    if not (complete := folder / ".complete").exists():
        if complaint := environment.make(folder, Path(sys.executable), IMPORTER):
            raise SystemExit(complaint)
        complete.touch()
    return folder / "bin"


def complaints(tarball: Path) -> list[str]:
    """Import the tarball; return the warnings and errors."""
    programs = importer()
    done = subprocess.run(
        [programs / "python", "-m", "galaxy_importer.main", tarball],
        # It leaves a file with its result.
        cwd=WORK,
        env=os.environ | SETTINGS | {"PATH": os.pathsep.join([str(programs), os.environ["PATH"]])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    found = [line for line in lines if re.match("WARNING|ERROR|CRITICAL", line) and not FORMAT.search(line)]
    return found or (lines if done.returncode else [])


def main() -> int:
    """Build, import, return 1 if there is anything to complain about."""
    tarball = build(WORK / "tarball")
    if found := complaints(tarball):
        print(*found, sep="\n")
        return 1
    print(f"{IMPORTER} has nothing to say about {tarball.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
