# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Run these tests inside the lab's `platforms`, one host for each OpenSSH version.

    uv run tests/hosts/run.py [ARGUMENT OF pytest ...]

KEEPALIVE_FUZZ=20000 in the environment gives the differential tests that many examples.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.lab import lab  # found from the root of the checkout only

ENVIRONMENT = {
    "PYTHONPATH": "/collections",
    # The checkout is read-only there.
    "PYTHONDONTWRITEBYTECODE": "1",
    "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
    "KEEPALIVE_FUZZ": os.environ.get("KEEPALIVE_FUZZ", ""),
}


def test(host: lab.Host) -> tuple[bool, str]:
    """Run pytest in a host, print what it says; return whether all passed, and its last line."""
    started = time.monotonic()
    variables = [f"--env={name}={value}" for name, value in ENVIRONMENT.items()]
    pytest = ["python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", f"{lab.COLLECTION}/tests/hosts"]
    command = lab.as_root("podman", "exec", *variables, host.container, *pytest, *sys.argv[1:])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    output = done.stdout.rstrip()
    print(f"\n===== {host.name}, {time.monotonic() - started:.1f} s =====\n{output}", flush=True)
    return done.returncode == 0, f"{host.name}: {(output.splitlines() or ['no output'])[-1].strip('= ')}"


def main() -> int:
    """Boot the hosts, test them side by side, return 1 if a test failed."""
    # As they were installed: a run that was cut off may have left them otherwise.
    subprocess.run([sys.executable, lab.__file__, "up", "--fresh", "--limit", "platforms"], check=True)
    hosts = lab.select(list(lab.hosts_of(lab.inventory())), ["platforms"])
    with (lab.CHECKOUT / ".cache" / "hosts.lock").open("w") as lock, ThreadPoolExecutor(len(hosts)) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = list(pool.map(test, hosts))
    print("\n" + "; ".join(summary for _passed, summary in results))
    return 0 if all(passed for passed, _summary in results) else 1


if __name__ == "__main__":
    sys.exit(main())
