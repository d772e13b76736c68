# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and groups of this host, as the name service knows them."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator, Mapping

from ._errors import HardeningError
from ._files import MOST_GROUPS, Account


def account(name: str) -> Account:
    """The user of that name. Raises HardeningError if there is none, or no home to work in."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise HardeningError(f"there is no user {name} on this host") from None
    if not os.path.isdir(entry.pw_dir):
        raise HardeningError(f"user {name} has no home directory: {entry.pw_dir} does not exist")
    return _from_entry(entry)


def bystander() -> Account:
    """
    The user that stands for everybody: nobody, who has no ssh_config of its own.

    Someone who is not root can only speak for themselves.
    """
    if os.geteuid() != 0:
        return _from_entry(pwd.getpwuid(os.geteuid()))
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise HardeningError("there is no user nobody on this host to read the system's ssh_config as") from None
    # Not asked for its other groups: its gid on macOS is too large for os.getgrouplist().
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, (entry.pw_gid,), entry.pw_dir)


def members_of_groups() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Each local group that has a member: one of them, and all groups of that user."""
    users, groups = pwd.getpwall(), grp.getgrall()
    names = {group.gr_gid: group.gr_name for group in groups}
    members = {}
    for group in groups:
        member = next(
            (user for user in users if user.pw_name in group.gr_mem or user.pw_gid == group.gr_gid),
            None,
        )
        if member:
            members[group.gr_name] = (member.pw_name, _group_names(member, names))
    return members


def users_with_groups() -> Iterator[tuple[pwd.struct_passwd, tuple[str, ...]]]:
    """Every local user with the names of its groups."""
    names = {group.gr_gid: group.gr_name for group in grp.getgrall()}
    for entry in pwd.getpwall():
        yield entry, _group_names(entry, names)


def _from_entry(entry: pwd.struct_passwd) -> Account:
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)[:MOST_GROUPS])
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


def _group_names(entry: pwd.struct_passwd, names: Mapping[int, str]) -> tuple[str, ...]:
    gids = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return tuple(names[gid] for gid in gids if gid in names)
