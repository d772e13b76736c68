# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a Host or Match line selects."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_match import (
    Block,
    Connection,
    address_matches,
    block_selects,
    criteria,
    example_connection,
    list_matches,
    pattern_matches,
    selects,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_text import split_arguments

ALICE = Connection(
    user="alice",
    host="web1.example.org",
    address="10.1.2.3",
    local_address="192.0.2.2",
    local_port=2222,
    groups=("staff", "sftp"),
    local_user="bob",
)


def match(text: str) -> Block:
    return Block("match", tuple(split_arguments(text)))


def host(text: str) -> Block:
    return Block("host", tuple(split_arguments(text)))


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("web1", "web1", True),
        ("web1", "web10", False),
        ("web*", "web", True),
        ("web?", "web", False),
        ("web?", "web1", True),
        ("*", "", True),
        ("*.example.*", "a.example.org", True),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("Web*", "web1", False),
    ],
)
def test_only_star_and_question_mark_are_wildcards(pattern: str, text: str, matches: bool) -> None:
    assert pattern_matches(pattern, text) is matches


@pytest.mark.parametrize(
    ("patterns", "matches"),
    [
        (["web1", "web2"], True),
        (["web2", "db*"], False),
        (["web*", "!web1"], False),
        (["!web1", "web*"], False),
        (["web*", "!web2"], True),
        (["!web2"], False),
        (["!*"], False),
        ([], False),
    ],
)
def test_a_negated_pattern_only_takes_away(patterns: list[str], matches: bool) -> None:
    assert list_matches(patterns, ("web1",)) is matches


def test_one_of_several_groups_is_enough_but_none_may_be_negated() -> None:
    assert list_matches(["sftp"], ("staff", "sftp"))
    assert not list_matches(["sftp", "!staff"], ("staff", "sftp"))
    assert not list_matches(["*"], ())


@pytest.mark.parametrize(
    ("patterns", "address", "matches"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8", "!10.1.0.0/16"], "10.1.2.3", False),
        (["!10.1.0.0/16", "10.0.0.0/8"], "10.2.2.3", True),
        (["10.1.*"], "10.1.2.3", True),
        (["10.1.2.3"], "10.1.2.3", True),
        (["10.1.2.3"], "10.1.2.30", False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["2001:db8::/32"], "10.1.2.3", False),
        (["::/0"], "10.1.2.3", False),
        (["2001:DB8:0::1"], "2001:db8::1", True),
        (["*"], "2001:db8::1", True),
    ],
)
def test_networks_match_the_addresses_inside(patterns: list[str], address: str, matches: bool) -> None:
    assert address_matches(patterns, address) is matches


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("all", [("all", "")]),
        ("User backup", [("user", "backup")]),
        ("USER=backup Host=*.org", [("user", "backup"), ("host", "*.org")]),
        ("canonical Host a final !all", [("canonical", ""), ("host", "a"), ("final", ""), ("!all", "")]),
        ("User backup all", [("user", "backup"), ("all", "")]),
        ('exec "test -e /x" User a', [("exec", "test -e /x"), ("user", "a")]),
        ("invalid-user User a", [("invalid-user", ""), ("user", "a")]),
        ("User", [("user", "")]),
    ],
)
def test_criteria_of_a_match_line(text: str, pairs: list[tuple[str, str]]) -> None:
    assert list(criteria(match(text))) == pairs


@pytest.mark.parametrize(
    ("block", "answer"),
    [
        (host("*"), True),
        (host("WEB1.example.org"), False),
        (host("web1.example.org"), True),
        (host("web1"), False),
        (host("*.example.org !web*"), False),
        (match("all"), True),
        (match("User alice"), True),
        (match("User Alice"), False),
        (match("User bob,ali*"), True),
        (match("User *,!alice"), False),
        (match("LocalUser bob"), True),
        (match("LocalUser alice"), False),
        (match("Group sftp"), True),
        (match("Group wheel"), False),
        (match("Host WEB1.*"), True),
        (match("OriginalHost web1.*"), True),
        (match("Address 10.0.0.0/8"), True),
        (match("Address 10.0.0.0/8,!10.1.2.3"), False),
        (match("LocalAddress 192.0.2.2"), True),
        (match("LocalPort 2222"), True),
        (match("LocalPort 22"), False),
        (match("User alice Group wheel"), False),
        (match("User alice Group staff Address 10.*"), True),
        (match("!User alice"), False),
        (match("!Host db*"), True),
        (match("!Host db* User bob"), False),
        (match("!all"), False),
        (match("invalid-user"), False),
        (match("exec true"), None),
        (match("!exec true"), None),
        (match("RDomain 1"), None),
        (match("User alice exec true"), None),
        (match("exec true User bob"), False),
        (match("User bob exec true"), False),
        (match("final Host web1.*"), None),
    ],
    ids=str,
)
def test_a_block_selects_a_connection_or_not_or_only_openssh_knows(block: Block, answer: bool | None) -> None:
    assert block_selects(block, ALICE) is answer


