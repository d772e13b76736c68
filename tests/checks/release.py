# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Make a release: version, changelog, tarball, its tests, and only then commit and tag.

    make release VERSION=1.2.3

The tarball is imported as Galaxy does it, installed into a clean path, and the lab is hardened with it. If anything
fails or is interrupted, nothing is committed and the files that were written are as before. Nothing is pushed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.checks import package  # found from the root of the checkout only
from tests.checks.core import ROOT
from tests.checks.run import ENVIRONMENT

TARBALL = re.compile(r"(keepalive-hardening-)\d+\.\d+\.\d+(\.tar\.gz)")


class Refused(Exception):
    """The reason why there can be no release."""


def run(*command: str | Path, **variables: str) -> None:
    """Run a command whose output is shown; it has to succeed."""
    print("$", *command, flush=True)
    subprocess.run(command, cwd=ROOT, env=os.environ | variables, stdin=subprocess.DEVNULL, check=True)


def git(*arguments: str) -> str:
    """What git says about the checkout."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.rstrip()


def number(version: str) -> tuple[int, ...]:
    """The parts of a version, to compare."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        raise Refused(f"'{version}' is no version: say VERSION=x.y.z")
    return tuple(map(int, version.split(".")))


def check(version: str) -> None:
    """Refuse what is no release, before anything is written."""
    new = number(version)
    if changes := git("status", "--porcelain"):
        raise Refused(f"commit or put aside first:\n{changes}")
    released = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text())["releases"]
    if released and new <= max(map(number, released)):
        raise Refused(f"{version} does not come after {max(released, key=number)}, the last release")
    if git("branch", "--show-current") != "main":
        raise Refused("releases are made from the branch main")
    if git("tag", "--list", version):
        raise Refused(f"there is a tag {version} already")
    fragments = [yaml.safe_load(path.read_text()) for path in (ROOT / "changelogs/fragments").glob("*.y*ml")]
    if not any("release_summary" in fragment for fragment in fragments):
        raise Refused("no file in changelogs/fragments has a release_summary")
    run("antsibull-changelog", "lint")


def naming_the_tarball() -> list[str]:
    """The files that tell users the tarball's name."""
    names = git("ls-files", "*.md", "*.yml").splitlines()
    return [name for name in names if TARBALL.search((ROOT / name).read_text())]


def write(version: str, naming: list[str]) -> None:
    """Write the version wherever it occurs, and the changelog."""
    galaxy = ROOT / "galaxy.yml"
    galaxy.write_text(re.sub(r"(?m)^version: .*$", f"version: {version}", galaxy.read_text()))
    for file in map(ROOT.joinpath, naming):
        file.write_text(TARBALL.sub(rf"\g<1>{version}\g<2>", file.read_text()))
    run("antsibull-changelog", "release", "--version", version, "--reload-plugins")


def test(tarball: Path) -> None:
    """Import the tarball, and harden the lab with what is installed from it."""
    print(f"importing {tarball.name}", flush=True)
    if complaints := package.complaints(tarball):
        raise Refused("\n".join(complaints))
    run("molecule", "reset", **ENVIRONMENT)
    run("molecule", "-v", "test", "--scenario-name", "installed", **ENVIRONMENT, KEEPALIVE_TARBALL=str(tarball))


def state() -> tuple[str, ...]:
    """All that is in the checkout."""
    return git("rev-parse", "HEAD"), git("diff", "HEAD"), git("status", "--porcelain")


def release(version: str) -> Path:
    """Make the release, or leave everything as it was."""
    check(version)
    head, committed = git("rev-parse", "HEAD"), False
    written = None
    naming = naming_the_tarball()
    files = ["galaxy.yml", "CHANGELOG.rst", "changelogs", *naming]
    try:
        write(version, naming)
        tarball = package.build(ROOT / ".cache" / "release")
        written = state()
        test(tarball)
        if state() != written:
            raise Refused("somebody changed the checkout while the tarball was tested")
        git("add", "--all", "--", *files)
        git("commit", "--message", f"Release {version}", "--", *files)
        committed = True
        git("tag", "--annotate", "--message", f"keepalive.hardening {version}", version)
    except BaseException:
        if not committed and written not in (None, state()):
            print("what was written is left as it is, since somebody else has changed files too", file=sys.stderr)
            raise
        if committed:
            git("reset", "--quiet", "--soft", head)
        git("restore", "--source", head, "--staged", "--worktree", "--", *files)
        raise
    return tarball


def main() -> int:
    """Release the version that the command line names, and say what is left to do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version")
    version = parser.parse_args().version
    # Whoever ends this some other way than with Ctrl-C gets the files back too.
    for ended in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ended, signal.default_int_handler)
    try:
        tarball = release(version)
    except KeyboardInterrupt:
        print("no release: interrupted", file=sys.stderr)
        return 130
    except (Refused, subprocess.CalledProcessError) as problem:
        print(f"no release: {problem}", file=sys.stderr)
        return 1
    print(f"\n{version} is committed and tagged here. To publish it:\n")
    print("  git push origin HEAD")
    print(f"  git push origin {version}")
    print(f"  ansible-galaxy collection publish {tarball.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
