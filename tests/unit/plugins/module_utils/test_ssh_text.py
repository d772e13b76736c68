# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines and words of ssh-style configuration, as OpenSSH splits them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_text import (
    directives,
    quote_argument,
    split_arguments,
    split_lines,
)
from ansible_collections.keepalive.hardening.tests.unit.support import DEBIAN_TEXTS, debian, file_texts


@given(file_texts)
def test_lines_join_to_the_text_they_came_from(text: str) -> None:
    assert "".join(split_lines(text)) == text


@given(file_texts)
def test_a_line_ends_at_a_newline_and_nowhere_else(text: str) -> None:
    lines = split_lines(text)
    assert all(line.endswith("\n") for line in lines[:-1])
    assert all(line.rstrip("\n").count("\n") == 0 and line for line in lines)


@pytest.mark.parametrize("name", DEBIAN_TEXTS)
def test_debians_files_are_split_without_loss(name: str) -> None:
    assert "".join(split_lines(DEBIAN_TEXTS[name])) == DEBIAN_TEXTS[name]


@pytest.mark.parametrize(
    "text",
    [
        "ClientAliveInterval 5",
        "ClientAliveInterval 5\n",
        "ClientAliveInterval 5\r\n",
        "ClientAliveInterval\t5",
        "  \t ClientAliveInterval   5  ",
        "ClientAliveInterval=5",
        "ClientAliveInterval = 5",
        "ClientAliveInterval\t=\t5",
        "clientaliveinterval 5",
        "CLIENTALIVEINTERVAL 5",
        " = ClientAliveInterval 5",
        "=ClientAliveInterval=5",
        '"ClientAliveInterval" 5',
        'ClientAliveInterval "5"',
        'ClientAliveInterval="5"',
        "ClientAliveInterval '5'",
        "ClientAliveInterval 5 # five",
        "ClientAliveInterval 5\x0c\n",
    ],
)
def test_one_directive_in_every_spelling(text: str) -> None:
    (line,) = directives(text)
    assert (line.number, line.keyword, line.arguments) == (1, "clientaliveinterval", ["5"])


@pytest.mark.parametrize(
    "text", ["", "\n", " \t\r\n", "# UsePAM yes", "  #UsePAM yes", "#", "=", "= = UsePAM yes", 'UsePAM"yes"', '""']
)
def test_blank_lines_and_comments_are_no_directives(text: str) -> None:
    assert list(directives(text)) == []


@pytest.mark.parametrize(
    ("text", "keyword", "arguments"),
    [
        ("UsePAM", "usepam", []),
        ("UsePAM # yes", "usepam", []),
        ("Include a.conf b.conf", "include", ["a.conf", "b.conf"]),
        ("Match User=backup,'x y' Host *", "match", ["User=backup,x y", "Host", "*"]),
        ("ChannelTimeout session:*=5m x11-connection=1h", "channeltimeout", ["session:*=5m", "x11-connection=1h"]),
        ("Port = = 5", "port", ["=", "5"]),
        ("ListenAddress [::]:22", "listenaddress", ["[::]:22"]),
    ],
)
def test_keyword_and_words_of_a_line(text: str, keyword: str, arguments: list[str]) -> None:
    (line,) = directives(text)
    assert (line.keyword, line.arguments) == (keyword, arguments)


def test_directives_are_counted_by_the_lines_of_the_file() -> None:
    text = "# one\r\nPort 22\n\n# form\x0cfeed, line\u2028separator\nUsePAM yes"
    assert [(line.number, line.keyword) for line in directives(text)] == [(2, "port"), (5, "usepam")]


@given(file_texts)
def test_any_text_has_directives_or_none(text: str) -> None:
    lines = split_lines(text)
    for line in directives(text):
        assert line.keyword in lines[line.number - 1].lower()
        assert all(isinstance(word, str) for word in line.arguments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("one two", ["one", "two"]),
        ("\tone  \t two ", ["one", "two"]),
        ('"one two" three', ["one two", "three"]),
        ("'one two' three", ["one two", "three"]),
        ('one" "two', ["one two"]),
        ('"one\'s"', ["one's"]),
        ("'say \"one\"'", ['say "one"']),
        ('""', [""]),
        ("one # two", ["one"]),
        ("# one", []),
        ("one#two", ["one#two"]),
        ('"# one"', ["# one"]),
        (r"one\ two", ["one two"]),
        (r'"one\ two"', [r"one\ two"]),
        (r"one\"two", ['one"two']),
        (r'"one\"two"', ['one"two']),
        (r"one\'two", ["one'two"]),
        (r"one\\two", [r"one\two"]),
        (r"one\two", [r"one\two"]),
        ("one\\", ["one\\"]),
        ('"one two', ["one two"]),
    ],
)
def test_words_are_split_as_openssh_splits_them(text: str, words: list[str]) -> None:
    assert split_arguments(text) == words


@given(strategies.text(alphabet="ab \t\\\"'#*/.", min_size=1).filter(lambda word: not word.startswith("#")))
def test_a_quoted_word_is_read_back_as_one_word(word: str) -> None:
    assert split_arguments(quote_argument(word)) == [word]


@pytest.mark.parametrize(
    ("release", "keywords"),
    [
        ("debian-11", "include challengeresponseauthentication usepam x11forwarding printmotd acceptenv subsystem"),
        ("debian-12", "include kbdinteractiveauthentication usepam x11forwarding printmotd acceptenv subsystem"),
        ("debian-13", "include kbdinteractiveauthentication usepam x11forwarding printmotd acceptenv subsystem"),
        ("debian-testing", "include kbdinteractiveauthentication usepam x11forwarding printmotd acceptenv subsystem"),
    ],
)
def test_the_directives_of_debians_sshd_config(release: str, keywords: str) -> None:
    text = debian(release).texts["/etc/ssh/sshd_config"]
    assert [line.keyword for line in directives(text)] == keywords.split()
