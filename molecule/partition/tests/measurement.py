# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens sessions on all links, cuts all links at once, and says when each end gave up."""

from __future__ import annotations

import json
import re
import subprocess
import time
from contextlib import ExitStack
from typing import Any, NamedTuple

from ansible_collections.keepalive.hardening.plugins.module_utils import _timeline
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import IDLE

#: How much earlier or later than predicted an end may be gone.
SLACK = 1
# Longer than any session's probe period: when the links are cut, each is somewhere else in its own.
_SETTLE = 7


class Session(NamedTuple):
    """A session to open on every link, and what goes on at its ends when the link is cut."""

    label: str
    #: The arguments of ssh.
    ssh: list[str]
    server: str = IDLE
    client: str = IDLE
    #: Whether it is gone before the cut.
    leaves: bool = False


class Measured(NamedTuple):
    """What became of one end of a session."""

    end: _timeline.End
    situation: str
    #: Seconds after the cut: when its last process was gone, how long it was watched, when it was seen alive.
    gone: float | None
    watched: float
    alive: float = 0
    #: For a client: whether it answered once the link was back, and its last words.
    echoes: bool = False
    said: str = ""

    @property
    def predicted(self) -> _timeline.Window | None:
        return _timeline.gives_up(self.end, self.situation)

    @property
    def outlives(self) -> bool:
        """Whether it is predicted to be there for longer than it was watched."""
        return self.predicted is None or self.predicted.earliest - SLACK > self.watched

    def deviation(self) -> str:
        """What is not as predicted; nothing where all is."""
        window, gone = self.predicted, self.gone
        if self.outlives or window is None:
            return f"gone after {gone:.1f} s, predicted: {window or 'never'}" if gone is not None else ""
        if gone is None:
            return f"still there after {self.watched:.1f} s, predicted: {window}"
        fits = window.earliest - SLACK <= gone <= window.latest + SLACK
        return "" if fits else f"gone after {gone:.1f} s, predicted: {window}"


#: By host, side and session.
Measurements = dict[tuple[str, str, str], Measured]


class _Host:
    """Talks with files/partition.py on one host."""

    def __init__(self, name: str, ssh_config: str, stack: ExitStack):
        self.name = name
        command = ["ssh", "-F", ssh_config, name, "sudo", "/usr/local/sbin/partition"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = stack.enter_context(subprocess.Popen(command, **pipes))

    def say(self, **order: Any) -> None:
        assert self._process.stdin
        print(json.dumps(order), file=self._process.stdin, flush=True)

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"{self.name} broke off; what it printed to stderr tells why"
        return dict(json.loads(line))


def measure(
    sessions: dict[str, Session], user: str, watch_for: float, addresses: dict[str, str], ssh_config: str
) -> Measurements:
    """Measure both ends of the sessions on every link of the hosts with these addresses."""
    with ExitStack() as stack:
        hosts = {name: _Host(name, ssh_config, stack) for name in addresses}
        for host in hosts.values():
            plan = {name: session._asdict() for name, session in sessions.items()}
            host.say(user=user, kernel=Kernel._fields, sessions=plan)
        opened = {name: host.hear() for name, host in hosts.items()}

        serve: dict[str, Any] = {name: {} for name in hosts}
        names = {address: name for name, address in addresses.items()}
        for client, answer in opened.items():
            for name, session in answer["clients"].items():
                settings = session["settings"]
                if not sessions[name].leaves:
                    serve[names[settings["hostname"]]][name] = {
                        **{"pid": session["pid"], "user": settings["user"]},
                        **{"host": client, "address": addresses[client]},
                    }
        cut_at = time.monotonic() + _SETTLE
        for name, host in hosts.items():
            peers = [address for peer, address in addresses.items() if peer != name]
            host.say(serve=serve[name], peers=peers, **{"cut_at": cut_at, "for": watch_for})
        closed = {name: host.hear() for name, host in hosts.items()}
        # Only now may each end what the others ask.
        for host in hosts.values():
            host.say()

    measurements: Measurements = {}
    for host_name, answer in closed.items():
        cut = answer["cut"]
        for side, ends in answer["gone"].items():
            for name, gone in ends.items():
                client = opened[host_name]["clients"][name]
                measurements[host_name, side, name] = Measured(
                    _end(side, answer["settings"][name] if side == "server" else client["settings"], opened[host_name]),
                    situation=getattr(sessions[name], side),
                    gone=None if gone is None else gone - cut,
                    watched=answer["watched"],
                    alive=answer["alive"][name] - cut,
                    echoes=name in answer["echoes"],
                    said=answer["said"][name],
                )
    return measurements


def _end(side: str, settings: dict[str, str], host: dict[str, Any]) -> _timeline.End:
    """What the host's own tools say that this end is set to."""
    asks = "clientalive" if side == "server" else "serveralive"
    version = re.match(r"OpenSSH_(\d+)\.(\d+)", host["version"])
    assert version, host["version"]
    return _timeline.End(
        side,
        int(settings[f"{asks}interval"]),
        int(settings[f"{asks}countmax"]),
        (int(version[1]), int(version[2])),
        # 10.6 prints true.
        settings["tcpkeepalive"] in ("yes", "true"),
        Kernel(**host["kernel"]),
    )
