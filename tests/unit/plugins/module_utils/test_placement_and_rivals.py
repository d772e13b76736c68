# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where our lines go, which lines of others compete with them, and what is left when we go."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils import _managed
from ansible_collections.keepalive.hardening.plugins.module_utils._placement import (
    comes_first,
    drop_in_paths,
    without_marks,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._rivals import (
    Members,
    Winner,
    beaten,
    competing_lines,
    others,
    statements_by_setting,
    without_rivals,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import SSH, SSHD, Setting
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_entries import Entries, Key, ssh_body, sshd_body
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_match import Connection
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import (
    Overlay,
    Place,
    ssh_winner,
    sshd_winner,
)
from ansible_collections.keepalive.hardening.tests.unit.support import DEBIANS, MemoryFiles, debian

MAIN = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-keepalive.conf"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"
PLACE = Place(MAIN, "/etc/ssh")
SSH_PLACE = Place("/etc/ssh/ssh_config", "/etc/ssh")

INTERVAL, COUNT, KEEPALIVE = SSHD[:3]
ENTRIES: Entries = {Key("first", "", INTERVAL): "15", Key("first", "User backup", COUNT): "1"}
OURS = _managed.own_file("drop-in", sshd_body(ENTRIES))


def competing(texts: dict[str, str], settings: tuple[Setting, ...] = (INTERVAL,)) -> list[dict[str, Any]]:
    return competing_in(texts, PLACE, settings, sshd_winner)


def competing_in(
    texts: dict[str, str], place: Place, settings: tuple[Setting, ...], winner: Winner
) -> list[dict[str, Any]]:
    files = MemoryFiles(texts)
    found = statements_by_setting(files, place, settings)
    return competing_lines(files, found, winner, Connection(), {"sftp": ("carol", ("sftp",))})


@pytest.mark.parametrize("release", DEBIANS)
@pytest.mark.parametrize("name", ["sshd_config", "ssh_config"])
def test_a_drop_in_comes_first_in_debians_files(release: str, name: str) -> None:
    place = Place(f"/etc/ssh/{name}", "/etc/ssh")
    files = debian(release)
    (path,) = drop_in_paths(files, place)
    assert path == f"/etc/ssh/{name}.d/00-keepalive.conf"
    setting, body = (SSHD[0], sshd_body) if name == "sshd_config" else (SSH[0], ssh_body)
    entries = {Key("first", "", setting): "15"}
    candidate = Overlay(files, {path: _managed.own_file("drop-in", body(entries))})
    assert comes_first(candidate, place, path, entries, blocks_apart=name == "sshd_config")


@pytest.mark.parametrize("release", DEBIANS)
def test_nothing_in_debians_files_competes(release: str) -> None:
    texts = debian(release).texts
    assert competing_in(texts, PLACE, SSHD, sshd_winner) == []
    assert competing_in(texts, SSH_PLACE, SSH, ssh_winner) == []


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (INCLUDE, [DROP_IN]),
        ("include sshd_config.d/*\n", [DROP_IN]),
        ("Match User a\nInclude a.conf\n", []),
        ("Include a.conf\nInclude b.d/*.conf\n", ["/etc/ssh/b.d/00-keepalive.conf"]),
        ("Include a.conf b.d/*.conf\n", ["/etc/ssh/b.d/00-keepalive.conf"]),
        ("Include b.d/*\nPort 22\nInclude c.d/*\n", [f"/etc/ssh/{name}.d/00-keepalive.conf" for name in "bc"]),
        ("Include sshd_config.d/[1-9]*.conf\n", []),
        (f"Match User a\n{INCLUDE}", []),
        ("Include a.conf\n", []),
        ("# Include sshd_config.d/*.conf\n", []),
    ],
)
def test_a_drop_in_goes_where_the_main_file_looks_for_everybody(text: str, paths: list[str]) -> None:
    files = MemoryFiles({MAIN: text, "/etc/ssh/a.conf": "Include elsewhere/*.conf"})
    assert drop_in_paths(files, PLACE) == paths


