# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the running sshd listens, as the kernel's tables say it."""

from __future__ import annotations

import socket
import sys

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._daemons import listening

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
LISTENS, HALF_OPEN, ESTABLISHED = "0A", "03", "01"

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="as the rows were taken down")


def row(address: str, state: str, inode: int) -> str:
    return f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0"


def test_what_listens_is_read_with_its_address() -> None:
    table = [HEADER, row("00000000:0016", LISTENS, 7), row("0100007F:08AE", LISTENS, 8)]
    assert listening(table, socket.AF_INET) == {"socket:[7]": ("0.0.0.0", 22), "socket:[8]": ("127.0.0.1", 2222)}
    table = [HEADER, row("00000000000000000000000001000000:0016", LISTENS, 9)]
    assert listening(table, socket.AF_INET6) == {"socket:[9]": ("::1", 22)}
    assert listening([], socket.AF_INET) == {}


def test_a_busy_hosts_connections_are_not_read() -> None:
    rows = iter([HEADER, row("00000000:0016", LISTENS, 7), row("0100007F:0016", ESTABLISHED, 8), "never read"])
    assert list(listening(rows, socket.AF_INET)) == ["socket:[7]"]
    assert list(rows) == ["never read"]


def test_half_open_connections_may_stand_between_what_listens() -> None:
    table = [HEADER, row("00000000:0050", HALF_OPEN, 0), row("00000000:0016", LISTENS, 7)]
    assert list(listening(table, socket.AF_INET)) == ["socket:[7]"]
