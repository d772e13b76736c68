# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The include tree: what is read in which order, for whom, and which line wins."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._files import Disk
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_match import Connection
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_text import directives, split_lines
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import (
    Overlay,
    Place,
    Statement,
    glob_matches,
    included_paths,
    relocated,
    ssh_winner,
    sshd_winner,
    walk,
)
from ansible_collections.keepalive.hardening.tests.unit.support import DEBIANS, MemoryFiles, debian, file_texts

MAIN = "/etc/ssh/sshd_config"
PLACE = Place(MAIN, "/etc/ssh")


def statements(texts: dict[str, str], place: Place = PLACE) -> list[Statement]:
    read = walk(MemoryFiles(texts), place, frozenset({"port", "tcpkeepalive"}))
    return [statement for statement in read if statement.line.keyword != "include"]


def values(texts: dict[str, str], place: Place = PLACE) -> list[str]:
    return [statement.value for statement in statements(texts, place)]


def test_an_include_is_read_where_it_stands() -> None:
    texts = {MAIN: "Port 1\nInclude /etc/ssh/d/*.conf\nPort 4\n", "/etc/ssh/d/a.conf": "Port 2\nPort 3"}
    assert values(texts) == ["1", "2", "3", "4"]


def test_a_glob_is_in_byte_order_and_skips_dotfiles() -> None:
    names = ["a", "Z", "10", "9", ".hidden", "é"]
    texts = {MAIN: "Include d/*.conf", **{f"/etc/ssh/d/{name}.conf": f"Port {name}" for name in names}}
    assert values(texts) == ["10", "9", "Z", "a", "é"]


@pytest.mark.parametrize(
    "line",
    [
        "Include /etc/ssh/d/a.conf",
        "include d/a.conf",
        "INCLUDE d/*.conf",
        'Include "d/a.conf"',
        '"Include" d/a.conf',
        "  Include=d/a.conf # why",
        "Include\td/?.conf",
        "Include /etc/ssh/d/[ab].conf\r",
        "Include nothing/* d/a.conf",
        "Include ~/nothing %h/nothing d/a.conf",
    ],
)
def test_an_include_in_every_spelling(line: str) -> None:
    texts = {MAIN: f"{line}\nPort 2\n", "/etc/ssh/d/a.conf": "Port 1\n"}
    assert values(texts) == ["1", "2"]


def test_several_patterns_of_one_include_are_read_in_turn() -> None:
    texts = {MAIN: "Include b.conf a.conf b.conf", "/etc/ssh/a.conf": "Port a", "/etc/ssh/b.conf": "Port b"}
    assert values(texts) == ["b", "a", "b"]


def test_an_include_that_matches_nothing_is_silent() -> None:
    assert values({MAIN: "Include nothing/*.conf missing.conf\nPort 1"}) == ["1"]


def test_a_main_file_that_is_not_there_says_nothing() -> None:
    assert values({}) == []


def test_a_relative_include_means_the_same_directory_in_every_file() -> None:
    texts = {MAIN: "Include d/a.conf", "/etc/ssh/d/a.conf": "Include b.conf", "/etc/ssh/b.conf": "Port 1"}
    assert values(texts) == ["1"]


@pytest.mark.parametrize(
    ("argument", "pattern"),
    [
        ("/x/*.conf", "/x/*.conf"),
        ("x/*.conf", "/home/a/.ssh/x/*.conf"),
        ("~/x", "/home/a/x"),
        ("~b/x", None),
        ("%d/x", None),
        ("${HOME}/x", None),
    ],
)
def test_what_an_include_of_ssh_config_means(argument: str, pattern: str | None) -> None:
    assert Place("/home/a/.ssh/config", "/home/a/.ssh", "/home/a").include_pattern(argument) == pattern


@pytest.mark.parametrize("depth", [1, 16])
def test_includes_are_followed_as_deep_as_openssh_goes(depth: int) -> None:
    texts = {f"/etc/ssh/{level}": f"Include {level + 1}\n" for level in range(depth)}
    texts[f"/etc/ssh/{depth}"] = "Port 1\n"
    assert values(texts, Place("/etc/ssh/0", "/etc/ssh")) == ["1"]


@pytest.mark.parametrize(
    "texts",
    [
        {f"/etc/ssh/{level}": f"Include {level + 1}\n" for level in range(18)},
        {"/etc/ssh/0": "Match User a\nInclude 0\n"},
        {"/etc/ssh/0": "Include d/*\n", **{f"/etc/ssh/d/{name}": "Include d/*\n" for name in "abcdef"}},
    ],
    ids=["seventeen levels", "a file that includes itself", "a directory that includes itself"],
)
def test_includes_that_openssh_refuses_are_an_error_at_once(texts: dict[str, str]) -> None:
    with pytest.raises(HardeningError, match=r"/etc/ssh/.* is included more than 16 levels deep"):
        values(texts, Place("/etc/ssh/0", "/etc/ssh"))


