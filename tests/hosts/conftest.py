# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives every test the host as it was installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.tests.hosts import service
from ansible_collections.keepalive.hardening.tests.hosts.support import MANAGED, run, run_ok, snapshot

TEST_USERS = ("alice", "bob", "backup1")


@pytest.fixture(scope="session", autouse=True)
def users() -> Iterator[None]:
    """Users of this host besides its admin; one has no ~/.ssh."""
    for name in TEST_USERS:
        run("userdel", "--remove", name)
        run_ok("useradd", "--create-home", name)
    yield
    for name in TEST_USERS:
        run_ok("userdel", "--force", "--remove", name)


@pytest.fixture(scope="session")
def installed(users: None) -> Iterator[Path]:
    """A copy of everything that tests may change."""
    copy = Path("/var/tmp/keepalive-tests")
    # It need not be there.
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(mode=0o700)
    for root in MANAGED:
        if Path(root).exists():
            (copy / root[1:]).parent.mkdir(parents=True, exist_ok=True)
            run_ok("cp", "--archive", root, str(copy / root[1:]))
    yield copy
    shutil.rmtree(copy)
    service.reload()


@pytest.fixture(autouse=True)
def as_installed(installed: Path) -> Iterator[None]:
    """Put back, byte for byte, what a test has changed."""
    before = {root: snapshot(root) for root in MANAGED}
    yield
    for root in MANAGED:
        if snapshot(root) == before[root]:
            continue
        run_ok("rm", "-rf", root)
        if (installed / root[1:]).exists():
            run_ok("cp", "--archive", str(installed / root[1:]), root)
        assert snapshot(root) == before[root]
