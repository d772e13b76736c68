# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user who prepares a trap in the home folder gains nothing from root's run over it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._transaction import carry_out
from ansible_collections.keepalive.hardening.tests.hosts.support import (
    entry,
    harden,
    planned,
    snapshot,
    ssh_says,
    write,
)

CONFIG = Path("/home/alice/.ssh/config")
VICTIM = Path("/home/bob/.ssh/config")
SECRET = "/etc/shadow"


@pytest.fixture(autouse=True)
def homes(as_installed: None) -> None:
    write(str(CONFIG.with_name("known_hosts")), "", owner="alice")
    write(str(VICTIM), "ServerAliveInterval 15\n", owner="bob")


def link_to_shadow() -> None:
    CONFIG.symlink_to(SECRET)


def link_to_another_user() -> None:
    CONFIG.symlink_to(VICTIM)


def link_to_a_root_file() -> None:
    CONFIG.symlink_to("/etc/ssh/ssh_config")


def dangling_link_into_etc() -> None:
    CONFIG.symlink_to("/etc/ssh/ssh_config.d/evil.conf")


def hard_link_to_another_user() -> None:
    os.link(VICTIM, CONFIG)


def hard_link_to_shadow() -> None:
    os.link(SECRET, CONFIG)


def fifo() -> None:
    os.mkfifo(CONFIG)


def folder() -> None:
    CONFIG.mkdir()


def endless_device() -> None:
    CONFIG.symlink_to("/dev/zero")


def folder_of_another_user() -> None:
    CONFIG.parent.rename("/home/alice/away")
    CONFIG.parent.symlink_to(VICTIM.parent)


def folder_of_the_system() -> None:
    CONFIG.parent.rename("/home/alice/away")
    CONFIG.parent.symlink_to("/etc/ssh")


def no_folder_in_the_system() -> None:
    CONFIG.parent.rename("/home/alice/away")
    CONFIG.parent.symlink_to("/etc/ssh/new")


def home_of_another_user() -> None:
    Path("/home/alice").rename("/home/away")
    Path("/home/alice").symlink_to("/home/bob")


def home_of_root() -> None:
    Path("/home/alice").rename("/home/away")
    Path("/home/alice").symlink_to("/etc")


TRAPS = (
    link_to_shadow,
    link_to_another_user,
    link_to_a_root_file,
    dangling_link_into_etc,
    hard_link_to_another_user,
    hard_link_to_shadow,
    fifo,
    folder,
    endless_device,
    folder_of_another_user,
    folder_of_the_system,
    no_folder_in_the_system,
    home_of_another_user,
    home_of_root,
)


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("options", [{"server_alive_interval": 60}, {"server_alive_interval": 60, "exclusive": True}])
def test_a_trap_is_refused(trap: Callable[[], None], options: dict[str, object]) -> None:
    trap()
    before, secret, groups = snapshot(), entry(SECRET), os.getgroups()

    with pytest.raises(HardeningError) as raised:
        harden("ssh", users=["alice"], **options)

    assert snapshot() == before
    assert entry(SECRET) == secret
    assert "$" not in str(raised.value), "a line of the secret"
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, groups)


@pytest.mark.parametrize("include", [SECRET, "/root/*", "/home/bob/.ssh/*", "/proc/self/mem"])
def test_an_include_is_followed_with_the_users_rights(include: str) -> None:
    write(str(CONFIG), f"Include {include}\n", owner="alice")
    os.chmod(VICTIM, 0o600)
    before = {**snapshot(), SECRET: entry(SECRET)}

    said = ""
    try:
        harden("ssh", users=["alice"], server_alive_interval=60, exclusive=True)
        harden("ssh", users=["alice"], state="absent")
    except HardeningError as problem:
        said = str(problem)

    assert "$" not in said, "a line of the secret"
    assert {**snapshot(), SECRET: entry(SECRET)} == before


def test_match_exec_runs_as_the_user() -> None:
    witness = Path("/home/alice/witness")
    write(str(CONFIG), f'Match exec "(id -ru; id -u; id -rg; id -g; id -G) >>{witness}"\n', owner="alice")

    harden("ssh", users=["alice"], server_alive_interval=60)

    own = pwd.getpwnam("alice")
    seen = set(witness.read_text().split())
    assert seen == {str(own.pw_uid), str(own.pw_gid)}


def test_a_link_to_a_file_of_their_own_is_no_trap() -> None:
    write("/home/alice/dotfiles/ssh", "ServerAliveInterval 15\n", owner="alice")
    CONFIG.symlink_to("../dotfiles/ssh")
    before = snapshot()

    harden("ssh", users=["alice"], server_alive_interval=60)

    assert ssh_says("ServerAliveInterval", user="alice") == "60"
    assert os.readlink(CONFIG) == "../dotfiles/ssh"
    harden("ssh", users=["alice"], state="absent")
    assert snapshot() == before


@pytest.mark.parametrize("target", [SECRET, str(VICTIM), "/root/.ssh/config"])
@pytest.mark.parametrize("swapped", [CONFIG, CONFIG.parent, CONFIG.parent.parent])
def test_a_swap_between_the_look_and_the_write_is_no_way_in(swapped: Path, target: str) -> None:
    write(str(CONFIG), "ServerAliveInterval 15\n", owner="alice")
    victims = {
        path: entry(path) if os.path.exists(path) else None for path in (SECRET, str(VICTIM), "/root/.ssh/config")
    }
    plan = planned("ssh", users=["alice"], server_alive_interval=60)
    depth = len(CONFIG.relative_to(swapped).parts)
    os.rename(swapped, f"{swapped}.moved")
    swapped.symlink_to(Path(target, *[".."] * depth) if depth else target)
    try:
        with pytest.raises(HardeningError):
            carry_out([plan])
    finally:
        swapped.unlink()
        os.rename(f"{swapped}.moved", swapped)
    assert {path: entry(path) if os.path.exists(path) else None for path in victims} == victims
