# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of systems that we cannot boot, with our values in them, as this host's sshd and ssh read them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils import _openssh
from ansible_collections.keepalive.hardening.plugins.module_utils._accounts import bystander
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._placement import (
    Request,
    main_file,
    ssh_candidate,
    sshd_candidate,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import SSH, SSHD
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_match import Connection
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import Place
from ansible_collections.keepalive.hardening.plugins.module_utils._staging import staged
from ansible_collections.keepalive.hardening.tests.hosts.support import (
    harden,
    planned,
    run_command,
    snapshot,
    write,
)
from ansible_collections.keepalive.hardening.tests.unit.platforms import PLATFORMS
from ansible_collections.keepalive.hardening.tests.unit.support import MemoryFiles

SERVERS = [name for name, platform in PLATFORMS.items() if platform.sshd_place]


def candidates(name: str, layer: str) -> tuple[MemoryFiles, Place]:
    files = MemoryFiles(PLATFORMS[name].files)
    return files, Place(main_file(files, f"/etc/ssh/{layer}_config"), "/etc/ssh", has_drop_ins=True)


@pytest.mark.parametrize("rival", ["", "ClientAliveInterval 5\n"])
@pytest.mark.parametrize("name", SERVERS)
def test_sshd_reads_the_value(name: str, rival: str) -> None:
    files, place = candidates(name, "sshd")
    files.texts = {**files.texts, place.main: files.texts[place.main] + rival}
    candidate = sshd_candidate(files, place, Request({SSHD[0]: 30}, "", "first", False, False))
    program = _openssh.find("sshd")
    assert program
    with staged(candidate, place, reader=None) as (copy, _root):
        dump = _openssh.sshd_dump(run_command, program, copy, Connection())
    assert dump["clientaliveinterval"] == "30"


@pytest.mark.parametrize("rival", ["", "Host *\nServerAliveInterval 5\n"])
@pytest.mark.parametrize("position", ["first", "last"])
@pytest.mark.parametrize("name", PLATFORMS)
def test_ssh_reads_the_value(name: str, position: str, rival: str) -> None:
    files, place = candidates(name, "ssh")
    files.texts = {**files.texts, place.main: files.texts[place.main] + rival}
    candidate = ssh_candidate(files, place, Request({SSH[0]: 30}, "", position, False, False))
    reader = bystander()
    with staged(candidate, place, reader) as (copy, _root):
        dump = _openssh.ssh_dump(run_command, "/usr/bin/ssh", "host.example", reader, copy)
    assert dump["serveraliveinterval"] == ("30" if position == "first" or not rival else "5")


@pytest.fixture
def as_on_opensuse() -> Iterator[None]:
    """Both main files are where openSUSE has them. Debian's sshd and ssh do not look there by themselves."""
    vendors = Path("/usr/etc/ssh")
    vendors.mkdir(parents=True)
    for name in ("sshd_config", "ssh_config"):
        shutil.move(f"/etc/ssh/{name}", vendors)
    yield
    for name in ("sshd_config", "ssh_config"):
        shutil.move(vendors / name, "/etc/ssh")
    shutil.rmtree("/usr/etc")


@pytest.mark.usefixtures("as_on_opensuse")
def test_sshds_value_goes_into_a_drop_in_where_the_main_file_is_the_distributions() -> None:
    before, vendors = snapshot(), snapshot("/usr/etc")
    plan = harden("sshd", client_alive_interval=60, reload=False)
    assert [change.path for change in plan.file_changes] == ["/etc/ssh/sshd_config.d/00-keepalive.conf"]
    assert plan.effective == {"client_alive_interval": 60}
    assert not harden("sshd", client_alive_interval=60, reload=False).changed
    harden("sshd", state="absent", reload=False)
    assert (snapshot(), snapshot("/usr/etc")) == (before, vendors)


@pytest.mark.usefixtures("as_on_opensuse")
def test_a_change_of_the_distributions_main_file_is_refused() -> None:
    write("/etc/ssh/sshd_config.d/00-a.conf", "ClientAliveInterval 5\n")
    before = snapshot()
    with pytest.raises(HardeningError, match="copy /usr/etc/ssh/sshd_config to /etc/ssh"):
        harden("sshd", client_alive_interval=60, reload=False)
    with pytest.raises(HardeningError, match="copy /usr/etc/ssh/ssh_config to /etc/ssh"):
        harden("ssh", server_alive_interval=60, precedence="last")
    assert snapshot() == before


@pytest.mark.usefixtures("as_on_opensuse")
def test_no_ssh_config_is_created_that_would_hide_the_distributions() -> None:
    before = snapshot()
    plan = planned("ssh", server_alive_interval=60)
    assert [change.path for change in plan.file_changes] == ["/etc/ssh/ssh_config.d/00-keepalive.conf"]
    # Where ssh does not read what we took for its file after all, that is seen and everything put back.
    with pytest.raises(HardeningError, match="effective after the change"):
        harden("ssh", server_alive_interval=60)
    assert snapshot() == before
