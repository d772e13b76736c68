#!/usr/bin/python

# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sshd_config
short_description: Manage the keepalive of sshd, and prove that it is effective
version_added: 0.1.0
description:
  - Brings C(ClientAliveInterval) and its relatives in sshd_config to the given values, where they win. That is a drop-in
    C(00-keepalive.conf) if the main file includes its directory before any other line sets them, else a marked
    block at the top of the main file.
  - sshd itself validates the whole tree of included files with the change in place before anything is written, and
    is asked for the effective values afterwards. If another line wins, the module fails, names its file and line,
    and changes nothing.
  - Writes are atomic. After a reload a new connection has to get an answer from sshd, else everything is put back.
  - Existing sessions keep the values they started with.
  - An option that is not given is not managed; what an earlier run set stays.
author:
  - The keepalive.hardening authors (@keepalive)
options:
  client_alive_interval:
    description:
      - Seconds of silence after which sshd asks the client whether it is there (C(ClientAliveInterval)).
      - A number of seconds or OpenSSH's time format, such as V(1m30s). V(0) switches asking off.
      - OpenSSH 9.2 to 9.4 asks only every second interval, so a path with an idle timeout needs
        an interval below half of it there.
    type: str
  client_alive_count_max:
    description:
      - Unanswered questions after which sshd gives the client up (C(ClientAliveCountMax)).
      - The session ends interval times (count + 1) seconds after the last sign of life.
      - With V(0) sshd keeps asking and never ends a session; refused before OpenSSH 8.2, which would end it
        at the first miss.
    type: str
  tcp_keepalive:
    description: Whether the kernel probes the connection too (C(TCPKeepAlive)). Not possible with O(match).
    type: bool
  channel_timeout:
    description:
      - Idle time after which sshd closes a channel, by channel type pattern (C(ChannelTimeout), OpenSSH 9.2).
      - Keepalive probes do not count as activity. V({}) switches it off.
      - V(global), from OpenSSH 9.7, counts all channels together.
      - In a C(Match) block it needs OpenSSH after 10.0, since older ones do not apply it, and V({}) is refused, since
        sshd would close every login that the block selects. Give a pattern the time V(0) instead.
      - A pattern that matches no channel type, such as V(session), is refused, since sshd would take it and
        do nothing.
    type: dict
  unused_connection_timeout:
    description:
      - Time after which sshd ends a connection without open channels (C(UnusedConnectionTimeout), OpenSSH 9.2).
      - A time as for O(client_alive_interval), or V(none).
    type: str
  match:
    description:
      - Criteria of a C(Match) block that the values belong to, such as V(User backup).
      - Without it the values are for everybody.
    type: str
  reload:
    description:
      - Have the service manager reload a running sshd when its files changed, by this run or by anyone since
        sshd last read them. A stopped sshd needs none, and one that a socket unit has started is restarted.
      - With V(false) new connections get the old values until you reload sshd.
    type: bool
    default: true
  exclusive:
    description: Comment out every other line that sets one of the given options, in Match blocks too. O(state=absent) restores them.
    type: bool
    default: false
  path:
    description: The main configuration file; C(/etc/ssh/sshd_config) if not given.
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
  - Needs to be run by root, and nothing on the host but Python and sshd.
  - Options on the command line of sshd beat its files. One that sets a managed value is an error.
seealso:
  - module: keepalive.hardening.keepalive
  - module: keepalive.hardening.ssh_config
  - module: keepalive.hardening.sysctl
"""

EXAMPLES = r"""
- name: End sessions of dead clients after about two minutes
  keepalive.hardening.sshd_config:
    client_alive_interval: 30
    client_alive_count_max: 3

- name: Let the backup user's long silences pass
  keepalive.hardening.sshd_config:
    client_alive_interval: 5m
    client_alive_count_max: 12
    match: User backup

- name: Leave no other line that sets them, for a scanner that reads the files
  keepalive.hardening.sshd_config:
    client_alive_interval: 30
    client_alive_count_max: 3
    exclusive: true

- name: Close idle shells and forwardings, with OpenSSH 9.2 or later
  keepalive.hardening.sshd_config:
    channel_timeout:
      "session:*": 1h
      "direct-tcpip": 10m
    unused_connection_timeout: 5m

- name: Take everything back
  keepalive.hardening.sshd_config:
    state: absent
"""

RETURN = r"""
before:
  description: Value of each option before the run, as the real tool reads it. Times are in seconds.
  returned: success
  type: dict
  sample: {client_alive_interval: 0, client_alive_count_max: 3}
effective:
  description: Value of each option after the run, as the real tool reads it; in check mode as it reads a copy.
  returned: success
  type: dict
  sample: {client_alive_interval: 30, client_alive_count_max: 3}
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
reloaded:
  description: Whether the running sshd was reloaded.
  returned: success
  type: bool
"""

from ansible_collections.keepalive.hardening.plugins.module_utils._imports import compile_once


def main() -> None:
    compile_once()
    from ansible_collections.keepalive.hardening.plugins.module_utils._module import run_layer

    run_layer("sshd")


if __name__ == "__main__":
    main()
