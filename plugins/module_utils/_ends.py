# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the modules' options to the end of a connection that they make. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ._errors import HardeningError
from ._settings import SSH, SSHD, SYSCTL, Kernel, Setting, Value
from ._timeline import NEWEST, End
from ._values import parse_flag, parse_time, parse_whole_number

#: Which options are whose, and what OpenSSH does without them.
_ALIVE = {"server": "client_alive", "client": "server_alive"}
_DEFAULT_COUNT = 3


def parse_version(text: Any) -> tuple[int, int]:
    """Major and minor version of an OpenSSH such as 9.2p1; NEWEST for None. Raises HardeningError."""
    if text is None:
        return NEWEST
    match = re.match(r"(\d+)\.(\d+)", str(text))
    if not match:
        raise HardeningError(f"{text!r} is not a version of OpenSSH such as 9.2")
    return int(match[1]), int(match[2])


def parse_end(options: Mapping[str, Any], version: tuple[int, int]) -> End:
    """
    The end that options describe as a user writes them; what is left out has OpenSSH's or Linux' own default.

    Raises HardeningError for options that are unknown, of both ends at once, or not what they should be.
    """
    servers_own = {setting.option for setting in SSHD} - {setting.option for setting in SSH}
    side = (
        "server" if any(option in servers_own or str(option).startswith("client_") for option in options) else "client"
    )
    settings = {setting.option: setting for setting in (*(SSHD if side == "server" else SSH), *SYSCTL)}
    values: dict[str, Any] = {}
    for option, raw in options.items():
        if option not in settings:
            raise HardeningError(f"{option} is no option of one end of a connection; they are {', '.join(settings)}")
        try:
            values[option] = _value(settings[option], raw)
        except ValueError as problem:
            raise HardeningError(f"{option}: {problem}") from problem
    given = {option: value for option, value in values.items() if value is not None}
    kernel = Kernel(**{option: value for option, value in given.items() if option in Kernel._fields})
    return end_with(side, given, version, kernel)


def end_with(side: str, values: Mapping[str, Value], version: tuple[int, int], kernel: Kernel) -> End:
    """The end that these values make, by option."""
    word = _ALIVE[side]
    interval, count = values.get(f"{word}_interval", 0), values.get(f"{word}_count_max", _DEFAULT_COUNT)
    if not isinstance(interval, int) or not isinstance(count, int):
        raise TypeError(f"{word}: {interval!r} and {count!r} are no numbers")
    # One that does not say its version is taken for a new one.
    return End(
        side, interval, count, version if version > (0, 0) else NEWEST, values.get("tcp_keepalive") is not False, kernel
    )


def _value(setting: Setting, raw: Any) -> Value | None:
    """The value of an option, in no particular range; None where it makes no difference. Raises ValueError."""
    if raw is None or setting.kind not in ("time", "number", "flag"):
        return None
    if setting.kind == "flag":
        return parse_flag(str(raw))
    if isinstance(raw, bool):
        raise ValueError(f"{raw} is no number")
    number = parse_time(str(raw)) if setting.kind == "time" else parse_whole_number(str(raw))
    if number > setting.high:
        raise ValueError(f"{raw} is more than {setting.high}")
    return number
