# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that we keep in ssh-style files: written, read back, changed, removed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils import _managed
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import SSH, SSHD, Setting, Value
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_entries import (
    Entries,
    Key,
    at,
    read_entries,
    ssh_body,
    sshd_body,
    with_values,
    without_values,
)

INTERVAL, COUNT, KEEPALIVE, CHANNELS, _UNUSED = SSHD
SERVER_INTERVAL, SERVER_COUNT, SERVER_KEEPALIVE, CONNECT = SSH

Body = Callable[[Entries], list[str]]
#: One task's position, scope and values.
Request = tuple[str, str, dict[Setting, Value]]
#: The settings of a layer, how it writes them, and the tasks that run.
Case = tuple[tuple[Setting, ...], Body, list[Request]]

VALUES: dict[str, strategies.SearchStrategy[Value]] = {
    "time": strategies.integers(0, 9999),
    "none_or_time": strategies.integers(0, 9999),
    "number": strategies.integers(0, 99),
    "flag": strategies.booleans(),
    "channel_timeouts": strategies.dictionaries(
        strategies.sampled_from(["*", "session:*"]), strategies.integers(0, 99)
    ),
}


@strategies.composite
def requests(
    draw: strategies.DrawFn, settings: tuple[Setting, ...], scopes: list[str], positions: list[str]
) -> Request:
    chosen = draw(strategies.lists(strategies.sampled_from(settings), unique=True, min_size=1))
    wanted = {setting: draw(VALUES[setting.kind]) for setting in chosen}
    return draw(strategies.sampled_from(positions)), draw(strategies.sampled_from(scopes)), wanted


SSHD_SCOPES = ["", "User backup", "Group sftp,wheel Address 10.0.0.0/8", 'User "a b"']
SSH_SCOPES = ["", "bastion*", "*.example.org !db*", "* !bastion"]
SSHD_REQUESTS = strategies.lists(requests(SSHD, SSHD_SCOPES, ["first"]), max_size=5)
SSH_REQUESTS = strategies.lists(requests(SSH, SSH_SCOPES, ["first", "last"]), max_size=5)
CASES = strategies.tuples(strategies.just(SSHD), strategies.just(sshd_body), SSHD_REQUESTS) | strategies.tuples(
    strategies.just(SSH), strategies.just(ssh_body), SSH_REQUESTS
)


def after(tasks: list[Request]) -> Entries:
    entries: Entries = {}
    for position, scope, wanted in tasks:
        entries = with_values(entries, position, scope, wanted)
    return entries


def blocks(entries: Entries, body: Body) -> list[str]:
    """A text with one block for each position."""
    return ["\n".join(_managed.block(position, body(at(entries, position)))) for position in ("first", "last")]


def scopes_in_order(entries: Entries) -> list[str]:
    return list(dict.fromkeys(key.scope for key in entries if key.scope))


@given(CASES)
def test_what_is_written_is_read_back(case: Case) -> None:
    settings, body, tasks = case
    entries = after(tasks)
    texts = blocks(entries, body)
    again = read_entries(texts, settings)
    assert again == entries
    assert blocks(again, body) == texts


@given(CASES)
def test_a_second_run_changes_nothing(case: Case) -> None:
    settings, body, tasks = case
    entries = after(tasks)
    texts = blocks(entries, body)
    if tasks:
        assert blocks(with_values(read_entries(texts, settings), *tasks[-1]), body) == texts


def test_sshd_reads_the_values_for_everybody_before_any_match_block() -> None:
    entries = after(
        [
            ("first", "User backup", {COUNT: 1, INTERVAL: 5}),
            ("first", "", {CHANNELS: {"session:*": 60, "x11-*": 5}, KEEPALIVE: True}),
            ("first", "Group sftp", {INTERVAL: 7}),
        ]
    )
    assert sshd_body(entries) == [
        "TCPKeepAlive yes",
        "ChannelTimeout session:*=60 x11-*=5",
        "Match User backup",
        "    ClientAliveInterval 5",
        "    ClientAliveCountMax 1",
        "Match Group sftp",
        "    ClientAliveInterval 7",
    ]


