# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the installed collection left behind, and how its modules answer through Ansible."""

from __future__ import annotations

import json

testinfra_hosts = ["ansible://platforms"]

SSHD = {"clientaliveinterval": "30", "clientalivecountmax": "6"}


def sshd_dump(host):
    lines = host.check_output("sshd -T -C user=admin,host=somewhere,addr=192.0.2.7").splitlines()
    return dict(line.lower().split(" ", 1) for line in lines if " " in line)


def module(host, name, check=True, **options):
    return host.ansible(f"keepalive.hardening.{name}", json.dumps(options), check=check, become=True)


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
    assert done["changed"]
    assert not again["changed"]


def test_an_option_that_this_openssh_lacks_is_refused_with_the_version_that_has_it(host):
    option = {"unused_connection_timeout": "5m"}
    if "OpenSSH_8.4" in host.run("ssh -V").stderr:
        assert "needs OpenSSH 9.2" in module(host, "sshd_config", **option)["msg"]
    else:
        assert module(host, "sshd_config", **option)["effective"] == {"unused_connection_timeout": 300}


def test_an_intent_becomes_values_for_this_hosts_sshd(host):
    answer = module(host, "keepalive", intent={"path_idle_timeout": 40})
    doubled = "OpenSSH_9.2" in host.run("ssh -V").stderr
    assert answer["effective"]["sshd"]["client_alive_interval"] == (15 if doubled else 30)
    assert answer["effective"]["ssh"]["server_alive_interval"] == 30
    assert answer["effective"]["sysctl"]["tcp_keepalive_time"] == 30


def test_a_value_of_ones_own_beats_the_intent(host):
    options = {"intent": {"detect_within": 120}, "sshd": {"client_alive_interval": "7"}, "layers": ["sshd"]}
    assert module(host, "keepalive", **options)["effective"]["sshd"]["client_alive_interval"] == 7
