# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An ansible-core of any version, and its ansible-test on the collection as users install it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]

# ansible-test fetches get-pip.py from a server of its own; Python carries a pip that can do the same.
GET_PIP = """\
import subprocess, sys
pinned = [argument for argument in sys.argv[1:] if "==" in argument]
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
subprocess.run([sys.executable, "-m", "pip", "install", *pinned], check=True)
"""


@dataclass(frozen=True)
class Core:
    """The Python of an environment that has ansible-core, and a folder to work in."""

    python: Path
    work: Path

    def command(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.python.parent / name)

    def ask(self, code: str) -> str:
        """What a piece of Python prints in this environment."""
        return subprocess.run([self.python, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def ansible_test(self) -> Path:
        """The folder of ansible-test's own code."""
        return Path(self.ask("import ansible_test; print(*ansible_test.__path__)"))

    def install_collection(self, *tests: str) -> Path:
        """
        Install the collection into a fresh folder, with the real path that ansible-test insists on.

        The tests are folders of the checkout that the collection is built without.
        """
        # It need not be there.
        shutil.rmtree(self.work / "ansible_collections", ignore_errors=True)
        environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(self.work)}
        install = [self.command("ansible-galaxy"), "collection", "install", "--offline", "--force"]
        install += ["--collections-path", str(self.work), str(ROOT)]
        subprocess.run(install, env=environment, check=True, stdout=subprocess.DEVNULL)
        collection = self.work / "ansible_collections" / "keepalive" / "hardening"
        for folder in tests:
            shutil.copytree(ROOT / folder, collection / folder)
        # Inside a checkout ansible-test asks git for the files, and the checkout ignores this folder.
        subprocess.run(["git", "init", "--quiet"], cwd=collection, check=True)
        subprocess.run(["git", "add", "--all"], cwd=collection, check=True)
        return collection

    def test(self, collection: Path, *arguments: str, output: IO[str] | None = None) -> int:
        """Run ansible-test there, return its exit code."""
        home = self.work / "home"
        self._provide_get_pip(home)
        _provide_pip_settings(home)
        environment = os.environ | {
            # ansible-test keeps its environments in the home folder.
            "HOME": str(home),
            "PATH": os.pathsep.join([*_python_folders(), os.environ["PATH"]]),
        }
        command = [self.command("ansible-test"), *arguments, "--color", "no"]
        done = subprocess.run(
            command, cwd=collection, env=environment, stdout=output, stderr=output and subprocess.STDOUT, check=False
        )
        return done.returncode

    def _provide_get_pip(self, home: Path) -> None:
        """Put GET_PIP where ansible-test keeps what it has fetched."""
        source = self.ansible_test() / "_internal" / "python_requirements.py"
        pinned = re.search(r"pip='([\d.]+)'", source.read_text())
        if pinned is None:
            raise SystemExit(f"found no pinned pip in {source}")
        cache = home / ".ansible" / "test" / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        (cache / f"get_pip_{pinned[1].replace('.', '_')}.py").write_text(GET_PIP)


def interpreters() -> dict[str, Path]:
    """Find the Pythons of this machine, by version as in 3.9."""
    found: dict[str, Path] = {}
    for folder in [*_python_folders(), *os.environ["PATH"].split(os.pathsep)]:
        for path in Path(folder).glob("python3.*"):
            version = path.name.removeprefix("python")
            if re.fullmatch(r"3\.\d+", version) and version not in found and _runs(path):
                found[version] = path
    return found


def _runs(python: Path) -> bool:
    return subprocess.run([python, "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode == 0


def _python_folders() -> list[str]:
    """
    List the folders of real interpreters, the one of this environment first.

    pyenv and uv install them side by side. pyenv's shims in PATH stand for versions that do not run.
    """
    base = Path(sys.base_prefix)
    beside = [*base.parent.glob("*/bin"), *Path.home().glob(".pyenv/versions/*/bin")]
    return list(dict.fromkeys(map(str, [base / "bin", *sorted(beside)])))


def _provide_pip_settings(home: Path) -> None:
    """Let pip keep the user's settings and say less; ansible-test hands it no variables."""
    legacy = home / ".pip"
    legacy.mkdir(parents=True, exist_ok=True)
    (legacy / "pip.conf").write_text("[global]\nquiet = 2\ndisable-pip-version-check = true\n")
    if not (settings := home / ".config").is_symlink():
        settings.symlink_to(Path.home() / ".config")
