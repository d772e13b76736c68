# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Run every sanity test of ansible-test on the collection as users install it.

    uv run tests/checks/sanity.py [ARGUMENT OF ansible-test sanity ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.checks.core import ROOT, Core  # found from the root of the checkout only


def main() -> int:
    """Run the tests, return the exit code of ansible-test."""
    core = Core(Path(sys.executable), ROOT / ".cache" / "sanity")
    return core.test(core.install_collection(), "sanity", *sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
