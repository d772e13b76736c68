# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many programs a run starts: that, and what Python has to compile, is where a run's time goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result
from ansible_collections.keepalive.hardening.tests.hosts import support
from ansible_collections.keepalive.hardening.tests.hosts.support import harden, planned


@pytest.fixture
def started_log() -> Iterator[Path]:
    """A file that every user may append to."""
    log = Path("/run/keepalive-started")
    log.touch()
    log.chmod(0o666)
    yield log
    log.unlink()


@pytest.mark.parametrize(
    ("layer", "options", "started"),
    [
        ("sshd", {"client_alive_interval": 30, "client_alive_count_max": 6, "tcp_keepalive": True}, ["sshd"]),
        ("ssh", {"server_alive_interval": 30, "server_alive_count_max": 6, "connect_timeout": 180}, ["ssh"]),
        ("sysctl", {"tcp_keepalive_time": 120, "tcp_keepalive_intvl": 30, "runtime": False}, []),
    ],
)
def test_a_run_that_changes_nothing_asks_the_real_tool_once(
    layer: str, options: dict[str, object], started: list[str], monkeypatch: pytest.MonkeyPatch, started_log: Path
) -> None:
    harden(layer, **options)
    # A file, since ssh is started by another process, which is nobody's.
    run = support.run_command

    def counted(command: list[str]) -> Result:
        with started_log.open("a") as stream:
            stream.write(f"{Path(command[0]).name}\n")
        return run(command)

    monkeypatch.setattr(support, "run_command", counted)
    assert not planned(layer, **options).changed
    assert started_log.read_text().split() == started
