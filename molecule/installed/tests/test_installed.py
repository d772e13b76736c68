# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the installed collection left behind, and how its modules answer through Ansible."""

from __future__ import annotations

import pytest

testinfra_hosts = ["ansible://platforms"]

SSHD = {"clientaliveinterval": "30", "clientalivecountmax": "6"}
BEYOND_DEBIAN_11 = {"unused_connection_timeout": "5m"}


def sshd_dump(host):
    lines = host.check_output("sshd -T -C user=admin,host=somewhere,addr=192.0.2.7").splitlines()
    return dict(line.lower().split(" ", 1) for line in lines if " " in line)


def module(host, name, check=True, become=True, **options):
    return host.ansible(f"keepalive.hardening.{name}", options, check=check, become=become)


def test_the_users_own_playbook_added_its_value(host):
    assert host.file("/proc/sys/net/ipv4/tcp_retries2").content_string == "10\n"


def test_the_playbook_hardened_the_server_layer_of_a_host_without_group(host):
    assert SSHD.items() <= sshd_dump(host).items()


def test_the_playbook_hardened_the_client_layer_of_a_host_without_group(host):
    assert "serveraliveinterval 30" in host.check_output("runuser -u nobody -- ssh -G x.example.org").lower()


def test_check_mode_predicts_what_the_run_does(host):
    predicted = module(host, "sshd_config", client_alive_interval="1m30s")
    assert SSHD.items() <= sshd_dump(host).items(), "check mode changed something"
    done = module(host, "sshd_config", check=False, client_alive_interval="1m30s")
    again = module(host, "sshd_config", check=False, client_alive_interval="1m30s")
    module(host, "sshd_config", check=False, client_alive_interval="30")
    answers = ("changed", "before", "effective", "files", "competing", "reloaded")
    assert {key: predicted[key] for key in answers} == {key: done[key] for key in answers}
    assert predicted["effective"] == {"client_alive_interval": 90}
    assert done["changed"] and not again["changed"]


BAD_INPUT = [
    ("sysctl", {"tcp_keepalive_probes": "0"}, "kills healthy idle connections"),
    ("sysctl", {"tcp_keepalive_time": "-1"}, "whole number"),
    ("sysctl", {"tcp_keepalive_time": "010"}, "whole number"),
    ("sysctl", {"tcp_keepalive_time": ""}, "whole number"),
    ("sshd_config", {"client_alive_interval": "5 minutes"}, "not a time that OpenSSH takes"),
    ("sshd_config", {"channel_timeout": {"session": "1h"}}, "matches no channel type"),
    ("sshd_config", {"client_alive_intervall": "5"}, "client_alive_intervall"),
    ("sshd_config", {}, "no option is given"),
    ("ssh_config", {"server_alive_count_max": "0"}, "leaves a healthy connection"),
    ("ssh_config", {"server_alive_interval": "5", "users": ["nobody-of-that-name"]}, "no user nobody-of-that-name"),
    ("keepalive", {"layers": ["ssh"], "sysctl": {"tcp_retries2": "8"}}, "no options are given"),
]


@pytest.mark.parametrize(("name", "options", "says"), BAD_INPUT, ids=[f"{n}-{o}" for n, o, _ in BAD_INPUT])
def test_bad_input_is_refused_before_anything_is_touched(host, name, options, says):
    answer = module(host, name, check=False, **options)
    assert answer["failed"] and says in answer["msg"]


def test_an_option_that_this_openssh_lacks_is_refused_with_the_version_that_has_it(host):
    answer = module(host, "sshd_config", **BEYOND_DEBIAN_11)
    if "OpenSSH_8.4" in host.run("ssh -V").stderr:
        assert answer["failed"] and "needs OpenSSH 9.2" in answer["msg"]
    else:
        assert answer["effective"] == {"unused_connection_timeout": 300}


def test_without_root_the_way_out_is_named(host):
    answer = module(host, "sshd_config", become=False, client_alive_interval="30")
    assert answer["failed"] and "become: true" in answer["msg"]