def scopes(texts: dict[str, str]) -> dict[str, str]:
    return {statement.value: " / ".join(map(str, statement.scope)) for statement in statements(texts)}


def test_a_match_block_lasts_to_the_next_one() -> None:
    text = "Port 1\nMatch User a\nPort 2\n\n# x\nPort 3\nMatch all\nPort 4"
    assert scopes({MAIN: text}) == {"1": "", "2": "Match User a", "3": "Match User a", "4": "Match all"}


def test_a_match_block_ends_with_its_file() -> None:
    texts = {MAIN: "Include a\nPort 2", "/etc/ssh/a": "Match User a\nPort 1"}
    assert scopes(texts) == {"1": "Match User a", "2": ""}


def test_a_host_line_opens_a_block_as_a_match_line_does() -> None:
    assert scopes({MAIN: "Host a b\nPort 1\nMatch all\nPort 2\nHost *\nPort 3"}) == {
        "1": "Host a b",
        "2": "Match all",
        "3": "Host *",
    }


def test_the_value_of_a_line_is_all_its_words() -> None:
    assert values({MAIN: 'Port a  "b c" # d'}) == ["a b c"]


def test_an_include_inside_a_match_block_belongs_to_it() -> None:
    texts = {
        MAIN: "Match User a\nInclude a\nPort 4",
        "/etc/ssh/a": "Port 1\nMatch Host b\nPort 2\nMatch all\nPort 3",
    }
    assert scopes(texts) == {
        "1": "Match User a",
        "2": "Match User a / Match Host b",
        "3": "Match User a / Match all",
        "4": "Match User a",
    }


def test_the_files_of_a_configuration_are_listed_once_and_the_main_one_first() -> None:
    texts = {MAIN: "Include b a\nMatch User x\nInclude c b", **{f"/etc/ssh/{name}": "Port 1" for name in "abcd"}}
    texts["/etc/ssh/b"] = "Include c"
    paths = included_paths(MemoryFiles(texts), PLACE)
    assert paths[0] == MAIN
    assert sorted(paths[1:]) == ["/etc/ssh/a", "/etc/ssh/b", "/etc/ssh/c"]


@pytest.mark.parametrize(
    ("text", "sshd", "ssh"),
    [
        ("Port 1\nPort 2", "1", "1"),
        ("Port 1\nMatch User alice\nPort 2", "2", "1"),
        ("Port 1\nMatch all\nPort 2", "2", "1"),
        ("Port 1\nMatch User bob\nPort 2", "1", "1"),
        ("Match User bob\nPort 1\nMatch User alice\nPort 2\nMatch all\nPort 3", "2", "2"),
        ("Match User bob\nPort 1", None, None),
        ("Include d\nPort 2", "d", "d"),
        ("Port 1\nInclude d", "1", "1"),
        ("Port 1\nMatch User alice\nInclude d", "d", "1"),
        ("Port 1\nMatch exec true\nPort 2", "2", "1"),
        ("Match exec false\nPort 1\nMatch all\nPort 2", "1", "1"),
        ("TCPKeepAlive yes", None, None),
    ],
)
def test_a_match_block_beats_every_global_line_for_sshd_and_none_for_ssh(
    text: str, sshd: str | None, ssh: str | None
) -> None:
    ports = [line for line in statements({MAIN: text, "/etc/ssh/d": "Port d"}) if line.line.keyword == "port"]
    winners = [find(ports, Connection(user="alice")) for find in (sshd_winner, ssh_winner)]
    assert [winner and winner.value for winner in winners] == [sshd, ssh]


def test_an_overlay_shows_the_candidate() -> None:
    base = MemoryFiles({"/a/1.conf": "one", "/a/2.conf": "two", "/a/3.conf": "three"})
    overlay = Overlay(base, {"/a/0.conf": "zero", "/a/2.conf": None, "/a/3.conf": "drei", "/b/1.conf": "b"})
    assert overlay.glob("/a/*.conf") == ["/a/0.conf", "/a/1.conf", "/a/3.conf"]
    assert [overlay.read(path) for path in ["/a/1.conf", "/a/2.conf", "/a/3.conf"]] == ["one", None, "drei"]


