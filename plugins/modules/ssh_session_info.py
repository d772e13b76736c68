#!/usr/bin/python

# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_session_info
short_description: The SSH sessions of a host, and which of them are active, idle or hung
version_added: 0.1.0
description:
  - Lists the connections of clients that have logged in, with what the kernel knows of each, with or without logind.
  - V(active) is a session whose client answers and that is in use as far as can be told. V(idle) is one whose client
    answers and whose terminal was neither read nor written for O(idle_after). V(hung) is one that sent something, again
    and again, and nothing is acknowledged, or one whose client has closed the connection while sshd has not ended it.
    V(unknown) is one that is silent, where nothing tells whether its client is still there, as where sshd does not
    probe; it is never guessed.
  - Without a terminal nobody can tell what is idle, so such a session is never V(idle).
author:
  - The keepalive.hardening authors (@keepalive)
options:
  idle_after:
    description: Time after which a session whose terminal is not used is V(idle), in seconds or as V(5m).
    type: str
    default: 5m
attributes:
  check_mode:
    description: Can run in check mode, where it does the same.
    support: full
  diff_mode:
    description: Changes no file, so there is no difference to show.
    support: none
  platform:
    description: Target systems on which it is tested.
    platforms: debian
    support: full
notes:
  - Needs root, and nothing on the host but Python. On Linux only.
seealso:
  - module: keepalive.hardening.ssh_session
"""

EXAMPLES = r"""
- name: Who is logged in, and who is gone without saying so?
  keepalive.hardening.ssh_session_info:
  register: ssh

- name: Show those that hang
  ansible.builtin.debug:
    msg: "{{ ssh.sessions | selectattr('verdict', 'eq', 'hung') | map(attribute='reason') }}"
"""

RETURN = r"""
sessions:
  description: The sessions, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    user:
      description: The user that is logged in.
      type: str
      returned: always
    peer:
      description: The client's address.
      type: str
      returned: always
    peer_port:
      description: The client's port.
      type: int
      returned: always
    local:
      description: The server's address.
      type: str
      returned: always
    local_port:
      description: The server's port.
      type: int
      returned: always
    started:
      description: When it was opened, in UTC.
      type: str
      returned: always
    age:
      description: Seconds since then.
      type: int
      returned: always
    kind:
      description: V(terminal), V(command), V(sftp) or V(tunnel).
      type: str
      returned: always
    terminals:
      description: Its terminals, such as C(pts/0).
      type: list
      elements: str
      returned: always
    channels:
      description: Shells, commands and subsystems that run in it.
      type: int
      returned: always
    multiplexed:
      description: Whether several share the connection.
      type: bool
      returned: always
    pid:
      description: The session's own process.
      type: int
      returned: always
    monitor_pid:
      description: Root's process that watches over it; the same where there is none, as for root before OpenSSH 9.8.
      type: int
      returned: always
    idle_for:
      description: Seconds since its terminal was read or written, to 8 s; null where not all that runs in it has one.
      type: int
      returned: always
    hung_for:
      description: Seconds for which its client is silent though asked again and again, or has closed the connection; null otherwise.
      type: int
      returned: always
    tcp:
      description:
        - What the kernel knows of the connection. Seconds in C(last_received), C(last_acknowledged) and C(last_sent), segments in C(unacknowledged), how often
          they were sent again in C(retransmissions), and which C(timer) runs.
      type: dict
      returned: always
    own:
      description: Whether it is the connection that Ansible itself uses.
      type: bool
      returned: always
    verdict:
      description: V(active), V(idle), V(hung) or V(unknown).
      type: str
      returned: always
    reason:
      description: How that is known.
      type: str
      returned: always
"""

from ansible_collections.keepalive.hardening.plugins.module_utils._imports import compile_once


def main() -> None:
    compile_once()
    from ansible_collections.keepalive.hardening.plugins.module_utils._session_module import run_session_info

    run_session_info()


if __name__ == "__main__":
    main()
