# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel layer: TCP keepalive in /proc/sys, now and at the next boot."""

from __future__ import annotations

import os
import posixpath
from typing import Any

from ._changes import file_changes
from ._command import Run
from ._errors import HardeningError
from ._files import Disk
from ._platform import is_linux, require_linux
from ._settings import SYSCTL, Kernel, Setting, wanted_values
from ._ssh_tree import Overlay
from ._sysctl_placement import (
    Orders,
    competing_lines,
    read_entries,
    readings,
    require_winner,
    sysctl_candidate,
)
from ._sysctl_text import BOOT_DIRECTORIES, Assignment, normalize, orders, winner
from ._transaction import Plan, Step

# Nothing that a distribution ships sorts behind it.
DEFAULT_PATH = "/etc/sysctl.d/zz-keepalive.conf"
_PROC = "/proc/sys"
_ALPINE = "/etc/alpine-release"
# Measured on Linux 6.18.
KERNEL_LARGEST = {
    "tcp_keepalive_time": 8589934,
    "tcp_keepalive_intvl": 8589934,
    "tcp_keepalive_probes": 255,
    "tcp_retries2": 255,
}


class KernelChange:
    """One value in /proc/sys."""

    def __init__(self, setting: Setting, before: int, after: int):
        """Raises HardeningError where the kernel cannot be changed."""
        self.path = posixpath.join(_PROC, normalize(setting.directive))
        self.before = before
        self.after = after

        if not os.access(self.path, os.W_OK):
            raise HardeningError(
                f"sysctl: {self.path} is read-only, as in an unprivileged container; "
                "set runtime: false to manage only the file for the next boot, or leave the layer out"
            )

    @property
    def diff(self) -> dict[str, str]:
        """An entry of Ansible's diff."""
        return {
            "before_header": self.path,
            "after_header": self.path,
            "before": f"{self.before}\n",
            "after": f"{self.after}\n",
        }

    def stage(self) -> None:
        """Nothing: one write does it."""

    def apply(self) -> None:
        self._write(self.after)

    def undo(self) -> None:
        self._write(self.before)

    def discard(self) -> None:
        """Nothing was staged."""

    def _write(self, value: int) -> None:
        try:
            with open(self.path, "w", encoding="ascii") as stream:
                stream.write(f"{value}\n")
        except OSError as problem:
            raise HardeningError(f"sysctl: cannot write {value} to {self.path}: {problem.strerror}") from problem


def present() -> bool:
    """Whether this host has the layer."""
    return is_linux() and os.path.exists(posixpath.join(_PROC, "net/ipv4/tcp_keepalive_time"))


def plan(options: dict[str, Any], run: Run) -> Plan:
    """
    Read, edit in memory, and work out what the next boot would set.

    Raises HardeningError, with nothing written.
    """
    wanted = wanted_values(SYSCTL, options, "sysctl")
    absent, runtime, persist = options["state"] == "absent", options["runtime"], options["persist"]
    if not wanted and not absent:
        raise HardeningError("sysctl: no option is given, so there is nothing to do")
    if absent and not (persist or wanted):
        raise HardeningError("sysctl: absent with persist: false has to be told which options to take back")
    if not (runtime or persist):
        raise HardeningError("sysctl: with runtime: false and persist: false there is nothing to do")
    require_linux("sysctl")
    if os.geteuid() != 0:
        raise HardeningError("sysctl: kernel settings can only be changed by root: run with become: true")

    path = options["path"] or DEFAULT_PATH
    if persist and posixpath.dirname(path) == "/run/sysctl.d":
        raise HardeningError(f"sysctl: path: {path} does not outlive a boot; choose one in /etc/sysctl.d")
    disk, real, orders = SysctlDisk(), os.path.realpath(path), reading_orders(path)
    settings = list(wanted) or list(read_entries(disk.read(real) or ""))
    candidate = Overlay(disk, {})
    if persist:
        candidate = sysctl_candidate(disk, orders, real, wanted, absent, options["exclusive"])
    for setting, value in wanted.items() if persist and not absent else ():
        require_winner(setting, value, candidate, disk, orders, path)

    after_boot = readings(candidate, orders)["the next boot"]
    boot = {setting.option: boot_value(setting, after_boot) for setting in settings}
    live = {setting.option: live_value(setting) for setting in settings}
    wished = {setting: boot[setting.option] for setting in settings} if absent else wanted
    # Where another file says what the kernel would refuse, or must not get, the running value stays.
    target = {
        setting.option: value
        for setting, value in wished.items()
        if isinstance(value, int) and 1 <= value <= KERNEL_LARGEST[setting.option]
    }
    boot_before = readings(disk, orders)["the next boot"]
    before = live if runtime else {setting.option: boot_value(setting, boot_before) for setting in settings}
    effective = {**live, **target} if runtime else boot
    steps: list[Step] = [*file_changes(disk, candidate.texts)]
    kernel = [
        KernelChange(setting, live[setting.option], effective[setting.option])
        for setting in settings
        if runtime and live[setting.option] != effective[setting.option]
    ]
    return Plan(
        layer="sysctl",
        before=before,
        effective=effective,
        # What absent takes back in the kernel, it knows from the file; so that goes last, should the run be killed.
        steps=[*kernel, *steps] if absent else [*steps, *kernel],
        competing=competing_lines(settings, candidate, orders),
        read_back=lambda: {s.option: live_value(s) for s in settings} if runtime else boot,
        live_diff=[change.diff for change in kernel],
        extra={"next_boot": boot},
    )


class SysctlDisk(Disk):
    """The files as sysctl reads them: a link to /dev/null masks another file, and a directory is no file."""

    def read(self, path: str) -> str | None:
        return "" if path == os.devnull or os.path.isdir(path) else super().read(path)


def reading_orders(path: str) -> Orders:
    """The files that set kernel values, links resolved; ``path`` counts as there, whether it is yet or not."""
    names = {}
    for directory in BOOT_DIRECTORIES:
        names[directory] = os.listdir(directory) if os.path.isdir(directory) else []
    directory, name = posixpath.split(path)
    if directory in names and name not in names[directory]:
        names[directory].append(name)
    unresolved = orders(names, os.path.exists(_ALPINE))
    return {reader: list(map(os.path.realpath, order)) for reader, order in unresolved.items()}


def boot_value(setting: Setting, read: list[Assignment]) -> Any:
    """What the next boot sets: a number, or the text of a line that is none; without a line the kernel's default."""
    line = winner(read, normalize(setting.directive))
    if line is None or line.value is None:
        # What a new network namespace starts with.
        return getattr(Kernel(), setting.option)
    try:
        # The kernel reads 010 as eight and 0x10 as sixteen.
        return int(line.value, 0) if not line.value.startswith("0") or "x" in line.value else int(line.value, 8)
    except ValueError:
        return line.value


def live_value(setting: Setting) -> int:
    path = posixpath.join(_PROC, normalize(setting.directive))
    try:
        with open(path, encoding="ascii") as stream:
            return int(stream.read())
    except FileNotFoundError:
        raise HardeningError(f"sysctl: this kernel has no {path}") from None
