#!/usr/bin/python

# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_session
short_description: End SSH sessions that hang, idle or are too old
version_added: 0.1.0
description:
  - Ends the sessions that meet every condition that is given. sshd is asked to end a session first, and killed if it
    does not within 5 seconds.
  - The connection that this very task has come by is never ended, nor is a process that is not an SSH session, nor
    one that got the number of a process that ended meanwhile.
  - V(active) is a session whose client answers and that is in use as far as can be told. V(idle) is one whose client
    answers and whose terminal was neither read nor written for O(idle_after). V(hung) is one that sent something, again
    and again, and nothing is acknowledged, or one whose client has closed the connection while sshd has not ended it.
    V(unknown) is one that is silent, where nothing tells whether its client is still there, as where sshd does not
    probe; it is never guessed.
  - Without a terminal nobody can tell what is idle, so such a session is never V(idle).
author:
  - The keepalive.hardening authors (@keepalive)
options:
  state:
    description: Sessions are ended, so this is V(absent).
    type: str
    choices: [absent]
    required: true
  user:
    description: Sessions of one of these users.
    type: list
    elements: str
  peer:
    description: Sessions whose client has one of these addresses or is in one of these networks, such as V(10.0.0.0/8).
    type: list
    elements: str
  verdict:
    description:
      - Sessions of one of these kinds.
      - With V(hung), O(hung_for) has to say for how long, since a path may carry nothing for some seconds.
      - With V(unknown), O(idle_for) or O(older_than) has to, since where sshd does not probe that is said of whoever pauses.
    type: list
    elements: str
    choices: [active, idle, hung, unknown]
  idle_for:
    description: Sessions whose terminal was not used for this time or longer. One without a terminal never meets it.
    type: str
  hung_for:
    description:
      - Sessions in which nothing was acknowledged, or whose client has closed the connection, for this time or longer.
    type: str
  older_than:
    description: Sessions that were opened this time ago or longer.
    type: str
  idle_after:
    description: Time after which a session whose terminal is not used is V(idle), in seconds or as V(5m).
    type: str
    default: 5m
  none_is_own:
    description:
      - That Ansible has not come by ssh, as with a local connection, so that there is no session of its own to spare.
      - Otherwise, where its own session cannot be told from the others, as when C(become) leaves it by systemd-run, none is
        ended, and the module fails.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode, and lists the sessions that it would end.
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
  - At least one condition has to be given, and one that is given may not be empty, or a time of 0.
  - Other connections of Ansible to the same host, as of a second playbook that runs beside this one, are not its own
    session here.
  - On a jump host, connections that Ansible has through it to other hosts are not its own session here.
seealso:
  - module: keepalive.hardening.ssh_session_info
"""

EXAMPLES = r"""
- name: End what has been hanging for a minute
  keepalive.hardening.ssh_session:
    state: absent
    hung_for: 1m

- name: End backup's sessions from one network that are older than a day
  keepalive.hardening.ssh_session:
    state: absent
    user: backup
    peer: 10.1.0.0/16
    older_than: 1d
"""

RETURN = r"""
sessions:
  description: The sessions that were ended, oldest first; in check mode those that would be.
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
    ended:
      description:
        - V(politely), V(firmly), or V(by_itself) if it ended before it was told to; V("") in check mode.
        - V(not) for one that cannot be killed, since it waits for the kernel; then the module fails and tells of all the same.
      type: str
      returned: always
spared:
  description: What meets the conditions and is the connection that Ansible itself uses, as in RV(sessions).
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.keepalive.hardening.plugins.module_utils._imports import compile_once


def main() -> None:
    compile_once()
    from ansible_collections.keepalive.hardening.plugins.module_utils._session_module import run_session

    run_session()


if __name__ == "__main__":
    main()
