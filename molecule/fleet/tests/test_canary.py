# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run in batches stops where it should, says what it has not done, and has not touched it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.molecule.fleet.tests.fleet import (
    GONE,
    HARDENED,
    UNTOUCHED,
    broken,
    intervals,
    inventory,
    no_new_logins,
    play,
)

testinfra_hosts = ["ansible://localhost"]
pytestmark = pytest.mark.usefixtures("untouched")

ORDER = ("fleet-first", "fleet-broken", GONE, "fleet-pull", "fleet-last")
BATCHES = [1, 3, "100%"]
# One of three fails, and another one is not reached.
TOO_FEW, ENOUGH = 66, 67


def not_done(output: str) -> list[str]:
    """The line in which the run says it, if it does."""
    return [line for line in output.splitlines() if line.startswith("not done")]


def test_the_run_stops_behind_the_batch_in_which_too_many_fail_or_are_not_reached(tmp_path: Path) -> None:
    where = inventory(tmp_path, *ORDER)
    with broken("fleet-broken"):
        run = play("harden.yml", where, harden_serial=BATCHES, harden_max_fail_percentage=TOO_FEW)
    assert run.returncode != 0
    assert "2 of the 3 hosts in this batch failed or were not reached: fleet-broken, fleet-gone." in run.stdout
    assert not_done(run.stdout) == ["not done, the run stopped before: fleet-last"]
    assert intervals("fleet-first", "fleet-pull") == [HARDENED, HARDENED]
    assert intervals("fleet-broken", "fleet-last") == [UNTOUCHED, UNTOUCHED]


def test_it_goes_on_where_as_many_may(tmp_path: Path) -> None:
    where = inventory(tmp_path, *ORDER)
    with broken("fleet-broken"):
        run = play("harden.yml", where, harden_serial=BATCHES, harden_max_fail_percentage=ENOUGH)
    assert run.returncode != 0
    assert not_done(run.stdout) == []
    assert intervals("fleet-first", "fleet-pull", "fleet-last") == [HARDENED] * 3


def test_a_batch_without_any_host_left_is_the_last(tmp_path: Path) -> None:
    run = play("harden.yml", inventory(tmp_path, GONE, "fleet-first", "fleet-last"), harden_serial=[1, "100%"])
    assert run.returncode != 0
    assert not_done(run.stdout) == ["not done, the run stopped before: fleet-first,fleet-last"]
    assert intervals("fleet-first", "fleet-last") == [UNTOUCHED, UNTOUCHED]


@pytest.mark.parametrize("limit", [[], ["--limit", "all"]])
@pytest.mark.parametrize("wanted", [{"harden_serial": 1}, {"harden_max_fail_percentage": 0}])
def test_batches_that_the_inventory_asks_for_are_an_error_and_nothing_is_done(
    tmp_path: Path, limit: list[str], wanted: dict[str, int]
) -> None:
    run = play("harden.yml", inventory(tmp_path, "fleet-first", "fleet-last", **wanted), *limit)
    assert run.returncode != 0
    assert "give them with -e, not in the inventory" in run.stdout
    assert intervals("fleet-first", "fleet-last") == [UNTOUCHED, UNTOUCHED]


def test_a_limit_and_another_strategy_leave_the_batches_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    where = inventory(tmp_path, GONE, "fleet-first", "fleet-last")
    run = play("harden.yml", where, "--limit", "all", harden_serial=1, harden_max_fail_percentage=0)
    assert not_done(run.stdout) == ["not done, the run stopped before: fleet-first,fleet-last"]
    assert intervals("fleet-first", "fleet-last") == [UNTOUCHED, UNTOUCHED]


def test_a_host_that_can_no_longer_be_logged_in_to_is_the_last(tmp_path: Path) -> None:
    # It is hardened over the connection that Ansible has kept open since it was last here.
    with no_new_logins("fleet-first"):
        run = play("harden.yml", inventory(tmp_path, "fleet-first", "fleet-last"), harden_serial=1)
    assert "fleet-first                : ok=" in run.stdout
    assert "changed=1" in run.stdout
    assert "timed out waiting for ping module test" in run.stdout
    assert not_done(run.stdout) == ["not done, the run stopped before: fleet-last"]
    assert intervals("fleet-last") == [UNTOUCHED]
