# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a host and what follows from them, as keepalive_info returns it. Pure."""

from __future__ import annotations

from typing import Any, TypeVar

from . import _baselines
from ._facts import Facts, Origin
from ._findings import Finding, findings
from ._timeline import timeline

T = TypeVar("T")


def report(facts: Facts) -> dict[str, Any]:
    """
    The result of the module, but for what every module returns.

    What belongs to a client is by user where users were named.
    """
    server, kernel = facts.server, facts.kernel
    effective: dict[str, Any] = {}
    origins: dict[str, Any] = {}
    versions: dict[str, str] = {}
    timelines: dict[str, Any] = {}
    if server and facts.server_end:
        effective["sshd"] = server.openssh.effective
        origins["sshd"] = _origins(server.openssh.origins)
        versions["sshd"] = _version(server.openssh.version)
        timelines["server"] = timeline(facts.server_end)
    if facts.clients:
        effective["ssh"] = _by_user({user: client.effective for user, client in facts.clients.items()})
        origins["ssh"] = _by_user({user: _origins(client.origins) for user, client in facts.clients.items()})
        versions["ssh"] = _version(next(iter(facts.clients.values())).version)
        timelines["client"] = _by_user({user: timeline(end) for user, end in facts.client_ends.items()})
    if kernel:
        effective["sysctl"] = facts.live._asdict()
        origins["sysctl"] = _origins(kernel.origins)
    return {
        "effective": effective,
        "next_boot": kernel.next_boot if kernel else {},
        "origins": origins,
        "versions": versions,
        "timeline": timelines,
        "findings": [_finding(finding) for finding in findings(facts)],
        "baselines": _baselines.check(server.openssh.effective) if server else [],
    }


def _by_user(values: dict[str, T]) -> T | dict[str, T]:
    """The value of everybody, or each user's where users were named."""
    named = {user: value for user, value in values.items() if user}
    return named or values[""]


def _origins(origins: dict[str, Origin]) -> dict[str, dict[str, Any]]:
    return {option: origin._asdict() for option, origin in origins.items()}


def _version(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _finding(finding: Finding) -> dict[str, Any]:
    plain = finding._asdict()
    origin = plain.pop("origin")
    return {**plain, "path": origin.path if origin else "", "line": origin.line if origin else 0}
