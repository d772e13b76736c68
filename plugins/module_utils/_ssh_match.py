# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a Host or Match line selects, and a connection that it does select. Pure; nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Connection(NamedTuple):
    """What OpenSSH compares with a Host or Match line."""

    #: The account on the server.
    user: str = "keepalive-nobody"
    #: The other end's name: for sshd the client's, for ssh the server's.
    host: str = "keepalive.invalid"
    address: str = "192.0.2.1"
    local_address: str = "192.0.2.2"
    local_port: int = 22
    #: The groups of ``user``.
    groups: tuple[str, ...] = ("keepalive-nobody",)
    #: The account on the client.
    local_user: str = "nobody"


# Criteria that name something of the connection, and what.
_TRAITS = {"user": "user", "localuser": "localuser", "group": "group", "host": "host", "originalhost": "host"}


class Block(NamedTuple):
    """A Host or Match line, which the lines below it depend on."""

    keyword: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.keyword.capitalize(), *self.arguments))


def pattern_matches(pattern: str, text: str) -> bool:
    """Whether a pattern with * and ? matches, as match_pattern() in OpenSSH's match.c."""
    if _literal(pattern):
        return pattern == text
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL))


def _literal(pattern: str) -> bool:
    return "*" not in pattern and "?" not in pattern


def list_matches(patterns: list[str], texts: tuple[str, ...], ignore_case: bool = False) -> bool:
    """Whether one pattern matches one of the texts and no negated (!) pattern matches any."""
    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        plain = pattern[negated:]
        for text in texts:
            if pattern_matches(plain.lower(), text.lower()) if ignore_case else pattern_matches(plain, text):
                if negated:
                    return False
                found = True
    return found


def address_matches(patterns: list[str], address: str) -> bool:
    """As list_matches, and networks such as 10.0.0.0/8 match the addresses inside (addr_match_list())."""
    # In few configurations, so not imported for the others.
    import ipaddress

    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        plain = pattern[negated:]
        try:
            hit = ipaddress.ip_address(address) in ipaddress.ip_network(plain, strict=False)
        except ValueError:
            hit = pattern_matches(plain.lower(), address.lower())
        if hit and negated:
            return False
        found = found or hit
    return found


def criteria(block: Block) -> Iterator[tuple[str, str]]:
    """Attribute in lower case and its argument ("" where it takes none) of a Match line."""
    words = iter(block.arguments)
    for word in words:
        attribute, equals, value = word.partition("=")
        attribute = attribute.lower()
        if not equals and attribute.lstrip("!") not in ("all", "canonical", "final", "invalid-user"):
            value = next(words, "")
        yield attribute, value


def block_selects(block: Block, connection: Connection) -> bool | None:
    """
    Whether the lines below ``block`` apply to the connection.

    None where only running OpenSSH can tell: exec, localnetwork, canonical names and the like.
    """
    if block.keyword == "host":
        # Unlike Match host, which ignores case.
        return list_matches(list(block.arguments), (connection.host,))
    answer: bool | None = True
    for attribute, value in criteria(block):
        hit = _criterion_holds(attribute.lstrip("!"), value, connection)
        if hit is None:
            answer = None
        elif hit == attribute.startswith("!"):
            return False
    return answer


def _criterion_holds(attribute: str, value: str, connection: Connection) -> bool | None:
    patterns = value.split(",")
    if attribute == "all":
        return True
    if attribute == "user":
        return list_matches(patterns, (connection.user,))
    if attribute == "localuser":
        return list_matches(patterns, (connection.local_user,))
    if attribute == "group":
        return list_matches(patterns, connection.groups)
    if attribute in ("host", "originalhost"):
        return list_matches(patterns, (connection.host,), ignore_case=True)
    if attribute == "address":
        return address_matches(patterns, connection.address)
    if attribute == "localaddress":
        return address_matches(patterns, connection.local_address)
    if attribute == "localport":
        return value == str(connection.local_port)
    if attribute == "invalid-user":
        # sshd -T -C takes every user for a valid one.
        return False
    return None


def selects(scope: tuple[Block, ...], connection: Connection) -> bool | None:
    """Whether all of the enclosing blocks select the connection; None where that cannot be told."""
    answers = [block_selects(block, connection) for block in scope]
    if False in answers:
        return False
    return None if None in answers else True


