# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/slices.py on several hosts: all are worked on, by several processes, and the results are joined."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.molecule.fleet.tests.fleet import (
    CHECKOUT,
    GONE,
    HARDENED,
    HOSTS,
    SSH_CONFIG,
    UNTOUCHED,
    broken,
    intervals,
    inventory,
)

testinfra_hosts = ["ansible://localhost"]


def slices(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "examples/slices.py", "--inventory", str(where), "--slices=2", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("untouched")
def test_all_hosts_are_hardened_and_their_results_joined(tmp_path: Path) -> None:
    answers = tmp_path / "answers.json"
    run = slices(inventory(tmp_path, *HOSTS), f"--json={answers}", "harden.yml")
    assert run.returncode == 0, run.stdout + run.stderr
    assert intervals(*HOSTS) == [HARDENED] * len(HOSTS)
    _heading, *rows = (line.split() for line in run.stdout.splitlines())
    assert [(host, *counts) for host, _ok, *counts in rows] == [(host, "1", "0", "0") for host in HOSTS]
    joined = json.loads(answers.read_text(encoding="utf-8"))
    assert list(joined) == HOSTS
    for answer in joined.values():
        (result,) = answer["keepalive"]
        assert result["before"]["sshd"]["client_alive_interval"] == UNTOUCHED
        assert result["effective"]["sshd"]["client_alive_interval"] == HARDENED


@pytest.mark.usefixtures("untouched")
def test_hosts_that_fail_or_are_not_reached_fail_the_run_and_no_other_host(tmp_path: Path) -> None:
    with broken("fleet-broken"):
        run = slices(inventory(tmp_path, *HOSTS, GONE), "harden.yml")
    assert run.returncode == 1
    rows = {row.split()[0]: row for row in run.stdout.splitlines()}
    assert "99-broken.conf" in rows["fleet-broken"]
    assert "Connection refused" in rows["fleet-gone"]
    assert intervals("fleet-first", "fleet-pull", "fleet-last") == [HARDENED] * 3


def test_a_host_whose_key_is_unknown_is_not_talked_to(tmp_path: Path) -> None:
    # The lab's ssh_config insists on a known key; ansible-runner by itself tells Ansible to tell ssh not to.
    ssh = f"-F {SSH_CONFIG} -o ControlPath=none -o UserKnownHostsFile=/dev/null"
    run = slices(inventory(tmp_path, "fleet-first", ssh=ssh), "harden.yml", "--", "--check")
    assert run.returncode == 1
    assert "host key is known for" in run.stdout
