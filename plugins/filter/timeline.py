# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: timeline
short_description: What keepalive values will do
version_added: 0.1.0
description:
  - Predicts for any values when one end of a connection probes, keeps the path open, and gives up once it is cut.
author:
  - The keepalive.hardening authors (@keepalive)
positional: version
options:
  _input:
    description:
      - Options of M(keepalive.hardening.sshd_config) for a server's end, or of M(keepalive.hardening.ssh_config) for a
        client's, and those of M(keepalive.hardening.sysctl) for its kernel.
      - What is left out has OpenSSH's or Linux' own default.
    type: dict
    required: true
  version:
    description: The end's OpenSSH, such as V(9.2). Without it, the newest.
    type: str
seealso:
  - plugin: keepalive.hardening.timeline_svg
    plugin_type: filter
  - plugin: keepalive.hardening.plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: When does the sshd of Debian 12 give up a client?
  ansible.builtin.debug:
    msg: "{{ {'client_alive_interval': 15, 'client_alive_count_max': 3} | keepalive.hardening.timeline('9.2') }}"
"""

RETURN = r"""
_value:
  description: As RV(keepalive.hardening.keepalive_info#module:timeline.server), or C(client).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.keepalive.hardening.plugins.module_utils._ends import parse_end, parse_version
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import timeline as predict


def timeline(options: Any, version: Any = None) -> dict[str, Any]:
    """The filter. Raises AnsibleFilterError for what are no options of an end."""
    if not isinstance(options, Mapping):
        raise AnsibleFilterError(f"timeline: {options!r} is not a dictionary of options")
    try:
        return predict(parse_end(options, parse_version(version)))
    except HardeningError as problem:
        raise AnsibleFilterError(f"timeline: {problem}") from problem


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"timeline": timeline}
