# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many programs a run starts: that, and what Python has to compile, is where a run's time goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils import _openssh
from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result, Run, run_as
from ansible_collections.keepalive.hardening.plugins.module_utils._files import Account
from ansible_collections.keepalive.hardening.tests.hosts import support
from ansible_collections.keepalive.hardening.tests.hosts.support import harden, planned


@pytest.mark.parametrize(
    ("layer", "options", "started"),
    [
        ("sshd", {"client_alive_interval": 30, "client_alive_count_max": 6, "tcp_keepalive": True}, ["sshd"]),
        ("ssh", {"server_alive_interval": 30, "server_alive_count_max": 6, "connect_timeout": 180}, ["ssh"]),
        ("sysctl", {"tcp_keepalive_time": 120, "tcp_keepalive_intvl": 30, "runtime": False}, []),
    ],
)
def test_a_run_that_changes_nothing_asks_the_real_tool_once(
    layer: str, options: dict[str, object], started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    harden(layer, **options)
    commands: list[list[str]] = []
    run = support.run_command

    def counted(command: list[str]) -> Result:
        commands.append(command)
        return run(command)

    def counted_as(account: Account, run: Run, command: list[str]) -> Result:
        commands.append(command)
        return run_as(account, run, command)

    monkeypatch.setattr(support, "run_command", counted)
    monkeypatch.setattr(_openssh, "run_as", counted_as)
    assert not planned(layer, **options).changed
    assert [Path(command[0]).name for command in commands] == started
