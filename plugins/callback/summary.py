# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: Table of what keepalive.hardening changed, at the end of a run
version_added: 0.1.0
description:
  - Prints, for each host and layer, the values before and after as the real tools read them, and other lines that
    win for some users or hosts. Hosts where nothing changed get one line.
  - Names the hosts of the batches that a play with C(serial) did not begin because it stopped before.
author:
  - The keepalive.hardening authors (@keepalive)
requirements:
  - Enable it in ansible.cfg, C(callbacks_enabled = keepalive.hardening.summary), or by the environment variable
    E(ANSIBLE_CALLBACKS_ENABLED).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.plugins.callback import CallbackBase

# What each module calls its one layer; "" for results that are by layer already.
_LAYERS = {
    "keepalive.hardening.keepalive": "",
    "keepalive.hardening.sshd_config": "sshd",
    "keepalive.hardening.ssh_config": "ssh",
    "keepalive.hardening.sysctl": "sysctl",
}
_HEADINGS = ("host", "layer", "option", "before", "after")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "keepalive.hardening.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[str, ...]] = []
        self._unchanged: dict[str, bool] = {}
        self._notes: list[str] = []
        self._waiting: dict[str, list[str]] = {}
        self._check_mode = False

    # Comes once for each batch.
    def v2_playbook_on_play_start(self, play: Any) -> None:
        if not play.serial:
            return
        hosts = play.get_variable_manager().get_vars(play=play)
        waiting = self._waiting.get(play._uuid, hosts["ansible_play_hosts_all"])
        self._waiting[play._uuid] = [host for host in waiting if host not in hosts["ansible_play_batch"]]

    # The underscored names of a result are those that every supported ansible-core has.
    def v2_runner_on_ok(self, result: Any) -> None:
        layer = _LAYERS.get(result._task.resolved_action or result._task.action)
        if layer is None:
            return
        host = result._host.get_name()
        self._check_mode = result._task.check_mode
        # A task with a loop answers once for all its items.
        for answer in result._result.get("results", [result._result]):
            if "effective" in answer:
                self._note(host, layer, answer)

    def _note(self, host: str, layer: str, answer: Mapping[str, Any]) -> None:
        changed = bool(answer.get("changed"))
        self._unchanged[host] = self._unchanged.get(host, True) and not changed
        if changed:
            self._rows += [(host, *row) for row in _rows(layer, answer)]
        self._notes += [f"{host}: {note}" for note in _notes(answer, changed and not self._check_mode)]

    def v2_playbook_on_stats(self, stats: Any) -> None:
        # A host that failed in an earlier play takes no part in a later one.
        over = {*stats.failures, *stats.dark}
        not_begun = [host for waiting in self._waiting.values() for host in waiting if host not in over]
        if not self._unchanged and not not_begun:
            return
        self._display.banner("KEEPALIVE, CHECK MODE: NOTHING WAS CHANGED" if self._check_mode else "KEEPALIVE")
        for line in _table([_HEADINGS, *self._rows]) if self._rows else []:
            self._display.display(line)
        for note in self._notes:
            self._display.display(note)
        for host, unchanged in self._unchanged.items():
            if unchanged:
                self._display.display(f"{host}: as it should be, nothing changed")
        if not_begun:
            self._display.display(f"not done, the run stopped before: {','.join(dict.fromkeys(not_begun))}")


def _rows(layer: str, answer: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Layer, option, value before and after, of a module's result."""
    before, after = answer["before"], answer["effective"]
    layers = {layer: (before, after)} if layer else {name: (before[name], after[name]) for name in after}
    for name, (old, new) in layers.items():
        for option, value in _flat(new).items():
            yield name, option, str(_flat(old).get(option, "?")), str(value)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by option, those of users prefixed by the user's name."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and key != "channel_timeout":
            flat.update({f"{key}: {option}": inner for option, inner in value.items()})
        else:
            flat[key] = value
    return flat


def _notes(answer: Mapping[str, Any], changed: bool) -> Iterator[str]:
    if changed and not answer.get("files"):
        yield "files were right; the running system was not and is now"
    if changed:
        yield from answer.get("plan", {}).get("exceptions", [])
    for layer in answer.get("skipped_layers", []):
        yield f"has no {layer}, that layer was skipped"
    for line in answer["competing"]:
        if line["wins"] and line["scope"]:
            yield f"{line['path']}, line {line['line']}, {line['scope']}: {line['option']} stays {line['value']}"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return [
        "  ".join(
            cell.rjust(width) if column > 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        )
        for row in rows
    ]
