# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Measure harden.yml in the lab, against ping and against what people write by hand; keep the tables in RESULTS.md
and the README.

    uv run tests/bench/run.py [--rounds N] [--sizes 1,10,40,100]

Every figure is a median of ratios to `ansible.builtin.ping` on the same hosts in the same round, so that it says
something on other machines too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.checks import environment  # found from the root of the checkout only
from tests.lab import lab

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS, README = HERE / "RESULTS.md", ROOT / "README.md"
INVENTORY = ROOT / "tests" / "lab" / "inventory"
STATE = ROOT / ".cache" / "bench"
# With it come ansible.posix and community.general, whose modules the play by hand uses.
ANSIBLE = "ansible~=14.5"
# Where a first run is measured, with all put back before, and where the play by hand runs too, which takes long.
FIRST, BY_HAND = (1, 10), (1,)
FORKS = 20

PING, OURS, HAND = HERE / "plays" / "ping.yml", ROOT / "harden.yml", HERE / "plays" / "hand_rolled.yml"

# As installed, kept once and put back before every first run.
KEEP = """
[ -e /root/bench.tar ] || tar -cf /root/bench.tar -C / etc/ssh etc/sysctl.d
"""
# What community.general.ssh_config needs on its hosts.
PREPARE = """
python3 -c 'import paramiko' 2>/dev/null && exit
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -qq --no-install-recommends python3-paramiko
"""
RESET = """
cd / && rm -rf etc/ssh etc/sysctl.d root/.ssh && tar -xf /root/bench.tar
sysctl -qw net.ipv4.tcp_keepalive_time=7200 net.ipv4.tcp_keepalive_intvl=75 net.ipv4.tcp_keepalive_probes=9
/etc/init.d/ssh reload >/dev/null
"""
EFFECTIVE = """
sshd -T | grep -E '^(clientalive|tcpkeepalive)'
ssh -G server | grep -E '^(serveralive|connecttimeout|tcpkeepalive)'
grep -H . /proc/sys/net/ipv4/tcp_keepalive_*
"""


class Cost(NamedTuple):
    """What one run of a playbook took; seconds and MiB."""

    wall: float
    controller: float
    hosts: float
    memory: float

    def over(self, floor: Cost) -> Cost:
        """As a ratio; memory as what comes on top."""
        return Cost(
            self.wall / floor.wall,
            self.controller / floor.controller,
            self.hosts / floor.hosts,
            self.memory - floor.memory,
        )


def median(costs: Iterable[Cost]) -> Cost:
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


class Fleet:
    """The first so many hosts of the group bench."""

    def __init__(self, size: int):
        self.hosts = [f"bench-{number:03}" for number in range(1, size + 1)]

    def shell(self, script: str) -> list[str]:
        """Run a script as root on each, side by side; what each printed."""

        def one(host: str) -> str:
            command = ["ssh", "-F", str(lab.SSH_CONFIG), host, "sudo sh -es"]
            return subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout

        with ThreadPoolExecutor(10) as pool:
            return list(pool.map(one, self.hosts))

    def play(self, playbook: Path, changes: bool) -> Cost:
        """Run a playbook. Ends the program if it fails, or does not change every host or none, as expected."""
        command = ["ansible-playbook", "-i", str(INVENTORY), "--limit", ",".join(self.hosts), str(playbook)]
        collections = [ROOT / ".collections", *STATE.glob("lib/python*/site-packages")]
        variables = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, collections)),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORKS": str(FORKS),
            # Old warnings of others' modules are no part of what is measured.
            "ANSIBLE_DEPRECATION_WARNINGS": "0",
        }
        before = self._processor_seconds()
        began = time.perf_counter()
        with tempfile.TemporaryFile("w+") as output:
            running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables)
            _pid, status, usage = os.wait4(running.pid, 0)
            wall = time.perf_counter() - began
            output.seek(0)
            printed = output.read()
        running.returncode = os.waitstatus_to_exitcode(status)
        recap = re.findall(r"^bench-\d+ +: ok=\d+ +changed=(\d+) ", printed, re.MULTILINE)
        if running.returncode or [bool(int(count)) for count in recap] != [changes] * len(self.hosts):
            raise SystemExit(f"{playbook.name} did not do what is measured:\n{printed[-3000:]}")
        return Cost(wall, usage.ru_utime + usage.ru_stime, self._processor_seconds() - before, usage.ru_maxrss / 1024)

    def _processor_seconds(self) -> float:
        """What all processes of the hosts have taken, as the kernel counts it for each container."""
        return sum(_container_seconds(host) for host in self.hosts)


