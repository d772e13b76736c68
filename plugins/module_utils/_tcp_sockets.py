# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The open TCP connections of this host with what the kernel knows of each, as ss(8) asks for it."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ._errors import HardeningError

# include/uapi/linux/netlink.h, sock_diag.h, inet_diag.h, and include/net/tcp_states.h
_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_REQUEST_DUMP = 0x001 | 0x300
_INET_DIAG_INFO = 2
ESTABLISHED = 1
#: The peer has closed it, and the process here has not.
CLOSE_WAIT = 8
_FAMILIES = (socket.AF_INET, socket.AF_INET6)

_HEADER = struct.Struct("=IHHII")
# struct inet_diag_msg, its two ports and addresses in network byte order
_MESSAGE = struct.Struct("=4B 2s 2s 16s 16s 12s 5I")
_ATTRIBUTE = struct.Struct("=HH")
# struct tcp_info up to tcpi_last_ack_recv
_TCP_INFO = struct.Struct("=8B 13I")

#: idiag_timer: data that is not acknowledged is sent again.
RETRANSMISSION = 1
_TIMERS = {0: "none", RETRANSMISSION: "retransmission", 2: "keepalive", 3: "time_wait", 4: "zero_window"}


class TcpSocket(NamedTuple):
    """One open connection. Ages are seconds."""

    inode: int
    #: ESTABLISHED or CLOSE_WAIT.
    state: int
    local: tuple[str, int]
    peer: tuple[str, int]
    #: Which timer runs, such as RETRANSMISSION.
    timer: int
    #: How often in a row unacknowledged data was sent again.
    retransmits: int
    #: Segments that are not acknowledged.
    unacked: int
    last_sent: float
    last_received: float
    last_acked: float

    @property
    def timer_name(self) -> str:
        return _TIMERS.get(self.timer, str(self.timer))


def open_connections() -> list[TcpSocket]:
    """Every connection of this network namespace that is open on this side. Raises HardeningError."""
    found = []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            for family in _FAMILIES:
                states = 1 << ESTABLISHED | 1 << CLOSE_WAIT
                request = struct.pack("=4BI 48x", family, socket.IPPROTO_TCP, 1 << _INET_DIAG_INFO - 1, 0, states)
                header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 0, 0)
                kernel.send(header + request)
                try:
                    found += list(_answers(kernel))
                except FileNotFoundError:
                    # A kernel that was booted without IPv6 has no such connections to tell of.
                    if family != socket.AF_INET6:
                        raise
    except OSError as problem:
        raise HardeningError(f"the kernel does not tell its TCP connections: {problem.strerror}") from problem
    return found


def _answers(kernel: socket.socket) -> Iterator[TcpSocket]:
    while True:
        data = kernel.recv(1 << 18)
        while data:
            length, kind = _HEADER.unpack_from(data)[:2] if len(data) >= _HEADER.size else (0, 0)
            if length < _HEADER.size:
                raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                (code,) = struct.unpack_from("=i", data, _HEADER.size)
                raise OSError(-code, f"error {-code}")
            parsed = parse(data[_HEADER.size : length])
            if parsed:
                yield parsed
            data = data[length + 3 & ~3 :]


def parse(message: bytes) -> TcpSocket | None:
    """A connection from a struct inet_diag_msg with its attributes; None if the kernel tells nothing of its state."""
    if len(message) < _MESSAGE.size:
        return None
    fields = _MESSAGE.unpack_from(message)
    family, state, timer, _retrans, local_port, peer_port, local, peer = fields[:8]
    inode = fields[-1]
    rest = message[_MESSAGE.size :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        if kind == _INET_DIAG_INFO and min(length, len(rest)) >= _ATTRIBUTE.size + _TCP_INFO.size:
            info = _TCP_INFO.unpack_from(rest, _ATTRIBUTE.size)
            return TcpSocket(
                inode,
                state,
                (_address(family, local), int.from_bytes(local_port, "big")),
                (_address(family, peer), int.from_bytes(peer_port, "big")),
                timer,
                retransmits=info[2],
                unacked=info[12],
                last_sent=info[17] / 1000,
                last_received=info[19] / 1000,
                last_acked=info[20] / 1000,
            )
        rest = rest[max(length + 3 & ~3, _ATTRIBUTE.size) :]
    return None


def _address(family: int, packed: bytes) -> str:
    address = socket.inet_ntop(family, packed[: 4 if family == socket.AF_INET else 16])
    # An IPv4 peer of a socket for both families.
    return address[7:] if address.startswith("::ffff:") and "." in address else address
