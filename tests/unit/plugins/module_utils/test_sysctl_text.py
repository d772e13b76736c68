# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""sysctl.d files: what they assign, in which order they are read, and which assignment wins."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._sysctl_text import (
    BOOT_DIRECTORIES,
    PROCPS_DIRECTORIES,
    Assignment,
    assignments,
    normalize,
    reading_order,
    winner,
)
from ansible_collections.keepalive.hardening.tests.unit.support import DEBIANS, debian, file_texts

TIME = "net/ipv4/tcp_keepalive_time"


@pytest.mark.parametrize(
    ("key", "normal"),
    [
        ("net.ipv4.tcp_retries2", "net/ipv4/tcp_retries2"),
        ("net/ipv4/tcp_retries2", "net/ipv4/tcp_retries2"),
        ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net.ipv4.conf.*.forwarding", "net/ipv4/conf/*/forwarding"),
        ("kernel", "kernel"),
    ],
)
def test_the_first_separator_of_a_key_decides_which_it_is(key: str, normal: str) -> None:
    assert normalize(key) == normal


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("net.ipv4.tcp_keepalive_time = 600", "600"),
        ("net.ipv4.tcp_keepalive_time=600", "600"),
        ("  net/ipv4/tcp_keepalive_time\t=\t600  \r", "600"),
        ("-net.ipv4.tcp_keepalive_time = 600", "600"),
        ("- net.ipv4.tcp_keepalive_time = 600", "600"),
        ("net.ipv4.tcp_keepalive_time = 600 # seconds", "600 # seconds"),
        ("net.ipv4.tcp_keepalive_time = a = b", "a = b"),
        ("net.ipv4.tcp_keepalive_time =", ""),
        ("-net.ipv4.tcp_keepalive_time", None),
    ],
)
def test_an_assignment_in_every_spelling(line: str, value: str | None) -> None:
    assert assignments("f", f"\n{line}\n") == [Assignment("f", 2, TIME, value)]


@pytest.mark.parametrize(
    "line", ["", "  ", "# net.ipv4.tcp_retries2 = 5", "  ; net.ipv4.tcp_retries2 = 5", ";-x", "net.ipv4.tcp_retries2 5"]
)
def test_comments_and_lines_without_a_value_assign_nothing(line: str) -> None:
    assert assignments("f", line) == []


def test_what_stands_below_a_comment_counts() -> None:
    text = "# one\n\n; two\nnet.ipv4.tcp_retries2\nnet.ipv4.tcp_keepalive_time = 600"
    assert assignments("f", text) == [Assignment("f", 5, TIME, "600")]


@given(file_texts)
def test_any_text_assigns_something_or_nothing(text: str) -> None:
    numbers = [line.line for line in assignments("f", text)]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("pattern", "key", "covered"),
    [
        (TIME, TIME, True),
        ("net/ipv4/tcp_keepalive_*", TIME, True),
        ("net/*/tcp_keepalive_time", TIME, True),
        ("*/*/*", TIME, True),
        ("net/*", TIME, False),
        ("net/ipv4/tcp_keepalive_?", TIME, False),
        ("net/ipv4/tcp_retries2", TIME, False),
    ],
)
def test_a_wildcard_stops_at_separators(pattern: str, key: str, covered: bool) -> None:
    assert Assignment("f", 1, pattern, "1").covers(key) is covered


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (
            {"/etc/sysctl.d": ["b.conf"], "/usr/lib/sysctl.d": ["a.conf", "c.conf"]},
            ["/usr/lib/sysctl.d/a.conf", "/etc/sysctl.d/b.conf", "/usr/lib/sysctl.d/c.conf"],
        ),
        ({"/etc/sysctl.d": ["a.conf"], "/usr/lib/sysctl.d": ["a.conf"]}, ["/etc/sysctl.d/a.conf"]),
        ({"/run/sysctl.d": ["a.conf"], "/usr/local/lib/sysctl.d": ["a.conf"]}, ["/run/sysctl.d/a.conf"]),
        ({"/usr/lib/sysctl.d": ["a.conf"], "/lib/sysctl.d": ["a.conf"]}, ["/usr/lib/sysctl.d/a.conf"]),
        (
            {"/etc/sysctl.d": ["a.conf", "Z.conf", "9.conf", "10.conf", "é.conf", "zz.conf", "\udcff.conf"]},
            [f"/etc/sysctl.d/{name}.conf" for name in ["10", "9", "Z", "a", "zz", "é", "\udcff"]],
        ),
        ({"/etc/sysctl.d": ["README.sysctl", "a.conf~", "a.conf.dpkg-old", "a"]}, []),
        ({"/somewhere/else": ["a.conf"]}, []),
    ],
)
def test_files_are_read_by_name_each_from_the_highest_directory(names: dict[str, list[str]], paths: list[str]) -> None:
    assert reading_order(BOOT_DIRECTORIES, names) == paths


