#!/usr/bin/python

# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: keepalive_info
short_description: What keepalive on a host is set to, what that will do, and what is wrong with it
version_added: 0.1.0
description:
  - Reads sshd, ssh and the kernel's TCP settings with the real tools, finds the file and line of each value, predicts
    when each end of a connection gives up, and lists what is wrong. It changes nothing.
author:
  - The keepalive.hardening authors (@keepalive)
options:
  layers:
    description:
      - The layers to look at. One that is named here and missing on the host is an error.
      - Without it, every layer that the host has.
      - A configuration that cannot be read is a finding, and the other layers are looked at all the same.
    type: list
    elements: str
    choices: [sshd, ssh, sysctl]
  users:
    description: Users whose own C(~/.ssh/config) to look at, besides what everybody gets.
    type: list
    elements: str
    default: []
  path_idle_timeout:
    description:
      - The smallest idle timeout of a NAT, firewall or load balancer on the way, in seconds or by name, as
        O(keepalive.hardening.keepalive#module:intent.path_idle_timeout). What does not keep such a path open is a finding.
    type: str
  ansible_ssh_args:
    description:
      - Host to the arguments with which Ansible on this host, a control node, starts ssh for it. Arguments without which a
        play hangs when that host vanishes are a finding. They are not in the result, since they may hold a password.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Can run in check mode, where it does the same.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
  platform:
    description: Target systems on which it is tested.
    platforms: debian
    support: full
    details: Other systems are known from their packages' files only, see docs/platforms.md. Beyond Linux only the layer C(ssh).
notes:
  - Needs root for the layer C(sshd), and nothing on the host but Python and what it looks at.
  - Where a stopped service has left no C(/run/sshd) it is created, since sshd cannot be asked without.
seealso:
  - module: keepalive.hardening.keepalive
  - plugin: keepalive.hardening.plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: What is set, and what is wrong with it?
  keepalive.hardening.keepalive_info:
    path_idle_timeout: aws_nlb
  register: keepalive

- name: Nothing may be wrong
  ansible.builtin.assert:
    that: keepalive.findings | rejectattr('severity', 'eq', 'info') | length == 0

- name: Does a play on this control node notice a host that vanishes?
  keepalive.hardening.keepalive_info:
    layers: []
    ansible_ssh_args:
      web1.example.com: "{{ lookup('ansible.builtin.config', 'ssh_args', plugin_type='connection', plugin_name='ssh') }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
effective:
  description: Value of each option, by layer, as the real tool reads it. Times are in seconds. With O(users), those of ssh are by user.
  returned: success
  type: dict
  sample: {sshd: {client_alive_interval: 30}, ssh: {server_alive_interval: 30}, sysctl: {tcp_keepalive_time: 120}}
next_boot:
  description: Value of each option of the kernel after the next boot, worked out from all files that it reads.
  returned: success
  type: dict
  sample: {tcp_keepalive_time: 120}
origins:
  description: >-
    By layer and option, C(path) and C(line) that the value comes from; for the kernel, that of the next boot. An option
    that no line sets has the program's or the kernel's own default and is not listed.
  returned: success
  type: dict
  sample: {sshd: {client_alive_interval: {path: /etc/ssh/sshd_config.d/00-keepalive.conf, line: 2}}}
versions:
  description: Version of OpenSSH, by layer.
  returned: success
  type: dict
  sample: {sshd: "9.2", ssh: "9.2"}
timeline:
  description: What this host will do, as a C(server) and as a C(client). Times are in seconds, and null is never.
  returned: success
  type: dict
  contains:
    server:
      description: As a server.
      type: dict
      returned: with the layer sshd
      contains:
        probes_every:
          description: Silence after which SSH sends its first probe, and the next ones from then on.
          type: int
          returned: always
        refreshes_path_every:
          description: How often a healthy silent session sends anything, by SSH or by TCP.
          type: int
          returned: always
        gives_up:
          description: >-
            C(earliest) and C(latest) time after a cut at which this end gives up, and the C(layer) that decides, when the
            session is C(idle), when data is C(in_flight), with C(steady_output), and for sshd before 8.7 when a time-based
            RekeyLimit is due (C(rekey_due)).
          type: dict
          returned: always
        survives:
          description: The longest outage that ends no session for certain, whenever it comes.
          type: int
          returned: always
        ends_healthy_after:
          description: Silence after which a healthy session is ended, as a count of 0 makes a client do.
          type: int
          returned: always
    client:
      description: As a client; by user with O(users).
      type: dict
      returned: with the layer ssh
      contains:
        probes_every:
          description: Silence after which SSH sends its first probe, and the next ones from then on.
          type: int
          returned: always
        refreshes_path_every:
          description: How often a healthy silent session sends anything, by SSH or by TCP.
          type: int
          returned: always
        gives_up:
          description: >-
            C(earliest) and C(latest) time after a cut at which this end gives up, and the C(layer) that decides, when the
            session is C(idle), when data is C(in_flight), with C(steady_output), and for sshd before 8.7 when a time-based
            RekeyLimit is due (C(rekey_due)).
          type: dict
          returned: always
        survives:
          description: The longest outage that ends no session for certain, whenever it comes.
          type: int
          returned: always
        ends_healthy_after:
          description: Silence after which a healthy session is ended, as a count of 0 makes a client do.
          type: int
          returned: always
        login_may_wait:
          description: How long a client waits for the server's next word while logging in.
          type: int
          returned: always
findings:
  description: What is wrong, the worst first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The kind of finding, such as V(shadowed-line). docs/findings.md lists them.
      type: str
      returned: always
    severity:
      description: V(error) where sessions break or hang, V(warning) where they may, V(info) for what is good to know.
      type: str
      returned: always
    layer:
      description: V(sshd), V(ssh), V(sysctl) or V(ansible).
      type: str
      returned: always
    what:
      description: What happens to the user.
      type: str
      returned: always
    do:
      description: What to do about it.
      type: str
      returned: always
    path:
      description: The file that is to blame, V("") where none is.
      type: str
      returned: always
    line:
      description: Number of the line, V(0) where there is none.
      type: int
      returned: always
    user:
      description: Whose configuration it is, V("") for everybody's.
      type: str
      returned: always
baselines:
  description: What hardening baselines demand of sshd's settings.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: V(cis), V(cis_idle_timeout), V(stig), V(stig_count_zero) or V(dev_sec).
      type: str
      returned: always
    title:
      description: Which editions and controls.
      type: str
      returned: always
    holds:
      description: Whether the effective values pass.
      type: bool
      returned: always
    fails:
      description: The values that do not, and what they would have to be.
      type: list
      elements: str
      returned: always
    contradiction:
      description: What the baseline expects that OpenSSH does not do, V("") for nothing.
      type: str
      returned: always
    source:
      description: Where the demand was read.
      type: str
      returned: always
"""

from ansible_collections.keepalive.hardening.plugins.module_utils._imports import compile_once


def main() -> None:
    compile_once()
    from ansible_collections.keepalive.hardening.plugins.module_utils._info_module import run_info

    run_info()


if __name__ == "__main__":
    main()
