# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When real processes on a real kernel give up, against what plugins/module_utils/_timeline.py predicts."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from testinfra.utils.ansible_runner import AnsibleRunner

from ansible_collections.keepalive.hardening.molecule.partition.tests import table
from ansible_collections.keepalive.hardening.molecule.partition.tests.measurement import (
    SLACK,
    Measurements,
    Session,
    measure,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import (
    IN_FLIGHT,
    REKEY_DUE,
    STEADY_OUTPUT,
    End,
    Kernel,
    ends_healthy_after,
    survives,
)

testinfra_hosts = ["ansible://partition"]

CHECKOUT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
VALUES = yaml.safe_load(Path(__file__).parents[1].joinpath("vars", "main.yml").read_text())
PAIRS = {pair["account"]: (pair["interval"], pair["count_max"]) for pair in VALUES["partition_pairs"]}

# Nothing else can end a session before SSH does, as long as these tests last.
SLOW_TCP = Kernel()
# An idle session is dropped after 4 + 1 x 3 s, unacknowledged data retried for 3 to 9 s.
FAST_TCP = Kernel(tcp_keepalive_time=4, tcp_keepalive_intvl=1, tcp_keepalive_probes=3, tcp_retries2=3)

# In the README.
EXCERPT = r"(<!-- measured -->\n).*(<!-- /measured -->\n)"

WHO = ("server", "client", "both")
WITH_SLOW_TCP = {
    **{
        f"{who}-{account}": Session(f"I={interval}, C={count_max}: {who}", [f"{who}-{account}"])
        for account, (interval, count_max) in PAIRS.items()
        for who in WHO
    },
    "nobody": Session("neither", ["nobody"]),
}
# Of all pairs, the one that waits longest.
SURVIVOR = max(PAIRS, key=lambda account: PAIRS[account][0] * PAIRS[account][1])
SURVIVORS = {name: session for name, session in WITH_SLOW_TCP.items() if name.endswith(f"-{SURVIVOR}")}
WITH_FAST_TCP = {
    "idle": Session("silence, nobody probes", ["nobody"]),
    "seldom": Session("silence, the server probes (I=60, C=3)", ["server-seldom"]),
    "never-counts": Session("silence, the server probes (I=1, C=0)", ["server-never-counts"]),
    "rekey": Session("silence, the server probes (I=1, C=3), a rekey is due", ["server-rekey"], server=REKEY_DUE),
    "printed-line": Session("the server sends a line, nobody probes", ["nobody"], server=IN_FLIGHT),
    "printed-line-probed": Session("the server sends a line and probes (I=2, C=2)", ["server-p2x2"], server=IN_FLIGHT),
    "output": Session("the server keeps sending and probes (I=1, C=3)", ["server-p1x3"], server=STEADY_OUTPUT),
    "typed-line": Session("the client sends a line, nobody probes", ["nobody"], client=IN_FLIGHT),
    "typed-line-probed": Session("the client sends a line and probes (I=2, C=2)", ["client-p2x2"], client=IN_FLIGHT),
    "input": Session("the client keeps sending and probes (I=1, C=3)", ["client-p1x3"], client=STEADY_OUTPUT),
    # The collection's modules refuse this, so it comes from the command line.
    "impatient": Session(
        "healthy, the client probes (I=2, C=0)",
        ["-oServerAliveInterval=2", "-oServerAliveCountMax=0", "nobody"],
        leaves=True,
    ),
}
LASTING = [name for name, session in WITH_FAST_TCP.items() if not session.leaves]

Measure = Callable[[dict[str, Session], float], Measurements]


@pytest.fixture(scope="session")
def inventory(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("ansible_inventory"))


@pytest.fixture(scope="session")
def measure_all(request: pytest.FixtureRequest, inventory: str) -> Measure:
    """Measures sessions on every link of the group, which is a ring."""
    runner = AnsibleRunner.get_runner(inventory)
    addresses = {host: runner.get_variables(host)["ansible_host"] for host in runner.get_hosts("partition")}
    ssh_config = request.config.getoption("ssh_config")
    return lambda sessions, seconds: measure(sessions, VALUES["partition_client"], seconds, addresses, ssh_config)


@pytest.fixture(scope="session")
def slow_tcp(measure_all: Measure) -> Measurements:
    # Longer than the slowest sshd takes, which probes at every second interval.
    longest = max(2 * interval * (count_max + 1) for interval, count_max in PAIRS.values())
    return measure_all(WITH_SLOW_TCP, longest + 2 * SLACK)


@pytest.fixture(scope="session")
def short_cut(measure_all: Measure) -> Measurements:
    """The sessions that survive the longest outage, when the link is back after as much."""
    ends = [End(side, *PAIRS[SURVIVOR], version) for side in ("server", "client") for version in ((9, 2), (10, 0))]
    return measure_all(SURVIVORS, min(survives(end) or 0 for end in ends))


@pytest.fixture(scope="session")
def fast_tcp(measure_all: Measure, lowered_kernel: None) -> Measurements:
    # It ends with the last session.
    return measure_all(WITH_FAST_TCP, 20)


@pytest.fixture(scope="session")
def lowered_kernel(inventory: str, slow_tcp: Measurements, short_cut: Measurements) -> Iterator[None]:
    """The kernel's values, once nothing is left to measure with Linux' own; sockets of before keep some of those."""

    def sysctl(state: str) -> None:
        options = json.dumps({**FAST_TCP._asdict(), "persist": False, "state": state})
        command = ["ansible", "partition", "-i", inventory, "-m", "keepalive.hardening.sysctl", "-a", options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    sysctl("present")
    yield
    sysctl("absent")


@pytest.fixture
def name(host) -> str:
    return str(host.backend.host)


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("session", WITH_SLOW_TCP)
def test_an_end_gives_up_as_its_interval_and_count_predict(name, slow_tcp, session, side):
    measured = slow_tcp[name, side, session]
    assert measured.end.kernel == SLOW_TCP
    assert not measured.deviation()


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("session", LASTING)
def test_an_end_gives_up_as_the_first_of_ssh_and_tcp_predicts(name, fast_tcp, session, side):
    measured = fast_tcp[name, side, session]
    assert measured.end.kernel == FAST_TCP
    assert not measured.deviation()


# Of the line that is typed and probed for, SSH and TCP give up within the same seconds.
@pytest.mark.parametrize("session", [name for name in (*WITH_SLOW_TCP, *LASTING) if name != "typed-line-probed"])
def test_a_client_says_which_layer_gave_up(name, slow_tcp, fast_tcp, session):
    measured = (slow_tcp if session in WITH_SLOW_TCP else fast_tcp)[name, "client", session]
    by_ssh = not measured.outlives and measured.predicted.layer == "ssh"
    assert ("not responding" in measured.said) == by_ssh, measured.said


def test_a_session_that_nobody_probes_outlives_the_cut(name, slow_tcp):
    client, server = slow_tcp[name, "client", "nobody"], slow_tcp[name, "server", "nobody"]
    assert client.gone is server.gone is None
    assert client.echoes


@pytest.mark.parametrize("session", SURVIVORS)
def test_a_session_survives_the_outage_that_it_is_said_to_survive(name, slow_tcp, short_cut, session):
    client, server = short_cut[name, "client", session], short_cut[name, "server", session]
    assert client.end.kernel == SLOW_TCP
    assert client.watched >= 2
    assert client.gone is server.gone is None
    assert client.echoes


def test_a_client_with_a_count_of_0_leaves_a_healthy_link(name, fast_tcp):
    measured = fast_tcp[name, "client", "impatient"]
    predicted = ends_healthy_after(measured.end)
    assert measured.gone - measured.alive == pytest.approx(predicted, abs=SLACK)
    assert measured.gone < 0


@pytest.mark.parametrize("account", PAIRS)
@pytest.mark.parametrize("who", WHO)
def test_the_tools_say_what_the_modules_were_asked_for(name, slow_tcp, account, who):
    for side in ("server", "client"):
        end = slow_tcp[name, side, f"{who}-{account}"].end
        assert (end.interval, end.count_max) == (PAIRS[account] if who in (side, "both") else (0, 3))


def test_the_tables_are_written(slow_tcp, fast_tcp):
    target = CHECKOUT if os.environ.get("KEEPALIVE_RECORD") == "1" else CHECKOUT / ".cache" / "measured"
    target.joinpath("docs").mkdir(parents=True, exist_ok=True)
    document = table.render((WITH_SLOW_TCP, slow_tcp), (WITH_FAST_TCP, fast_tcp))
    target.joinpath("docs", "measured.md").write_text(document)
    before, begin, end, after = re.split(EXCERPT, CHECKOUT.joinpath("README.md").read_text(), flags=re.DOTALL)
    excerpt = f"{begin}{table.render_excerpt(WITH_SLOW_TCP, slow_tcp)}\n{end}"
    target.joinpath("README.md").write_text(before + excerpt + after)
