# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Measure on a host, as root, what our code takes for very large configurations.

Prints JSON: by configuration, the seconds that OpenSSH's own tool takes to read it, the seconds that we take to plan a
change of it, with what the tool takes for that, and the most memory, in MiB.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Where the lab's hosts have the checkout.
sys.path.insert(0, "/collections")

from ansible_collections.keepalive.hardening.plugins.module_utils import _ssh_layer, _sshd_layer
from ansible_collections.keepalive.hardening.plugins.module_utils._command import Result
from ansible_collections.keepalive.hardening.plugins.module_utils._options import OPTIONS

RUNS = 5
HOSTS, MATCHES, DROP_INS = 10_000, 2_000, 500
USER_CONFIG, SSHD_CONFIG, DIRECTORY = "/root/.ssh/config", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d"


def run(command: list[str]) -> Result:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    return Result(done.returncode, done.stdout, done.stderr)


@contextmanager
def host_blocks() -> Iterator[None]:
    os.makedirs("/root/.ssh", exist_ok=True)
    blocks = (f"Host web{n}.example.org\n  HostName 192.0.2.{n % 256}\n  User deploy\n" for n in range(HOSTS))
    with open(USER_CONFIG, "w") as stream:
        stream.writelines(blocks)
    yield
    os.unlink(USER_CONFIG)


@contextmanager
def match_blocks() -> Iterator[None]:
    shutil.copy(SSHD_CONFIG, "/root/sshd_config")
    with open(SSHD_CONFIG, "a") as stream:
        stream.writelines(f"Match User user{n}\n  X11Forwarding no\n  ClientAliveInterval 60\n" for n in range(MATCHES))
    yield
    shutil.copy("/root/sshd_config", SSHD_CONFIG)


@contextmanager
def drop_ins() -> Iterator[None]:
    paths = [f"{DIRECTORY}/50-bench-{n:03}.conf" for n in range(DROP_INS)]
    for path in paths:
        with open(path, "w") as stream:
            stream.write("X11Forwarding no\nClientAliveInterval 60\n")
    yield
    for path in paths:
        os.unlink(path)


def options(layer: str, **given: Any) -> dict[str, Any]:
    return {**{name: spec.get("default") for name, spec in OPTIONS[layer].items()}, **given}


def plan_sshd() -> None:
    _sshd_layer.plan(options("sshd", client_alive_interval="30", client_alive_count_max="6"), run)


def plan_ssh() -> None:
    _ssh_layer.plan(options("ssh", server_alive_interval="30", server_alive_count_max="6", users=["root"]), run)


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def once(tool: list[str], plan: Callable[[], None]) -> dict[str, float]:
    """In a process of its own, which remembers nothing and whose memory is the most that it ever had."""
    reader, writer = os.pipe()
    if not os.fork():
        found = {"tool": seconds(lambda: run(tool)), "ours": seconds(plan)}
        found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        os.write(writer, json.dumps(found).encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    with os.fdopen(reader) as stream:
        return dict(json.loads(stream.read()))


def measured(large: Callable[[], Any], tool: list[str], plan: Callable[[], None]) -> dict[str, float]:
    with large():
        runs = [once(tool, plan) for _ in range(RUNS)]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


if __name__ == "__main__":
    sshd = ["/usr/sbin/sshd", "-T", "-C", "user=root,host=h,addr=192.0.2.1"]
    found = {
        f"~/.ssh/config with {HOSTS:,} Host blocks": measured(host_blocks, ["ssh", "-G", "h"], plan_ssh),
        f"sshd_config with {MATCHES:,} Match blocks": measured(match_blocks, sshd, plan_sshd),
        f"{DROP_INS} drop-ins for sshd": measured(drop_ins, sshd, plan_sshd),
    }
    print(json.dumps(found))
