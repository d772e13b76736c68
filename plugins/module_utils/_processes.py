# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of this host, as /proc shows them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple


class Process(NamedTuple):
    """One process."""

    pid: int
    parent: int
    #: Name of the program that it runs.
    program: str
    #: Its command line, or what it has set as its title.
    title: str
    uid: int
    #: Seconds between the boot and its start. With the pid, this names a process for good.
    started: float


def processes() -> list[Process]:
    """Every process; those that end while we look are left out."""
    return list(_readable(name for name in os.listdir("/proc") if name.isdigit()))


def _readable(pids: Iterator[str]) -> Iterator[Process]:
    for pid in pids:
        found = read_process(int(pid))
        if found:
            yield found


def read_process(pid: int) -> Process | None:
    """The process of that number; None if there is none. Raises OSError if that cannot be seen."""
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError, ValueError, IndexError):
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            # proc(5): the name, in parentheses, may hold anything; state, ppid and so on follow it.
            name, _parenthesis, rest = stream.read().partition("(")[2].rpartition(")")
        fields = rest.split()
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as stream:
            title = stream.read().replace("\0", " ").strip()
        return Process(
            pid,
            int(fields[1]),
            _program(pid) or name,
            title,
            os.stat(f"/proc/{pid}").st_uid,
            int(fields[19]) / os.sysconf("SC_CLK_TCK"),
        )
    return None


def _program(pid: int) -> str:
    with suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe").split(" (deleted)")[0])
    return ""


def open_sockets(pid: int) -> list[int]:
    """The inodes of the sockets that a process has open, in the order of their descriptors."""
    inodes = []
    with suppress(OSError):
        for descriptor in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
            with suppress(OSError, ValueError):
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
                if target.startswith("socket:["):
                    inodes.append(int(target[8:-1]))
    return inodes


def is_ours(pid: int) -> bool:
    """Whether it is a process of this host, not of a container that may share the host's network."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
    return False


def ancestors(pid: int) -> Iterator[Process]:
    """The process and those that it descends from."""
    while pid:
        process = read_process(pid)
        if not process:
            return
        yield process
        pid = process.parent


def seconds_since_boot() -> float:
    """The clock that Process.started is told by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
