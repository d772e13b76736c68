# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: timeline_svg
short_description: Picture of when the ends of a connection probe and give up
version_added: 0.1.0
description:
  - Draws the timelines that M(keepalive.hardening.keepalive_info) and P(keepalive.hardening.plan#filter) return, as SVG.
author:
  - The keepalive.hardening authors (@keepalive)
positional: title
options:
  _input:
    description: Label to timeline, or to several by user.
    type: dict
    required: true
  title:
    description: What the picture shows.
    type: str
    default: An idle session whose path is cut
seealso:
  - plugin: keepalive.hardening.plan
    plugin_type: filter
  - module: keepalive.hardening.keepalive_info
"""

EXAMPLES = r"""
- name: Draw what an intent comes to
  ansible.builtin.copy:
    content: "{{ ({'detect_within': 60} | keepalive.hardening.plan('9.2')).timeline | keepalive.hardening.timeline_svg }}"
    dest: timeline.svg
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The SVG.
  type: str
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.keepalive.hardening.plugins.module_utils._drawing import draw


def timeline_svg(timelines: Any, title: str = "An idle session whose path is cut") -> str:
    """The filter. Raises AnsibleFilterError for what are no timelines."""
    if not isinstance(timelines, Mapping):
        raise AnsibleFilterError(f"timeline_svg: {timelines!r} is not a dictionary of timelines")
    return draw(dict(_flat(timelines)), str(title))


def _flat(timelines: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Label to timeline; those that are by user, as a client's may be, get the user's name."""
    for label, value in timelines.items():
        if not isinstance(value, Mapping) or (prefix and "gives_up" not in value):
            raise AnsibleFilterError(f"timeline_svg: {prefix}{label} is no timeline: {value!r}")
        if "gives_up" in value:
            yield f"{prefix}{label}", value
        else:
            yield from _flat(value, f"{label}, ")


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"timeline_svg": timeline_svg}
