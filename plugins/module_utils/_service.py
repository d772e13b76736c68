# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running sshd: finding it, reloading it through its service manager, and hearing it answer."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ._command import Run
from ._errors import HardeningError
from ._openssh import SSHD_PROGRAMS

_RELOAD_SECONDS = 15.0
_BANNER_SECONDS = 5.0
_NOTE = "/run/keepalive.hardening.reload"
#: Wildcard to the address at which it is reached from this host.
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


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
    daemons = []
    for name in os.listdir("/proc"):
        title = _listener_title(name, config, default_config) if name.isdigit() else ""
        listening = _listening_sockets(int(name)) if title else {}
        if listening:
            daemons.append(Daemon(int(name), title, listening))
    # For a moment the process of a connection that sshd has just taken looks like its parent.
    pids = {daemon.pid for daemon in daemons}
    return [daemon for daemon in daemons if _parent(daemon.pid) not in pids]


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


def require_no_override(daemons: list[Daemon], keywords: list[str]) -> None:
    """Raises HardeningError if a daemon's command line sets one of the keywords, which beats every file."""
    for daemon in daemons:
        for option in re.findall(r" -[A-Za-z0-9]*o[ =]*([A-Za-z]+)", daemon.title):
            if option.lower() in keywords:
                raise HardeningError(
                    f"sshd (pid {daemon.pid}) was started with -o {option} on its command line, which beats every "
                    "file; take it out there, for example from SSHD_OPTS in /etc/default/ssh, or from OPTIONS in "
                    "/etc/sysconfig/sshd"
                )


def reload_command(run: Run, daemon: Daemon, configured: set[tuple[str, int]]) -> list[str]:
    """How this host's service manager makes the daemon read its files. Raises HardeningError where it cannot."""
    unit = _unit(daemon.pid)
    if unit and os.path.isdir("/run/systemd/system"):
        shown = run(["systemctl", "show", "--property=MainPID", "--property=KillMode", unit]).out.split()
        if f"MainPID={daemon.pid}" in shown:
            restart = _has_to_restart(daemon, unit, configured, "KillMode=process" in shown)
            return ["systemctl", "restart" if restart else "reload", unit]
    elif os.path.isdir("/run/openrc") and daemon.pid == _pid_for_init_scripts():
        return ["rc-service", "sshd", "reload"]
    for script in ("/etc/init.d/ssh", "/etc/init.d/sshd"):
        if os.access(script, os.X_OK) and daemon.pid == _pid_for_init_scripts():
            return [script, "reload"]
    raise HardeningError(
        f"sshd runs (pid {daemon.pid}) but no service manager that could reload it was found; "
        "set reload: false and reload it yourself, until then new connections get the old values"
    )


def _pid_for_init_scripts() -> int:
    """The process that such a script signals; without the file it signals none, and says that all is well."""
    with suppress(OSError, ValueError), open("/run/sshd.pid", encoding="ascii") as stream:
        return int(stream.read())
    return 0


def _has_to_restart(daemon: Daemon, unit: str, configured: set[tuple[str, int]], sessions_survive: bool) -> bool:
    """
    Whether a reload would end the daemon: its socket is a socket unit's, and sshd tries to open it anew.

    Raises HardeningError if a restart would end sessions.
    """
    addresses = set(daemon.listening.values())
    shared = daemon.pid != 1 and not _open_sockets(1).isdisjoint(daemon.listening)
    if shared and not sessions_survive:
        raise HardeningError(
            f"{unit} was started by a socket unit, so it has to be restarted to read its configuration, and without "
            "KillMode=process that would end every session; give it that, or set reload: false and restart it yourself"
        )
    # A socket unit that was stopped has left it one socket for both families, which sshd never opens itself.
    left = any(
        host == "::" and {("::", port), ("0.0.0.0", port)} <= configured and ("0.0.0.0", port) not in addresses
        for host, port in addresses
    )
    return shared or (left and sessions_survive)


def require_same_listeners(daemon: Daemon, configured: set[tuple[str, int]]) -> None:
    """
    Raises HardeningError if a reload would close an address that sshd listens on.

    That is somebody else's change that no reload has made effective yet. It may lock people out, us too.
    """
    if re.search(r" -p ?[0-9]| -o ?(Port|ListenAddress|AddressFamily)\b", daemon.title, re.IGNORECASE):
        # Its command line says where it listens, and a reload keeps that.
        return
    if daemon.pid != 1 and not _open_sockets(1).isdisjoint(daemon.listening):
        # Its socket unit says where it listens.
        return
    lost = [
        f"{host}:{port}"
        for host, port in daemon.listening.values()
        if (host, port) not in configured and ("::" if ":" in host else "0.0.0.0", port) not in configured
    ]
    if lost and configured:
        raise HardeningError(
            f"sshd listens on {', '.join(sorted(lost))}, and a reload would end that: its configuration was changed "
            "and never loaded; reload sshd yourself when you are sure, or set reload: false"
        )


