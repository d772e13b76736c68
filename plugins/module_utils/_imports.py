# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
Faster imports, for whatever is imported after this.

Ansible sends a module as a zip archive of sources, and Python compiles each of them twice, first only to learn its
file's name (python/cpython#141276). The other half of a run is short, so that counts.
"""

from __future__ import annotations

import zipimport
from functools import lru_cache

_compiled = getattr(zipimport, "_get_module_code", None)
if _compiled:
    zipimport._get_module_code = lru_cache(maxsize=1)(_compiled)  # type: ignore[attr-defined]