def requirement(scope: tuple[Block, ...]) -> list[tuple[str, str]]:
    """
    Traits of a connection, as traits() has them, of which it needs one to be selected.

    Empty where nothing as simple as that can be said.
    """
    for block in scope:
        asked = [("host", word) for word in block.arguments] if block.keyword == "host" else []
        for attribute, value in criteria(block) if block.keyword == "match" else ():
            if attribute in _TRAITS:
                asked = [(_TRAITS[attribute], pattern) for pattern in value.split(",")]
                break
        positive = [(trait, pattern.lower()) for trait, pattern in asked if not pattern.startswith("!")]
        if asked and all(_literal(pattern) for _trait, pattern in positive):
            return positive or [("", "nobody")]
    return []


def traits(connection: Connection) -> list[tuple[str, str]]:
    """What requirement() may ask of a connection. Whether case counts is not told apart here."""
    named = [("host", connection.host), ("user", connection.user), ("localuser", connection.local_user)]
    return [(trait, text.lower()) for trait, text in [*named, *(("group", group) for group in connection.groups)]]


def example(patterns: list[str], fallback: str) -> str | None:
    """A text that the pattern list selects: ``fallback`` if it does, else made from the patterns."""
    positive = [pattern for pattern in patterns if not pattern.startswith("!")]
    fillings = ("x", "", "keepalive")
    candidates = [fallback]
    candidates += [pattern.replace("*", filling).replace("?", "x") for filling in fillings for pattern in positive]
    return next((text for text in candidates if text and list_matches(patterns, (text,))), None)


def example_address(patterns: list[str], fallback: str) -> str | None:
    """As example(), for addresses and networks."""
    import ipaddress

    candidates = [fallback]
    for pattern in patterns:
        try:
            network = ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            candidates.append(pattern.replace("*", "1").replace("?", "1"))
        else:
            candidates += [str(network[0]), str(network[-1])] + ([str(network[1])] if network.num_addresses > 1 else [])
    return next((text for text in candidates if text and address_matches(patterns, text)), None)


def example_connection(
    scope: tuple[Block, ...], base: Connection, members: dict[str, tuple[str, tuple[str, ...]]]
) -> Connection | None:
    """
    A connection that every block of ``scope`` selects, or None if none could be found.

    ``members`` maps a group to one of its users and all the groups of that user.
    """
    connection = base
    for block in scope:
        if block.keyword == "host":
            host = example(list(block.arguments), connection.host)
            connection = connection._replace(host=host or connection.host)
            continue
        for attribute, value in criteria(block):
            patterns = value.split(",")
            if attribute == "user":
                connection = connection._replace(user=example(patterns, connection.user) or connection.user)
            elif attribute == "group":
                group = next((name for name in members if list_matches(patterns, (name,))), None)
                if group:
                    connection = connection._replace(user=members[group][0], groups=members[group][1])
            elif attribute in ("host", "originalhost"):
                connection = connection._replace(host=example(patterns, connection.host) or connection.host)
            elif attribute == "localuser":
                connection = connection._replace(local_user=example(patterns, connection.local_user) or "")
            elif attribute == "address":
                connection = connection._replace(address=example_address(patterns, connection.address) or "")
            elif attribute == "localaddress":
                connection = connection._replace(
                    local_address=example_address(patterns, connection.local_address) or ""
                )
            elif attribute == "localport" and value.isdigit():
                connection = connection._replace(local_port=int(value))
    return connection if selects(scope, connection) else None


def example_connections(
    scope: tuple[Block, ...], base: Connection, members: dict[str, tuple[str, tuple[str, ...]]]
) -> list[Connection]:
    """Connections that ``scope`` selects, one at least for each of its patterns where one could be found."""
    scopes = [scope]
    for index, block in enumerate(scope):
        for position, word in enumerate(block.arguments):
            patterns = word.split(",")
            negated = [pattern for pattern in patterns if pattern.startswith("!")]
            for pattern in patterns if len(patterns) > 1 else ():
                words = (*block.arguments[:position], ",".join([pattern, *negated]), *block.arguments[position + 1 :])
                scopes.append((*scope[:index], block._replace(arguments=words), *scope[index + 1 :]))
    found = (example_connection(narrowed, base, members) for narrowed in scopes)
    return list(dict.fromkeys(connection for connection in found if connection))
