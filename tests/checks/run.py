# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Run the project's checks, all or the named parts.

    uv run tests/checks/run.py [lint] [docs] [sanity] [package] [unit] [hosts] [molecule]

One part alone shows its output while it runs. Several run in two lanes, and each shows when it ends
what its failed commands printed, and the last line of the others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PARTS = {
    "lint": [
        "ruff format --check",
        "ruff check",
        "mypy",
        "mypy --python-version 3.12 tests docs/site/build.py",
        "ansible-lint",
        "yamllint --strict .",
        "antsibull-changelog lint",
        "antsibull-changelog lint-changelog-yaml changelogs/changelog.yaml",
        "antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all"
        " --disallow-unknown-collection-refs .",
        "reuse lint --lines",
    ],
    "docs": ["python docs/site/build.py"],
    "sanity": ["python tests/checks/sanity.py"],
    "package": ["python tests/checks/package.py"],
    "unit": ["pytest tests/unit"],
    "hosts": ["python tests/hosts/run.py"],
    # Without -v the workers keep the output of failed tests to themselves.
    "molecule": ["molecule reset", "molecule -v test --all --workers 2 --continue-on-failure"],
}
# These share the lab, so they run one after the other.
ON_THE_LAB = ("hosts", "molecule")

ENVIRONMENT = {
    "NO_COLOR": "1",
    # Molecule's state, by default in a folder that every checkout of this name would share.
    "MOLECULE_EPHEMERAL_DIRECTORY": str(ROOT / ".cache" / "molecule"),
    "MOLECULE_GLOB": "molecule/*/molecule.yml",
    "HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".cache" / "hypothesis"),
}


@dataclass(frozen=True)
class Result:
    """How one part ended."""

    part: str
    failed: list[str]
    seconds: float

    def __str__(self) -> str:
        outcome = "FAILED" if self.failed else "passed"
        return f"{self.part:<10}{outcome:<8}{self.seconds:>8.1f}   {', '.join(self.failed)}".rstrip()


async def run_command(command: str, shown: bool) -> tuple[int, str]:
    """Run a command to its end; return its exit code and its output, unless that was shown while it ran."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command),
        cwd=ROOT,
        env=os.environ | ENVIRONMENT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=None if shown else asyncio.subprocess.PIPE,
        stderr=None if shown else asyncio.subprocess.STDOUT,
        # A group of its own, to end it with all that it has started.
        process_group=0,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        os.killpg(process.pid, signal.SIGTERM)
        await process.communicate()
        raise
    return process.returncode or 0, (output or b"").decode(errors="replace")


async def run_part(part: str, shown: bool) -> Result:
    """Run all commands of a part, also those after a failed one, and show what they printed."""
    started = time.monotonic()
    print(f"{part}: started", flush=True)
    failed, report = [], ""
    for command in PARTS[part]:
        if shown:
            print(f"$ {command}", flush=True)
        code, output = await run_command(command, shown)
        lines = output.rstrip().splitlines()
        report += "\n".join([f"$ {command}", *(lines if code else lines[-1:]), ""])
        if code:
            failed.append(command)
    result = Result(part, failed, time.monotonic() - started)
    if not shown:
        print(f"\n===== {result} =====\n{report}", flush=True)
    return result


async def run_all(parts: list[str]) -> list[Result]:
    """Run the parts in two lanes, one of them with the parts on the lab."""

    async def lane(members: list[str]) -> list[Result]:
        return [await run_part(part, shown=len(parts) == 1) for part in members]

    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    on_the_lab = [part for part in parts if part in ON_THE_LAB]
    others = [part for part in parts if part not in ON_THE_LAB]
    async with asyncio.TaskGroup() as group:
        lanes = [group.create_task(lane(members)) for members in (others, on_the_lab)]
    return [result for task in lanes for result in task.result()]


def main() -> int:
    """Run what the command line names, print the table, return 1 if a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"one of {', '.join(PARTS)} (default: all)")
    parts = list(dict.fromkeys(parser.parse_args().parts)) or list(PARTS)
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"no such part: {', '.join(unknown)}")

    started = time.monotonic()
    try:
        results = asyncio.run(run_all(parts))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted", file=sys.stderr)
        return 130
    print(f"\n{'part':<10}{'result':<8}{'seconds':>8}", *results, sep="\n")
    print(f"{'total':<18}{time.monotonic() - started:>8.1f}\n")
    failed = sum(bool(result.failed) for result in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
