# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sessions end after the limit of the role `idle`, by which mechanism, and which live."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml
from testinfra.utils.ansible_runner import AnsibleRunner

from ansible_collections.keepalive.hardening.molecule.idle.tests.sessions import Session, Situation

testinfra_hosts = ["ansible://idle"]

SCENARIO = Path(__file__).parents[1]
VALUES = yaml.safe_load(SCENARIO.joinpath("vars", "main.yml").read_text())
LIMIT = VALUES["idle_limit"]
LONG = 1.5 * LIMIT
# After that every session that ends has ended, with 20 % to spare.
ENOUGH = 1.25 * LIMIT
USER, EXEMPT, MEMBER = (VALUES[f"idle_test_{who}"] for who in ("user", "exempt", "member"))

SITUATIONS = {
    "idle": Situation(),
    "typing": Situation(types="\n"),
    "half a line": Situation(types="x"),
    "output": Situation(starts="while sleep 2; do echo; done\n"),
    "output behind the prompt": Situation(starts="while sleep 2; do echo; done &\n"),
    "silent work": Situation(starts="sleep 1000\n"),
    "silent command": Situation(command=f"echo open; sleep {LONG}; echo done"),
    "command on a terminal": Situation(options=("-tt",), command="echo open; exec bash"),
    # ssh runs LocalCommand once it is logged in.
    "unused tunnel": Situation(("-N", "-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo open")),
}
# What ends after the limit; the rest lives.
ENDS = {
    "sshd": {"idle", "silent work", "unused tunnel"},
    "shell": {"idle", "half a line", "output behind the prompt"},
    "logind": {"idle", "output", "output behind the prompt", "silent work", "command on a terminal"},
}


class Lab:
    """The hosts, and the sessions on them."""

    def __init__(self, inventory: str, ssh_config: str):
        self._inventory, self._ssh_config = inventory, ssh_config
        self.names = AnsibleRunner(inventory).get_hosts("idle")
        #: By host, what the role was last told, user and situation.
        self.sessions: dict[tuple[str, str, str, str], Session] = {}
        self.results: dict[tuple[str, str], dict[str, Any]] = {}

    def apply(self, hosts: list[str], **variables: object) -> None:
        """Run the role, on top of the variables of the scenario."""
        command = ["ansible-playbook", SCENARIO / "converge.yml", "-i", self._inventory, "--limit", ",".join(hosts)]
        done = subprocess.run([*command, "-e", json.dumps(variables)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout

    def open(self, told: str, hosts: list[str], sessions: list[tuple[str, str]]) -> None:
        """Open sessions, each a user and a situation, on every host at once."""
        for name in hosts:
            host = testinfra.get_host(
                f"ansible://{name}", ansible_inventory=self._inventory, ssh_config=self._ssh_config
            )
            self.results[name, told] = json.loads(host.file("/run/idle-result").content_string)
        ssh = ["ssh", "-F", self._ssh_config, "-o", "ControlPath=none"]
        wanted = [(name, told, user, situation) for user, situation in sessions for name in hosts]

        def login(name: str, _told: str, user: str, situation: str) -> Session:
            return Session(ssh, f"{user}@{name}", SITUATIONS[situation], pause=LIMIT / 4)

        # Each sshd turns some clients away from the tenth login at once on (MaxStartups).
        with ThreadPoolExecutor(8 * len(hosts)) as pool:
            self.sessions |= dict(zip(wanted, pool.map(login, *zip(*wanted, strict=True)), strict=True))

    def wait(self) -> None:
        """Until every session that still lives has done so for longer than any that ends."""
        time.sleep(max(0, *(ENOUGH - session.age for session in self.sessions.values() if session.lives)))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Everything has happened: sessions keep what they started with, so they are all watched together."""
    lab = Lab(request.config.getoption("ansible_inventory"), request.config.getoption("ssh_config"))
    everywhere, with_logind = lab.names, [name for name in lab.names if name.endswith("bookworm")]
    lab.open("limit", everywhere, [(USER, situation) for situation in SITUATIONS])
    lab.apply(everywhere, idle_exempt_users=[EXEMPT], idle_exempt_groups=[VALUES["idle_test_group"]])
    lab.open("exempt", everywhere, [(USER, "idle"), (EXEMPT, "idle"), (EXEMPT, "unused tunnel"), (MEMBER, "idle")])
    lab.apply(with_logind, idle_mechanisms=["logind"])
    lab.open("logind", with_logind, [(USER, situation) for situation in SITUATIONS])
    lab.wait()
    lab.apply(everywhere, idle_state="absent")
    lab.open("absent", everywhere, [(USER, "idle"), (USER, "unused tunnel")])
    lab.wait()
    yield lab
    for session in lab.sessions.values():
        session.close()


@pytest.fixture
def name(host) -> str:
    return str(host.backend.host)


@pytest.fixture
def version(host) -> tuple[int, ...]:
    return tuple(map(int, re.search(r"OpenSSH_(\d+)\.(\d+)", host.run("ssh -V").stderr).groups()))


def require_as(mechanism: str, session: Session, situation: str) -> None:
    """The session has ended if the mechanism ends such, else not before its work was done."""
    if situation in ENDS[mechanism]:
        assert session.lasted is not None, "it lives"
        assert session.lasted == pytest.approx(LIMIT, rel=0.2)
    elif not session.lives:
        assert session.output.endswith(b"done\r\n"), f"it ended after {session.lasted:.1f} s"
    else:
        assert session.age > LONG


def test_sshd_acts_where_it_can(name, lab, version):
    assert lab.results[name, "limit"]["mechanisms"] == (["sshd"] if version >= (9, 2) else ["shell"])


def test_with_exemptions_sshd_acts_where_it_can_exempt(name, lab, version):
    assert lab.results[name, "exempt"]["mechanisms"] == (["sshd"] if version >= (10, 6) else ["shell"])


def test_the_result_says_what_each_mechanism_does_not_cover(name, lab):
    for (where, _told), result in lab.results.items():
        assert where != name or list(result["coverage"]) == result["mechanisms"]
        assert all(said["ends"] and said["spares"] for said in result["coverage"].values())


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_session_ends_if_the_mechanism_covers_it(name, lab, situation):
    (mechanism,) = lab.results[name, "limit"]["mechanisms"]
    require_as(mechanism, lab.sessions[name, "limit", USER, situation], situation)


def test_who_is_not_exempt_is_still_ended(name, lab):
    (mechanism,) = lab.results[name, "exempt"]["mechanisms"]
    require_as(mechanism, lab.sessions[name, "exempt", USER, "idle"], "idle")


@pytest.mark.parametrize(("user", "situation"), [(EXEMPT, "idle"), (MEMBER, "idle"), (EXEMPT, "unused tunnel")])
def test_an_exempt_session_lives(name, lab, user, situation):
    assert lab.sessions[name, "exempt", user, situation].lives


@pytest.mark.parametrize("situation", SITUATIONS)
def test_logind_ends_what_it_covers(lab, situation):
    ours = {key: session for key, session in lab.sessions.items() if key[1::2] == ("logind", situation)}
    assert ours
    for session in ours.values():
        require_as("logind", session, situation)


@pytest.mark.parametrize("situation", ["idle", "unused tunnel"])
def test_once_taken_back_nothing_ends(name, lab, situation):
    assert lab.sessions[name, "absent", USER, situation].lives


def test_once_taken_back_the_files_are_as_before(host, lab):
    before = host.file("/run/idle-before").content_string
    assert host.check_output(VALUES["idle_test_fingerprint"]) == before.rstrip("\n")
