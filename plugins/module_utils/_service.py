# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Having the running sshd read its files: through its service manager, until it answers."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from ._command import Run
from ._daemons import Daemon, last_reading, open_sockets
from ._errors import HardeningError

_RELOAD_SECONDS = 15.0
_BANNER_SECONDS = 5.0
#: Wildcard to the address at which it is reached from this host.
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


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
    shared = daemon.pid != 1 and not open_sockets(1).isdisjoint(daemon.listening)
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
    if daemon.pid != 1 and not open_sockets(1).isdisjoint(daemon.listening):
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