def test_ssh_reads_the_values_for_every_host_last() -> None:
    entries = after(
        [("first", "", {SERVER_INTERVAL: 15}), ("first", "bastion*", {SERVER_COUNT: 1, SERVER_INTERVAL: 5})]
    )
    assert ssh_body(entries) == [
        "Host bastion*",
        "    ServerAliveInterval 5",
        "    ServerAliveCountMax 1",
        "Host *",
        "    ServerAliveInterval 15",
    ]


def test_a_block_for_some_hosts_ends_with_the_scope_of_every_host() -> None:
    assert ssh_body(after([("first", "bastion*", {CONNECT: 5})]))[-1] == "Host *"


@given(SSHD_REQUESTS)
def test_a_task_that_runs_again_keeps_the_order_of_scopes(tasks: list[Request]) -> None:
    entries = after(tasks)
    for task in tasks:
        assert scopes_in_order(with_values(entries, *task)) == scopes_in_order(entries)


def test_a_new_value_replaces_the_old_one_and_no_other() -> None:
    entries = after([("first", "", {INTERVAL: 15, COUNT: 3}), ("first", "User a", {INTERVAL: 5})])
    assert with_values(entries, "first", "", {INTERVAL: 30}) == {
        Key("first", "", INTERVAL): "30",
        Key("first", "", COUNT): "3",
        Key("first", "User a", INTERVAL): "5",
    }


def test_a_value_stands_at_one_position_only() -> None:
    entries = after([("first", "", {SERVER_INTERVAL: 15, SERVER_COUNT: 3}), ("last", "", {SERVER_INTERVAL: 30})])
    assert entries == {Key("first", "", SERVER_COUNT): "3", Key("last", "", SERVER_INTERVAL): "30"}
    assert at(entries, "last") == {Key("last", "", SERVER_INTERVAL): "30"}


def test_the_entries_given_stay_as_they_are() -> None:
    entries = after([("first", "", {INTERVAL: 15})])
    with_values(entries, "first", "", {INTERVAL: 30})
    without_values(entries, "", [])
    assert entries == {Key("first", "", INTERVAL): "15"}


@pytest.mark.parametrize(
    ("scope", "settings", "left"),
    [
        ("", [INTERVAL], [("", COUNT), ("User a", INTERVAL), ("User b", COUNT)]),
        ("User a", [INTERVAL], [("", INTERVAL), ("", COUNT), ("User b", COUNT)]),
        ("User a", [COUNT], [("", INTERVAL), ("", COUNT), ("User a", INTERVAL), ("User b", COUNT)]),
        ("User a", [], [("", INTERVAL), ("", COUNT), ("User b", COUNT)]),
        ("User c", [], [("", INTERVAL), ("", COUNT), ("User a", INTERVAL), ("User b", COUNT)]),
        ("", [], []),
    ],
)
def test_absent_takes_what_it_names_and_without_a_name_everything(
    scope: str, settings: list[Setting], left: list[tuple[str, Setting]]
) -> None:
    entries = after(
        [("first", "", {INTERVAL: 15, COUNT: 3}), ("first", "User a", {INTERVAL: 5}), ("first", "User b", {COUNT: 1})]
    )
    assert [(key.scope, key.setting) for key in without_values(entries, scope, settings)] == left


@pytest.mark.parametrize(
    ("position", "kept"), [("first", "first"), ("drop-in", "first"), ("match", "first"), ("last", "last")]
)
def test_only_last_is_a_position_of_its_own(position: str, kept: str) -> None:
    text = _managed.own_file(position, ["ClientAliveInterval 15"])
    assert read_entries([text], SSHD) == {Key(kept, "", INTERVAL): "15"}


def test_lines_outside_our_blocks_are_no_entries() -> None:
    text = _managed.insert_before(
        "ClientAliveInterval 1\nMatch User a\nTCPKeepAlive no\n", 2, _managed.block("match", [])
    )
    assert read_entries([text], SSHD) == {}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_entries_are_read_in_every_line_ending_and_by_every_name(ending: str) -> None:
    lines = _managed.block("first", ["KeepAlive no", "Match User a", "\tclientaliveinterval=5", "", "# note"])
    assert read_entries([ending.join(lines)], SSHD) == {
        Key("first", "", KEEPALIVE): "no",
        Key("first", "User a", INTERVAL): "5",
    }
