# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up configurations: we read them as OpenSSH does, and what we write into them takes effect."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._files import Disk
from ansible_collections.keepalive.hardening.plugins.module_utils._rivals import Winner, statements_by_setting
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import SSH, SSHD, Setting
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_match import Connection
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import Place, ssh_winner, sshd_winner
from ansible_collections.keepalive.hardening.tests.hosts.support import (
    harden,
    run,
    run_ok,
    snapshot,
    ssh_dump,
    values_in,
)

FUZZ = int(os.environ.get("KEEPALIVE_FUZZ") or 0)


def examples(count: int) -> settings:
    return settings(
        max_examples=FUZZ or count,
        deadline=None,
        database=None,
        # Always the same ones, unless someone is out hunting.
        derandomize=not FUZZ,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


# Below a folder that exists for one example; the first is the main file.
FILES = ("main", "d/a.conf", "d/B.conf", "d/.hidden.conf", "e/x")
INCLUDES = {
    "main": ("@/d/*.conf", "@/d/*", "@/d/B.conf", "@/e/x", "@/none/*.conf", "@/?/[xB]*"),
    "d/a.conf": ("@/e/*", "@/none/x"),
    "d/B.conf": ("@/e/x",),
    "d/.hidden.conf": ("@/e/x",),
    "e/x": ("@/none/*",),
}

TIMES = ("0", "5", "90", "1m30s", "1H", "010", "10s5", "1w2d", "2h1m")
COUNTS = ("0", "1", "3", "05", "20")
SERVER_LINES = {"ClientAliveInterval": TIMES, "ClientAliveCountMax": COUNTS}
CLIENT_LINES = {
    "ServerAliveInterval": TIMES,
    "ServerAliveCountMax": COUNTS,
    "TCPKeepAlive": ("yes", "no"),
    "KeepAlive": ("yes", "no"),
    # Not "none": OpenSSH 8.4 takes that for unset, and a later line wins.
    "ConnectTimeout": TIMES,
}

USERS = ("alice", "bob", "Alice", "a*", "!bob", "*", "??b", "nobody")
NAMES = ("a.example", "b.example", "*.example", "!b.*", "B.Example", "*", "?.example")
ADDRESSES = ("10.0.0.0/8", "192.0.2.1", "!10.1.0.0/16", "2001:db8::/32", "*", "10.*")
CONNECTIONS = (
    Connection("alice", "a.example", "10.1.2.3", "192.0.2.1", 22, ("alice",)),
    Connection("bob", "b.example", "192.0.2.1", "10.0.0.1", 2222, ("bob",)),
    Connection("nobody", "c.test", "2001:db8::1", "192.0.2.9", 22, ("nogroup",)),
)
# What OpenSSH uses where no line says anything, if that is not 0.
DEFAULTS = {"client_alive_count_max": "3", "server_alive_count_max": "3", "tcp_keepalive": "yes"}
NAMES_ASKED = ("a.example", "b.example", "c.test")


def listed(words: tuple[str, ...], separator: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=3).map(separator.join)


def odd_case(word: str) -> st.SearchStrategy[str]:
    return st.sampled_from((word, word, word.lower(), word.upper(), word.swapcase()))


@st.composite
def lines(draw: Any, keyword: st.SearchStrategy[str], value: st.SearchStrategy[str]) -> str:
    """A line in one of the many spellings that OpenSSH takes."""
    word = draw(keyword.flatmap(odd_case))
    word = draw(st.sampled_from((word, word, word, f'"{word}"')))
    # OpenSSH before 8.7 reads "Host"=a as a Host line without any pattern.
    equals = () if word.startswith('"') else ("=", " = ", "=\t")
    separator = draw(st.sampled_from((" ", " ", "\t", "  ", *equals)))
    ending = draw(st.sampled_from(("\n", "\n", "\n", "\r\n", "  \n", "\n\n", "\n# Match all\n", "\n  #x\n")))
    indent = draw(st.sampled_from(("", "", " ", "\t")))
    return f"{indent}{word}{separator}{draw(value)}{ending}"


def quoted(value: str) -> st.SearchStrategy[str]:
    return st.sampled_from((value, value, f'"{value}"'))


def setting_lines(catalogue: dict[str, tuple[str, ...]]) -> st.SearchStrategy[str]:
    return st.one_of(
        [lines(st.just(keyword), st.sampled_from(values).flatmap(quoted)) for keyword, values in catalogue.items()]
    )


def include_lines(patterns: tuple[str, ...]) -> st.SearchStrategy[str]:
    arguments = st.lists(st.sampled_from(patterns).flatmap(quoted), min_size=1, max_size=2).map(" ".join)
    return lines(st.just("Include"), arguments)


SERVER_CRITERIA = st.one_of(
    st.just("all"),
    listed(USERS, ",").map("User {}".format),
    listed(("alice", "bob", "nogroup", "!bob", "*"), ",").map("Group {}".format),
    listed(NAMES, ",").map("host {}".format),
    listed(ADDRESSES, ",").map("ADDRESS {}".format),
    listed(("192.0.2.0/24", "10.0.0.1", "!192.0.2.9"), ",").map("LocalAddress {}".format),
    st.sampled_from(("22", "2222")).map("LocalPort {}".format),
    st.tuples(listed(USERS, ","), listed(NAMES, ",")).map(lambda pair: f"user {pair[0]} Host {pair[1]}"),
)
CLIENT_CRITERIA = st.one_of(
    st.just("all"),
    listed(NAMES, ",").map("host {}".format),
    listed(NAMES, ",").map("!host {}".format),
    listed(NAMES, ",").map("OriginalHost {}".format),
    listed(("root", "alice", "!root", "r*"), ",").map("LocalUser {}".format),
    st.tuples(listed(NAMES, ","), listed(("root", "*", "x"), ",")).map(lambda pair: f"host {pair[0]} user {pair[1]}"),
)


def trees(settable: dict[str, tuple[str, ...]], blocks: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Path to text of a configuration's files."""

    def text(name: str) -> st.SearchStrategy[str]:
        line = st.one_of(setting_lines(settable), setting_lines(settable), blocks, include_lines(INCLUDES[name]))
        cut = st.sampled_from((False, False, True))
        return st.tuples(st.lists(line, max_size=6).map("".join), cut).map(
            lambda pair: pair[0].rstrip("\r\n") if pair[1] else pair[0]
        )

    return st.fixed_dictionaries({name: text(name) for name in FILES})


SERVER_TREES = trees(SERVER_LINES, lines(st.just("Match"), SERVER_CRITERIA))
CLIENT_TREES = trees(
    CLIENT_LINES, st.one_of(lines(st.just("Match"), CLIENT_CRITERIA), lines(st.just("Host"), listed(NAMES, " ")))
)


class Tree:
    """The files of an example, in a folder of their own."""

    def __init__(self, texts: dict[str, str]):
        self.texts = texts

    def __enter__(self) -> str:
        self.root = tempfile.mkdtemp(prefix="tree-")
        for name, text in self.texts.items():
            path = Path(self.root, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.replace("@", self.root).encode())
        return os.path.join(self.root, "main")

    def __exit__(self, *_problem: object) -> None:
        shutil.rmtree(self.root)


def accepted(*command: str) -> bool:
    return run(*command).returncode == 0


def our_value(main: str, setting: Setting, connection: Connection, winner: Winner) -> Any:
    """What we make of the files for a connection."""
    found = statements_by_setting(Disk(), Place(main, "/etc/ssh"), [setting])[setting]
    statement = winner(found, connection)
    return setting.interpret(statement.value if statement else DEFAULTS.get(setting.option, "0"))


def server_values(main: str, connection: Connection) -> list[Any]:
    """What sshd makes of them."""
    test = f"user={connection.user},host={connection.host},addr={connection.address},rdomain="
    test += f",laddr={connection.local_address},lport={connection.local_port}"
    dump = values_in(run_ok("/usr/sbin/sshd", "-T", "-f", main, "-C", test))
    return [setting.interpret(dump[setting.directive.lower()]) for setting in SSHD[:2]]


def client_values(main: str, host: str, user: str) -> list[Any]:
    """What ssh makes of them."""
    dump = ssh_dump(host, user, main)
    return [setting.interpret(dump[setting.directive.lower()]) for setting in SSH]


@example({"main": "Include @/d/*\n", "d/a.conf": "ClientAliveInterval 5", "d/B.conf": "ClientAliveInterval 90"})
@examples(60)
@given(SERVER_TREES)
def test_we_read_sshd_config_as_sshd_does(texts: dict[str, str]) -> None:
    with Tree(texts) as main:
        assume(accepted("/usr/sbin/sshd", "-t", "-f", main))
        for connection in CONNECTIONS:
            ours = [our_value(main, setting, connection, sshd_winner) for setting in SSHD[:2]]
            assert ours == server_values(main, connection), connection


@example({"main": "Include @/d/*\n", "d/a.conf": "ServerAliveInterval 5", "d/B.conf": "ServerAliveInterval 90"})
@examples(60)
@given(CLIENT_TREES)
def test_we_read_ssh_config_as_ssh_does(texts: dict[str, str]) -> None:
    with Tree(texts) as main:
        assume(accepted("ssh", "-G", "-F", main, "a.example"))
        for host in NAMES_ASKED:
            connection = Connection(user="root", host=host, local_user="root")
            ours = [our_value(main, setting, connection, ssh_winner) for setting in SSH]
            assert ours == client_values(main, host, "root"), host


@examples(15)
@given(SERVER_TREES, st.booleans())
def test_what_we_write_into_sshd_config_takes_effect(texts: dict[str, str], exclusive: bool) -> None:
    with Tree(texts) as main:
        assume(accepted("/usr/sbin/sshd", "-t", "-f", main))
        options = {"path": main, "client_alive_interval": 77, "exclusive": exclusive, "reload": False}
        root = os.path.dirname(main)
        before = snapshot(root)
        try:
            plan = harden("sshd", **options)
        except HardeningError as problem:
            complaint = str(problem)
        else:
            complaint = ""
        if complaint:
            winner = re.search(r"(\S+), line \d+ in .* wins", complaint)
            assert winner, complaint
            # Files that a configuration of another path includes may be shared, and are left alone.
            assert not exclusive or winner[1] != main
            assert snapshot(root) == before
            return
        for connection in CONNECTIONS:
            value = server_values(main, connection)[0]
            assert value == 77 or any(line["scope"] and line["wins"] for line in plan.competing), connection
        assert not harden("sshd", **options).changed
        harden("sshd", path=main, state="absent", reload=False)
        assert snapshot(root) == before


@examples(15)
@given(CLIENT_TREES, st.sampled_from(("first", "last")))
def test_what_we_write_into_ssh_config_takes_effect(texts: dict[str, str], precedence: str) -> None:
    with Tree(texts) as main:
        assume(accepted("ssh", "-G", "-F", main, "a.example"))
        options = {"path": main, "server_alive_interval": 77, "precedence": precedence}
        root = os.path.dirname(main)
        os.chmod(root, 0o755)
        before = snapshot(root)
        earlier = {host: client_values(main, host, "nobody")[0] for host in NAMES_ASKED}
        harden("ssh", **options)
        for host, value in earlier.items():
            now = client_values(main, host, "nobody")[0]
            assert now == 77 or (precedence == "last" and now == value), host
        assert not harden("ssh", **options).changed
        harden("ssh", path=main, state="absent")
        assert snapshot(root) == before