@pytest.mark.parametrize(
    ("texts", "sshd", "ssh"),
    [
        ({MAIN: INCLUDE + "ClientAliveInterval 1"}, True, True),
        ({MAIN: "ClientAliveInterval 1\n" + INCLUDE}, False, False),
        ({MAIN: "ClientAliveCountMax 1\n" + INCLUDE}, True, False),
        ({MAIN: "TCPKeepAlive no\n" + INCLUDE}, True, True),
        ({MAIN: INCLUDE, "/etc/ssh/sshd_config.d/00-first.conf": "ClientAliveInterval 1"}, False, False),
        ({MAIN: INCLUDE, "/etc/ssh/sshd_config.d/00-z.conf": "ClientAliveInterval 1"}, True, True),
        ({MAIN: "Include x\n" + INCLUDE, "/etc/ssh/x": "Match User a\nClientAliveInterval 1"}, True, False),
        ({MAIN: "Include x\n" + INCLUDE, "/etc/ssh/x": "Match User a\nClientAliveCountMax 2"}, False, False),
        ({MAIN: "UsePAM yes"}, False, False),
    ],
)
def test_a_drop_in_is_first_where_no_rival_is_read_before_it(texts: dict[str, str], sshd: bool, ssh: bool) -> None:
    files = MemoryFiles({**texts, DROP_IN: OURS})
    assert comes_first(files, PLACE, DROP_IN, ENTRIES, blocks_apart=True) is sshd
    assert comes_first(files, PLACE, DROP_IN, ENTRIES, blocks_apart=False) is ssh


def test_lines_are_found_under_every_name_of_a_setting() -> None:
    files = MemoryFiles({MAIN: "KeepAlive no\ntcpkeepalive yes\nClientAliveInterval 1\n"})
    found = statements_by_setting(files, PLACE, [KEEPALIVE, COUNT])
    assert {setting: [each.value for each in lines] for setting, lines in found.items()} == {
        KEEPALIVE: ["no", "yes"],
        COUNT: [],
    }


def test_our_own_lines_are_nobody_elses() -> None:
    text = _managed.insert_before("ClientAliveInterval 1\n", 1, _managed.block("first", sshd_body(ENTRIES)))
    files = MemoryFiles({MAIN: text})
    found = statements_by_setting(files, PLACE, [INTERVAL])[INTERVAL]
    assert [each.value for each in found] == ["15", "1"]
    assert [each.value for each in others(files, found)] == ["1"]


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        ({MAIN: INCLUDE + "ClientAliveInterval 1", DROP_IN: OURS}, [(MAIN, 2, "1", "", False)]),
        ({MAIN: "ClientAliveInterval 1\n" + INCLUDE, DROP_IN: OURS}, [(MAIN, 1, "1", "", True)]),
        (
            {MAIN: INCLUDE + "Match User a\n ClientAliveInterval 1", DROP_IN: OURS},
            [(MAIN, 3, "1", "Match User a", True)],
        ),
        (
            {MAIN: INCLUDE + "Match User a\nClientAliveInterval 1\nMatch User a\nClientAliveInterval 2", DROP_IN: OURS},
            [(MAIN, 3, "1", "Match User a", True), (MAIN, 5, "2", "Match User a", False)],
        ),
        ({MAIN: "Match all\nClientAliveInterval 1", DROP_IN: OURS}, [(MAIN, 2, "1", "Match all", True)]),
        (
            {MAIN: "Match Group sftp\nInclude x", "/etc/ssh/x": "Match Address 10.0.0.0/8\nClientAliveInterval 1m"},
            [("/etc/ssh/x", 2, "1m", "Match Group sftp / Match Address 10.0.0.0/8", True)],
        ),
        ({MAIN: "Match User !a\nClientAliveInterval 1"}, [(MAIN, 2, "1", "Match User !a", False)]),
        ({MAIN: "ClientAliveCountMax 1\n# ClientAliveInterval 1"}, []),
    ],
)
def test_every_line_of_others_that_sets_a_managed_option_is_listed(
    texts: dict[str, str], lines: list[tuple[str, int, str, str, bool]]
) -> None:
    found = competing(texts)
    assert [(line["path"], line["line"], line["value"], line["scope"], line["wins"]) for line in found] == lines
    assert {line["option"] for line in found} <= {"client_alive_interval"}


def test_in_ssh_config_the_first_line_wins_and_blocks_are_nothing_special() -> None:
    texts = {SSH_PLACE.main: "ServerAliveInterval 1\nHost bastion\nServerAliveInterval 2\nServerAliveCountMax 3"}
    lines = competing_in(texts, SSH_PLACE, SSH, ssh_winner)
    assert [(line["option"], line["line"], line["wins"]) for line in lines] == [
        ("server_alive_interval", 1, True),
        ("server_alive_interval", 3, False),
        ("server_alive_count_max", 4, True),
    ]


EXCLUSIVE_TEXTS = {
    MAIN: f"{INCLUDE}KeepAlive no\r\nClientAliveCountMax 9\n"
    "Match User a\n  ClientAliveInterval 1 # why\n  TCPKeepAlive yes",
    "/etc/ssh/sshd_config.d/50-cloud.conf": "ClientAliveInterval 420",
}


