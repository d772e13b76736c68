# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that hardens itself from git, at the version that it was told."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ansible_collections.keepalive.hardening.molecule.fleet.tests.fleet import (
    CHECKOUT,
    HARDENED,
    UNTOUCHED,
    on,
    said,
    sshd,
)

testinfra_hosts = ["ansible://localhost"]

HOST, SERVER = "fleet-pull", "fleet-last"
RUN = "systemctl start keepalive-pull.service"
LOG = "journalctl --sync; journalctl --no-pager --output=cat --unit=keepalive-pull.service _SYSTEMD_INVOCATION_ID="
LOG += "$(systemctl show --value -p InvocationID keepalive-pull.service)"


def values() -> tuple[int, int]:
    effective = sshd(HOST)
    return int(effective["clientaliveinterval"]), int(effective["clientalivecountmax"])


def commit(version: str) -> str:
    command = ["git", "--git-dir", str(CHECKOUT / ".cache/fleet/repository"), "rev-parse", version]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def told(version: str) -> Iterator[None]:
    """The service names this version, and later the one of converge.yml again."""
    change = 'sed -i \'s/"{}"/"{}"/\' /etc/systemd/system/keepalive-pull.service && systemctl daemon-reload'
    said(HOST, change.format("v1", version))
    try:
        yield
    finally:
        said(HOST, change.format(version, "v1"))


@contextmanager
def no_repository() -> Iterator[None]:
    said(SERVER, "pkill git-daemon")
    try:
        yield
    finally:
        said(SERVER, "git daemon --detach --reuseaddr --export-all --base-path=/srv")


@pytest.mark.usefixtures("untouched")
def test_it_runs_the_pinned_version_with_its_arguments_and_says_which_commit() -> None:
    said(HOST, RUN)
    # The later version has another interval; the arguments another count.
    assert values() == (HARDENED, 7)
    log = said(HOST, LOG)
    assert f'"after": "{commit("v1")}"' in log
    assert "100% of $HOME" in log
    assert "localhost  sshd    client_alive_interval        0     30" in log


def test_the_timer_runs_it_at_a_random_time_and_makes_up_for_what_was_missed() -> None:
    said(HOST, "systemctl is-enabled keepalive-pull.timer && systemctl is-active keepalive-pull.timer")
    shown = said(HOST, "systemctl show keepalive-pull.timer -p RandomizedDelayUSec -p Persistent -p TimersCalendar")
    assert "RandomizedDelayUSec=1h\n" in shown
    assert "Persistent=yes\n" in shown
    assert "OnCalendar=*-*-* 00:00:00" in shown


def test_nothing_of_a_run_is_open_to_others_or_stays() -> None:
    folder = "/run/keepalive-pull"
    watched = f"{RUN} --no-block; for i in 1 2 3 4 5 6 7 8 9; do stat -c '%U %a' {folder} && break; sleep 0.1; done"
    assert said(HOST, watched).strip() == "root 700"
    # It waits for the run that is on.
    said(HOST, RUN)
    assert said(HOST, f"ls {folder} /tmp | grep -e keepalive -e ansible || true") == ""


def test_a_version_without_signature_changes_nothing() -> None:
    before = values()
    with told("v2"):
        assert on(HOST, RUN).returncode != 0
        assert "Failed to verify GPG signature" in said(HOST, LOG)
    assert values() == before


@pytest.mark.usefixtures("untouched")
def test_a_repository_that_is_gone_leaves_the_host_as_it_is_until_it_is_back() -> None:
    with no_repository():
        assert on(HOST, RUN).returncode != 0
        assert values()[0] == UNTOUCHED
    said(HOST, RUN)
    assert values()[0] == HARDENED
