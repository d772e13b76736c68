# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator of many hosts reads: a row for each, then every finding once."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.filter.audit_table import FilterModule
from ansible_collections.keepalive.hardening.plugins.module_utils._baselines import BASELINES
from ansible_collections.keepalive.hardening.plugins.module_utils._facts import (
    Facts,
    KernelSettings,
    OpenSSH,
    Origin,
    Server,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._report import report
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel

audit_table = FilterModule().filters()["audit_table"]

HEADINGS = [
    "host",
    "sshd version",
    "notices a dead client",
    "ssh version",
    "notices a dead server",
    "error",
    "warning",
    "baselines held",
]
WIDTH = 110
DROP_IN = Origin("/etc/ssh/sshd_config.d/00-keepalive.conf", 2)


def server(interval: int, count: int = 3, version: tuple[int, int] = (10, 0), tcp_keepalive: bool = True) -> Server:
    values = {"client_alive_interval": interval, "client_alive_count_max": count, "tcp_keepalive": tcp_keepalive}
    return Server(OpenSSH(version, dict(values), {"client_alive_interval": DROP_IN}, []), 0, [], [])


def client(interval: int, count: int = 6) -> OpenSSH:
    return OpenSSH((10, 0), {"server_alive_interval": interval, "server_alive_count_max": count}, {}, [])


def result(facts: Facts) -> dict[str, Any]:
    """What the module registers."""
    registered: dict[str, Any] = json.loads(json.dumps({**report(facts), "changed": False, "failed": False}))
    return registered


HARDENED = result(Facts(server(30, 6), {"": client(30)}))
DEBIAN_12 = result(Facts(server(30, 6, (9, 2)), {"": client(30)}))
SHIPPED = result(Facts(server(0), {"": client(0)}))
CLIENT = result(Facts(clients={"": client(0)}))
SERVER = result(Facts(server(30, 6)))
REFUSED = {"failed": True, "changed": False, "msg": "sshd: sshd_config can only be read by root"}


def table(lines: list[str]) -> dict[str, dict[str, str]]:
    """Cell by host and heading, read by where the headings begin."""
    starts = [match.start() for match in re.finditer(r"\S+( \S+)*", lines[0])]
    rows = {}
    for line in lines[1 : lines.index("") if "" in lines else None]:
        cells = [line[start:stop].rstrip() for start, stop in zip(starts, [*starts[1:], None], strict=True)]
        assert all(line[start - 1 : start] in (" ", "") for start in starts[1:]), "a cell begins too early"
        rows[cells[0]] = dict(zip(HEADINGS[1:], cells[1:], strict=True))
    return rows


def findings(lines: list[str]) -> list[str]:
    """Each finding in one line."""
    rest = "\n".join(lines).split("\n\n")[1:]
    return [re.sub(r"\s+", " ", part) for part in rest]


def test_a_host_has_a_row_with_what_both_its_ends_will_do() -> None:
    assert table(audit_table({"web1": HARDENED}))["web1"] == {
        "sshd version": "10.0",
        "notices a dead client": "180 to 210 s",
        "ssh version": "10.0",
        "notices a dead server": "179 to 210 s",
        "error": "0",
        "warning": "0",
        "baselines held": "cis",
    }


def test_rows_are_in_the_order_of_the_hosts() -> None:
    hosts = {"web9": HARDENED, "db1": SHIPPED, "web1": HARDENED}
    assert list(table(audit_table(hosts))) == ["web9", "db1", "web1"]


def test_columns_begin_below_their_headings_however_long_the_cells_are() -> None:
    hosts = {"a": SHIPPED, "a-host-with-a-long-name.example.org": HARDENED, "b": CLIENT, "c": DEBIAN_12}
    rows = table(audit_table(hosts))
    assert list(rows) == list(hosts)
    assert [row["notices a dead server"] for row in rows.values()] == [
        "675 to 7875 s",
        "179 to 210 s",
        "675 to 7875 s",
        "179 to 210 s",
    ]
    assert [row["error"] for row in rows.values()] == ["1", "0", "1", "0"]


def test_no_line_ends_in_blanks() -> None:
    hosts = {"web1": HARDENED, "web2": SHIPPED, "web3": {}, "web4": REFUSED, "web5": CLIENT}
    assert [line for line in audit_table(hosts) if line != line.rstrip()] == []


def test_no_host_is_a_table_without_rows() -> None:
    (headings,) = audit_table({})
    assert re.split(" {2,}", headings) == HEADINGS


def test_a_host_that_failed_has_its_message_in_the_row() -> None:
    lines = audit_table({"web1": HARDENED, "db1": REFUSED})
    assert lines[2] == "db1   sshd: sshd_config can only be read by root"
    assert table(lines[:2])["web1"] == table(audit_table({"web1": HARDENED}))["web1"]


def test_a_host_without_a_result_was_not_reached() -> None:
    assert audit_table({"web1": HARDENED, "db1": {}})[2] == "db1   was not reached"
    assert audit_table({"db1": {}})[1] == "db1   was not reached"


def test_a_host_that_did_not_answer_was_not_reached() -> None:
    """As Ansible registers it."""
    unreachable = {"unreachable": True, "changed": False, "msg": "Task failed: ssh: connect to host: timed out"}
    row = audit_table({"db1": unreachable})[1]
    assert row.startswith("db1")
    assert "was not reached" in row


def test_a_message_of_many_lines_stays_in_its_row() -> None:
    noisy = {"failed": True, "msg": "sshd does not accept it:\n/etc/ssh/sshd_config line 3: Bad option\n"}
    lines = audit_table({"db1": noisy, "web1": HARDENED})
    assert [line for line in lines if "\n" in line] == []


def test_a_long_message_makes_no_column_wider() -> None:
    long = {"failed": True, "msg": "x" * 200}
    assert audit_table({"web1": HARDENED, "db1": long})[:2] == audit_table({"web1": HARDENED, "db1": {}})[:2]


def test_a_host_without_sshd_has_nothing_to_say_of_clients() -> None:
    row = table(audit_table({"desktop": CLIENT}))["desktop"]
    assert (row["sshd version"], row["notices a dead client"], row["baselines held"]) == ("-", "-", "-")
    assert (row["ssh version"], row["notices a dead server"]) == ("10.0", "675 to 7875 s")


def test_a_host_without_ssh_has_nothing_to_say_of_servers() -> None:
    row = table(audit_table({"web1": SERVER}))["web1"]
    assert (row["ssh version"], row["notices a dead server"]) == ("-", "-")
    assert (row["sshd version"], row["notices a dead client"]) == ("10.0", "180 to 210 s")


def test_an_end_that_notices_nothing_says_never() -> None:
    deaf = result(Facts(server(0, tcp_keepalive=False)))
    assert table(audit_table({"web1": deaf}))["web1"]["notices a dead client"] == "never"


def test_clients_of_named_users_are_reported_by_their_names() -> None:
    users = result(Facts(clients={"": client(30), "alice": client(0), "bob": client(0)}))
    lines = audit_table({"desktop": users})
    assert lines[1].startswith("desktop")
    (finding,) = (line for line in findings(lines) if "client-never-probes" in line)
    assert "alice" in finding
    assert "bob" in finding
    assert finding.count("desktop") < 3


def test_a_finding_stands_there_once_with_all_hosts_that_have_it() -> None:
    found = findings(audit_table({"web1": SHIPPED, "web2": HARDENED, "web3": SHIPPED, "desktop": CLIENT}))
    starts = [
        "error: client-never-probes (ssh) on desktop ",
        "error: server-never-probes (sshd) on web1, web3 ",
        "warning: client-never-probes (ssh) on web1, web3 ",
    ]
    probing = [text for text in found if "never-probes" in text]
    assert [text.startswith(start) for text, start in zip(probing, starts, strict=True)] == [True, True, True]


def test_a_finding_says_where_what_and_what_to_do() -> None:
    (found,) = findings(audit_table({"web1": result(Facts(server(0)))}))
    path = "/etc/ssh/sshd_config.d/00-keepalive.conf, line 2: "
    assert found.startswith(f"error: server-never-probes (sshd) on web1 {path}the server's end of a session hangs")
    assert found.endswith("-> set client_alive_interval, as the role server does")


def test_the_same_finding_in_different_files_is_told_of_each() -> None:
    elsewhere = json.loads(json.dumps(result(Facts(server(0)))).replace("00-keepalive", "10-other"))
    found = findings(audit_table({"web1": result(Facts(server(0))), "web2": elsewhere}))
    assert [re.findall(r" on (\w+) \S+/(\S+),", text) for text in found] == [
        [("web1", "00-keepalive.conf")],
        [("web2", "10-other.conf")],
    ]


def test_the_worst_comes_first_whichever_host_has_it() -> None:
    lost = KernelSettings(Kernel()._asdict(), {}, [])
    warned = result(Facts(server(30, 6, (9, 2)), {"": client(30)}, lost, Kernel(tcp_keepalive_time=60)))
    found = findings(audit_table({"web1": warned, "web2": SHIPPED}))
    severities = [text.partition(":")[0] for text in found if re.match("error|warning|info", text)]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert set(severities) == {"error", "warning", "info"}


def test_the_row_counts_errors_and_warnings_and_nothing_else() -> None:
    lost = KernelSettings(Kernel()._asdict(), {}, [])
    warned = result(Facts(server(30, 6, (9, 2)), {"": client(0)}, lost, Kernel(tcp_keepalive_time=60)))
    severities = [finding["severity"] for finding in warned["findings"]]
    row = table(audit_table({"web1": warned}))["web1"]
    assert (row["error"], row["warning"]) == (str(severities.count("error")), str(severities.count("warning")))
    assert severities.count("info")


def test_what_a_baseline_expects_in_vain_is_told_once_where_a_host_holds_it() -> None:
    stig = result(Facts(server(600, 1)))
    lines = audit_table({"web1": stig, "web2": stig})
    assert table(lines)["web1"]["baselines held"] == "cis, stig"
    expected = next(baseline.contradiction for baseline in BASELINES if baseline.id == "stig")
    assert [text for text in findings(lines) if text.startswith("baseline ")] == [f"baseline stig: {expected}"]


def test_a_baseline_that_nobody_holds_is_no_matter() -> None:
    lines = audit_table({"web1": SHIPPED})
    assert table(lines)["web1"]["baselines held"] == "-"
    assert "baseline " not in "\n".join(lines[1:])


NAMES = strategies.lists(
    strategies.from_regex(r"[a-z]{3,8}(-[a-z0-9]{1,9}){0,4}", fullmatch=True), min_size=1, unique=True
)


@given(NAMES)
def test_findings_fit_a_screen(names: list[str]) -> None:
    lines = audit_table(dict.fromkeys(names, SHIPPED))
    assert max(map(len, lines[lines.index("") :])) <= WIDTH


def test_no_name_of_a_host_is_broken_in_two() -> None:
    names = [f"web{'x' * length}-eu-west" for length in range(20)]
    lines = audit_table(dict.fromkeys(names, SHIPPED))
    below = lines[lines.index("") :]
    # Once for each end.
    assert {name: sum(name in line for line in below) for name in names} == dict.fromkeys(names, 2)


def test_a_path_is_never_broken_in_two() -> None:
    path = f"/etc/ssh/sshd_config.d/{'a-long-name-' * 10}.conf"
    moved = json.loads(json.dumps(result(Facts(server(0)))).replace(DROP_IN.path, path))
    assert any(path in line for line in audit_table({"web1": moved}))


@pytest.mark.parametrize("results", [{"web1": SHIPPED, "web2": REFUSED, "web3": {}}])
def test_results_are_left_as_they_were(results: dict[str, Any]) -> None:
    before = json.dumps(results)
    audit_table(results)
    assert json.dumps(results) == before
