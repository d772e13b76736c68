#!/usr/bin/python

# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: keepalive
short_description: Bring sshd, ssh and TCP keepalive of a host to one intent in one run
version_added: 0.1.0
description:
  - Does the work of M(keepalive.hardening.sshd_config), M(keepalive.hardening.ssh_config) and
    M(keepalive.hardening.sysctl) in one run on the host, all or nothing. Every layer is validated before the first is
    written, and if one fails, all are put back.
  - A layer that is not given is not managed, unless O(intent) is given, which speaks for all three.
author:
  - The keepalive.hardening authors (@keepalive)
options:
  intent:
    description:
      - What connections shall do, in whole seconds. The values of all three layers follow from it, for the version of
        this host's sshd; what a layer's options say wins.
      - Wishes that contradict each other are an error that names the nearest that can be kept. RV(plan) lists what is
        not kept all the same, such as where a layer's options say otherwise.
    type: dict
    suboptions:
      detect_within:
        description:
          - A dead peer is noticed at the latest after this time.
          - While sshd 9.2 and later keeps sending, C(tcp_retries2) decides instead; RV(plan) lists such exceptions.
        type: str
      ride_out:
        description:
          - An outage up to this long ends no session, whenever it comes.
          - That takes a patience of twice that time, or of 120 seconds more, since TCP tries again after longer and
            longer pauses.
        type: str
      path_idle_timeout:
        description:
          - The smallest idle timeout of a NAT, firewall or load balancer on the way, in seconds.
          - Known ones also by name, with the timeout that they come with. V(azure_load_balancer),
            V(azure_nat_gateway) (240 s); V(aws_gateway_lb), V(aws_nat_gateway), V(aws_network_firewall), V(aws_nlb),
            V(aws_security_group) (350 s); V(oci_nlb) (360 s); V(gcp_vpc) (600 s); V(gcp_cloud_nat) (1200 s);
            V(juniper_srx) (1800 s); V(cisco_asa), V(fortigate), V(palo_alto) (3600 s); V(openwrt), V(rfc5382_nat)
            (7440 s); V(linux_conntrack) (432000 s).
        type: str
  layers:
    description:
      - The layers to manage, of those given. A layer that is named here and missing on the host is an error.
      - Without it, layers that the host lacks are skipped and listed in RV(skipped_layers).
    type: list
    elements: str
    choices: [sshd, ssh, sysctl]
  sshd:
    description: The server layer, sshd_config and the running sshd.
    type: dict
    suboptions:
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
        description: Whether the kernel probes the connection too (C(TCPKeepAlive)). Not possible with O(sshd.match).
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
          - A time as for O(sshd.client_alive_interval), or V(none).
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
        description: Comment out every other line that sets one of the given options, in Match blocks too. O(sshd.state=absent) restores them.
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
  ssh:
    description: The client layer, the system's ssh_config or users' own.
    type: dict
    suboptions:
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
          - A time as for O(ssh.server_alive_interval), or V(none).
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
        description: Comment out every other line of the same configuration that sets one of the given options. O(ssh.state=absent) restores them.
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
  sysctl:
    description: The kernel layer, TCP keepalive now and at the next boot.
    type: dict
    suboptions:
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
        description: Comment out every other line that sets one of the given keys by its name, in all directories. O(sysctl.state=absent) restores them.
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
    details: Other systems are known from their packages' files only, see docs/platforms.md. Beyond Linux only the layer C(ssh).
notes:
  - Needs to be run by root, and nothing on the host but Python and what it configures.
seealso:
  - module: keepalive.hardening.sshd_config
  - module: keepalive.hardening.ssh_config
  - module: keepalive.hardening.sysctl
  - module: keepalive.hardening.keepalive_info
  - plugin: keepalive.hardening.plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: One intent for every layer that the host has
  keepalive.hardening.keepalive:
    sshd:
      client_alive_interval: 30
      client_alive_count_max: 6
    ssh:
      server_alive_interval: 30
      server_alive_count_max: 6
    sysctl:
      tcp_keepalive_time: 120
      tcp_keepalive_intvl: 30
      tcp_keepalive_probes: 5

- name: Say what connections shall do, and let the values follow
  keepalive.hardening.keepalive:
    intent:
      detect_within: 300
      ride_out: 120
      path_idle_timeout: 240

- name: A server, which must have sshd
  keepalive.hardening.keepalive:
    layers: [sshd]
    sshd:
      client_alive_interval: 30
      client_alive_count_max: 6
"""

RETURN = r"""
before:
  description: Value of each option, by layer, before the run, as the real tool reads it. Times are in seconds.
  returned: success
  type: dict
  sample: {sshd: {client_alive_interval: 0}, ssh: {server_alive_interval: 0}, sysctl: {tcp_keepalive_time: 7200}}
effective:
  description: Value of each option, by layer, after the run, as the real tool reads it; in check mode as it reads a copy.
  returned: success
  type: dict
  sample: {sshd: {client_alive_interval: 30}, ssh: {server_alive_interval: 30}, sysctl: {tcp_keepalive_time: 120}}
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
      returned: when a copy was asked for and there was a file
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
next_boot:
  description: Value of each option after the next boot, worked out from all files that it reads.
  returned: success
  type: dict
  sample: {tcp_keepalive_time: 120}
plan:
  description:
    - What the intent comes to on this host. The values by layer, in C(sshd), C(ssh) and C(sysctl), their C(reasons), the
      predicted C(timeline) of each end, as in RV(keepalive.hardening.keepalive_info#module:timeline), and the
      C(exceptions), in which a dead peer is noticed later than asked for.
  returned: when O(intent) is given
  type: dict
skipped_layers:
  description: Layers that were given and that the host does not have.
  returned: success
  type: list
  elements: str
  sample: [ssh]
"""

from ansible_collections.keepalive.hardening.plugins.module_utils._imports import compile_once


def main() -> None:
    compile_once()
    from ansible_collections.keepalive.hardening.plugins.module_utils._module import run_layers

    run_layers()


if __name__ == "__main__":
    main()
