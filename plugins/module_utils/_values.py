# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as OpenSSH and the kernel read them: text to value and back. Pure."""

from __future__ import annotations

import re
from typing import Any

# sshd multiplies intervals by 1000 in an int, so more seconds than this overflow.
LONGEST_TIME = 2147483

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME_PART = re.compile(r"([0-9]+)([smhdw]?)", re.IGNORECASE | re.ASCII)
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]*")

#: sshd_config(5), ChannelTimeout: in place of a pattern, the time in which no channel is active; from OpenSSH 9.7.
GLOBAL_TIMEOUT = "global"
# A pattern that matches none of these is accepted by sshd and does nothing.
_CHANNEL_TYPES = (
    "agent-connection",
    "direct-tcpip",
    "direct-streamlocal@openssh.com",
    "forwarded-tcpip",
    "forwarded-streamlocal@openssh.com",
    "session:command",
    "session:shell",
    "session:subsystem:sftp",
    "tun-connection",
    "x11-connection",
)


def parse_time(text: str) -> int:
    """
    Seconds in an OpenSSH time such as ``90``, ``1m30s`` or ``10s5`` (sshd_config(5), TIME FORMATS).

    Raises ValueError where OpenSSH would refuse the text.
    """
    parts = _TIME_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a time that OpenSSH takes: write seconds (90) or units (1m30s)")
    return sum(int(number) * _UNIT_SECONDS[unit.lower()] for number, unit in parts)


def parse_whole_number(text: str) -> int:
    """
    The number that ``text`` says in plain decimal.

    Signs, blanks, leading zeros and other bases are refused: the kernel reads 010 as eight.
    Raises ValueError.
    """
    if not _WHOLE_NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number written in plain digits")
    return int(text)


def parse_flag(text: str) -> bool:
    """Yes or no, also as the true and false that OpenSSH 10.6 prints. Raises ValueError."""
    word = text.lower()
    if word not in ("yes", "no", "true", "false"):
        raise ValueError(f"{text!r} is neither yes nor no")
    return word in ("yes", "true")


def parse_channel_timeouts(pairs: dict[str, Any]) -> dict[str, int]:
    """Channel type pattern to seconds. Raises ValueError for a pattern that matches no channel."""
    timeouts = {}
    for pattern, time in pairs.items():
        if not re.fullmatch(r"[A-Za-z0-9@.:*?-]+", pattern):
            raise ValueError(f"{pattern!r} is not a pattern of channel types")
        expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        known = pattern == GLOBAL_TIMEOUT or any(re.fullmatch(expression, name) for name in _CHANNEL_TYPES)
        if not known and not pattern.startswith("session:subsystem:"):
            raise ValueError(
                f"{pattern!r} matches no channel type, sshd would take it and do nothing; "
                f"the types are {', '.join(_CHANNEL_TYPES)}, with * and ? as wildcards (session:*), "
                f"or {GLOBAL_TIMEOUT} for all together"
            )
        timeouts[pattern] = parse_time(str(time))
        if timeouts[pattern] > LONGEST_TIME:
            raise ValueError(f"{time!r} is longer than {LONGEST_TIME} seconds, the most that OpenSSH can count")
    return timeouts


def render(value: bool | int | dict[str, int]) -> str:
    """The value as a configuration file states it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{pattern}={seconds}" for pattern, seconds in value.items()) or "none"
    return str(value)
