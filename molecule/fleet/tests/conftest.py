# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.molecule.fleet.tests.fleet import HOSTS, inventory, play


@pytest.fixture
def untouched(tmp_path: Path) -> None:
    """Nothing on the hosts is hardened."""
    done = play("harden.yml", inventory(tmp_path, *HOSTS), harden_state="absent")
    assert done.returncode == 0, done.stdout