def configured_listeners(dump: dict[str, str]) -> set[tuple[str, int]]:
    """Address and port that sshd -T says it listens on."""
    # "[fe80::1%eth0]:22 rdomain mgmt"; the kernel's table knows neither scope nor domain.
    pairs = re.findall(r"^\[?([^\]%]*?)(?:%[^\]]*)?\]?:([0-9]+)(?: |$)", dump.get("listenaddress", ""), re.MULTILINE)
    return {(host, int(port)) for host, port in pairs}


def reload(
    run: Run,
    command: list[str],
    daemon: Daemon,
    find: Callable[[], list[Daemon]],
    dump: dict[str, str],
    must_answer: bool,
) -> None:
    """
    Reload, and wait until sshd has read its configuration and answers.

    ``find`` lists the daemons that there are. Raises HardeningError with what the service manager said.
    ``must_answer``: it did before.
    """
    before, daemons = last_reading(dump), find()
    result = run(command)
    if result.code:
        said = (result.err or result.out).strip()
        raise HardeningError(f"{' '.join(command)} failed: {said}{_last_words(run, command)}")
    deadline = time.monotonic() + _RELOAD_SECONDS
    while time.monotonic() < deadline:
        done = (before and last_reading(dump) not in (0, before)) or listens_anew(daemon, daemons, find())
        if done and (not must_answer or answers(dump)):
            return
        time.sleep(0.02)
    raise HardeningError(f"sshd took no connection after {' '.join(command)}{_last_words(run, command)}")


def listens_anew(daemon: Daemon, before: list[Daemon], now: list[Daemon]) -> bool:
    """
    Whether at the daemon's addresses one listens by other sockets than before, as it does once it has read its files.

    For an sshd without a pid file, as openSUSE's is under systemd (the patch no_fork-no_pid_file of its package), and
    for one beside that which ``sshd -T`` tells the pid file of. Restarted by a socket unit, it keeps the sockets.
    """
    known = {(one.pid, name) for one in before for name in one.listening}
    return any(
        not set(daemon.listening.values()).isdisjoint(one.listening.values())
        and known.isdisjoint((one.pid, name) for name in one.listening)
        for one in now
    )


def revive(run: Run, command: list[str]) -> None:
    """Start the daemon that a reload has ended. Raises HardeningError."""
    start = ["start" if word in ("reload", "restart") else word for word in command]
    result = run(start)
    if result.code:
        raise HardeningError(f"{' '.join(start)} failed: {(result.err or result.out).strip()}")


def answers(dump: dict[str, str]) -> bool:
    """Whether a new connection gets sshd's banner."""
    for host, port in sorted(configured_listeners(dump)):
        address = (_WILDCARDS.get(host, host), port)
        with suppress(OSError), socket.create_connection(address, timeout=_BANNER_SECONDS) as connection:
            if connection.recv(4) == b"SSH-":
                return True
    return False


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
    own = _open_sockets(pid)
    listening = {}
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with suppress(OSError), open(f"/proc/{pid}/net/{table}", encoding="ascii") as stream:
            for fields in map(str.split, stream):
                # proc(5): local_address is the second column, st the fourth (0A: listening), inode the tenth.
                name = f"socket:[{fields[9]}]"
                if fields[3] == "0A" and name in own:
                    host, _colon, port = fields[1].partition(":")
                    # Words of 32 bits in the host's byte order.
                    words = [int(host[index : index + 8], 16) for index in range(0, len(host), 8)]
                    packed = struct.pack(f"={len(words)}I", *words)
                    listening[name] = (socket.inet_ntop(family, packed), int(port, 16))
    return listening


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
        return unit_in(stream.read())
    return None


def unit_in(cgroups: str) -> str | None:
    """The systemd service that /proc/PID/cgroup names."""
    # "0::/system.slice/ssh.service", or a hierarchy a line in cgroup v1.
    match = re.search(r"/([^/\n]+\.service)$", cgroups, re.MULTILINE)
    return match[1] if match else None


def _last_words(run: Run, command: list[str]) -> str:
    """What the service wrote to its journal, where there is one."""
    if command[0] != "systemctl":
        return ""
    return "\n" + run(["systemctl", "status", "--no-pager", "--full", "--lines=10", command[-1]]).out.strip()
