# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times, numbers, flags and channel timeouts, as OpenSSH and the kernel read them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._values import (
    LONGEST_TIME,
    parse_channel_timeouts,
    parse_flag,
    parse_time,
    parse_whole_number,
    render,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("010", 10),
        ("90s", 90),
        ("1m30s", 90),
        ("1M30S", 90),
        ("1H", 3600),
        ("2d", 172800),
        ("1w2d", 777600),
        ("10s5", 15),
        ("5s1m", 65),
        (str(LONGEST_TIME), LONGEST_TIME),
    ],
)
def test_a_time_counts_as_openssh_counts_it(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *["", "none", "-1", "+1", "1.5", "0x10", "1 m", " 1", "1 ", "1\n", "5 minutes", "m", "m5", "1y", "1ms", "1_0"],
        pytest.param("\u0663", id="an Arabic digit"),
        pytest.param("\uff13", id="a full-width digit"),
        pytest.param("1\u017f", id="a long s, which is an s when case is ignored"),
        pytest.param("9" * 5000, id="far too long"),
    ],
)
def test_what_openssh_would_refuse_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|is longer than|digits"):
        parse_time(text)


@given(strategies.text(alphabet="0123456789smhdwSMHDW.- \u017f\u212a\u0663", max_size=8))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        seconds = parse_time(text)
    except ValueError:
        return
    assert seconds >= 0


@given(strategies.integers(0, LONGEST_TIME))
def test_a_time_is_written_in_seconds_and_read_back(seconds: int) -> None:
    assert parse_time(render(seconds)) == seconds


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("3", 3), ("10", 10), ("255", 255)])
def test_a_whole_number_is_plain_digits(text: str, number: int) -> None:
    assert parse_whole_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "010", "00", " 3", "3 ", "3\n", "+3", "-3", "0x10", "3.0", "1e2", "1_0", "\u0663"]
)
def test_a_number_that_the_kernel_may_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="plain digits"):
        parse_whole_number(text)


@pytest.mark.parametrize(
    ("text", "flag"),
    [("yes", True), ("no", False), ("true", True), ("false", False), ("Yes", True), ("NO", False)],
)
def test_a_flag_is_read_in_the_words_of_every_openssh(text: str, flag: bool) -> None:
    assert parse_flag(text) is flag


@pytest.mark.parametrize("text", ["", "on", "1", "yes ", "y"])
def test_another_word_is_no_flag(text: str) -> None:
    with pytest.raises(ValueError, match="neither yes nor no"):
        parse_flag(text)


@pytest.mark.parametrize(
    "pattern",
    [
        *["*", "session:*", "s*", "x11-*", "*-tcpip", "session:shel?", "session:subsystem:backup"],
        *["agent-connection", "direct-tcpip", "direct-streamlocal@openssh.com", "forwarded-tcpip"],
        *["forwarded-streamlocal@openssh.com", "session:command", "session:shell", "session:subsystem:sftp"],
        "x11-connection",
    ],
)
def test_a_pattern_that_matches_a_channel_type_is_taken(pattern: str) -> None:
    assert parse_channel_timeouts({pattern: "1h"}) == {pattern: 3600}


@pytest.mark.parametrize("pattern", ["session", "Session:*", "sessio", "x11", "direct", "session:pty"])
def test_a_pattern_that_matches_no_channel_type_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="matches no channel type"):
        parse_channel_timeouts({pattern: "1h"})


@pytest.mark.parametrize("pattern", ["", "session:* x", "*=5", "a\nb", "#", '"*"', "*,x11-*"])
def test_what_cannot_stand_in_a_line_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a pattern"):
        parse_channel_timeouts({pattern: "1h"})


def test_the_time_of_a_channel_may_be_a_number() -> None:
    assert parse_channel_timeouts({"*": 90}) == {"*": 90}


@pytest.mark.parametrize("time", ["none", "", "-1", -1, 1.5, None])
def test_the_time_of_a_channel_is_checked(time: object) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_channel_timeouts({"*": time})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (90, "90"),
        ({}, "none"),
        ({"session:*": 3, "x11-*": 5}, "session:*=3 x11-*=5"),
    ],
)
def test_a_value_is_written_as_a_file_states_it(value: bool | int | dict[str, int], text: str) -> None:
    assert render(value) == text
