# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever stands in ssh_config already, the system's or a user's, the value takes effect for every host."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.tests.hosts.support import (
    competing,
    harden,
    run_ok,
    snapshot,
    ssh_says,
    write,
)

SYSTEM = "/etc/ssh/ssh_config"
ALICE = "/home/alice/.ssh/config"
BOB = "/home/bob/.ssh/config"
DROP_IN = "ssh_config.d/00-keepalive.conf"
INCLUDE = "Include ssh_config.d/*.conf\n"
FIFTEEN = "ServerAliveInterval 15\n"
HOSTS = ("bastion1.example", "bastion9.example", "other.example")


class Trap(NamedTuple):
    """A configuration in which ServerAliveInterval is to become 60 for every host."""

    #: Below the folder of the configuration; "config" is the main file.
    files: dict[str, str]
    #: Path and line, before the run, of every line that sets it.
    competing: tuple[tuple[str, int], ...] = ()
    #: Whether the system's configuration can have a drop-in.
    drop_in: bool = False


TRAPS = {
    "Include first": Trap({"config": INCLUDE}, drop_in=True),
    "leading global line": Trap({"config": FIFTEEN + INCLUDE}, (("config", 1),)),
    "Host * first": Trap({"config": f"Host *\n  {FIFTEEN}{INCLUDE}"}, (("config", 2),)),
    "Host * last": Trap({"config": f"{INCLUDE}Host *\n  {FIFTEEN}"}, (("config", 3),), drop_in=True),
    "Host with its own value": Trap(
        {"config": f"{INCLUDE}Host bastion* !bastion9*\n  {FIFTEEN}"}, (("config", 3),), drop_in=True
    ),
    "Host above the Include": Trap({"config": f"Host other.example\n  {FIFTEEN}Host *\n{INCLUDE}"}, (("config", 2),)),
    "Match with its own value": Trap(
        {"config": f"Match originalhost=other.example user alice\n  {FIFTEEN}Match all\n{FIFTEEN}"},
        (("config", 2), ("config", 4)),
    ),
    "Match exec": Trap({"config": f'Match exec "test %h = other.example"\n  {FIFTEEN}'}, (("config", 2),)),
    "Include under a Host": Trap(
        {"config": f"Host other.example\n  {INCLUDE}", "ssh_config.d/a.conf": FIFTEEN}, (("ssh_config.d/a.conf", 1),)
    ),
    "earlier drop-in": Trap({"config": INCLUDE, "ssh_config.d/00-a.conf": FIFTEEN}, (("ssh_config.d/00-a.conf", 1),)),
    "later drop-in": Trap(
        {"config": INCLUDE, "ssh_config.d/50-a.conf": f"Host *\n{FIFTEEN}"},
        (("ssh_config.d/50-a.conf", 2),),
        drop_in=True,
    ),
    "our name is taken": Trap({"config": INCLUDE, DROP_IN: FIFTEEN}, ((DROP_IN, 1),)),
    "nothing to include": Trap({"config": f"Include none.d/*\n{FIFTEEN}"}, (("config", 2),)),
    "odd spelling": Trap(
        {"config": '  serveraliveINTERVAL =  "1m"\n\tServerAliveInterval=15\n'}, (("config", 1), ("config", 2))
    ),
    "CRLF": Trap({"config": "Host *\r\n  ServerAliveInterval 15\r\n"}, (("config", 2),)),
    "no final newline": Trap({"config": "Host other.example\n  ServerAliveInterval 15"}, (("config", 2),)),
    "empty file": Trap({"config": ""}),
}


class Target(NamedTuple):
    """Whose configuration it is."""

    main: str
    reader: str
    options: dict[str, Any]


TARGETS = {
    "system": Target(SYSTEM, "nobody", {}),
    "user": Target(ALICE, "alice", {"users": ["alice"]}),
}


@pytest.fixture(params=list(TARGETS), ids=str)
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def path_of(target: Target, name: str) -> str:
    return target.main if name == "config" else str(Path(target.main).parent / name)


def lay(target: Target, files: dict[str, str]) -> None:
    owner = "root" if target.main == SYSTEM else target.reader
    for name, text in files.items():
        write(path_of(target, name), text, owner=owner)


