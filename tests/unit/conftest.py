# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the property tests run."""

from __future__ import annotations

from hypothesis import settings

# A loaded machine makes no test fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
