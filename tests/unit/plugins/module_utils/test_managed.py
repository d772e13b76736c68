# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our marks: whatever they were written into comes back byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils import _managed
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_text import split_lines
from ansible_collections.keepalive.hardening.tests.unit.support import DEBIAN_TEXTS, file_texts

BLOCK = _managed.block("first", ["ClientAliveInterval 15"])
OTHER_BLOCK = _managed.block("last", ["TCPKeepAlive yes"], ["file"])

TEXTS = [
    pytest.param("", id="empty"),
    pytest.param("\n", id="one newline"),
    pytest.param("one\ntwo\n", id="newlines"),
    pytest.param("one\r\ntwo\r\n", id="CRLF"),
    pytest.param("one\r\ntwo\n", id="mixed"),
    pytest.param("one\ntwo", id="no final newline"),
    pytest.param("one\r\ntwo\r", id="half a CRLF at the end"),
    *(pytest.param(text, id=name) for name, text in DEBIAN_TEXTS.items()),
]


def always(line: str) -> bool:
    return True


def test_the_marks_are_those_of_every_earlier_release() -> None:
    text = (
        "# BEGIN keepalive.hardening (last, created file, created directory)\n"
        "# Whatever the note says.\n"
        "ClientAliveInterval 15\n"
        "# END keepalive.hardening\n"
        "#keepalive.hardening# ClientAliveInterval 1\n"
    )
    assert [(position, created) for position, created, _body in _managed.blocks(text)] == [
        ("last", ("file", "directory"))
    ]
    assert _managed.uncomment(_managed.strip(text), always) == "ClientAliveInterval 1\n"


def test_a_block_tells_its_reader_where_it_comes_from() -> None:
    begin, note, value, end = BLOCK
    assert (begin, value, end) == (
        "# BEGIN keepalive.hardening (first)",
        "ClientAliveInterval 15",
        "# END keepalive.hardening",
    )
    assert note.startswith("# ")
    assert "state=absent" in note


@given(file_texts, strategies.integers(1, 12))
@example("one", 1)
def test_a_block_between_lines_is_taken_back_byte_for_byte(text: str, number: int) -> None:
    number = min(number, len(split_lines(text)) or 1)
    changed = _managed.insert_before(text, number, BLOCK)
    assert changed != text
    assert _managed.strip(changed) == text


@given(file_texts)
def test_a_block_at_the_end_is_taken_back_byte_for_byte(text: str) -> None:
    changed = _managed.append(text, BLOCK)
    assert changed != text
    assert _managed.strip(changed) == text


@given(file_texts, strategies.integers(1, 12))
def test_several_blocks_are_taken_back_together(text: str, number: int) -> None:
    number = min(number, len(split_lines(text)) or 1)
    changed = _managed.append(_managed.insert_before(text, number, BLOCK), OTHER_BLOCK)
    changed = _managed.insert_before(_managed.append(changed, BLOCK), 1, OTHER_BLOCK)
    assert [position for position, _created, _body in _managed.blocks(changed)] == ["last", "first", "last", "first"]
    assert _managed.strip(changed) == text


@given(file_texts, strategies.sets(strategies.integers(1, 12)))
def test_lines_that_were_commented_out_come_back_byte_for_byte(text: str, numbers: set[int]) -> None:
    changed = _managed.comment_out(text, numbers)
    assert _managed.uncomment(changed, always) == text
    assert len(split_lines(changed)) == len(split_lines(text))


@given(file_texts, strategies.sets(strategies.integers(1, 12)))
def test_comments_and_blocks_of_ours_are_taken_back_together(text: str, numbers: set[int]) -> None:
    changed = _managed.append(_managed.insert_before(_managed.comment_out(text, numbers), 1, BLOCK), OTHER_BLOCK)
    assert _managed.uncomment(_managed.strip(changed), always) == text


@pytest.mark.parametrize("text", TEXTS)
def test_the_lines_of_others_stay_as_they_are(text: str) -> None:
    for changed in (_managed.insert_before(text, 1, BLOCK), _managed.append(text, BLOCK)):
        kept = [line for number, line in numbered(changed) if number not in _managed.own_lines(changed)]
        assert "".join(kept).rstrip("\n") == text.rstrip("\n")
        assert _managed.strip(changed) == text


def numbered(text: str) -> list[tuple[int, str]]:
    return list(enumerate(split_lines(text), start=1))


@pytest.mark.parametrize(
    ("text", "ending"),
    [("", "\n"), ("one\n", "\n"), ("one\r\ntwo\n", "\r\n"), ("one\ntwo\r\n", "\n"), ("one", "\n")],
)
def test_a_block_has_the_line_ending_of_its_file(text: str, ending: str) -> None:
    changed = _managed.insert_before(text, 1, BLOCK)
    assert changed == "".join(line + ending for line in BLOCK) + text


def test_a_final_newline_that_is_missing_is_remembered() -> None:
    changed = _managed.append("one", BLOCK)
    assert changed.startswith("one\n# BEGIN keepalive.hardening (first, after an unfinished line)\n")
    assert changed.endswith("# END keepalive.hardening\n")
    assert _managed.strip(changed) == "one"


