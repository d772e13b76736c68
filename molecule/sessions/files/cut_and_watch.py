# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Hear nothing any more of some connections of a client, and see which sessions hang from then on.

    cut_and_watch.py SECONDS ADDRESS CLIENT_PORT:SERVER_PORT...

Looks as the modules do. Prints JSON: for each session that was seen hung the client's and the server's port, whether
it is over IPv6, and the seconds until it was first seen.
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
    ip saddr {} tcp sport . tcp dport {{ {} }} drop
  }}
}}
"""


def watch(seconds: float, address: str, ports: list[str]) -> list[tuple[int, int, bool, float]]:
    pairs = ", ".join(" . ".join(pair.split(":")) for pair in ports)
    subprocess.run(["nft", "-f", "-"], input=CUT.format(address, pairs), text=True, check=True)
    cut = time.monotonic()
    hung: dict[tuple[int, int, bool], float] = {}
    while (now := time.monotonic() - cut) < seconds:
        for session in read_sessions():
            if judge(session, None, 0).word == HUNG:
                (address, client_port), (_, server_port) = session.socket.peer, session.socket.local
                hung.setdefault((client_port, server_port, ":" in address), round(now, 1))
        time.sleep(0.2)
    return [(*connection, after) for connection, after in hung.items()]


if __name__ == "__main__":
    print(json.dumps(watch(float(sys.argv[1]), sys.argv[2], sys.argv[3:])))
