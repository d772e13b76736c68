#!/usr/bin/python

# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl
short_description: Manage the kernel's TCP keepalive, now and at the next boot
version_added: 0.1.0
description:
  - Sets C(net.ipv4.tcp_keepalive_*) and C(net.ipv4.tcp_retries2) in the running kernel, and in a file of
    C(/etc/sysctl.d) that is read last.
  - Works out what the next boot and C(sysctl --system) will set from all files that they read. If another line wins,
    the module fails, names its file and line, and changes nothing.
  - Sets its own keys in the running kernel and no others.
  - With O(state=absent) the running kernel gets what the next boot will set then.
  - An option that is not given is not managed; what an earlier run set stays.
author:
  - The keepalive.hardening authors (@keepalive)
options:
  tcp_keepalive_time:
    description: Idle seconds after which the kernel sends the first probe (C(net.ipv4.tcp_keepalive_time)), 1 to 32767.
    type: str
  tcp_keepalive_intvl:
    description: Seconds between unanswered probes (C(net.ipv4.tcp_keepalive_intvl)), 1 to 32767.
    type: str
  tcp_keepalive_probes:
    description:
      - Unanswered probes after which the kernel drops the connection (C(net.ipv4.tcp_keepalive_probes)), 1 to 127.
      - V(0) is refused, since the kernel would take it and kill healthy idle connections.
    type: str
  tcp_retries2:
    description:
      - Retransmissions of unacknowledged data before the kernel drops the connection (C(net.ipv4.tcp_retries2)),
        3 to 255. The kernel's default, 15, takes about 15 minutes; 8 about 100 seconds.
      - It holds for every TCP connection of the host.
    type: str
  runtime:
    description: Whether to set the running kernel.
    type: bool
    default: true
  persist:
    description: Whether to write the file that the next boot reads.
    type: bool
    default: true
  exclusive:
    description: Comment out every other line that sets one of the given keys by its name, in all directories. O(state=absent) restores them.
    type: bool
    default: false
  path:
    description: The file to write; C(/etc/sysctl.d/zz-keepalive.conf), which sorts last, if not given.
    type: path
  backup:
    description: Keep a copy of each file before it changes, as a hidden file beside it; RV(files) names it.
    type: bool
    default: false
  state:
    description:
      - V(present) brings the values into effect.
      - V(absent) takes back what this collection wrote of the given options, or everything if no option is
        given, and leaves every other byte as it was.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Can run in check mode and tell what would change, with the same results, and change nothing.
    support: full
  diff_mode:
    description: Shows what changes in each file.
    support: full
  platform:
    description: Target systems on which it is tested.
    platforms: debian
    support: full
    details: Other Linux systems are known from their packages' files only, see docs/platforms.md. Not supported beyond Linux.
notes:
  - Values are plain decimal numbers. Signs, blanks and leading zeros are refused, since the kernel reads V(010) as eight.
  - The settings belong to a network namespace; those of a host do not reach its containers.
seealso:
  - module: keepalive.hardening.keepalive
  - module: keepalive.hardening.sshd_config
  - module: keepalive.hardening.ssh_config
"""

EXAMPLES = r"""
- name: Drop an idle dead peer after five minutes
  keepalive.hardening.sysctl:
    tcp_keepalive_time: 120
    tcp_keepalive_intvl: 30
    tcp_keepalive_probes: 6

- name: In a container that must not touch the kernel
  keepalive.hardening.sysctl:
    tcp_keepalive_time: 120
    runtime: false

- name: Take everything back
  keepalive.hardening.sysctl:
    state: absent
"""

RETURN = r"""
before:
  description: Value of each option before the run, as the real tool reads it. Times are in seconds.
  returned: success
  type: dict
  sample: {tcp_keepalive_time: 7200}
effective:
  description: Value of each option after the run, as the real tool reads it; in check mode as it reads a copy.
  returned: success
  type: dict
  sample: {tcp_keepalive_time: 120}
files:
  description: The files that changed.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      returned: always
    backup_file:
      description: The copy of the file as it was.
      type: str
      returned: when O(backup=true) and there was a file
competing:
  description: Every other line that sets one of the options.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      returned: always
    line:
      description: Number of the line, after the run.
      type: int
      returned: always
    option:
      description: The option that it sets.
      type: str
      returned: always
    value:
      description: The value that it states.
      type: str
      returned: always
    scope:
      description: The Match and Host lines that it depends on, V("") if it is for everybody.
      type: str
      returned: always
    wins:
      description: Whether it decides, for those that its scope selects.
      type: bool
      returned: always
next_boot:
  description: Value of each option after the next boot, worked out from all files that it reads.
  returned: success
  type: dict
  sample: {tcp_keepalive_time: 120}
"""

from ansible_collections.keepalive.hardening.plugins.module_utils._imports import compile_once


def main() -> None:
    compile_once()
    from ansible_collections.keepalive.hardening.plugins.module_utils._module import run_layer

    run_layer("sysctl")


if __name__ == "__main__":
    main()
