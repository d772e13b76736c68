# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Build the documentation as a site, in .cache/docs/html. Warnings are errors.

    uv run docs/site/build.py

The guides are docs/*.md; the pages of modules, roles and filters are made from what their code says of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parent
DOCS = SITE.parent
ROOT = DOCS.parent
BIN = Path(sys.executable).parent
WORK = ROOT / ".cache" / "docs"


def gather(source: Path) -> None:
    """Bring all that Sphinx reads into one folder: copies of the guides, and what antsibull-docs writes."""
    source.mkdir(parents=True)
    for file in [*DOCS.glob("*.md"), *DOCS.glob("*.svg"), SITE / "index.md"]:
        shutil.copy(file, source)
    # antsibull-docs refuses a folder that others may write to, whatever the umask is.
    (reference := source / "reference").mkdir(mode=0o755)
    collection = ["collection", "--use-current", "--squash-hierarchy", "--fail-on-error", "keepalive.hardening"]
    run("antsibull-docs", "--config-file", f"{SITE}/antsibull-docs.cfg", *collection, "--dest-dir", str(reference))


def run(tool: str, *arguments: str) -> None:
    """Run a tool of this environment, which may run others of it. Raises CalledProcessError."""
    environment = os.environ | {"PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])}
    subprocess.run([f"{BIN}/{tool}", *arguments], cwd=ROOT, env=environment, check=True)


def main() -> int:
    """Build the site, return 1 if that fails."""
    # Sphinx would not repeat the warnings of a page that it has built before.
    shutil.rmtree(WORK, ignore_errors=True)
    try:
        gather(WORK / "source")
        strict = ["--fail-on-warning", "--keep-going", "--nitpicky"]
        folders = ["--conf-dir", SITE, "--doctree-dir", WORK / "doctrees", WORK / "source", WORK / "html"]
        run("sphinx-build", "--quiet", *strict, *map(str, folders))
    except subprocess.CalledProcessError as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"{(WORK / 'html' / 'index.html').relative_to(ROOT)}: {len(list(WORK.glob('html/**/*.html')))} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
