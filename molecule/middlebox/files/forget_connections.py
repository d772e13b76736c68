# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Empty the connection tracking table of this host, as `conntrack -F` does, which Debian does not install."""

from __future__ import annotations

import os
import socket
import struct

# include/uapi/linux/netlink.h and netfilter/nfnetlink*.h
NETLINK_NETFILTER = 12
CTNETLINK_DELETE = 1 << 8 | 2
REQUEST_AND_ACK = 1 | 4

with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
    # A header and, with an address family of 0, no attributes: that is every connection.
    kernel.send(struct.pack("=IHHII4x", 20, CTNETLINK_DELETE, REQUEST_AND_ACK, 0, 0))
    (error,) = struct.unpack_from("=i", kernel.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error))
