# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of settings: each option's name, directive, kind, safe range and first version. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple, Union

from ._errors import HardeningError
from ._values import LONGEST_TIME, parse_channel_timeouts, parse_flag, parse_time, parse_whole_number

Value = Union[bool, int, "dict[str, int]"]


class Setting(NamedTuple):
    """One option of a module and what stands for it in a file."""

    option: str
    #: Keyword or sysctl key, as this collection writes it.
    directive: str
    #: time (seconds), none_or_time, number, flag or channel_timeouts
    kind: str
    low: int = 0
    high: int = LONGEST_TIME
    #: Why a value below ``low`` is refused, where that is not obvious.
    why_low: str = ""
    #: The first OpenSSH version that knows the directive.
    since: tuple[int, int] | None = None
    #: Other keywords that mean the same.
    aliases: tuple[str, ...] = ()
    #: Whether sshd takes it in a Match block.
    in_match: bool = True

    @property
    def order(self) -> int:
        """Its place in the catalogue, in which files list settings."""
        return (*SSHD, *SSH, *SYSCTL).index(self)

    @property
    def keywords(self) -> tuple[str, ...]:
        """Every keyword that sets it, in lower case."""
        return (self.directive.lower(), *self.aliases)

    def parse(self, raw: Any) -> Value:
        """The value of an option as a user gives it. Raises ValueError."""
        if self.kind == "flag":
            return bool(raw)
        if self.kind == "channel_timeouts":
            return parse_channel_timeouts(raw)
        if self.kind == "number":
            number = parse_whole_number(raw)
        elif self.kind == "none_or_time" and raw == "none":
            number = 0
        else:
            number = parse_time(raw)
        if not self.low <= number <= self.high:
            raise ValueError(
                f"{raw} is outside the safe range {self.low} to {self.high}"
                + (f": {self.why_low}" if number < self.low and self.why_low else "")
            )
        return number

    def interpret(self, text: str) -> Value:
        """The value that a line in a file or the real tool's output states. Raises ValueError."""
        if self.kind == "flag":
            return parse_flag(text)
        if text.lower() in ("none", "any"):
            return {} if self.kind == "channel_timeouts" else 0
        if self.kind == "channel_timeouts":
            pairs = [pair.rpartition("=") for pair in text.split()]
            return {pattern: parse_time(time) for pattern, _equals, time in pairs}
        return int(text) if self.kind == "number" else parse_time(text)


SSHD = (
    Setting("client_alive_interval", "ClientAliveInterval", "time"),
    Setting("client_alive_count_max", "ClientAliveCountMax", "number"),
    Setting("tcp_keepalive", "TCPKeepAlive", "flag", aliases=("keepalive",), in_match=False),
    Setting("channel_timeout", "ChannelTimeout", "channel_timeouts", since=(9, 2)),
    Setting("unused_connection_timeout", "UnusedConnectionTimeout", "none_or_time", since=(9, 2)),
)

SSH = (
    Setting("server_alive_interval", "ServerAliveInterval", "time"),
    Setting(
        "server_alive_count_max",
        "ServerAliveCountMax",
        "number",
        low=1,
        why_low="with 0 the client leaves a healthy connection after one silent interval",
    ),
    Setting("tcp_keepalive", "TCPKeepAlive", "flag", aliases=("keepalive",)),
    Setting("connect_timeout", "ConnectTimeout", "none_or_time"),
)

# The kernel takes more, but setsockopt(2) bounds a socket's own keepalive values to 32767 s and 127
# probes (include/net/tcp.h, MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT).
SYSCTL = (
    Setting("tcp_keepalive_time", "net.ipv4.tcp_keepalive_time", "number", low=1, high=32767),
    Setting("tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_intvl", "number", low=1, high=32767),
    Setting(
        "tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_probes",
        "number",
        low=1,
        high=127,
        why_low="with 0 the kernel kills healthy idle connections",
    ),
    Setting(
        "tcp_retries2",
        "net.ipv4.tcp_retries2",
        "number",
        low=3,
        high=255,
        why_low="a moment of packet loss would end connections",
    ),
)


class Kernel(NamedTuple):
    """The TCP settings of one end's kernel (net.ipv4.*), by default Linux' own (net/ipv4/tcp_ipv4.c)."""

    tcp_keepalive_time: int = 7200
    tcp_keepalive_intvl: int = 75
    tcp_keepalive_probes: int = 9
    tcp_retries2: int = 15


def wanted_values(settings: tuple[Setting, ...], options: dict[str, Any], layer: str) -> dict[Setting, Value]:
    """
    The settings that ``options`` gives, with their values; an option that is None is not managed.

    Raises HardeningError that names every option that is wrong.
    """
    wanted: dict[Setting, Value] = {}
    problems = []
    for setting in settings:
        raw = options.get(setting.option)
        if raw is None:
            continue
        try:
            wanted[setting] = setting.parse(raw)
        except ValueError as problem:
            problems.append(f"{layer}: {setting.option}: {problem}")
    if problems:
        raise HardeningError("; ".join(problems))
    return wanted


def keyword_table(settings: tuple[Setting, ...]) -> dict[str, Setting]:
    """Every keyword in lower case, aliases too, to its setting."""
    return {keyword: setting for setting in settings for keyword in setting.keywords}