def values(target: Target, option: str = "ServerAliveInterval") -> list[str]:
    return [ssh_says(option, host, target.reader) for host in HOSTS]


@pytest.mark.parametrize("trap", TRAPS.values(), ids=list(TRAPS))
def test_takes_effect(trap: Trap, target: Target) -> None:
    lay(target, trap.files)
    before = snapshot()
    drop_in = trap.drop_in and target.main == SYSTEM

    plan = harden("ssh", server_alive_interval=60, **target.options)

    assert values(target) == ["60", "60", "60"]
    # A block of one value moves the lines below it by five.
    assert [(path, line, wins) for path, line, _value, wins in competing(plan)] == [
        (path_of(target, name), line + (5 if name == "config" and not drop_in else 0), False)
        for name, line in trap.competing
    ]
    assert os.path.exists(path_of(target, DROP_IN)) == (drop_in or DROP_IN in trap.files)
    assert not harden("ssh", server_alive_interval=60, **target.options).changed

    harden("ssh", state="absent", **target.options)

    assert snapshot() == before


@pytest.mark.parametrize("trap", TRAPS.values(), ids=list(TRAPS))
def test_exclusive_takes_effect_and_leaves_no_rival(trap: Trap) -> None:
    target = TARGETS["system"]
    lay(target, trap.files)
    before = snapshot()

    plan = harden("ssh", server_alive_interval=60, exclusive=True)

    assert values(target) == ["60", "60", "60"]
    assert plan.competing == []
    assert not harden("ssh", server_alive_interval=60, exclusive=True).changed

    harden("ssh", state="absent")

    assert snapshot() == before


@pytest.mark.parametrize(
    ("text", "expected", "winning"),
    [
        ("", ["60", "60", "60"], []),
        ("Host other.example\n  Port 22", ["60", "60", "60"], []),
        (f"Host bastion*\n  {FIFTEEN}", ["15", "15", "60"], [2]),
        (f"Match all\n  {FIFTEEN}", ["15", "15", "15"], [2]),
        (f"{FIFTEEN}Host *\nServerAliveInterval 9", ["15", "15", "15"], [1]),
    ],
    ids=str,
)
def test_last_lets_the_files_own_lines_win(target: Target, text: str, expected: list[str], winning: list[int]) -> None:
    lay(target, {"config": text})
    before = snapshot()

    plan = harden("ssh", server_alive_interval=60, precedence="last", **target.options)

    assert values(target) == expected
    assert [line for _path, line, _value, wins in competing(plan) if wins] == winning
    assert not harden("ssh", server_alive_interval=60, precedence="last", **target.options).changed
    harden("ssh", state="absent", **target.options)
    assert snapshot() == before


@pytest.mark.parametrize("text", [INCLUDE, f"{INCLUDE}Host *\n{FIFTEEN}", f"Host bastion1*\n{FIFTEEN}"], ids=str)
def test_host_values_are_for_those_hosts(target: Target, text: str) -> None:
    lay(target, {"config": text})
    before, others = snapshot(), values(target)

    harden("ssh", host="bastion* !bastion9*", server_alive_interval=60, server_alive_count_max=7, **target.options)

    assert values(target) == ["60", *others[1:]]
    assert values(target, "ServerAliveCountMax") == ["7", "3", "3"]

    harden("ssh", server_alive_interval=30, **target.options)
    assert values(target) == ["60", "30", "30"]
    assert not harden("ssh", host="bastion* !bastion9*", server_alive_interval=60, **target.options).changed
    harden("ssh", host="bastion* !bastion9*", state="absent", **target.options)
    assert values(target) == ["30", "30", "30"]
    harden("ssh", state="absent", **target.options)
    assert snapshot() == before


def test_every_option_takes_effect(target: Target) -> None:
    lay(target, {"config": "KeepAlive yes\nConnectTimeout 1m\nServerAliveCountMax 1\n"})
    before = snapshot()

    harden(
        "ssh",
        server_alive_interval="1m30s",
        server_alive_count_max=5,
        tcp_keepalive=False,
        connect_timeout=20,
        **target.options,
    )

    words = ("ServerAliveInterval", "ServerAliveCountMax", "TCPKeepAlive", "ConnectTimeout")
    assert [ssh_says(word, user=target.reader) for word in words] == ["90", "5", "no", "20"]
    harden("ssh", state="absent", **target.options)
    assert snapshot() == before


