# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What connections get after `harden.yml`, as the real tools say."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://lab"]

SSHD = {"clientaliveinterval": "30", "clientalivecountmax": "6", "tcpkeepalive": "yes"}
SSH = {"serveraliveinterval": "30", "serveralivecountmax": "6", "tcpkeepalive": "yes"}
KERNEL = {"tcp_keepalive_time": 120, "tcp_keepalive_intvl": 30, "tcp_keepalive_probes": 5}
UNTOUCHED_SSHD = {"clientaliveinterval": "0", "clientalivecountmax": "3"}
UNTOUCHED_SSH = {"serveraliveinterval": "0", "serveralivecountmax": "3"}


def dump(host, command):
    return dict(line.lower().split(" ", 1) for line in host.check_output(command).splitlines() if " " in line)


def kernel(host):
    return {name: int(host.file(f"/proc/sys/net/ipv4/{name}").content_string) for name in KERNEL}


@pytest.fixture
def groups(host):
    return host.backend.get_variables()["group_names"]


def test_sshd_gives_a_new_connection_the_values(host, groups):
    effective = dump(host, "sshd -T -C user=admin,host=somewhere,addr=192.0.2.7")
    expected = UNTOUCHED_SSHD if "clients" in groups else SSHD
    assert expected.items() <= effective.items()


def test_ssh_gives_an_ordinary_user_the_values(host, groups):
    effective = dump(host, "runuser -u nobody -- ssh -G somewhere.example.org")
    expected = UNTOUCHED_SSH if "servers" in groups else SSH
    assert expected.items() <= effective.items()


def test_the_running_kernel_has_the_values(host):
    assert kernel(host) == KERNEL


def test_the_next_boot_sets_the_values(host):
    host.check_output("sysctl -w net.ipv4.tcp_keepalive_time=7200 net.ipv4.tcp_keepalive_probes=9")
    host.check_output("systemctl restart systemd-sysctl")
    assert kernel(host) == KERNEL


def test_sysctl_system_sets_the_values_too(host):
    host.check_output("sysctl -w net.ipv4.tcp_keepalive_time=7200")
    host.check_output("sysctl --system")
    assert kernel(host) == KERNEL
