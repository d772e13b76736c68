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


def reload_command(run: Run, daemon: Daemon) -> list[str]:
    """How this host's service manager makes the daemon read its files. Raises HardeningError where it cannot."""
    unit = _unit(daemon.pid)
    if unit and os.path.isdir("/run/systemd/system"):
        return ["systemctl", "restart" if _restarts_safely(run, daemon, unit) else "reload", unit]
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


def _restarts_safely(run: Run, daemon: Daemon, unit: str) -> bool:
    """
    Whether the daemon has to be restarted instead of reloaded: its port belongs to a socket unit.

    Such an sshd dies of a reload, since it tries to open the port anew. Raises HardeningError if
    a restart would end sessions.
    """
    if not _is_socket_activated(daemon.pid):
        return False
    kill_mode = run(["systemctl", "show", "--property=KillMode", unit]).out.strip()
    if kill_mode != "KillMode=process":
        raise HardeningError(
            f"{unit} was started by a socket unit, so it has to be restarted to read its configuration, and with "
            f"{kill_mode} that would end every session; give it KillMode=process, or set reload: false and restart it"
        )
    return True


def require_same_ports(daemon: Daemon) -> None:
    """
    Raises HardeningError if a reload would close a port that sshd listens on, or leave it no address.

    That is somebody else's change that no reload has made effective yet. It may lock people out, us too.
    """
    if not daemon.addresses or _is_socket_activated(daemon.pid):
        # The ports of a socket unit stay, whatever sshd's configuration says.
        return
    if not any(_is_local(host) for host, _port in daemon.addresses):
        raise HardeningError(
            f"sshd would not survive a reload: its ListenAddress is now {daemon.addresses[0][0]}, "
            "which is no address of this host; mend that first, or set reload: false"
        )
    lost = set(_listening_sockets(daemon.pid).values()) - {port for _host, port in daemon.addresses}
    if lost:
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
    start = ["start" if word in ("reload", "restart") else word for word in command]
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


def _is_socket_activated(pid: int) -> bool:
    """Whether PID 1 holds a socket that the process listens on."""
    return not _open_sockets(1).isdisjoint(_listening_sockets(pid))


def _listening_sockets(pid: int) -> dict[str, int]:
    """The sockets that the process listens on, with their TCP ports."""
    own = _open_sockets(pid)
    ports = {}
    for table in ("tcp", "tcp6"):
        with suppress(OSError), open(f"/proc/{pid}/net/{table}", encoding="ascii") as stream:
            for fields in map(str.split, stream):
                # proc(5): local_address is the second column, st the fourth (0A: listening), inode the tenth.
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                    ports[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    return ports


def _open_sockets(pid: int) -> set[str]:
    sockets = set()
    with suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                sockets.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return {name for name in sockets if name.startswith("socket:")}


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
