# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Narrowing down thousands of lines to those that may decide changes no answer. `make bench` measures what it saves."""

from __future__ import annotations

from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._rivals import _Index
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_match import (
    Block,
    Connection,
    requirement,
    selects,
    traits,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_text import Line
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import Statement, ssh_winner, sshd_winner

NAMES = strategies.sampled_from(["alice", "Alice", "bob", "web", "a*", "?ob", "*", "!alice", "!bob", "!*", ""])
PATTERNS = strategies.lists(NAMES, min_size=1, max_size=3).map(",".join)
CRITERIA = strategies.sampled_from(["user", "User", "!user", "group", "host", "originalhost", "localuser", "exec"])
MATCHES = strategies.lists(strategies.tuples(CRITERIA, PATTERNS), max_size=2).map(
    lambda pairs: Block("match", tuple(word for pair in pairs for word in pair) or ("all",))
)
HOSTS = strategies.lists(NAMES, min_size=1, max_size=3).map(lambda names: Block("host", tuple(names)))
SCOPES = strategies.lists(MATCHES | HOSTS, max_size=2).map(tuple)
TEXTS = strategies.sampled_from(["alice", "Alice", "bob", "web", "else"])
CONNECTIONS = strategies.builds(
    Connection, user=TEXTS, host=TEXTS, groups=strategies.lists(TEXTS, max_size=2).map(tuple), local_user=TEXTS
)


@given(SCOPES, CONNECTIONS)
def test_what_may_be_selected_has_a_trait_that_is_required(scope: tuple[Block, ...], connection: Connection) -> None:
    required = requirement(scope)
    if required and selects(scope, connection) is not False:
        assert set(required) & set(traits(connection))


@given(strategies.lists(SCOPES, max_size=8), CONNECTIONS)
def test_the_same_line_decides_among_those_that_are_possible(
    scopes: list[tuple[Block, ...]], connection: Connection
) -> None:
    statements = [Statement("/f", Line(number, "x", ""), scope) for number, scope in enumerate(scopes)]
    possible = _Index(statements).possible(connection)
    for winner in (sshd_winner, ssh_winner):
        assert winner(possible, connection) == winner(statements, connection)


def test_of_thousands_of_users_only_ones_own_lines_are_possible() -> None:
    blocks = [Block("match", ("User", f"user{number}")) for number in range(3000)]
    statements = [Statement("/f", Line(number, "x", ""), (block,)) for number, block in enumerate(blocks)]
    assert _Index(statements).possible(Connection(user="user7")) == [statements[7]]
