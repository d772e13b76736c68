# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is set to, as _observation reads it and _findings judges it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ._ends import end_with
from ._settings import Kernel, Value
from ._timeline import End


class Origin(NamedTuple):
    """Where a line stands."""

    path: str
    #: Counted from 1.
    line: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


class Line(NamedTuple):
    """A line that sets an option, and what becomes of it."""

    origin: Origin
    option: str
    #: As it is written there.
    text: str
    #: None for what is no value.
    value: Value | None
    #: The Match and Host lines that it depends on.
    scope: str
    #: Whether it decides for any connection that it could apply to.
    wins: bool
    #: Where it does not, the line that decides and says something else.
    beaten_by: Origin | None


class OpenSSH(NamedTuple):
    """The configuration of sshd or ssh."""

    version: tuple[int, int]
    #: Option to value, as the real tool says.
    effective: dict[str, Value]
    #: The lines that these values come from; an option that no line sets has OpenSSH's default.
    origins: dict[str, Origin]
    lines: list[Line]


class Chroot(NamedTuple):
    """A ChrootDirectory into which sshd will not let anybody."""

    origin: Origin
    #: One whom it keeps out; "" is everybody.
    user: str
    #: The part of its path that is to blame.
    component: str
    problem: str


class Server(NamedTuple):
    """What only a server has."""

    openssh: OpenSSH
    #: The time of RekeyLimit, 0 without one.
    rekey_seconds: int
    #: Files that changed after the running sshd has read them.
    unread: list[str]
    chroots: list[Chroot]


class KernelSettings(NamedTuple):
    """Where the kernel's TCP settings come from."""

    #: Option to the number, or to the text that is none, that the next boot sets.
    next_boot: dict[str, Any]
    #: The lines that the next boot takes them from.
    origins: dict[str, Origin]
    lines: list[Line]


class AnsibleConnection(NamedTuple):
    """What Ansible's ssh on this host, a control node, makes of the arguments for another."""

    host: str
    interval: int = 0
    #: Why ssh does not take them at all.
    problem: str = ""


class Failure(NamedTuple):
    """What could not be read, and why."""

    layer: str
    why: str
    user: str = ""


@dataclass(frozen=True)
class Facts:
    """All that is known of a host; None for a layer that it does not have or that was not asked for."""

    server: Server | None = None
    #: By user; "" is everybody.
    clients: dict[str, OpenSSH] = field(default_factory=dict)
    kernel: KernelSettings | None = None
    #: The running kernel's settings, which decide about both ends.
    live: Kernel = field(default_factory=Kernel)
    ansible: list[AnsibleConnection] = field(default_factory=list)
    path_idle_timeout: int | None = None
    failures: list[Failure] = field(default_factory=list)

    @property
    def server_end(self) -> End | None:
        return self._end("server", self.server.openssh) if self.server else None

    @property
    def client_ends(self) -> dict[str, End]:
        return {user: self._end("client", client) for user, client in self.clients.items()}

    def _end(self, side: str, openssh: OpenSSH) -> End:
        return end_with(side, openssh.effective, openssh.version, self.live)
