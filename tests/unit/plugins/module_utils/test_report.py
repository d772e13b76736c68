# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a host in the shape that keepalive_info returns, of the layers and users that were asked for."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.keepalive.hardening.plugins.module_utils._facts import (
    Facts,
    KernelSettings,
    OpenSSH,
    Origin,
    Server,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._report import report
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel

DROP_IN = Origin("/etc/ssh/sshd_config.d/00-keepalive.conf", 2)
SHOWN = {"path": "/etc/ssh/sshd_config.d/00-keepalive.conf", "line": 2}
SERVER = Server(OpenSSH((9, 2), {"client_alive_interval": 30}, {"client_alive_interval": DROP_IN}, []), 0, [], [])
LIVE = Kernel(120, 30, 5)
KERNEL = KernelSettings(LIVE._asdict(), {"tcp_keepalive_time": Origin("/etc/sysctl.d/zz-keepalive.conf", 3)}, [])


def client(interval: int) -> OpenSSH:
    return OpenSSH((8, 4), {"server_alive_interval": interval, "server_alive_count_max": 6}, {}, [])


def plain(facts: Facts) -> dict[str, Any]:
    """The report, as JSON brings it to Ansible."""
    result: dict[str, Any] = json.loads(json.dumps(report(facts)))
    return result


def test_a_host_with_every_layer() -> None:
    shown = plain(Facts(SERVER, {"": client(30)}, KERNEL, LIVE))
    assert shown["effective"] == {
        "sshd": {"client_alive_interval": 30},
        "ssh": {"server_alive_interval": 30, "server_alive_count_max": 6},
        "sysctl": {"tcp_keepalive_time": 120, "tcp_keepalive_intvl": 30, "tcp_keepalive_probes": 5, "tcp_retries2": 15},
    }
    assert shown["next_boot"] == shown["effective"]["sysctl"]
    assert shown["origins"] == {
        "sshd": {"client_alive_interval": SHOWN},
        "ssh": {},
        "sysctl": {"tcp_keepalive_time": {"path": "/etc/sysctl.d/zz-keepalive.conf", "line": 3}},
    }
    assert shown["versions"] == {"sshd": "9.2", "ssh": "8.4"}
    assert shown["timeline"]["server"]["probes_every"] == 60
    assert shown["timeline"]["client"]["probes_every"] == 30
    assert shown["baselines"]


def test_what_the_kernel_has_now_is_not_taken_for_what_it_will_have() -> None:
    shown = plain(Facts(kernel=KERNEL))
    assert shown["effective"]["sysctl"]["tcp_keepalive_time"] == 7200
    assert shown["next_boot"]["tcp_keepalive_time"] == 120


def test_where_users_are_named_what_belongs_to_a_client_is_by_user() -> None:
    shown = plain(Facts(clients={"": client(30), "alice": client(0), "bob": client(60)}))
    assert set(shown["effective"]["ssh"]) == set(shown["origins"]["ssh"]) == {"alice", "bob"}
    assert shown["effective"]["ssh"]["bob"]["server_alive_interval"] == 60
    assert {user: line["probes_every"] for user, line in shown["timeline"]["client"].items()} == {
        "alice": None,
        "bob": 60,
    }
    assert shown["versions"] == {"ssh": "8.4"}
    assert [(finding["id"], finding["user"]) for finding in shown["findings"]] == [("client-never-probes", "alice")]


def test_a_host_without_sshd_has_no_server_and_no_baselines() -> None:
    shown = plain(Facts(clients={"": client(30)}, kernel=KERNEL, live=LIVE))
    assert set(shown["effective"]) == set(shown["origins"]) == {"ssh", "sysctl"}
    assert (set(shown["versions"]), set(shown["timeline"])) == ({"ssh"}, {"client"})
    assert shown["baselines"] == []


def test_a_host_without_ssh_has_no_client() -> None:
    shown = plain(Facts(SERVER))
    assert set(shown["effective"]) == set(shown["origins"]) == {"sshd"}
    assert (set(shown["versions"]), set(shown["timeline"])) == ({"sshd"}, {"server"})
    assert shown["next_boot"] == {}


def test_a_kernel_that_was_not_asked_for_counts_and_is_not_shown() -> None:
    shown = plain(Facts(clients={"": client(0)}, live=LIVE))
    assert shown["timeline"]["client"]["gives_up"]["idle"]["latest"] == 270
    assert (set(shown["effective"]), shown["next_boot"]) == ({"ssh"}, {})


def test_a_finding_without_a_line_has_an_empty_path() -> None:
    (finding,) = plain(Facts(clients={"": client(0)}))["findings"]
    assert (finding["path"], finding["line"]) == ("", 0)
    assert "origin" not in finding


def test_a_finding_with_a_line_names_it() -> None:
    effective = {"client_alive_interval": 0}
    silent = SERVER._replace(openssh=SERVER.openssh._replace(effective=dict(effective), version=(8, 4)))
    (finding,) = plain(Facts(silent))["findings"]
    assert {name: finding[name] for name in ("path", "line")} == SHOWN
