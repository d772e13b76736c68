# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever sysctl.d holds: our values win or the winner is named, and absent gives every byte back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import SYSCTL
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import Overlay
from ansible_collections.keepalive.hardening.plugins.module_utils._sysctl_placement import (
    competing_lines,
    readings,
    require_winner,
    sysctl_candidate,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._sysctl_text import normalize, winner
from ansible_collections.keepalive.hardening.tests.unit.support import MemoryFiles

OURS = "/etc/sysctl.d/zz-keepalive.conf"
OTHER = "/etc/sysctl.d/50-other.conf"
LATER = "/etc/sysctl.conf"
ORDERS = {"the next boot": [OTHER, OURS], "sysctl --system": [OTHER, OURS, LATER]}
TIME = SYSCTL[0]

LINES = [
    "net.ipv4.tcp_keepalive_time = 600",
    "net/ipv4/tcp_keepalive_time=600",
    "-net.ipv4.tcp_keepalive_intvl = 10",
    "-net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_keepalive_* = 7",
    "; a comment",
    "",
    "vm.swappiness = 10",
]
TEXT = strategies.builds(
    lambda lines, tail: "".join(f"{line}\n" for line in lines) + tail,
    strategies.lists(strategies.sampled_from(LINES), max_size=5),
    strategies.sampled_from(["", "net.ipv4.tcp_keepalive_time = 600", "# end"]),
)
FILES = strategies.fixed_dictionaries({}, optional={OTHER: TEXT, OURS: TEXT, LATER: TEXT})
TASK = strategies.fixed_dictionaries(
    {
        "wanted": strategies.dictionaries(strategies.sampled_from(SYSCTL[:3]), strategies.just(60), min_size=1),
        "exclusive": strategies.booleans(),
    }
)


def written(files: dict[str, str], overlay: Overlay) -> dict[str, str]:
    return {path: text for path, text in {**files, **overlay.texts}.items() if text is not None}


@given(FILES, strategies.lists(TASK, min_size=1, max_size=3))
def test_absent_gives_every_byte_back(files: dict[str, str], tasks: list[dict[str, Any]]) -> None:
    now = files
    for task in tasks:
        now = written(now, sysctl_candidate(MemoryFiles(now), ORDERS, OURS, absent=False, **task))
    assert written(now, sysctl_candidate(MemoryFiles(now), ORDERS, OURS, {}, True, False)) == files


@given(FILES, TASK)
def test_a_second_run_changes_nothing_and_the_value_wins_or_the_winner_is_named(
    files: dict[str, str], task: dict[str, Any]
) -> None:
    candidate = sysctl_candidate(MemoryFiles(files), ORDERS, OURS, absent=False, **task)
    now = written(files, candidate)
    assert written(now, sysctl_candidate(MemoryFiles(now), ORDERS, OURS, absent=False, **task)) == now
    for setting, value in task["wanted"].items():
        winners = [winner(read, normalize(setting.directive)) for read in readings(candidate, ORDERS).values()]
        if all(line and line.value == str(value) for line in winners):
            require_winner(setting, value, candidate, MemoryFiles(files), ORDERS, OURS)
        else:
            assert not task["exclusive"]
            with pytest.raises(HardeningError, match=f"{LATER}, line"):
                require_winner(setting, value, candidate, MemoryFiles(files), ORDERS, OURS)


@pytest.mark.parametrize(
    ("line", "states"),
    [
        ("net.ipv4.tcp_keepalive_time = 600", "net.ipv4.tcp_keepalive_time = 600"),
        ("-net.ipv4.tcp_keepalive_time", "-net.ipv4.tcp_keepalive_time"),
    ],
)
def test_the_line_that_wins_is_named_as_it_stands_on_disk(line: str, states: str) -> None:
    disk = MemoryFiles({LATER: f"# Debian\n{line}\n"})
    candidate = sysctl_candidate(disk, ORDERS, OURS, {TIME: 120}, absent=False, exclusive=False)
    with pytest.raises(HardeningError, match=f"after sysctl --system: {LATER}, line 2 wins: {states}"):
        require_winner(TIME, 120, candidate, disk, ORDERS, OURS)
    assert [(entry["path"], entry["line"], entry["wins"]) for entry in competing_lines([TIME], candidate, ORDERS)] == [
        (LATER, 2, not line.startswith("-"))
    ]


def test_a_path_that_nobody_reads_is_an_error() -> None:
    elsewhere = "/etc/sysctl.d/zz-keepalive"
    candidate = sysctl_candidate(MemoryFiles({}), ORDERS, elsewhere, {TIME: 120}, absent=False, exclusive=False)
    with pytest.raises(HardeningError, match=f"the next boot does not read {elsewhere}"):
        require_winner(TIME, 120, candidate, MemoryFiles({}), ORDERS, elsewhere)