def _container_seconds(host: str) -> float:
    folder = _cgroup(host)
    if (folder / "cpuacct.usage").exists():
        return int((folder / "cpuacct.usage").read_text()) / 1e9
    return int((folder / "cpu.stat").read_text().split()[1]) / 1e6


CGROUPS: dict[str, Path] = {}


def _cgroup(host: str) -> Path:
    if host not in CGROUPS:
        pid = lab.run("podman", "inspect", "--format", "{{.State.Pid}}", f"keepalive-{host}").strip()
        lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        old = [path for _number, names, path in lines if "cpuacct" in names.split(",")]
        CGROUPS[host] = Path(f"/sys/fs/cgroup/cpuacct{old[0]}") if old else Path(f"/sys/fs/cgroup{lines[0][2]}")
    return CGROUPS[host]


def measure(fleet: Fleet, rounds: int) -> dict[str, list[tuple[Cost, Cost]]]:
    """By what was run, the costs of each round and those of ping in it."""
    found: dict[str, list[tuple[Cost, Cost]]] = {}
    first, by_hand = (len(fleet.hosts) in sizes for sizes in (FIRST, BY_HAND))
    if not first:
        fleet.shell(RESET)
        fleet.play(OURS, changes=True)
    for number in range(rounds):
        values = {}
        for name, playbook in (("harden.yml", OURS), ("by hand", HAND)) if by_hand else (("harden.yml", OURS),):
            if first:
                fleet.shell(RESET)
            floor = fleet.play(PING, changes=False)
            for what, changes in (("first run", True), ("again", False)) if first else (("again", False),):
                found.setdefault(f"{name}, {what}", []).append((fleet.play(playbook, changes), floor))
            values[name] = fleet.shell(EFFECTIVE)
        if len(set(map(tuple, values.values()))) > 1:
            raise SystemExit(f"harden.yml and the play by hand come to different values: {values}")
        print(f"{len(fleet.hosts)} hosts: round {number + 1} of {rounds}", flush=True)
    return found


def large_files() -> dict[str, dict[str, float]]:
    (printed,) = Fleet(1).shell(f"python3 - <<'END'\n{(HERE / 'large_files.py').read_text()}\nEND\n")
    return dict(json.loads(printed))


