# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: audit_table
short_description: What keepalive_info found on many hosts, as a table to read
version_added: 0.1.0
description:
  - A row for each host with what its ends of a connection will do, then every finding once, with the hosts that have it.
author:
  - The keepalive.hardening authors (@keepalive)
options:
  _input:
    description: Host to result of M(keepalive.hardening.keepalive_info); an empty result stands for a host without one.
    type: dict
    required: true
seealso:
  - module: keepalive.hardening.keepalive_info
"""

EXAMPLES = r"""
- name: Print what was found
  ansible.builtin.debug:
    msg: "{{ {'web1': web1_result, 'web2': web2_result} | keepalive.hardening.audit_table }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
"""

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.keepalive.hardening.plugins.module_utils._findings import SEVERITIES

_HEADINGS = (
    "host",
    "sshd version",
    "notices a dead client",
    "ssh version",
    "notices a dead server",
    *SEVERITIES[:2],
    "baselines held",
)
_WIDTH = 110


def audit_table(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The filter."""
    rows: list[tuple[str, ...]] = [(host, *_row(result)) for host, result in results.items()]
    return [*_aligned([_HEADINGS, *rows]), *_findings(results), *_contradictions(results)]


def _row(result: Mapping[str, Any]) -> tuple[str, ...]:
    if "findings" not in result:
        reached = "msg" in result and not result.get("unreachable")
        return (" ".join(str(result["msg"]).split()) if reached else "was not reached",)
    versions, timeline = result["versions"], result["timeline"]
    counts = [
        str(sum(finding["severity"] == severity for finding in result["findings"])) for severity in SEVERITIES[:2]
    ]
    held = [baseline["id"] for baseline in result["baselines"] if baseline["holds"]]
    return (
        versions.get("sshd", "-"),
        _noticed(timeline.get("server")),
        versions.get("ssh", "-"),
        _noticed(timeline.get("client")),
        *counts,
        ", ".join(held) if held else "-",
    )


def _noticed(end: Mapping[str, Any] | None) -> str:
    if not end:
        return "-"
    if "gives_up" not in end:
        return "by user"
    window = end["gives_up"]["idle"]
    return f"{window['earliest']:.0f} to {window['latest']:.0f} s" if window else "never"


def _findings(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Each finding once, the worst first, with the hosts that have it."""
    hosts: dict[tuple[str, str, str, str, str], dict[str, list[str]]] = {}
    for host, result in results.items():
        for finding in result.get("findings", []):
            where = f"{finding['path']}, line {finding['line']}: " if finding["path"] else ""
            key = (finding["severity"], finding["id"], finding["layer"], where + finding["what"], finding["do"])
            users = hosts.setdefault(key, {}).setdefault(host, [])
            users += [finding["user"]] if finding["user"] else []
    lines: list[str] = []
    for key, having in sorted(hosts.items(), key=lambda item: (SEVERITIES.index(item[0][0]), item[0])):
        severity, name, layer, what, do = key
        lines += [
            "",
            *_wrapped(f"{severity}: {name} ({layer}) on ", ", ".join(_with_users(*item) for item in having.items())),
            *_wrapped("    ", what),
            *_wrapped("    -> ", do),
        ]
    return lines


def _with_users(host: str, users: list[str]) -> str:
    return f"{host} ({', '.join(users)})" if users else host


def _contradictions(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the baselines that some host holds expect in vain."""
    held = {
        baseline["id"]: baseline["contradiction"]
        for result in results.values()
        for baseline in result.get("baselines", [])
        if baseline["holds"] and baseline["contradiction"]
    }
    return [line for name, why in held.items() for line in ("", *_wrapped(f"baseline {name}: ", why))]


def _wrapped(start: str, text: str) -> list[str]:
    indent = " " * min(len(start), 7)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows in columns; a row with one cell besides the host is a remark and makes no column wider."""
    full = [row for row in rows if len(row) == len(_HEADINGS)]
    widths = [max(len(row[column]) for row in (full if column else rows)) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"audit_table": audit_table}
