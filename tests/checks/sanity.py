# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Run every sanity test of ansible-test on the collection as users install it.

    uv run tests/checks/sanity.py [ARGUMENT OF ansible-test sanity ...]
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".cache" / "sanity"
BIN = Path(sys.executable).parent

# ansible-test fetches get-pip.py from a server of its own; Python carries a pip that can do the same.
GET_PIP = """\
import subprocess, sys
pinned = [argument for argument in sys.argv[1:] if "==" in argument]
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
subprocess.run([sys.executable, "-m", "pip", "install", *pinned], check=True)
"""


def installed_collection() -> Path:
    """Install the collection into a fresh folder, with the real path that ansible-test insists on."""
    # It need not be there.
    shutil.rmtree(WORK / "ansible_collections", ignore_errors=True)
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(WORK)}
    install = [f"{BIN}/ansible-galaxy", "collection", "install", "--offline", "--force"]
    install += ["--collections-path", str(WORK), str(ROOT)]
    subprocess.run(install, env=environment, check=True, stdout=subprocess.DEVNULL)
    collection = WORK / "ansible_collections" / "keepalive" / "hardening"
    # Inside a checkout ansible-test asks git for the files, and the checkout ignores this folder.
    subprocess.run(["git", "init", "--quiet"], cwd=collection, check=True)
    subprocess.run(["git", "add", "--all"], cwd=collection, check=True)
    return collection


def provide_get_pip(home: Path) -> None:
    """Put GET_PIP where ansible-test keeps what it has fetched."""
    source = distribution("ansible-core").locate_file("ansible_test/_internal/python_requirements.py")
    pinned = re.search(r"pip='([\d.]+)'", Path(str(source)).read_text())
    if pinned is None:
        raise SystemExit(f"found no pinned pip in {source}")
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / f"get_pip_{pinned[1].replace('.', '_')}.py").write_text(GET_PIP)


def provide_pip_settings(home: Path) -> None:
    """Let pip keep the user's settings and say less; ansible-test hands it no variables."""
    legacy = home / ".pip"
    legacy.mkdir(parents=True, exist_ok=True)
    (legacy / "pip.conf").write_text("[global]\nquiet = 2\ndisable-pip-version-check = true\n")
    if not (settings := home / ".config").is_symlink():
        settings.symlink_to(Path.home() / ".config")


def python_folders() -> list[str]:
    """
    List the folders of real interpreters, the one of this environment first.

    pyenv and uv install them side by side. pyenv's shims in PATH stand for versions that do not run.
    """
    base = Path(sys.base_prefix)
    return [str(base / "bin"), *map(str, sorted(base.parent.glob("*/bin")))]


def main() -> int:
    """Run the tests, return the exit code of ansible-test."""
    home = WORK / "home"
    provide_get_pip(home)
    provide_pip_settings(home)
    environment = os.environ | {
        # ansible-test keeps its environments in the home folder.
        "HOME": str(home),
        "PATH": os.pathsep.join([*python_folders(), os.environ["PATH"]]),
    }
    command = [f"{BIN}/ansible-test", "sanity", "--color", "no", *sys.argv[1:]]
    return subprocess.run(command, cwd=installed_collection(), env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
