# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel layer: TCP keepalive in /proc/sys, now and at the next boot."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from typing import Any

from . import _managed
from ._command import Run
from ._errors import HardeningError
from ._files import Disk, file_changes
from ._settings import SYSCTL, Setting, Value, wanted_values
from ._sysctl_text import (
    BOOT_DIRECTORIES,
    PROCPS_DIRECTORIES,
    Assignment,
    assignments,
    normalize,
    reading_order,
    winner,
)
from ._transaction import Plan, Step

# Nothing that a distribution ships sorts behind it.
DEFAULT_PATH = "/etc/sysctl.d/zz-keepalive.conf"
_PROC = "/proc/sys"
_SYSCTL_CONF = "/etc/sysctl.conf"
# net/ipv4/tcp_ipv4.c, tcp_sk_init(): what a new network namespace starts with.
_KERNEL_DEFAULTS = {
    "tcp_keepalive_time": 7200,
    "tcp_keepalive_intvl": 75,
    "tcp_keepalive_probes": 9,
    "tcp_retries2": 15,
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
    return os.path.exists(posixpath.join(_PROC, "net/ipv4/tcp_keepalive_time"))


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
    if os.geteuid() != 0:
        raise HardeningError("sysctl: kernel settings can only be changed by root: run with become: true")

    path = options["path"] or DEFAULT_PATH
    if persist and posixpath.dirname(path) == "/run/sysctl.d":
        raise HardeningError(f"sysctl: path: {path} does not outlive a boot; choose one in /etc/sysctl.d")
    disk = Disk()
    files = _SysctlFiles(disk, path)
    entries = _read_entries(disk.read(path) or "")
    settings = list(wanted) or list(entries)
    texts: dict[str, str | None] = {}
    if persist:
        texts = _candidate(files, disk, path, entries, wanted, absent, options["exclusive"])
    readings = files.readings(texts)
    if persist and not absent:
        for setting, value in wanted.items():
            _require_winner(setting, value, readings, path, texts, disk)

    boot = {setting.option: _boot_value(setting, readings["the next boot"]) for setting in settings}
    live = {setting.option: _live_value(setting) for setting in settings}
    wished = {setting: boot[setting.option] for setting in settings} if absent else wanted
    # Where another file says what the kernel would refuse, the next boot changes nothing, and neither do we.
    target = {
        setting.option: value
        for setting, value in wished.items()
        if isinstance(value, int) and setting.low <= value <= setting.high
    }
    before = live if runtime else {s.option: _boot_value(s, files.readings({})["the next boot"]) for s in settings}
    effective = {**live, **target} if runtime else boot
    steps: list[Step] = [*file_changes(disk, texts)]
    kernel = [
        KernelChange(setting, live[setting.option], effective[setting.option])
        for setting in settings
        if runtime and live[setting.option] != effective[setting.option]
    ]
    return Plan(
        layer="sysctl",
        before=before,
        effective=effective,
        steps=[*steps, *kernel],
        competing=_competing(settings, readings, lambda file: texts.get(file, disk.read(file)) or ""),
        read_back=lambda: {s.option: _live_value(s) for s in settings} if runtime else boot,
        live_diff=[change.diff for change in kernel],
        extra={"next_boot": boot},
    )


class _SysctlFiles:
    """The files that set kernel values, in the two orders in which they are read."""

    def __init__(self, disk: Disk, path: str):
        self.disk = disk
        names = {}
        for directory in BOOT_DIRECTORIES:
            names[directory] = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        # Our own file counts as there, whether it is yet or not.
        directory, name = posixpath.split(path)
        if directory in names and name not in names[directory]:
            names[directory].append(name)
        self.orders = {
            "the next boot": reading_order(BOOT_DIRECTORIES, names),
            "sysctl --system": [*reading_order(PROCPS_DIRECTORIES, names), _SYSCTL_CONF],
        }

    def readings(self, texts: dict[str, str | None]) -> dict[str, list[Assignment]]:
        """Every assignment in both orders, with some texts replaced."""
        read = {}
        for reader, order in self.orders.items():
            real = [os.path.realpath(path) for path in order]
            read[reader] = [
                line
                for path in real
                for line in assignments(path, (texts[path] if path in texts else self._text(path)) or "")
            ]
        return read

    def _text(self, path: str) -> str | None:
        # A link to /dev/null masks a file of the same name.
        return "" if path == os.devnull or os.path.isdir(path) else self.disk.read(path)


def _read_entries(text: str) -> dict[Setting, str]:
    by_key = {normalize(setting.directive): setting for setting in SYSCTL}
    lines = (line for _position, _created, body in _managed.blocks(text) for line in assignments("", body))
    return {by_key[line.key]: line.value for line in lines if line.key in by_key and line.value is not None}


def _candidate(
    files: _SysctlFiles,
    disk: Disk,
    path: str,
    entries: dict[Setting, str],
    wanted: dict[Setting, Value],
    absent: bool,
    exclusive: bool,
) -> dict[str, str | None]:
    """Path to text of every file as it shall be, of those that we touch or have touched."""
    managed = set(wanted) or set(SYSCTL)
    keys = {normalize(setting.directive) for setting in managed}

    def sets_managed(line: str) -> bool:
        return any(entry.key in keys for entry in assignments("", line))

    texts: dict[str, str | None] = {}
    for real in {os.path.realpath(file) for order in files.orders.values() for file in order} - {os.devnull}:
        text = None if os.path.isdir(real) else disk.read(real)
        if text is not None and "keepalive.hardening" in text:
            _managed.require_whole(real, text)
            texts[real] = _managed.uncomment(text, sets_managed)
    real = os.path.realpath(path)
    text = texts.get(real, disk.read(real))
    bare = _managed.strip(text or "")
    if absent:
        entries = {setting: value for setting, value in entries.items() if setting not in managed}
    else:
        entries = {**entries, **{setting: str(value) for setting, value in wanted.items()}}
    body = [f"{setting.directive} = {entries[setting]}" for setting in sorted(entries, key=lambda entry: entry.order)]
    created = (
        ("file",) if text is None else next((what for _position, what, _body in _managed.blocks(text) if what), ())
    )
    if entries:
        texts[real] = _managed.append(bare, _managed.block("last", body, created))
    else:
        texts[real] = None if created and not bare else bare
    if exclusive and not absent:
        for line in {line for read in files.readings(texts).values() for line in read if line.key in keys}:
            ours = _managed.own_lines(texts.get(line.path, disk.read(line.path)) or "")
            if line.line not in ours:
                current = texts.get(line.path, disk.read(line.path)) or ""
                texts[line.path] = _managed.comment_out(current, {line.line})
    return texts


def _require_winner(
    setting: Setting,
    value: Value,
    readings: dict[str, list[Assignment]],
    path: str,
    texts: dict[str, str | None],
    disk: Disk,
) -> None:
    for reader, read in readings.items():
        key = normalize(setting.directive)
        line = winner(read, key)
        excluded = next((line for line in reversed(read) if line.key == key and line.value is None), None)
        if line is None and excluded:
            raise HardeningError(
                f"sysctl: {setting.option} would have no effect: {excluded.path}, line {excluded.line} takes the key "
                "out of what is set; remove that line, or set exclusive: true"
            )
        if line is None:
            raise HardeningError(
                f"sysctl: {setting.option} would have no effect: {reader} does not read {path}; "
                f"choose a path that ends in .conf in {BOOT_DIRECTORIES[0]}"
            )
        if line.value != str(value):
            number = _managed.same_line(
                line.line, texts.get(line.path) or disk.read(line.path) or "", disk.read(line.path) or ""
            )
            raise HardeningError(
                f"sysctl: {setting.option} would not be {value} after {reader}: {line.path}, line {number} wins: "
                f"{setting.directive} = {line.value}. "
                "Remove that line, or set exclusive: true to have every competing line commented out"
            )


def _boot_value(setting: Setting, read: list[Assignment]) -> Any:
    """What the next boot sets: a number, or the text of a line that is none; without a line the kernel's default."""
    line = winner(read, normalize(setting.directive))
    if line is None or line.value is None:
        return _KERNEL_DEFAULTS[setting.option]
    try:
        # The kernel reads 010 as eight and 0x10 as sixteen.
        return int(line.value, 0) if not line.value.startswith("0") or "x" in line.value else int(line.value, 8)
    except ValueError:
        return line.value


def _live_value(setting: Setting) -> int:
    path = posixpath.join(_PROC, normalize(setting.directive))
    try:
        with open(path, encoding="ascii") as stream:
            return int(stream.read())
    except FileNotFoundError:
        raise HardeningError(f"sysctl: this kernel has no {path}") from None


def _competing(
    settings: list[Setting], readings: dict[str, list[Assignment]], text_of: Callable[[str], str]
) -> list[dict[str, Any]]:
    lines = []
    for setting in settings:
        key = normalize(setting.directive)
        winners = [winner(read, key) for read in readings.values()]
        for line in dict.fromkeys(line for read in readings.values() for line in read):
            if line.covers(key) and line.line not in _managed.own_lines(text_of(line.path)):
                lines.append(
                    {
                        "path": line.path,
                        "line": line.line,
                        "option": setting.option,
                        "value": line.value if line.value is not None else "",
                        "scope": "",
                        "wins": line in winners,
                    }
                )
    return lines