def test_first_and_last_stand_side_by_side(target: Target) -> None:
    lay(target, {"config": f"Host bastion*\n{FIFTEEN}"})
    before = snapshot()

    harden("ssh", server_alive_interval=60, precedence="last", **target.options)
    harden("ssh", server_alive_count_max=5, **target.options)

    assert values(target) == ["15", "15", "60"]
    assert values(target, "ServerAliveCountMax") == ["5", "5", "5"]
    harden("ssh", state="absent", **target.options)
    assert snapshot() == before


def test_several_users_each_get_their_own() -> None:
    write(ALICE, FIFTEEN, mode=0o600, owner="alice")
    run_ok("setfacl", "-m", "u:backup:r", ALICE)
    before = snapshot()

    plan = harden("ssh", users=["alice", "bob"], server_alive_interval=60)

    assert plan.before == {"alice": {"server_alive_interval": 15}, "bob": {"server_alive_interval": 0}}
    assert [ssh_says("ServerAliveInterval", user=user) for user in ("alice", "bob", "admin")] == ["60", "60", "0"]
    status = {path: os.stat(path) for path in (ALICE, BOB, os.path.dirname(BOB))}
    assert [oct(stat.S_IMODE(entry.st_mode)) for entry in status.values()] == [
        oct(before[ALICE].mode & 0o7777),
        "0o600",
        "0o700",
    ]
    assert status[BOB].st_uid == status[os.path.dirname(BOB)].st_uid == os.stat("/home/bob").st_uid
    harden("ssh", users=["bob", "alice"], state="absent")
    assert snapshot() == before


def test_what_a_user_adds_later_stays() -> None:
    harden("ssh", users=["bob"], server_alive_interval=60)
    with open(BOB, "a") as stream:
        stream.write("Port 2222\n")

    harden("ssh", users=["bob"], state="absent")

    assert Path(BOB).read_text() == "Port 2222\n"


def test_a_missing_system_file_is_created_and_removed() -> None:
    os.unlink(SYSTEM)
    before = snapshot()
    umask = os.umask(0o077)
    try:
        harden("ssh", server_alive_interval=60)
    finally:
        os.umask(umask)

    assert ssh_says("ServerAliveInterval") == "60"
    harden("ssh", state="absent")
    assert snapshot() == before


def test_everybody_can_read_the_drop_in() -> None:
    umask = os.umask(0o077)
    try:
        harden("ssh", server_alive_interval=60)
    finally:
        os.umask(umask)

    assert oct(os.stat(f"/etc/ssh/{DROP_IN}").st_mode) == "0o100644"
    assert [ssh_says("ServerAliveInterval", user=user) for user in ("root", "alice")] == ["60", "60"]


@pytest.mark.parametrize("path", [SYSTEM, "/etc/ssh/ssh_config.d/50-broken.conf"])
def test_a_configuration_that_is_broken_elsewhere_is_left_alone(path: str) -> None:
    write(path, "Host a\nNoSuchKeyword yes\n")
    before = snapshot()

    with pytest.raises(HardeningError, match=f"{path}.*line 2"):
        harden("ssh", server_alive_interval=60)

    assert snapshot() == before


def test_a_user_gets_the_systems_values_back_from_a_relative_include_too() -> None:
    write(SYSTEM, "Include ssh_config.d/*.conf\n")
    write("/etc/ssh/ssh_config.d/77.conf", "ServerAliveInterval 77\n")
    before = snapshot()
    harden("ssh", users=["alice"], server_alive_interval=60)
    assert ssh_says("ServerAliveInterval", user="alice") == "60"
    assert harden("ssh", users=["alice"], state="absent").effective["alice"]["server_alive_interval"] == 77
    assert snapshot() == before


def test_a_file_that_users_cannot_read_is_an_error_before_anything_is_written() -> None:
    write("/etc/ssh/ssh_config.d/50-secret.conf", "User alice\n", mode=0o600)
    before = snapshot()
    with pytest.raises(HardeningError, match=r"50-secret\.conf"):
        harden("ssh", server_alive_interval=60)
    assert snapshot() == before
