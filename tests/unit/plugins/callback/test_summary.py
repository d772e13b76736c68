# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback summary names the hosts of batches that a play did not begin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.keepalive.hardening.plugins.callback.summary import CallbackModule


class Display:
    """Keeps what is printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, line: str) -> None:
        self.lines.append(line)

    banner = display


@pytest.fixture
def summary() -> Any:
    callback = CallbackModule()
    callback._display = Display()
    return callback


def begin(summary: Any, batch: str, serial: tuple[int, ...] = (1,), all_hosts: str = "a b c") -> None:
    """A play on all these hosts begins with a batch."""
    names = {"ansible_play_hosts_all": all_hosts.split(), "ansible_play_batch": batch.split()}
    manager = SimpleNamespace(get_vars=lambda play: names)
    play = SimpleNamespace(serial=list(serial), _uuid=all_hosts, get_variable_manager=lambda: manager)
    summary.v2_playbook_on_play_start(play)


def end(summary: Any, **stats: dict[str, int]) -> list[str]:
    summary.v2_playbook_on_stats(SimpleNamespace(**{"failures": {}, "dark": {}, **stats}))
    lines: list[str] = summary._display.lines
    return lines[1:]


def test_hosts_of_batches_that_never_began_were_not_done(summary: Any) -> None:
    begin(summary, "a")
    assert end(summary) == ["not done, the run stopped before: b,c"]


def test_all_batches_leave_nothing_to_say(summary: Any) -> None:
    for batch in "abc":
        begin(summary, batch)
    assert end(summary) == []


def test_a_host_that_an_earlier_play_lost_is_not_waiting(summary: Any) -> None:
    begin(summary, "a")
    assert end(summary, dark={"b": 1}) == ["not done, the run stopped before: c"]


def test_a_host_of_two_plays_is_named_once(summary: Any) -> None:
    begin(summary, "a")
    begin(summary, "a", all_hosts="a c")
    assert end(summary) == ["not done, the run stopped before: b,c"]


# An implicit localhost is in no batch of its play.
def test_a_play_without_serial_has_no_batches(summary: Any) -> None:
    begin(summary, "", serial=(), all_hosts="localhost")
    assert end(summary) == []
