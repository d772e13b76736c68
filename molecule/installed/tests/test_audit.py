# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook audit of the installed collection, started as a user does: by its full name, on the control node."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
INSTALLED = CHECKOUT / ".cache" / "installed"
INVENTORY = CHECKOUT / "tests" / "lab" / "inventory" / "hosts.yml"
ENVIRONMENT = {
    # Neither the checkout's configuration nor a user's.
    "ANSIBLE_CONFIG": str(INSTALLED / "ansible.cfg"),
    "ANSIBLE_COLLECTIONS_PATH": str(INSTALLED),
    "ANSIBLE_FORCE_COLOR": "false",
}
PLATFORMS = ["platform-bullseye", "platform-bookworm", "platform-trixie", "platform-testing"]

# The lab's network has no such address. Its hosts have their ssh_config from a path beside the lab's inventory.
MORE_HOSTS = """
platforms:
  hosts:
    platform-nobody:
      ansible_host: 10.213.77.99
      ansible_ssh_args: -F {ssh_config} -o ControlPath=none -o ConnectTimeout=2
    platform-trixie: {{ansible_become: false}}
"""


class Audit(NamedTuple):
    """What a run of the playbook printed."""

    stdout: str
    code: int = 0

    @property
    def lines(self) -> list[str]:
        """The table and what follows it."""
        printed = self.stdout.partition("TASK [Print what was found]")[2].partition("=> ")[2]
        answer: dict[str, list[str]] = json.JSONDecoder().raw_decode(printed)[0]
        return answer["msg"]

    @property
    def rows(self) -> dict[str, list[str]]:
        """Cells by host."""
        table = self.lines[1 : self.lines.index("") if "" in self.lines else None]
        return {cells[0]: cells[1:] for cells in (re.split(" {2,}", line) for line in table)}

    @property
    def found(self) -> dict[str, set[str]]:
        """The lab's hosts by finding."""
        found: dict[str, set[str]] = {}
        for finding, hosts in re.findall(
            r"^\w+: ([a-z-]+) \(\w+\) on ((?:.+\n)(?: {7}.+\n)*)", self.text, re.MULTILINE
        ):
            found.setdefault(finding, set()).update(name for name in PLATFORMS if name in hosts)
        return found

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """The numbers by host in which the run ends."""
        lines = self.stdout.partition("PLAY RECAP")[2].splitlines()[1:]
        counts = {name.strip(): numbers for name, _colon, numbers in (line.partition(" : ") for line in lines if line)}
        return {
            name: {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", numbers)}
            for name, numbers in counts.items()
        }


def audit(*arguments: str) -> Audit:
    command = ["ansible-playbook", "keepalive.hardening.audit", "-i", str(INVENTORY), *arguments]
    done = subprocess.run(
        command, cwd=INSTALLED, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False
    )
    return Audit(done.stdout, done.returncode)


@pytest.fixture(scope="module")
def before() -> Audit:
    """The audit that prepare.yml has run, of hosts as Debian ships them."""
    return Audit((INSTALLED / "audit-before.txt").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def after() -> Audit:
    """An audit of the hosts that converge.yml has hardened."""
    return audit("--limit", "platforms")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """An audit of a host that is well, one that does not answer, and one that it may not look at as root."""
    more = tmp_path_factory.mktemp("inventory") / "more.yml"
    more.write_text(MORE_HOSTS.format(ssh_config=CHECKOUT / ".cache" / "lab" / "ssh_config"), encoding="utf-8")
    return audit("-i", str(more), "--limit", "platform-bookworm,platform-trixie,platform-nobody")


def changes(run: Audit) -> list[Any]:
    return [counts["changed"] for counts in run.recap.values()]


def test_before_hardening_neither_end_of_any_host_probes(before: Audit) -> None:
    assert before.found["server-never-probes"] == set(PLATFORMS)
    assert before.found["client-never-probes"] == set(PLATFORMS)


def test_before_hardening_a_dead_peer_is_noticed_by_the_kernel_alone(before: Audit) -> None:
    noticed = {(row[1], row[3]) for host, row in before.rows.items() if host in PLATFORMS}
    assert noticed == {("675 to 7875 s", "675 to 7875 s")}


def test_after_hardening_both_ends_of_every_host_probe(after: Audit) -> None:
    assert not after.found.get("server-never-probes")
    assert not after.found.get("client-never-probes")


def test_after_hardening_no_host_has_an_error_or_a_warning(after: Audit) -> None:
    assert {host: row[4:6] for host, row in after.rows.items() if host in PLATFORMS} == {
        host: ["0", "0"] for host in PLATFORMS
    }


def test_after_hardening_a_dead_peer_is_noticed_within_minutes(after: Audit) -> None:
    # An interval of 30 s, which the sshd of Debian 12 doubles, and a count of 6; a client may be a second early.
    rows = {host: (row[0], row[1], row[3]) for host, row in after.rows.items() if host in PLATFORMS}
    client = rows["platform-bullseye"][2]
    assert re.fullmatch(r"1\d\d to 2\d\d s", client)
    assert rows == {
        "platform-bullseye": ("8.4", "180 to 210 s", client),
        "platform-bookworm": ("9.2", rows["platform-bookworm"][1], client),
        "platform-trixie": ("10.0", "180 to 210 s", client),
        "platform-testing": ("10.6", "180 to 210 s", client),
    }
    assert float(rows["platform-bookworm"][1].split()[2]) > 210


@pytest.mark.parametrize("run", ["before", "after"])
def test_every_host_and_the_control_node_have_a_row(run: str, request: pytest.FixtureRequest) -> None:
    assert list(request.getfixturevalue(run).rows) == [*PLATFORMS, "(control node)"]


@pytest.mark.parametrize("run", ["before", "after", "troubled"])
def test_it_changes_nothing(run: str, request: pytest.FixtureRequest) -> None:
    counts = changes(request.getfixturevalue(run))
    assert counts
    assert set(counts) == {0}


def test_a_host_that_does_not_answer_has_a_row_that_says_so(troubled: Audit) -> None:
    (remark,) = troubled.rows["platform-nobody"]
    assert "was not reached" in remark
    assert troubled.recap["platform-nobody"]["failed"] == 1
    assert troubled.code != 0


def test_a_host_that_is_not_read_as_root_has_a_row_that_says_what_to_do(troubled: Audit) -> None:
    (remark,) = troubled.rows["platform-trixie"]
    assert "become: true" in remark


def test_the_others_have_their_rows_all_the_same(troubled: Audit, after: Audit) -> None:
    assert troubled.rows["platform-bookworm"] == after.rows["platform-bookworm"]
    assert list(troubled.rows) == ["platform-bookworm", "platform-trixie", "platform-nobody", "(control node)"]


def test_where_nothing_is_read_as_root_every_host_says_what_to_do() -> None:
    refused = audit("--limit", "platform-bookworm,platform-trixie", "-e", "ansible_become=false")
    assert refused.code != 0
    assert changes(refused) == [0, 0]
    for host in ("platform-bookworm", "platform-trixie"):
        # When it is read, and at the end, when the host is failed.
        messages = re.findall(rf"fatal: \[{host}\]: FAILED! => (.*)", refused.stdout)
        assert ["become: true" in json.loads(message)["msg"] for message in messages] == [True, True]
    assert refused.rows.keys() >= {"platform-bookworm", "platform-trixie"}


def test_one_hosts_bad_connection_arguments_cost_nobody_the_table(tmp_path: Path) -> None:
    more = tmp_path / "more.yml"
    more.write_text("platforms: {hosts: {platform-nobody: {ansible_ssh_args: -F /nonexistent}}}", encoding="utf-8")
    run = audit("-i", str(more), "--limit", "platform-bookworm,platform-nobody")
    assert "platform-bookworm" in run.stdout.partition("TASK [Print what was found]")[2].partition("PLAY RECAP")[0]
