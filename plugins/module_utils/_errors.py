# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that a user is meant to read."""

from __future__ import annotations


class HardeningError(Exception):
    """What is wrong, where, and what to do. Becomes the module's failure message."""