PATHS = strategies.builds(
    "{}{}".format,
    strategies.sampled_from(["", "d/", ".d/", "e/"]),
    strategies.sampled_from(
        ["a", "b", "ab", "Z", "10", "9", ".a", "a.conf", "b.conf", ".conf", "A.CONF", "é.conf", "[a]"]
    ),
)
PATTERNS = strategies.builds(
    "{}{}".format,
    strategies.sampled_from(["", "d/", ".d/", "*/", "?/", ".*/", "missing/"]),
    strategies.sampled_from(
        [
            "*",
            "?",
            "*.conf",
            ".*",
            "a",
            "a*",
            "[ab]",
            "[!a]",
            "[a-z].conf",
            "*.*",
            ".conf",
            "?.conf",
            "[[]a]",
            "[a",
            "**",
            "d",
        ]
    ),
)


@given(
    strategies.sets(PATHS),
    strategies.dictionaries(PATHS, strategies.none() | strategies.just("text")),
    strategies.lists(PATTERNS, min_size=1, max_size=5),
)
def test_an_overlay_finds_what_the_disk_will_hold(
    before: set[str], texts: dict[str, str | None], patterns: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for path in before:
            write(root / path)
        overlay = Overlay(Disk(), {f"{root}/{path}": text for path, text in texts.items()})
        predicted = [overlay.glob(f"{root}/{pattern}") for pattern in patterns]
        for path, text in texts.items():
            if text is None:
                (root / path).unlink(missing_ok=True)
            else:
                write(root / path)
        disk = Disk()
        assert predicted == [disk.glob(f"{root}/{pattern}") for pattern in patterns]


def write(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("text", encoding="utf-8")


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/etc/ssh/d/*.conf", "/etc/ssh/d/00-keepalive.conf", True),
        ("/etc/ssh/d/*.conf", "/etc/ssh/d/deep/a.conf", False),
        ("/etc/ssh/d/*.conf", "/etc/ssh/d/.a.conf", False),
        ("/etc/ssh/d/*.conf", "/etc/ssh/d/a.CONF", False),
        ("/etc/ssh/d/[1-9]*", "/etc/ssh/d/00-keepalive.conf", False),
    ],
)
def test_what_a_glob_would_find(pattern: str, path: str, found: bool) -> None:
    assert glob_matches(pattern, path) is found


def test_a_relocated_file_includes_from_the_copy() -> None:
    text = '# x\nInclude /etc/ssh/d/*.conf e/*.conf\r\nPort 1\n  include="a b" # why\nInclude %d/x'
    assert relocated(text, PLACE, "/tmp/copy") == (
        "# x\nInclude /tmp/copy/etc/ssh/d/*.conf /tmp/copy/etc/ssh/e/*.conf\n"
        'Port 1\nInclude "/tmp/copy/etc/ssh/a b"\nInclude %d/x\n'
    )


@given(
    file_texts, strategies.sampled_from(["", "Include x\n", "Match all\r\n  Include /x/*.conf 'a b'\r\n"]), file_texts
)
def test_a_relocated_file_has_the_same_lines_otherwise(above: str, include: str, below: str) -> None:
    text = f"{above}\n{include}{below}"
    copy = relocated(text, PLACE, "/tmp/copy")
    included = {line.number for line in directives(text) if line.keyword == "include"}
    lines, copied = split_lines(text), split_lines(copy)
    assert len(lines) == len(copied)
    assert all(number in included or lines[number - 1] == copied[number - 1] for number in range(1, len(lines) + 1))


@pytest.mark.parametrize("argument", ["d/*.conf", "'d/a b.conf'", r'"d/\"a\".conf"', r"d/it\'s.conf", "d/a#b"])
def test_a_relocated_include_means_the_same_file(argument: str) -> None:
    text = f"Include {argument}\n"
    ((before,), (after,)) = (
        [argument for line in directives(each) for argument in line.arguments]
        for each in (text, relocated(text, PLACE, "/tmp/copy"))
    )
    assert after == f"/tmp/copy/etc/ssh/{before}"


@pytest.mark.parametrize("release", DEBIANS)
@pytest.mark.parametrize("name", ["sshd_config", "ssh_config"])
def test_debians_main_files_include_a_directory_before_they_set_anything(release: str, name: str) -> None:
    files = debian(release)
    main = f"/etc/ssh/{name}"
    first = directives(files.texts[main])[0]
    assert (first.keyword, first.arguments) == ("include", [f"/etc/ssh/{name}.d/*.conf"])
    drop_ins = sorted(path for path in files.texts if path.startswith(f"/etc/ssh/{name}.d/"))
    assert included_paths(files, Place(main, "/etc/ssh")) == [main, *drop_ins]
