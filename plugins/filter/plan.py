# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: plan
short_description: Values of all three layers that keep an intent, and what they will do
version_added: 0.1.0
description:
  - Answers on the controller what O(keepalive.hardening.keepalive#module:intent) comes to on a host, without one.
author:
  - The keepalive.hardening authors (@keepalive)
positional: sshd_version
options:
  _input:
    description:
      - A dictionary with any of C(detect_within), C(ride_out) and C(path_idle_timeout), as
        O(keepalive.hardening.keepalive#module:intent).
    type: dict
    required: true
  sshd_version:
    description:
      - The server's OpenSSH, such as V(9.2). Versions 9.2 to 9.4 need half the interval.
      - Without it, the newest.
    type: str
seealso:
  - module: keepalive.hardening.keepalive
  - module: keepalive.hardening.keepalive_info
"""

EXAMPLES = r"""
- name: What would these wishes mean behind an AWS load balancer, for the sshd of Debian 12?
  ansible.builtin.debug:
    msg: "{{ {'detect_within': 300, 'path_idle_timeout': 'aws_nlb'} | keepalive.hardening.plan('9.2') }}"
"""

RETURN = r"""
_value:
  description:
    - The values by layer, in C(sshd), C(ssh) and C(sysctl), their C(reasons), the C(timeline) of each end, and the
      C(exceptions), in which a dead peer is noticed later than asked for.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.keepalive.hardening.plugins.module_utils._ends import parse_version
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._intent import parse_intent
from ansible_collections.keepalive.hardening.plugins.module_utils._intent import plan as plan_intent
from ansible_collections.keepalive.hardening.plugins.module_utils._options import WISHES


def plan(intent: Any, sshd_version: Any = None) -> dict[str, Any]:
    """The filter. Raises AnsibleFilterError for what is no intent or cannot be kept."""
    if not isinstance(intent, Mapping) or not set(intent) <= set(WISHES):
        raise AnsibleFilterError(f"plan: {intent!r} is not a dictionary of {', '.join(WISHES)}")
    try:
        return plan_intent(parse_intent(dict(intent)), parse_version(sshd_version))
    except HardeningError as problem:
        raise AnsibleFilterError(f"plan: {problem}") from problem


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan": plan}