def report(
    found: dict[int, dict[str, list[tuple[Cost, Cost]]]], large: dict[str, dict[str, float]], rounds: int
) -> str:
    """The tables, as Markdown."""
    sizes = ",".join(map(str, found))
    lines = [
        # REUSE-IgnoreStart
        "<!-- SPDX-FileCopyrightText: The keepalive.hardening authors -->",
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
        # REUSE-IgnoreEnd
        "# What harden.yml costs",
        "",
        f"Written by `make bench ARGS='--rounds {rounds} --sizes {sizes}'`: "
        f"medians of {rounds} rounds, as ratios to `ansible.builtin.ping` on the same hosts "
        "in the same round. By hand is [plays/hand_rolled.yml](plays/hand_rolled.yml): 6 changes by lineinfile, "
        "ansible.posix.sysctl and community.general.ssh_config, which come to the same effective values. "
        f"ansible-core {version('ansible-core')} with pipelining and {FORKS} forks; hosts with "
        f"{openssh()}, all on one machine with {os.cpu_count()} processors, controller included.",
        "",
        "| what | hosts | wall | CPU of the controller | CPU of the hosts |",
        "|---|---|---|---|---|",
    ]
    for size, costs in found.items():
        for what, pairs in costs.items():
            ratio = median(cost.over(floor) for cost, floor in pairs)
            lines.append(f"| {what} | {size} | {ratio.wall:.2f} | {ratio.controller:.2f} | {ratio.hosts:.2f} |")
    lines += [
        "",
        "The same in seconds and MiB, for how it grows; memory is the controller's largest process.",
        "",
        "| hosts | ping | harden.yml, again | a host more | memory of ping | of harden.yml |",
        "|---|---|---|---|---|---|",
    ]
    earlier: tuple[int, float] | None = None
    for size, costs in found.items():
        ours = median(cost for cost, _floor in costs["harden.yml, again"])
        floor = median(floor for _cost, floor in costs["harden.yml, again"])
        more = f"{(ours.wall - earlier[1]) / (size - earlier[0]):.2f}" if earlier else ""
        lines.append(
            f"| {size} | {floor.wall:.1f} | {ours.wall:.1f} | {more} | {floor.memory:.0f} | {ours.memory:.0f} |"
        )
        earlier = size, ours.wall
    lines += [
        "",
        "Very large configurations, planning a change on the host. The tool is what reads them in OpenSSH, run once; a "
        "change has it read them twice.",
        "",
        "| configuration | the tool | planning a change | ratio | memory |",
        "|---|---|---|---|---|",
    ]
    for name, taken in large.items():
        times = taken["ours"] / taken["tool"]
        lines.append(
            f"| {name} | {taken['tool']:.3f} s | {taken['ours']:.2f} s | {times:.1f} | {taken['memory']:.0f} MiB |"
        )
    return "\n".join([*lines, ""])


def excerpt(found: dict[int, dict[str, list[tuple[Cost, Cost]]]]) -> str:
    """What the README shows of it."""
    lines = [
        "Times that of `ansible.builtin.ping` on the same hosts in the same run "
        "([how it was measured, and more](tests/bench/RESULTS.md), `make bench`):",
        "",
        "| | hosts | harden.yml | the same values by hand |",
        "|---|---|---|---|",
    ]
    for what in ("first run", "again"):
        for size in sorted(set(BY_HAND) & set(found)):
            ours, hand = (
                median(cost.over(floor) for cost, floor in found[size][f"{name}, {what}"]).wall
                for name in ("harden.yml", "by hand")
            )
            lines.append(f"| {what} | {size} | {ours:.1f} | {hand:.1f} |")
    return "\n".join([*lines, ""])


def openssh() -> str:
    (printed,) = Fleet(1).shell("ssh -V 2>&1")
    return printed.split()[0].replace("_", " ").rstrip(",")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (default: 5)")
    parser.add_argument("--sizes", default="1,10,40,100", help="on how many hosts (default: 1,10,40,100)")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    if not list(STATE.glob("lib/python*/site-packages/ansible_collections/community/general")):
        print("installing the collections that the play by hand needs ...", flush=True)
        if trouble := environment.make(STATE, Path(sys.executable), ANSIBLE):
            raise SystemExit(trouble)
    lab.up(["bench"], fresh=False)
    largest = Fleet(max(sizes))
    largest.shell(KEEP)
    Fleet(min(max(BY_HAND), max(sizes))).shell(PREPARE)
    found = {size: measure(Fleet(size), options.rounds) for size in sizes}
    largest.shell(RESET)
    text = report(found, large_files(), options.rounds)
    RESULTS.write_text(text)
    before, begin, end, after = re.split(
        r"(<!-- benchmark -->\n).*(<!-- /benchmark -->)", README.read_text(), flags=re.DOTALL
    )
    README.write_text(before + begin + excerpt(found) + end + after)
    print(text)


if __name__ == "__main__":
    main()
