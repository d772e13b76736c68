# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of each layer, as Ansible's argument specs. Pure."""

from __future__ import annotations

from typing import Any

#: What connections shall do, as _intent explains.
WISHES = ("detect_within", "ride_out", "path_idle_timeout")

_COMMON: dict[str, dict[str, Any]] = {
    "exclusive": {"type": "bool", "default": False},
    "path": {"type": "path"},
    "backup": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

# Times and numbers are text here, so that what is wrong in them, such as a leading zero, is seen and refused.
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "sshd": {
        "client_alive_interval": {"type": "str"},
        "client_alive_count_max": {"type": "str"},
        "tcp_keepalive": {"type": "bool"},
        "channel_timeout": {"type": "dict"},
        "unused_connection_timeout": {"type": "str"},
        "match": {"type": "str"},
        "reload": {"type": "bool", "default": True},
        **_COMMON,
    },
    "ssh": {
        "server_alive_interval": {"type": "str"},
        "server_alive_count_max": {"type": "str"},
        "tcp_keepalive": {"type": "bool"},
        "connect_timeout": {"type": "str"},
        "host": {"type": "str", "default": "*"},
        "users": {"type": "list", "elements": "str"},
        "precedence": {"type": "str", "choices": ["first", "last"], "default": "first"},
        **_COMMON,
    },
    "sysctl": {
        "tcp_keepalive_time": {"type": "str"},
        "tcp_keepalive_intvl": {"type": "str"},
        "tcp_keepalive_probes": {"type": "str"},
        "tcp_retries2": {"type": "str"},
        "runtime": {"type": "bool", "default": True},
        "persist": {"type": "bool", "default": True},
        **_COMMON,
    },
}
