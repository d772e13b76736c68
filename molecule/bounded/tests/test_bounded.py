# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play on a host that dies: it hangs without hardening, and ends within the predicted time with it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._ends import parse_end, parse_version
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import End, gives_up

testinfra_hosts = ["ansible://bounded-lost"]

CHECKOUT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
STATE = CHECKOUT / ".cache" / "bounded"
# What Ansible itself takes to see that ssh has ended, to go on with the other host, and to stop.
OVERHEAD = 4
# How long the host stays away; longer than any prediction here.
AWAY = 30
# As in converge.yml.
CONNECT_TIMEOUT = 5

# Time to say good-bye. Then nothing reaches the host and nothing leaves it, until it is back by itself.
LAST_SECOND = 1
DIE = f"""
setsid sh -c '
sleep {LAST_SECOND}
nft -f - <<RULES
add table inet bounded
add chain inet bounded input {{ type filter hook input priority 0; policy drop; }}
add chain inet bounded output {{ type filter hook output priority 0; policy drop; }}
RULES
sleep {AWAY}
nft delete table inet bounded' </dev/null >/dev/null 2>&1 &
"""


def ssh(config: str, host: str, command: str) -> subprocess.CompletedProcess[str]:
    arguments = ["ssh", "-F", str(STATE / config), "-o", "ConnectTimeout=1", host, "sudo sh -s"]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, input=command)


def seconds_to_give_up(config: str) -> float:
    """How long ssh waits for a connection to the lost host, as far as that matters here."""
    began = time.monotonic()
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            ["ssh", "-F", str(STATE / config), "-oControlPath=none", "bounded-lost", "true"],
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=CONNECT_TIMEOUT + 3,
        )
    return time.monotonic() - began


def end_of(config: str) -> End:
    """What ssh itself says that Ansible's connections are set to."""
    command = ["ssh", "-G", "-F", str(STATE / config), "bounded-lost"]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower()
    values = dict(line.split(" ", 1) for line in dump.splitlines() if " " in line)
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    options = {
        "server_alive_interval": values["serveraliveinterval"],
        "server_alive_count_max": values["serveralivecountmax"],
    }
    return parse_end(options, parse_version(version.removeprefix("OpenSSH_")))


@contextmanager
def play(config: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The play at work on both hosts, with connections of its own that are shared as Ansible does by itself."""
    sockets = tmp_path / "cp"
    environment = {**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)}
    arguments = f"-F {STATE / config} -o ControlMaster=auto -o ControlPersist=60s"
    command = [
        *("ansible-playbook", str(CHECKOUT / "molecule/bounded/files/work.yml")),
        *("-i", str(CHECKOUT / "tests/lab/inventory/hosts.yml")),
        *("-e", f'{{"ansible_ssh_args": "{arguments}", "began": "{config}"}}'),
    ]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as running:
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            subprocess.run(["pkill", "-f", str(sockets)], check=False)


@contextmanager
def lost_host(config: str) -> Iterator[float]:
    """The host dead from now on, once the play is at work on it; returns the moment."""
    deadline = time.monotonic() + 30
    while ssh(config, "bounded-lost", f"test -e /run/{config}").returncode:
        assert time.monotonic() < deadline, "the play never began"
        time.sleep(0.2)
    assert ssh(config, "bounded-lost", DIE).returncode == 0
    lost = time.monotonic() + LAST_SECOND
    yield lost
    while ssh(config, "bounded-lost", "true").returncode:
        assert time.monotonic() < lost + 2 * AWAY, "the host did not come back"
        time.sleep(0.5)


@pytest.fixture(autouse=True)
def nothing_began() -> None:
    for host in ("bounded-lost", "bounded-kept"):
        assert ssh("untouched", host, "rm -f /run/untouched* /run/hardened*").returncode == 0


def test_without_hardening_the_play_hangs(tmp_path):
    assert gives_up(end_of("untouched")).earliest > AWAY
    with play("untouched", tmp_path) as running, lost_host("untouched") as lost:
        with pytest.raises(subprocess.TimeoutExpired):
            running.communicate(timeout=gives_up(end_of("hardened")).latest + OVERHEAD - (time.monotonic() - lost))
        assert ssh("untouched", "bounded-kept", "test -e /run/untouched.done").returncode, "it went on"


def test_with_it_the_play_gives_the_host_up_in_time_and_goes_on(tmp_path):
    predicted = gives_up(end_of("hardened"))
    with play("hardened", tmp_path) as running, lost_host("hardened") as lost:
        output, _ = running.communicate(timeout=predicted.latest + OVERHEAD)
        took = time.monotonic() - lost
        assert predicted.earliest - 1 <= took <= predicted.latest + OVERHEAD, output
        assert "bounded-lost               : ok=0    changed=0    unreachable=1" in output
        assert "bounded-kept               : ok=2" in output
        assert ssh("hardened", "bounded-kept", "test -e /run/hardened.done").returncode == 0
        # Ansible names a time of its own when it connects; a person does not.
        assert CONNECT_TIMEOUT - 1 <= seconds_to_give_up("hardened") <= CONNECT_TIMEOUT + 2
        assert seconds_to_give_up("untouched") > CONNECT_TIMEOUT + 2
