# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
All or nothing: stage, write, activate, verify, and put everything back if any of it fails.

The only file that decides when something is written.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ._changes import FileChange
from ._errors import HardeningError

# Only root can open it, so no one else can hold up a run. FreeBSD and macOS have no /run.
_LOCK = os.path.join("/run" if os.path.isdir("/run") else "/var/run", "keepalive.hardening.lock")
_LOCK_SECONDS = 300.0


class Step(Protocol):
    """Something that is written, and can be taken back."""

    def stage(self) -> None:
        """Prepare whatever can fail; nothing is in effect yet."""

    def apply(self) -> None:
        """Put it in place."""

    def undo(self) -> None:
        """Take back what stage() and apply() did, however far they came."""

    def discard(self) -> None:
        """Take back what stage() did, where apply() was not called."""


@dataclass
class Plan:
    """What one layer is about to do, validated, with nothing written yet."""

    layer: str
    #: Option to value, as the real tool reads it now.
    before: dict[str, Any]
    #: The same for the candidate, as the real tool reads it in a copy.
    effective: dict[str, Any]
    steps: Sequence[Step]
    #: Every other line that sets a managed option.
    competing: list[dict[str, Any]]
    #: Reads the effective values back after the change.
    read_back: Callable[[], dict[str, Any]]
    #: Makes running daemons take the change; None where nothing has to.
    activate: Callable[[], None] | None = None
    #: What changes outside of files, as entries of Ansible's diff.
    live_diff: list[dict[str, str]] = field(default_factory=list)
    #: What the user should know though nothing failed.
    warnings: list[str] = field(default_factory=list)
    #: Results that only this layer has.
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def file_changes(self) -> list[FileChange]:
        return [step for step in self.steps if isinstance(step, FileChange)]

    @property
    def changed(self) -> bool:
        return bool(self.steps) or self.activate is not None


@contextmanager
def exclusive_run() -> Iterator[None]:
    """One run at a time on this host, so that two end as if one had followed the other."""
    if os.geteuid() != 0:
        yield
        return
    descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise HardeningError(f"another run has held {_LOCK} for {_LOCK_SECONDS:.0f} s") from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def carry_out(plans: list[Plan]) -> None:
    """
    Write all plans, activate them, and check that the effective values are as predicted.

    Raises HardeningError with everything as it was before.
    """
    steps = [step for plan in plans for step in plan.steps]
    applied: list[Step] = []
    activated: list[Plan] = []
    try:
        for step in steps:
            step.stage()
        for step in steps:
            # Counted before, since it may be interrupted half way.
            applied.append(step)
            step.apply()
        for plan in plans:
            if plan.activate:
                activated.append(plan)
                plan.activate()
        for plan in plans:
            _verify(plan)
    except BaseException as problem:
        trouble = _put_back(steps, applied, activated)
        if trouble:
            raise HardeningError(f"{problem}; putting things back failed too: {'; '.join(trouble)}") from problem
        raise


def _verify(plan: Plan) -> None:
    effective = plan.read_back()
    if effective != plan.effective:
        raise HardeningError(
            f"{plan.layer}: the values that are effective after the change are {effective}, not {plan.effective}"
        )


def _put_back(steps: list[Step], applied: list[Step], activated: list[Plan]) -> list[str]:
    """Undo the steps, last first, and reload what was reloaded; returns what did not work."""
    trouble = []
    reactivations = [plan.activate for plan in activated if plan.activate]
    for action in [step.undo if step in applied else step.discard for step in reversed(steps)] + reactivations:
        try:
            action()
        except (HardeningError, OSError) as problem:
            trouble.append(str(problem))
    return trouble
