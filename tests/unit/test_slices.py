# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/slices.py: hosts are dealt, and what happened to them is joined."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

_PATH = Path(__file__).resolve().parents[2] / "examples" / "slices.py"
_SPEC = importlib.util.spec_from_file_location("slices", _PATH)
assert _SPEC
assert _SPEC.loader
slices: Any = importlib.util.module_from_spec(_SPEC)
# A dataclass looks its module up.
sys.modules["slices"] = slices
_SPEC.loader.exec_module(slices)

RESULT = {"changed": True, "before": {"sshd": {}}, "effective": {"sshd": {}}}


def stats(**counts: dict[str, int]) -> tuple[str, dict[str, Any]]:
    empty: dict[str, dict[str, int]] = {"ok": {}, "changed": {}, "failures": {}, "dark": {}, "processed": {}}
    return "playbook_on_stats", {**empty, **counts}


@pytest.fixture
def outcomes() -> dict[str, Any]:
    return {name: slices.Outcome() for name in ("one", "two")}


@pytest.mark.parametrize("number", [1, 2, 3, 7, 20])
def test_every_host_is_dealt_once_and_no_slice_is_empty(number: int) -> None:
    hosts = [f"host-{index}" for index in range(7)]
    hands = slices.deal(hosts, number)
    assert sorted(host for hand in hands for host in hand) == hosts
    assert all(hands)
    assert len(hands) == min(number, len(hosts))


def test_a_host_that_nothing_is_said_of_was_not_done(outcomes: dict[str, Any]) -> None:
    slices.join([stats(ok={"one": 3}, processed={"one": 1})], outcomes)
    assert (outcomes["one"].ok, outcomes["one"].reason) == (3, "")
    assert outcomes["two"].reason == "not done"


def test_a_run_that_has_no_end_was_cut_off(outcomes: dict[str, Any]) -> None:
    slices.join([("runner_on_ok", {"host": "one", "res": RESULT})], outcomes)
    assert outcomes["one"].reason == "begun and cut off"
    assert outcomes["one"].keepalive == [RESULT]


def test_a_failure_is_told_with_its_message(outcomes: dict[str, Any]) -> None:
    failed = ("runner_on_failed", {"host": "one", "res": {"msg": "line 3: no"}})
    slices.join([failed, stats(failures={"one": 1}, processed={"one": 1})], outcomes)
    assert (outcomes["one"].failed, outcomes["one"].reason) == (1, "line 3: no")


def test_a_failure_that_was_rescued_is_none(outcomes: dict[str, Any]) -> None:
    failed = ("runner_on_failed", {"host": "one", "res": {"msg": "no"}})
    slices.join([failed, stats(ok={"one": 2}, processed={"one": 1})], outcomes)
    assert outcomes["one"].reason == ""


def test_each_result_of_a_loop_is_kept(outcomes: dict[str, Any]) -> None:
    slices.join([("runner_on_ok", {"host": "two", "res": {"results": [RESULT, RESULT, {"skipped": True}]}})], outcomes)
    assert outcomes["two"].keepalive == [RESULT, RESULT]


def test_the_table_has_a_line_for_each_host(outcomes: dict[str, Any]) -> None:
    outcomes["one"] = slices.Outcome(ok=12, changed=1, reason="")
    assert list(slices.table(outcomes)) == [
        "host  ok  changed  failed  unreachable",
        "one   12        1       0            0",
        "two    0        0       0            0  not done",
    ]
