# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session lives through idle periods that are longer than the router's memory, kept by any of the layers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

testinfra_hosts = ["ansible://middlebox-client"]

IDLE_PERIODS = 3

NO_SSH_PROBES = "-o ServerAliveInterval=0"
NO_SSHD_PROBES = "-o ClientAliveInterval=0"
NO_TCP_PROBES = "-o TCPKeepAlive=no"
# Who alone probes: what that takes of ssh, and of an sshd on a port of its own.
ALONE = {
    "ssh": (NO_TCP_PROBES, f"{NO_SSHD_PROBES} {NO_TCP_PROBES}"),
    "sshd": (f"{NO_SSH_PROBES} {NO_TCP_PROBES}", NO_TCP_PROBES),
    "kernel": (NO_SSH_PROBES, f"{NO_SSHD_PROBES} {NO_TCP_PROBES}"),
    "nobody": (f"{NO_SSH_PROBES} {NO_TCP_PROBES}", f"{NO_SSHD_PROBES} {NO_TCP_PROBES}"),
}
PORTS = {who: port for port, who in enumerate(ALONE, start=2201)}


def other_host(host, name):
    options = {name: getattr(host.backend, name) for name in ("ansible_inventory", "ssh_config")}
    return host.get_host(f"ansible://{name}", **options)


@pytest.fixture(scope="module")
def server(host):
    return other_host(host, "middlebox-server")


@pytest.fixture(scope="module")
def router(host):
    return other_host(host, "middlebox-router")


@pytest.fixture(scope="module")
def client(host):
    """The client's variables."""
    return host.backend.get_variables()


@pytest.fixture(scope="module")
def forgets_after(router):
    return router.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established")


@pytest.fixture(scope="module")
def more_sshds(server):
    """An sshd for each of ALONE, which reads the hardened configuration after its own options."""
    stop = "systemctl stop 'alone-*.service'"
    server.check_output(stop)
    for who, (_, options) in ALONE.items():
        sshd = f"/usr/sbin/sshd -D -o PidFile=none -p {PORTS[who]} {options}"
        # It returns once sshd has told systemd that it listens.
        server.check_output(f"systemd-run --collect --service-type=notify --unit=alone-{who} {sshd}")
    yield
    server.check_output(stop)


@pytest.fixture(scope="module")
def counted_before(router):
    return packets(router)


@pytest.fixture(scope="module")
def sessions(host, client, server, forgets_after, more_sshds, counted_before):
    """Who probes: what became of the session; they are all held at the same time."""
    arguments = {who: f"{options} -p {PORTS[who]}" for who, (options, _) in ALONE.items()}
    arguments["everybody"] = ""

    def hold(ssh_arguments):
        command = f"idle-session {forgets_after + 2} {IDLE_PERIODS} {ssh_arguments} middlebox-server"
        return json.loads(host.check_output(f"runuser -u {client['ansible_user']} -- {command}"))

    with ThreadPoolExecutor(len(arguments)) as pool:
        reports = dict(zip(arguments, pool.map(hold, arguments.values())))
    yield reports
    hung = [str(report["session"]) for report in reports.values() if None in report["echoes"]]
    # Not check_output: where sshd probes, it may have ended a session by itself.
    server.run(f"kill {' '.join(hung)}")


def dump(host, command):
    return dict(line.lower().split(" ", 1) for line in host.check_output(command).splitlines() if " " in line)


def packets(router):
    listing = json.loads(router.check_output("nft -j list counters"))["nftables"]
    return {item["counter"]["name"]: item["counter"]["packets"] for item in listing if "counter" in item}


def survives(session):
    return session["alive"] and len(session["echoes"]) == 1 + IDLE_PERIODS and None not in session["echoes"]


def test_ssh_probes_before_the_router_forgets(host, client, forgets_after):
    interval = int(dump(host, f"runuser -u {client['ansible_user']} -- ssh -G middlebox-server")["serveraliveinterval"])
    assert 0 < interval < forgets_after


def test_sshd_probes_before_the_router_forgets(client, server, forgets_after):
    # OpenSSH 9.2 to 9.4 probe at every second interval only.
    assert "OpenSSH_9.2" in server.run("ssh -V").stderr
    connection = "user={ansible_user},host={inventory_hostname},addr={ansible_host}".format(**client)
    interval = int(dump(server, f"sshd -T -C {connection}")["clientaliveinterval"])
    assert 0 < 2 * interval < forgets_after


def test_the_sessions_pass_the_router(router, counted_before, sessions):
    counted = {name: count - counted_before[name] for name, count in packets(router).items()}
    assert counted["opening"] >= len(sessions)
    assert counted["known"] > counted["opening"]


def test_a_hardened_session_survives(sessions):
    assert survives(sessions["everybody"])


@pytest.mark.parametrize("who", ["ssh", "sshd", "kernel"])
def test_it_survives_if_only_one_layer_probes(sessions, who):
    assert survives(sessions[who])


def test_it_hangs_if_nobody_probes(sessions):
    assert sessions["nobody"]["alive"]
    assert sessions["nobody"]["echoes"][1:] == [None]
