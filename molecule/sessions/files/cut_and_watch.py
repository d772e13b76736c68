# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Hear nothing any more of the clients on some ports, and see which sessions hang from then on.

    cut_and_watch.py SECONDS ADDRESS PORT...

Looks as the modules do. Prints JSON: by the client's port, the seconds until a session was first seen hung.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

# Where the lab's hosts have the checkout.
sys.path.insert(0, "/collections")

from ansible_collections.keepalive.hardening.plugins.module_utils._session_reading import read_sessions
from ansible_collections.keepalive.hardening.plugins.module_utils._sessions import HUNG, judge

# On the way in: TCP would hear of a packet that is dropped on the way out.
CUT = """
table inet sessions {{
  chain input {{
    type filter hook input priority 0;
    ip saddr {} tcp sport {{ {} }} drop
  }}
}}
"""


def watch(seconds: float, address: str, ports: list[str]) -> dict[int, float]:
    subprocess.run(["nft", "-f", "-"], input=CUT.format(address, ", ".join(ports)), text=True, check=True)
    cut = time.monotonic()
    hung: dict[int, float] = {}
    while (now := time.monotonic() - cut) < seconds:
        for session in read_sessions():
            if judge(session, None, 0).word == HUNG:
                hung.setdefault(session.socket.peer[1], round(now, 1))
        time.sleep(0.2)
    return hung


if __name__ == "__main__":
    print(json.dumps(watch(float(sys.argv[1]), sys.argv[2], sys.argv[3:])))
