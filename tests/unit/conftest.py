# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the property tests run."""

from __future__ import annotations

import os

from hypothesis import settings

# A loaded machine makes no test fail. `make fuzz` asks for many more examples.
settings.register_profile("patient", deadline=None, max_examples=int(os.environ.get("KEEPALIVE_FUZZ") or 100))
settings.load_profile("patient")
