# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions as people hold them: each on a terminal of its own, watched until it ends."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import threading
import time
from typing import NamedTuple

_LOGIN_PATIENCE = 20


class Situation(NamedTuple):
    """What goes on in a session."""

    #: Arguments of ssh, before the host and after it.
    options: tuple[str, ...] = ()
    command: str = ""
    #: Typed once, at the prompt.
    starts: str = ""
    #: Typed every few seconds from then on.
    types: str = ""


class Session:
    """A session that says when it ended. It has printed ``open`` once it is constructed."""

    def __init__(self, ssh: list[str], destination: str, situation: Situation, pause: float):
        self._situation, self._pause = situation, pause
        self._terminal, ours = pty.openpty()
        command = [*ssh, *situation.options, destination, *filter(None, [situation.command])]
        self._process = subprocess.Popen(command, stdin=ours, stdout=ours, stderr=ours, start_new_session=True)
        os.close(ours)
        self.output = b""
        #: Seconds from the login until the session was over; None as long as it lives.
        self.lasted: float | None = None
        if not situation.options and not situation.command:
            # The quotes keep the echo of what is typed from being taken for the answer.
            self._type("echo op''en\n")
        deadline = time.monotonic() + _LOGIN_PATIENCE
        while b"open\r\n" not in self.output:
            if time.monotonic() > deadline or not self._read(1):
                self._process.kill()
                raise RuntimeError(f"{command}: {self.output!r}")
        self._opened = time.monotonic()
        self._type(situation.starts)
        threading.Thread(target=self._hold, daemon=True).start()

    @property
    def lives(self) -> bool:
        return self.lasted is None

    @property
    def age(self) -> float:
        return time.monotonic() - self._opened

    def close(self) -> None:
        """End it, if it has not ended by itself."""
        self._process.kill()
        self._process.wait()

    def _hold(self) -> None:
        due = self._opened + self._pause
        while self._read(due - time.monotonic()):
            if time.monotonic() >= due:
                self._type(self._situation.types)
                due += self._pause
        self.lasted = self.age

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _read(self, patience: float) -> bool:
        """Take what is printed until then; whether ssh still holds the terminal."""
        if not select.select([self._terminal], [], [], max(0, patience))[0]:
            return True
        try:
            text = os.read(self._terminal, 4096)
        except OSError:
            # How Linux says that nobody has the other end open.
            return False
        self.output += text
        return bool(text)