@pytest.mark.parametrize(
    ("scope", "answer"),
    [
        ((), True),
        ((match("User alice"), host("web*")), True),
        ((match("User alice"), host("db*")), False),
        ((match("exec true"), host("web*")), None),
        ((match("exec true"), host("db*")), False),
    ],
)
def test_a_scope_selects_where_all_of_its_blocks_do(scope: tuple[Block, ...], answer: bool | None) -> None:
    assert selects(scope, ALICE) is answer


GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sftp": ("carol", ("carol", "sftp")),
    "wheel": ("dave", ("dave", "wheel")),
}

NAMES = strategies.text(alphabet="abkK1*?-.", min_size=1, max_size=5).filter(lambda name: name.strip("."))
OCTET = strategies.integers(0, 255)
ADDRESSES = strategies.builds("10.{}.{}.{}".format, OCTET, OCTET, OCTET)
NETWORKS = ADDRESSES | strategies.builds("{}/{}".format, ADDRESSES, strategies.integers(0, 32))
V6_NETWORKS = strategies.builds("2001:db8:{:x}::/{}".format, strategies.integers(0, 65535), strategies.integers(0, 128))
ADDRESS_PATTERNS = NETWORKS | V6_NETWORKS | strategies.sampled_from(["*", "10.*", "192.0.2.?"])


def lists_of(patterns: strategies.SearchStrategy[str]) -> strategies.SearchStrategy[str]:
    return strategies.lists(patterns, min_size=1, max_size=3).map(",".join)


CRITERIA = {
    "User": lists_of(NAMES),
    "Group": strategies.sampled_from(["sftp", "wheel", "*", "s*,!wheel"]),
    "Host": lists_of(NAMES),
    "Address": lists_of(ADDRESS_PATTERNS),
    "LocalAddress": lists_of(ADDRESS_PATTERNS),
    "LocalPort": strategies.integers(1, 65535).map(str),
    "LocalUser": lists_of(NAMES),
}


@given(strategies.data(), strategies.lists(strategies.sampled_from(sorted({*CRITERIA} - {"Group"})), unique=True))
def test_every_scope_without_negation_has_an_example(data: strategies.DataObject, attributes: list[str]) -> None:
    scope = tuple(Block("match", (attribute, data.draw(CRITERIA[attribute]))) for attribute in attributes)
    connection = example_connection(scope, Connection(), {})
    assert connection is not None
    assert selects(scope, connection) is True


@given(strategies.lists(NAMES, min_size=1, max_size=4))
def test_every_host_line_without_negation_has_an_example(patterns: list[str]) -> None:
    scope = (Block("host", tuple(patterns)),)
    connection = example_connection(scope, Connection(), {})
    assert connection is not None
    assert selects(scope, connection) is True


@given(strategies.data(), strategies.lists(strategies.sampled_from(sorted(CRITERIA)), max_size=4))
def test_an_example_is_always_selected(data: strategies.DataObject, attributes: list[str]) -> None:
    negations = strategies.sampled_from(["", "!"])
    scope = tuple(
        Block("match", (attribute, data.draw(negations) + data.draw(CRITERIA[attribute]))) for attribute in attributes
    )
    connection = example_connection(scope, Connection(), GROUPS)
    assert connection is None or selects(scope, connection) is True


@pytest.mark.parametrize(
    ("scope", "field", "value"),
    [
        ((), "user", "keepalive-nobody"),
        ((match("User backup"),), "user", "backup"),
        ((match("User *"),), "user", "keepalive-nobody"),
        ((match("User Keepalive-*"),), "user", "Keepalive-x"),
        ((match("Group sftp"),), "user", "carol"),
        ((match("Group sftp"),), "groups", ("carol", "sftp")),
        ((match("Address 10.0.0.0/8"),), "address", "10.0.0.0"),
        ((match("Address 192.0.2.0/24,!192.0.2.1"),), "address", "192.0.2.0"),
        ((match("Host *.example.org"),), "host", "x.example.org"),
        ((host("* !bastion"),), "host", "keepalive.invalid"),
        ((host("bastion* !bastionx"),), "host", "bastion"),
        ((host("* !x !keepalive.invalid"),), "host", "keepalive"),
        ((match("OriginalHost web?"),), "host", "webx"),
        ((host("web1"), match("LocalUser bob")), "local_user", "bob"),
        ((match("User backup"), match("LocalPort 2222")), "local_port", 2222),
    ],
)
def test_an_example_changes_only_what_it_has_to(scope: tuple[Block, ...], field: str, value: object) -> None:
    connection = example_connection(scope, Connection(), GROUPS)
    assert connection is not None
    assert getattr(connection, field) == value


@pytest.mark.parametrize(
    "scope",
    [
        (match("User !backup"),),
        (match("User a"), match("User b")),
        (match("Group nobody-has-it"),),
        (match("exec true"),),
        (match("!all"),),
        (host("!*"),),
    ],
)
def test_a_scope_that_selects_nobody_or_nobody_knows_whom_has_no_example(scope: tuple[Block, ...]) -> None:
    assert example_connection(scope, Connection(), GROUPS) is None
