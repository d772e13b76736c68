#!/usr/bin/python

# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ssh_config
short_description: Manage the keepalive of ssh, and prove that it is effective
version_added: 0.1.0
description:
  - Brings C(ServerAliveInterval) and its relatives in the system's ssh_config, or in users' own, to the given values,
    in a drop-in or a marked block, before or behind all other lines.
  - ssh itself validates the whole tree of included files with the change in place before anything is written, and is
    asked for the effective values afterwards. If another line wins, the module fails, names its file and line, and
    changes nothing.
  - The system's file is a default for users, whose own file beats it; the effective values are those of a
    user without one.
  - An option that is not given is not managed; what an earlier run set stays.
author:
  - The keepalive.hardening authors (@keepalive)
options:
  server_alive_interval:
    description:
      - Seconds of silence after which ssh asks the server whether it is there (C(ServerAliveInterval)).
      - A number of seconds or OpenSSH's time format, such as V(1m30s). V(0) switches asking off.
    type: str
  server_alive_count_max:
    description:
      - Unanswered questions after which ssh gives the server up (C(ServerAliveCountMax)), V(1) or more.
      - The session ends interval times (count + 1) seconds after the last sign of life. While logging in,
        interval times count is how long the server may stay silent.
    type: str
  tcp_keepalive:
    description: Whether the kernel probes the connection too (C(TCPKeepAlive)).
    type: bool
  connect_timeout:
    description:
      - Time that connecting to a server may take, up to its banner (C(ConnectTimeout)).
      - A time as for O(server_alive_interval), or V(none).
    type: str
  host:
    description: Host patterns that the values belong to, separated by blanks, such as V(bastion* !bastion9).
    type: str
    default: "*"
  users:
    description:
      - Users whose own C(~/.ssh/config) to manage. Without it the system's file is managed.
      - Files are read and written with the user's own rights, so a link leads nowhere the user could not go.
      - A file that cannot be read or is broken fails the whole run; give users that you do not trust a task of their
        own.
    type: list
    elements: str
  precedence:
    description:
      - V(first) puts the values before all other lines, which makes them win.
      - V(last) puts them behind, as a default that any other line may beat.
    type: str
    choices: [first, last]
    default: first
  exclusive:
    description: Comment out every other line of the same configuration that sets one of the given options. O(state=absent) restores them.
    type: bool
    default: false
  path:
    description: The configuration file; C(/etc/ssh/ssh_config), or the user's C(~/.ssh/config), if not given.
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
    details: Other Linux systems, FreeBSD and macOS are known from their packages' files only, see docs/platforms.md.
notes:
  - The system's file needs root. A user can manage the own file without.
  - With multiplexing only the options of the master connection count.
seealso:
  - module: keepalive.hardening.keepalive
  - module: keepalive.hardening.sshd_config
  - module: keepalive.hardening.sysctl
"""

EXAMPLES = r"""
- name: Notice a dead server after two minutes, for every user
  keepalive.hardening.ssh_config:
    server_alive_interval: 30
    server_alive_count_max: 3

- name: Keep the way to the bastion open for two users, whatever their files say
  keepalive.hardening.ssh_config:
    server_alive_interval: 15
    server_alive_count_max: 4
    host: bastion*
    users:
      - alice
      - bob

- name: A default that every other line may beat
  keepalive.hardening.ssh_config:
    server_alive_interval: 60
    precedence: last

- name: Take everything back
  keepalive.hardening.ssh_config:
    state: absent
"""

RETURN = r"""
before:
  description: With O(users), a dict for each user by name. Value of each option before the run, as the real tool reads it. Times are in seconds.
  returned: success
  type: dict
  sample: {server_alive_interval: 0, server_alive_count_max: 3}
effective:
  description: With O(users), a dict for each user by name. Value of each option after the run, as the real tool reads it; in check mode as it reads a copy.
  returned: success
  type: dict
  sample: {server_alive_interval: 30, server_alive_count_max: 3}
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
"""

from ansible_collections.keepalive.hardening.plugins.module_utils._imports import compile_once


def main() -> None:
    compile_once()
    from ansible_collections.keepalive.hardening.plugins.module_utils._module import run_layer

    run_layer("ssh")


if __name__ == "__main__":
    main()
