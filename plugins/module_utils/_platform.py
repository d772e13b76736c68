# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be managed on this system: all layers on Linux, the client's elsewhere."""

from __future__ import annotations

import os
import sys

from ._errors import HardeningError


def is_linux() -> bool:
    return sys.platform.startswith("linux")


def require_linux(layer: str) -> None:
    """Raises HardeningError on another system: there we can neither find and reload an sshd nor read /proc/sys."""
    if not is_linux():
        raise HardeningError(
            f"{layer}: {os.uname().sysname} is not supported; beyond Linux only ssh_config can be managed"
        )