def test_what_someone_adds_behind_an_appended_block_stays_a_line_of_its_own() -> None:
    assert _managed.strip(_managed.append("one", BLOCK) + "PermitRootLogin no\n") == "one\nPermitRootLogin no\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("\n".join(["one", *BLOCK[:-1], "two"]), 2, id="no END"),
        pytest.param("\n".join(["one", *BLOCK[1:], "two"]), 4, id="no BEGIN"),
        pytest.param(
            "\n".join([*BLOCK[:-1], "UsePAM yes", *BLOCK[1:]]), 4, id="two blocks, one END and one BEGIN gone"
        ),
        pytest.param("\n".join([BLOCK[0] + " ", *BLOCK[1:]]), 1, id="a blank behind BEGIN"),
        pytest.param("\n".join([*BLOCK[:-1], BLOCK[-1] + "PermitRootLogin no"]), 1, id="a line glued to END"),
        pytest.param("\n".join([*BLOCK[:2], "PermitRootLogin no", *BLOCK[2:]]), 3, id="a line inside"),
    ],
)
def test_marks_that_were_edited_are_an_error_that_names_the_line(text: str, line: int) -> None:
    with pytest.raises(HardeningError, match=f"^/etc/x, line {line}: "):
        _managed.require_whole("/etc/x", text)


@pytest.mark.parametrize("text", TEXTS)
def test_marks_that_were_not_edited_are_none(text: str) -> None:
    _managed.require_whole("/etc/x", _managed.insert_before(_managed.append(text, OTHER_BLOCK), 1, BLOCK))


@pytest.mark.parametrize("text", TEXTS)
def test_a_block_is_found_with_what_it_remembers(text: str) -> None:
    changed = _managed.append(text, OTHER_BLOCK)
    ((position, created, body),) = _managed.blocks(changed)
    assert (position, created) == ("last", ("file",))
    assert [line.rstrip("\r\n") for line in split_lines(body)][-1] == "TCPKeepAlive yes"


@pytest.mark.parametrize("created", [(), ("file",), ("file", "directory")])
def test_what_was_created_is_remembered(created: tuple[str, ...]) -> None:
    text = _managed.own_file("drop-in", [])
    assert [created for _position, created, _body in _managed.blocks(text)] == [()]
    text = "\n".join(_managed.block("last", [], created))
    assert [created for _position, created, _body in _managed.blocks(text)] == [created]


def test_a_file_of_our_own_leaves_nothing() -> None:
    assert _managed.strip(_managed.own_file("drop-in", ["ClientAliveInterval 15"])) == ""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\n".join(BLOCK[:-1]) + "\nPort 22\n", id="no END"),
        pytest.param("\n".join(BLOCK[1:]) + "\nPort 22\n", id="no BEGIN"),
        pytest.param("  # BEGIN keepalive.hardening (first)\n  # END keepalive.hardening\n", id="indented"),
        pytest.param("# BEGIN keepalive.hardening\n# END keepalive.hardening\n", id="without a position"),
    ],
)
def test_a_damaged_mark_takes_nothing_of_others_away(text: str) -> None:
    assert _managed.strip(text) == text
    assert _managed.own_lines(text) == set()


@given(file_texts, strategies.sampled_from([BLOCK[:-1], BLOCK[1:]]))
def test_a_block_next_to_a_damaged_one_is_taken_back(text: str, damaged: list[str]) -> None:
    text = "\n".join([*damaged, text])
    assert _managed.strip(_managed.insert_before(text, 1, OTHER_BLOCK)) == text
    assert _managed.strip(_managed.append(text, OTHER_BLOCK)) == text


def test_our_lines_are_numbered_from_begin_to_end() -> None:
    text = _managed.append("one\n" + "\n".join(BLOCK) + "\ntwo\n", BLOCK)
    assert _managed.own_lines(text) == {2, 3, 4, 5, 7, 8, 9, 10}


@given(file_texts.filter(bool), strategies.integers(1, 12), strategies.integers(1, 12))
def test_a_line_has_the_same_number_where_only_our_blocks_differ(text: str, first: int, second: int) -> None:
    length = len(split_lines(text))
    here = _managed.insert_before(text, min(first, length), BLOCK)
    there = _managed.append(_managed.insert_before(text, min(second, length), OTHER_BLOCK), BLOCK)
    others_there = set(range(1, len(split_lines(there)) + 1)) - _managed.own_lines(there)
    found = []
    for number, line in numbered(here):
        if number not in _managed.own_lines(here):
            mapped = _managed.same_line(number, here, there)
            assert split_lines(there)[mapped - 1].rstrip("\n") == line.rstrip("\n")
            found.append(mapped)
    assert found == sorted(others_there)


@pytest.mark.parametrize(("number", "mapped"), [(5, 1), (6, 2), (7, 3)])
def test_a_line_below_a_block_is_counted_as_if_there_were_none(number: int, mapped: int) -> None:
    text = "one\ntwo\nthree\n"
    assert _managed.same_line(number, _managed.insert_before(text, 1, BLOCK), text) == mapped
    assert _managed.same_line(mapped, text, _managed.insert_before(text, 1, BLOCK)) == number


def test_only_the_lines_asked_for_come_back() -> None:
    text = "Port 22\nUsePAM yes\nTCPKeepAlive no\n"
    changed = _managed.comment_out(text, {1, 3})
    assert changed == "#keepalive.hardening# Port 22\nUsePAM yes\n#keepalive.hardening# TCPKeepAlive no\n"
    assert _managed.uncomment(changed, lambda line: line.startswith("TCP")) == (
        "#keepalive.hardening# Port 22\nUsePAM yes\nTCPKeepAlive no\n"
    )
