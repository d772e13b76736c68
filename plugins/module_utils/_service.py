# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running sshd: finding it, reloading it through its service manager, and hearing it answer."""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import suppress
from typing import NamedTuple

from ._command import Run
from ._errors import HardeningError

_RELOAD_SECONDS = 15.0
_BANNER_SECONDS = 5.0


class Daemon(NamedTuple):
    """A listening sshd."""

    pid: int
    #: sshd writes it anew each time it has read its configuration (sshd.c, main()); "" if it keeps none.
    pid_file: str
    #: When it last read its configuration, in nanoseconds since the epoch; None without a pid file.
    loaded: int | None
    #: Addresses to reach it at from this host.
    addresses: tuple[tuple[str, int], ...]


def find_daemon(dump: dict[str, str], config: str, default_config: str) -> Daemon | None:
    """
    The sshd that listens with ``config``, None if there is none: stopped, or started per connection by a socket.

    ``dump`` is what sshd -T prints for it.
    """
    pid_file = dump.get("pidfile", "none")
    addresses = _addresses(dump)
    with suppress(OSError, ValueError):
        with open(pid_file, encoding="ascii") as stream:
            pid = int(stream.read())
        if _listens_with(pid, config, default_config):
            return Daemon(pid, pid_file, os.stat(pid_file).st_mtime_ns, addresses)
    for name in os.listdir("/proc"):
        if name.isdigit() and _listens_with(int(name), config, default_config):
            return Daemon(int(name), "", None, addresses)
    return None


def reload_command(daemon: Daemon) -> list[str]:
    """How this host's service manager reloads the daemon. Raises HardeningError where there is none."""
    unit = _unit(daemon.pid)
    if unit and os.path.isdir("/run/systemd/system"):
        return ["systemctl", "reload", unit]
    if os.path.isdir("/run/openrc"):
        return ["rc-service", "sshd", "reload"]
    for script in ("/etc/init.d/ssh", "/etc/init.d/sshd"):
        # It signals the process that this file names, and without the file succeeds and does nothing.
        if os.access(script, os.X_OK) and daemon.pid_file in ("/run/sshd.pid", "/var/run/sshd.pid"):
            return [script, "reload"]
    raise HardeningError(
        f"sshd runs (pid {daemon.pid}) but no service manager that could reload it was found; "
        "set reload: false and reload it yourself, until then new connections get the old values"
    )


def require_same_ports(daemon: Daemon) -> None:
    """
    Raises HardeningError if a reload would close a port that sshd listens on, or leave it no address.

    That is somebody else's change that no reload has made effective yet. It may lock people out, us too.
    """
    with suppress(OSError), open(f"/proc/{daemon.pid}/environ", "rb") as stream:
        if b"LISTEN_FDS=" in stream.read():
            # The ports are the socket unit's, and stay.
            return
    if daemon.addresses and not any(_is_local(host) for host, _port in daemon.addresses):
        raise HardeningError(
            f"sshd would not survive a reload: its ListenAddress is now {daemon.addresses[0][0]}, "
            "which is no address of this host; mend that first, or set reload: false"
        )
    lost = _listening_ports(daemon.pid) - {port for _host, port in daemon.addresses}
    if lost and daemon.addresses:
        raise HardeningError(
            f"sshd listens on port {', '.join(map(str, sorted(lost)))}, and a reload would end that: the ports in its "
            "configuration were changed and never loaded; reload sshd yourself when you are sure, or set reload: false"
        )


def reload(run: Run, daemon: Daemon, command: list[str], must_answer: bool) -> None:
    """
    Reload and wait until sshd has read its configuration and answers.

    Raises HardeningError with what the service manager said. ``must_answer``: it did before.
    """
    result = run(command)
    said = (result.err or result.out).strip()
    if result.code:
        raise HardeningError(f"{' '.join(command)} failed: {said}{_last_words(run, command)}")
    deadline = time.monotonic() + _RELOAD_SECONDS
    while time.monotonic() < deadline:
        if _has_reloaded(daemon) and (not must_answer or answers(daemon)):
            return
        time.sleep(0.02)
    raise HardeningError(f"sshd took no connection after {' '.join(command)}{_last_words(run, command)}")


def revive(run: Run, daemon: Daemon, command: list[str]) -> None:
    """Start the daemon again if it did not survive a reload. Raises HardeningError."""
    if os.path.exists(f"/proc/{daemon.pid}"):
        return
    start = ["start" if word == "reload" else word for word in command]
    result = run(start)
    if result.code:
        raise HardeningError(f"{' '.join(start)} failed: {(result.err or result.out).strip()}")


def answers(daemon: Daemon) -> bool:
    """Whether a new connection gets sshd's banner."""
    for address in daemon.addresses:
        with suppress(OSError), socket.create_connection(address, timeout=_BANNER_SECONDS) as connection:
            if connection.recv(4) == b"SSH-":
                return True
    return False


def _has_reloaded(daemon: Daemon) -> bool:
    if not daemon.pid_file:
        return True
    with suppress(FileNotFoundError):
        return os.stat(daemon.pid_file).st_mtime_ns != daemon.loaded
    return False


def _listens_with(pid: int, config: str, default_config: str) -> bool:
    """Whether the process is a listening sshd of this host, not of a container, that reads `config`."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as stream:
            title = stream.read().replace("\0", " ").strip()
        same_host = os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
        is_sshd = os.path.basename(os.readlink(f"/proc/{pid}/exe").split(" (deleted)")[0]) == "sshd"
    except OSError:
        return False
    # From 8.2 the listener's title is "sshd: COMMAND LINE [listener] ..."; sessions have other titles.
    listening = "[listener]" in title if title.startswith("sshd: ") else " -i" not in title
    named = re.search(r" -f ?(\S+)", title)
    return same_host and is_sshd and listening and (named[1] if named else default_config) == config


def _is_local(host: str) -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return True
    return False


def _listening_ports(pid: int) -> set[int]:
    """The TCP ports that the process listens on."""
    sockets = set()
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                sockets.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    ports = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError), open(f"/proc/{pid}/net/{table}", encoding="ascii") as stream:
            for fields in map(str.split, stream):
                # proc(5): local_address is the second column, st the fourth (0A: listening), inode the tenth.
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def _unit(pid: int) -> str | None:
    """The systemd service that the process belongs to."""
    with suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8") as stream:
        # "0::/system.slice/ssh.service", or a hierarchy a line in cgroup v1.
        match = re.search(r"/([^/\n]+\.service)$", stream.read(), re.MULTILINE)
        return match[1] if match else None
    return None


def _addresses(dump: dict[str, str]) -> tuple[tuple[str, int], ...]:
    """Where sshd -T says that it listens, wildcards replaced by the loopback address."""
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    pairs = re.findall(r"^\[?(.*?)\]?:([0-9]+)$", dump.get("listenaddress", ""), re.MULTILINE)
    return tuple((loopback.get(host, host), int(port)) for host, port in pairs)


def _last_words(run: Run, command: list[str]) -> str:
    """What the service wrote to its journal, where there is one."""
    if command[0] != "systemctl":
        return ""
    return "\n" + run(["systemctl", "status", "--no-pager", "--full", "--lines=10", command[-1]]).out.strip()
