# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user who got something wrong is told; the same code on every host, so one is enough."""

from __future__ import annotations

import json

import pytest

testinfra_hosts = ["ansible://platform-bookworm"]


def refusal(host, name, become=True, **options):
    """The message with which a module fails."""
    answer = host.ansible(
        f"keepalive.hardening.{name}", json.dumps(options), check=False, extra_vars={"ansible_become": become}
    )
    assert "effective" not in answer, "the module did not fail"
    return answer["msg"]


BAD_INPUT = [
    ("sysctl", {"tcp_keepalive_probes": "0"}, "kills healthy idle connections"),
    ("sysctl", {"tcp_keepalive_time": "-1"}, "whole number"),
    ("sysctl", {"tcp_keepalive_time": "010"}, "whole number"),
    ("sysctl", {"tcp_keepalive_time": ""}, "whole number"),
    ("sshd_config", {"client_alive_interval": "5 minutes"}, "not a time that OpenSSH takes"),
    ("sshd_config", {"channel_timeout": {"session": "1h"}}, "matches no channel type"),
    ("sshd_config", {"client_alive_intervall": "5"}, "client_alive_intervall"),
    ("sshd_config", {"backup": True}, "no option is given"),
    ("ssh_config", {"server_alive_count_max": "0"}, "leaves a healthy connection"),
    ("ssh_config", {"server_alive_interval": "5", "users": ["nobody-of-that-name"]}, "no user nobody-of-that-name"),
    ("keepalive", {"layers": ["ssh"], "sysctl": {"tcp_retries2": "8"}}, "no options are given"),
]


@pytest.mark.parametrize(("name", "options", "says"), BAD_INPUT, ids=[f"{n}-{o}" for n, o, _ in BAD_INPUT])
def test_bad_input_is_refused_before_anything_is_touched(host, name, options, says):
    assert says in refusal(host, name, **options)


def test_without_root_the_way_out_is_named(host):
    assert "become: true" in refusal(host, "sshd_config", become=False, client_alive_interval="30")


def test_bytes_that_are_no_utf8_are_no_trouble(host):
    main = "/etc/ssh/sshd_config"
    host.check_output("cp -a /etc/ssh /root/etc-ssh")
    try:
        # A line on top, so that the main file has to be edited and is in the diff.
        host.check_output(f"printf '# Gr\\366\\337e\\n' >> {main}; sed -i '1i ClientAliveInterval 5' {main}")
        before = host.check_output(f"sha256sum {main}")
        answers = [
            host.ansible("keepalive.hardening.sshd_config", json.dumps(options), check=False, become=True)
            for options in ({"client_alive_interval": "45"}, {"client_alive_interval": "45", "state": "absent"})
        ]
        assert [answer["effective"]["client_alive_interval"] for answer in answers] == [45, 5]
        assert host.check_output(f"sha256sum {main}") == before
    finally:
        host.check_output("rm -rf /etc/ssh; mv /root/etc-ssh /etc/ssh; systemctl reload ssh")
