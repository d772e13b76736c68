# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Run ansible-test's sanity tests and the unit tests on every ansible-core that is supported.

    uv run tests/checks/matrix.py [CORE ...]

The code for the hosts runs with each Python that the core supports there and this machine has. What the tests
print is kept in .cache/matrix, and shown if they fail.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.checks import environment  # found from the root of the checkout only
from tests.checks.core import ROOT, Core, interpreters

WORK = ROOT / ".cache" / "matrix"

# Each ansible-core with the Pythons that may control with it, the best first.
CORES = {
    "2.18": ["3.13", "3.12", "3.11"],
    "2.19": ["3.13", "3.12", "3.11"],
    "2.20": ["3.13", "3.14", "3.12"],
    "2.21": ["3.13", "3.14", "3.12"],
    "2.22": ["3.13", "3.14"],
}
# meta/runtime.yml and tests/config.yml say the same.
OLDEST_PYTHON = (3, 9)


@dataclass(frozen=True)
class Row:
    """How one run of ansible-test ended."""

    core: str
    tests: str
    python: str
    outcome: str
    seconds: float = 0

    def __str__(self) -> str:
        return f"{self.core:<12}{self.tests:<8}{self.python:<8}{self.outcome:<12}{self.seconds:>8.1f}"


def run(core: Core, version: str, collection: Path, tests: str, python: str, *arguments: str) -> Row:
    """Run tests with their output in a file; show it if they fail."""
    started = time.monotonic()
    log = core.work / f"{tests}-{python}.log"
    with log.open("w") as output:
        code = core.test(collection, tests, *arguments, output=output)
    if code:
        print(log.read_text(errors="replace"), flush=True)
    return Row(version, tests, python, "FAILED" if code else "passed", time.monotonic() - started)


def take_releases(core: Core) -> None:
    """Have pylint run on released packages: 2.22.0rc1 names a commit of one, at a host that is no package index."""
    requirements = core.ansible_test() / "_data" / "requirements" / "sanity.pylint.txt"
    text = re.sub(r"(?m)^(\S+) @ https://.*", r"\1", requirements.read_text())
    # The file may be a hard link to the one in uv's cache.
    requirements.unlink()
    requirements.write_text(text)


def run_core(name: str, pythons: dict[str, Path]) -> Iterator[Row]:
    """Run all tests of one ansible-core."""
    controller = next((version for version in CORES[name] if version in pythons), None)
    if controller is None:
        yield Row(name, "all", "", f"FAILED: no Python {', '.join(CORES[name])}")
        return
    core = Core(WORK / name / "venv" / "bin" / "python", WORK / name)
    # Before its first release there are only those that have to be asked for.
    for requirement in (f"ansible-core~={name}.0", f"ansible-core~={name}.0a0"):
        if not (complaint := environment.make(WORK / name / "venv", pythons[controller], requirement)):
            break
    else:
        print(complaint, flush=True)
        yield Row(name, "all", controller, "FAILED: cannot be installed")
        return
    take_releases(core)
    version = core.ask("from ansible.release import __version__; print(__version__)")
    yield run(core, version, core.install_collection(), "sanity", "all")

    collection = core.install_collection("tests/unit", "examples")
    constants = "from ansible_test._util.target.common.constants import *"
    supported = core.ask(f"{constants}; print(*REMOTE_ONLY_PYTHON_VERSIONS, *CONTROLLER_PYTHON_VERSIONS)")
    for python in supported.split():
        if tuple(map(int, python.split("."))) < OLDEST_PYTHON:
            continue
        if python in pythons:
            yield run(core, version, collection, "units", python, "--venv", "--python", python)
        else:
            yield Row(version, "units", python, "not here")


def main() -> int:
    """Run what the command line names, print the table, return 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cores", nargs="*", metavar="core", help=f"some of {', '.join(CORES)} (default: all)")
    names = parser.parse_args().cores or list(CORES)
    if unknown := sorted(set(names) - set(CORES)):
        parser.error(f"no such core: {', '.join(unknown)}")
    pythons = interpreters()
    rows = []
    for name in names:
        for row in run_core(name, pythons):
            print(row, flush=True)
            rows.append(row)
    print(f"\n{'core':<12}{'tests':<8}{'python':<8}{'result':<12}{'seconds':>8}", *rows, sep="\n")
    return 1 if any(row.outcome.startswith("FAILED") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
