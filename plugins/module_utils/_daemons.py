# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running sshd: which there are, where they listen, and what they have read."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice, takewhile
from typing import NamedTuple

from ._errors import HardeningError
from ._openssh import SSHD_PROGRAMS

_NOTE = "/run/keepalive.hardening.reload"


class Daemon(NamedTuple):
    """A listening sshd."""

    pid: int
    #: Its command line, as its title shows it.
    title: str
    #: What it listens on: socket name in /proc to address and port.
    listening: dict[str, tuple[str, int]]


def last_reading(dump: dict[str, str]) -> int:
    """
    When the running sshd has read its configuration, in nanoseconds since the epoch; 0 if that cannot be told.

    sshd writes its pid file anew each time (sshd.c, main()). ``dump`` is what sshd -T prints.
    """
    with suppress(OSError):
        return os.stat(dump.get("pidfile", "none")).st_mtime_ns
    return 0


def find_daemons(config: str, default_config: str) -> list[Daemon]:
    """Every sshd of this host that listens with ``config``; none where it is stopped or a socket unit's."""
    titled = ((pid, title, _listening_sockets(pid)) for pid, title in _listeners(config, default_config))
    daemons = [Daemon(pid, title, listening) for pid, title, listening in titled if listening]
    # For a moment the process of a connection that sshd has just taken looks like its parent.
    pids = {daemon.pid for daemon in daemons}
    return [daemon for daemon in daemons if _parent(daemon.pid) not in pids]


def _listeners(config: str, default_config: str) -> Iterator[tuple[int, str]]:
    """Process and title of what by its title is such an sshd; before 8.2 one that does not listen may be, too."""
    for name in os.listdir("/proc"):
        title = _listener_title(name, config, default_config) if name.isdigit() else ""
        if title:
            yield int(name), title


def _parent(pid: int) -> int:
    with suppress(OSError, ValueError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
        # proc(5): the name, in parentheses, may hold blanks; state and parent follow it.
        return int(stream.read().rpartition(")")[2].split()[1])
    return 0


class PendingReload:
    """
    The note that files were written which no reload has made effective yet.

    It lasts until then, or until the next boot, so that a run after a killed one can make up for it.
    """

    def __init__(self, config: str):
        self.path = _NOTE + config.replace("/", "-")
        self.created = False

    def counts(self, dump: dict[str, str]) -> bool:
        """Whether sshd has not read its configuration since; ``dump`` is what sshd -T prints."""
        return os.path.exists(self.path) and os.stat(self.path).st_mtime_ns > last_reading(dump)

    def stage(self) -> None:
        """Nothing: there is nothing to make up for yet."""

    def apply(self) -> None:
        self.created = not os.path.exists(self.path)
        with open(self.path, "w", encoding="ascii"):
            pass

    def undo(self) -> None:
        if self.created:
            self.done()

    def discard(self) -> None:
        """Nothing was staged."""

    def done(self) -> None:
        """sshd has read its files."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)


def require_no_override(config: str, default_config: str, keywords: list[str]) -> None:
    """Raises HardeningError if the command line of such an sshd sets one of the keywords, which beats every file."""
    for pid, title in _listeners(config, default_config):
        option = override(title, keywords)
        if option and _listening_sockets(pid):
            raise HardeningError(
                f"sshd (pid {pid}) was started with -o {option} on its command line, which beats every file; take it "
                "out there, for example from SSHD_OPTS in /etc/default/ssh, or from OPTIONS in /etc/sysconfig/sshd"
            )


def override(title: str, keywords: list[str]) -> str:
    """The first of the keywords that a command line sets, as it stands there; "" if it sets none."""
    options = re.findall(r" -[A-Za-z0-9]*o[ =]*([A-Za-z]+)", title)
    return next((option for option in options if option.lower() in keywords), "")


def _listener_title(pid: str, config: str, default_config: str) -> str:
    """Command line of a listening sshd of this host, not of a container, that reads ``config``; "" for others."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as stream:
            title = stream.read().replace("\0", " ").strip()
        # One that a user has started is none of this host's.
        if (
            "sshd" not in title
            or os.stat(f"/proc/{pid}").st_uid != 0
            or os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
        ):
            return ""
        program = os.readlink(f"/proc/{pid}/exe").split(" (deleted)")[0]
    except OSError:
        return ""
    return title if is_listener(title, program, config, default_config) else ""


def is_listener(title: str, program: str, config: str, default_config: str) -> bool:
    """Whether a process of that title is a listening sshd that reads ``config``."""
    # From 8.2 the listener's title is "sshd: COMMAND LINE [listener] ..."; sessions have other titles.
    listener = "[listener]" in title or not re.match(r"sshd[^: ]*: ", title)
    named = re.search(r" -f ?(\S+)", title)
    same = os.path.realpath(named[1] if named else default_config) == os.path.realpath(config)
    return os.path.basename(program) in SSHD_PROGRAMS and listener and same


def _listening_sockets(pid: int) -> dict[str, tuple[str, int]]:
    """The sockets that the process listens on: name in /proc to address and port."""
    own = open_sockets(pid)
    found: dict[str, tuple[str, int]] = {}
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with suppress(OSError), open(f"/proc/{pid}/net/{table}", encoding="ascii") as stream:
            found.update(listening(stream, family))
    return {name: address for name, address in found.items() if name in own}


def listening(table: Iterable[str], family: int) -> dict[str, tuple[str, int]]:
    """Every listening socket of /proc/net/tcp or tcp6: name in /proc to address and port."""
    found = {}
    rows = map(str.split, islice(table, 1, None))
    # proc(5): st is the fourth column. Those that listen (0A) come first, before a busy host's connections
    # (Documentation/networking/proc_net_tcp.rst); up to Linux 4.3 half-open ones (03) are among them.
    for fields in takewhile(lambda fields: fields[3] in ("0A", "03"), rows):
        if fields[3] == "0A":
            # local_address is the second column, inode the tenth.
            host, _colon, port = fields[1].partition(":")
            # Words of 32 bits in the host's byte order.
            words = [int(host[index : index + 8], 16) for index in range(0, len(host), 8)]
            packed = struct.pack(f"={len(words)}I", *words)
            found[f"socket:[{fields[9]}]"] = (socket.inet_ntop(family, packed), int(port, 16))
    return found


def open_sockets(pid: int) -> set[str]:
    sockets = set()
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                sockets.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return {name for name in sockets if name.startswith("socket:")}