@pytest.mark.parametrize("directories", [BOOT_DIRECTORIES, PROCPS_DIRECTORIES])
def test_every_directory_is_read(directories: tuple[str, ...]) -> None:
    every = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"]
    names = {directory: [f"{number}.conf"] for number, directory in enumerate(every)}
    assert reading_order(directories, names) == [f"{path}/{number}.conf" for number, path in enumerate(every)]


def test_systemd_and_procps_disagree_on_which_of_etc_and_run_is_higher() -> None:
    names = {"/etc/sysctl.d": ["a.conf"], "/run/sysctl.d": ["a.conf"]}
    assert reading_order(BOOT_DIRECTORIES, names) == ["/etc/sysctl.d/a.conf"]
    assert reading_order(PROCPS_DIRECTORIES, names) == ["/run/sysctl.d/a.conf"]


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("net.ipv4.tcp_mem = 5", None, id="another key"),
        pytest.param("net.ipv4.tcp_retries2 = 1\nnet.ipv4.tcp_retries2 = 2", "2", id="the last wins"),
        pytest.param("net.ipv4.tcp_retries2 = 1\nnet/ipv4/tcp_retries2 = 2", "2", id="in any spelling"),
        pytest.param("net.ipv4.tcp_retries2 = 1\n-net.ipv4.tcp_retries2 = 2", "2", id="with a dash too"),
        pytest.param("net.ipv4.tcp_ret* = 1", "1", id="a wildcard"),
        pytest.param("net.ipv4.tcp_ret* = 1\nnet.ipv4.*_retries2 = 2", "2", id="the last wildcard"),
        pytest.param("net.ipv4.tcp_retries2 = 1\nnet.ipv4.* = 2", "1", id="a name beats a later wildcard"),
        pytest.param("net.ipv4.* = 2\nnet.ipv4.tcp_retries2 = 1", "1", id="a name beats an earlier wildcard"),
        pytest.param("net.ipv4.* = 1\n-net.ipv4.tcp_retries2", None, id="an exclusion keeps wildcards off"),
        pytest.param("-net.ipv4.tcp_retries2\nnet.ipv4.* = 1", None, id="an earlier exclusion too"),
        pytest.param("-net.ipv4.tcp_retries2\nnet.ipv4.tcp_retries2 = 1", "1", id="a name after an exclusion"),
        pytest.param("net.ipv4.tcp_retries2 = 1\n-net.ipv4.tcp_retries2", None, id="an exclusion after a name"),
        pytest.param("net.ipv4.* = 1\n-net.ipv4.*", None, id="a wildcard that is taken back"),
        pytest.param(
            "net.ipv4.a* = 1\nnet.ipv4.*_retries2 = 2\nnet.ipv4.t* = 3\nnet.ipv4.*_retries2 = 4",
            "4",
            id="wildcards again",
        ),
        pytest.param(
            "net.ipv4.*_retries2 = 2\nnet.ipv4.t* = 3\nnet.ipv4.*_retries2 = 2",
            "3",
            id="a repeated one keeps its place",
        ),
    ],
)
def test_which_assignment_wins(lines: str, value: str | None) -> None:
    found = winner(assignments("f", lines), "net/ipv4/tcp_retries2")
    assert (found and found.value) == value


ASSIGNMENTS = strategies.lists(
    strategies.builds(
        Assignment,
        strategies.sampled_from(["/etc/sysctl.d/a.conf", "/etc/sysctl.d/b.conf"]),
        strategies.integers(1, 9),
        strategies.sampled_from([TIME, "net/ipv4/*", "net/ipv4/tcp_retries2"]),
        strategies.sampled_from(["1", "2", "3", None]),
    )
)


@given(ASSIGNMENTS)
def test_what_is_read_last_by_name_always_wins(read: list[Assignment]) -> None:
    ours = Assignment("/etc/sysctl.d/zz-keepalive.conf", 3, TIME, "600")
    assert winner([*read, ours], TIME) == ours


@given(ASSIGNMENTS)
def test_the_winner_covers_the_key_and_has_a_value(read: list[Assignment]) -> None:
    found = winner(read, TIME)
    assert found is None or (found in read and found.covers(TIME) and found.value is not None)


@pytest.mark.parametrize("release", DEBIANS)
def test_debians_files_set_nothing_of_ours(release: str) -> None:
    texts = debian(release).texts
    read = [line for path, text in texts.items() if "sysctl" in path for line in assignments(path, text)]
    assert "kernel/pid_max" in {line.key for line in read}
    assert not any(line.covers(TIME) for line in read)


def test_the_assignments_of_a_real_file() -> None:
    path = "/usr/lib/sysctl.d/99-protect-links.conf"
    found = assignments(path, debian("debian-12").texts[path])
    assert [(line.line, line.key, line.value) for line in found] == [
        (7, "fs/protected_fifos", "1"),
        (8, "fs/protected_hardlinks", "1"),
        (9, "fs/protected_regular", "2"),
        (10, "fs/protected_symlinks", "1"),
    ]