def test_exclusive_comments_out_every_line_of_others_and_none_of_ours() -> None:
    base = MemoryFiles({**EXCLUSIVE_TEXTS, DROP_IN: OURS})
    candidate = without_rivals(Overlay(base, {}), PLACE, [INTERVAL, KEEPALIVE], base.texts)
    mark = "#keepalive.hardening# "
    assert candidate.texts == {
        MAIN: f"{INCLUDE}{mark}KeepAlive no\r\nClientAliveCountMax 9\nMatch User a\n"
        f"{mark}  ClientAliveInterval 1 # why\n{mark}  TCPKeepAlive yes",
        "/etc/ssh/sshd_config.d/50-cloud.conf": f"{mark}ClientAliveInterval 420",
    }
    assert [line["option"] for line in competing({**base.texts, **texts_of(candidate)}, SSHD)] == [
        "client_alive_count_max"
    ]


def texts_of(overlay: Overlay) -> dict[str, str]:
    return {path: text for path, text in overlay.texts.items() if text is not None}


def test_without_our_marks_the_files_are_what_they_were() -> None:
    changed = texts_of(without_rivals(Overlay(MemoryFiles(EXCLUSIVE_TEXTS), {}), PLACE, SSHD, EXCLUSIVE_TEXTS))
    changed[MAIN] = _managed.insert_before(changed[MAIN], 1, _managed.block("first", sshd_body(ENTRIES)))
    changed[DROP_IN] = OURS
    bare = without_marks(MemoryFiles(changed), changed, changed, SSHD)
    assert bare.texts == {**EXCLUSIVE_TEXTS, DROP_IN: None}


def test_lines_of_settings_that_are_not_named_stay_commented_out() -> None:
    changed = texts_of(without_rivals(Overlay(MemoryFiles(EXCLUSIVE_TEXTS), {}), PLACE, SSHD, EXCLUSIVE_TEXTS))
    bare = without_marks(MemoryFiles(changed), changed, changed, frozenset([KEEPALIVE]))
    found = statements_by_setting(bare, PLACE, SSHD)
    assert [setting.option for setting, lines in found.items() if lines] == ["tcp_keepalive"]


def test_a_block_that_belongs_to_another_configuration_stays() -> None:
    files = MemoryFiles({DROP_IN: OURS, MAIN: _managed.own_file("first", ["ClientAliveInterval 5"])})
    assert without_marks(files, files.texts, [MAIN], SSHD).texts == {DROP_IN: OURS, MAIN: ""}


def test_a_file_that_others_wrote_into_stays() -> None:
    files = MemoryFiles({DROP_IN: OURS + "# mine\n", MAIN: "# keepalive.hardening was here\n"})
    bare = without_marks(files, files.texts, files.texts, SSHD)
    assert bare.texts == {DROP_IN: "# mine\n", MAIN: "# keepalive.hardening was here\n"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Match all\n ClientAliveInterval 1", f"{MAIN}, line 3 in Match all wins: clientaliveinterval 1"),
        ("ClientAliveInterval 1\nMatch User a\nClientAliveInterval 2", "no line in the files does that"),
        ("UsePAM yes", "no line in the files does that"),
    ],
)
def test_the_line_that_beats_ours_is_named_as_it_stands_on_disk(text: str, reason: str) -> None:
    disk = MemoryFiles({MAIN: f"UsePAM yes\n{text}"})
    text = _managed.insert_before(disk.texts[MAIN], 1, _managed.block("first", ["ClientAliveInterval 15"]))
    candidate = Overlay(disk, {MAIN: text})
    found = statements_by_setting(candidate, PLACE, [INTERVAL])[INTERVAL]
    error = beaten("sshd", INTERVAL, 15, 1, candidate, disk, sshd_winner(found, Connection()))
    assert str(error).startswith(f"sshd: client_alive_interval would be 1, not 15: {reason}")


def test_a_value_of_ours_that_wins_is_called_ours() -> None:
    disk = MemoryFiles({MAIN: _managed.own_file("match", ["Match User a", "    ClientAliveInterval 5"])})
    found = statements_by_setting(disk, PLACE, [INTERVAL])[INTERVAL]
    error = beaten("sshd", INTERVAL, 15, 5, disk, disk, sshd_winner(found, Connection(user="a")))
    assert "a value that this collection has set in Match User a wins" in str(error)


def test_a_line_below_two_blocks_wins_for_the_one_member_that_both_select() -> None:
    files = MemoryFiles({MAIN: f"Match User b\n{INCLUDE}", DROP_IN: "Match Group a,b\nClientAliveInterval 5\n"})
    found = statements_by_setting(files, PLACE, [INTERVAL])
    members: Members = {"a": ("a", ("a",)), "b": ("b", ("b",))}
    (line,) = competing_lines(files, found, sshd_winner, Connection(), members)
    assert line["wins"]
