#!/usr/bin/env python3
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Run a playbook on parts of an inventory side by side, each by an ansible-runner of its own, and join what they say.

    slices.py --inventory INVENTORY [--slices 4] [--limit PATTERN] [--json FILE] [PLAYBOOK] [-- --check ...]

It prints one line for each host and returns 1 unless all of them were reached, worked on and did not fail.
Ctrl-C ends all slices. It needs ansible-core and ansible-runner, and is run where ansible-playbook would be.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: What a host's line counts, and what Ansible calls it.
COUNTS = {"ok": "ok", "changed": "changed", "failed": "failures", "unreachable": "dark"}
NOT_DONE, CUT_OFF = "not done", "begun and cut off"
INTERRUPTED = 130


@dataclass
class Outcome:
    """What became of one host."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    unreachable: int = 0
    #: What is wrong with it; empty if nothing is.
    reason: str = NOT_DONE
    #: The results of keepalive.hardening's modules: changed, before and effective.
    keepalive: list[dict[str, Any]] = field(default_factory=list)


def hosts_of(inventory: str, limit: str) -> list[str]:
    """Return the names of the hosts that Ansible would work on, in the order of the inventory."""
    command = ["ansible-inventory", "--list", f"--inventory={inventory}", f"--limit={limit}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    groups = json.loads(done.stdout)
    return list(dict.fromkeys(host for group in groups.values() for host in group.get("hosts", [])))


def deal(hosts: Sequence[str], slices: int) -> list[Sequence[str]]:
    """Deal the hosts like cards: neighbours, which are often alike, do not end up together, and no hand is empty."""
    return [hosts[first::slices] for first in range(min(slices, len(hosts)))]


def start(folder: Path, hosts: Sequence[str], options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Start the ansible-runner of one slice, which keeps what happens in the folder."""
    folder.mkdir()
    (folder / "hosts").write_text("\n".join(hosts), encoding="utf-8")
    inventory = options.inventory
    command = [
        *(sys.executable, "-m", "ansible_runner", "run", "--quiet", "--ident=slice"),
        f"--project-dir={Path.cwd()}",
        f"--inventory={Path(inventory).resolve() if Path(inventory).exists() else inventory}",
        f"--playbook={options.playbook}",
        f"--limit=@{folder / 'hosts'}",
        *([f"--cmdline={shlex.join(options.arguments)}"] if options.arguments else []),
        str(folder),
    ]
    # ansible-runner takes no notice of host keys unless it is told to.
    environment = {"ANSIBLE_HOST_KEY_CHECKING": "True", **os.environ}
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)


def end(running: Collection[subprocess.Popen[bytes]]) -> None:
    """End slices as Ctrl-C ends Ansible."""
    while any(process.poll() is None for process in running):
        # ansible-runner, told itself, would leave behind what Ansible is working on.
        for process in running:
            subprocess.run(["pkill", "-INT", "-P", str(process.pid)], check=False)
        time.sleep(2)


def events_of(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and data of each event of a slice, in their order."""
    # "partial" are those that were still being put together when the slice was ended.
    paths = [
        path for path in (folder / "artifacts" / "slice" / "job_events").glob("[0-9]*.json") if path.stat().st_size
    ]
    for path in sorted(paths, key=lambda path: int(path.name.partition("-")[0])):
        event = json.loads(path.read_text(encoding="utf-8"))
        yield event["event"], event.get("event_data", {})


def join(events: Iterable[tuple[str, dict[str, Any]]], outcomes: dict[str, Outcome]) -> None:
    """Add what happened in a slice to the outcomes."""
    for event, data in events:
        if event == "playbook_on_stats":
            for host in outcomes.keys() & data["processed"]:
                for count, name in COUNTS.items():
                    setattr(outcomes[host], count, data[name].get(host, 0))
                if not outcomes[host].failed and not outcomes[host].unreachable:
                    outcomes[host].reason = ""
        elif data.get("host") in outcomes and "res" in data:
            outcome, result = outcomes[data["host"]], data["res"]
            if event in ("runner_on_failed", "runner_on_unreachable"):
                outcome.reason = str(result.get("msg") or "failed")
            elif outcome.reason == NOT_DONE:
                outcome.reason = CUT_OFF
            for answer in result.get("results", [result]):
                if "effective" in answer:
                    outcome.keepalive.append({name: answer.get(name) for name in ("changed", "before", "effective")})


def table(outcomes: dict[str, Outcome]) -> Iterator[str]:
    """Yield a heading and one line for each host."""
    width = max(len(host) for host in [*outcomes, "host"])
    yield "  ".join(["host".ljust(width), *COUNTS])
    for host, outcome in outcomes.items():
        counts = [str(getattr(outcome, count)).rjust(len(count)) for count in COUNTS]
        yield "  ".join([host.ljust(width), *counts, outcome.reason.partition("\n")[0]]).rstrip()


def run(options: argparse.Namespace, outcomes: dict[str, Outcome]) -> list[int]:
    """Run all slices to their end, add what they did to the outcomes, return their exit codes."""
    with tempfile.TemporaryDirectory(prefix="slices-") as name:
        running: dict[Path, subprocess.Popen[bytes]] = {}
        codes = []
        try:
            for number, hosts in enumerate(deal(list(outcomes), options.slices)):
                folder = Path(name, str(number))
                running[folder] = start(folder, hosts, options)
            for process in running.values():
                process.wait()
        except KeyboardInterrupt:
            codes = [INTERRUPTED]
            end(running.values())
        for folder, process in running.items():
            codes.append(process.wait())
            join(events_of(folder), outcomes)
            # 2 is a host that failed, 4 one that was not reached: both are in the table.
            if INTERRUPTED not in codes and codes[-1] not in (0, 2, 4):
                print((folder / "artifacts" / "slice" / "stdout").read_text(encoding="utf-8"), file=sys.stderr)
    return codes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventory", required=True)
    parser.add_argument("--slices", type=int, default=4, help="how many run side by side")
    parser.add_argument("--limit", default="all", metavar="PATTERN")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write what became of each host")
    parser.add_argument("playbook", nargs="?", default="keepalive.hardening.harden")
    parser.add_argument("arguments", nargs="*", help="more for ansible-playbook, behind --")
    options = parser.parse_args()
    if options.slices < 1:
        parser.error("there has to be at least one slice")

    outcomes = {host: Outcome() for host in hosts_of(options.inventory, options.limit)}
    if not outcomes:
        parser.error("the inventory has no such hosts")
    # Ended in any way, it ends its slices.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    codes = run(options, outcomes)
    print("\n".join(table(outcomes)))
    if options.json:
        answer = {host: asdict(outcome) for host, outcome in outcomes.items()}
        options.json.write_text(json.dumps(answer, indent=2), encoding="utf-8")
    if INTERRUPTED in codes:
        return INTERRUPTED
    return 0 if not any(codes) and not any(outcome.reason for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
