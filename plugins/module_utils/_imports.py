# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast Python gets at our files: Ansible sends a module as an archive of sources, compiled anew in every run."""

from __future__ import annotations

import zipimport
from functools import lru_cache


def compile_once() -> None:
    """
    Have Python compile each source that is imported from now on once.

    By itself it does so twice, first only to learn the name of its file (python/cpython#141276).
    """
    if hasattr(zipimport, "_get_module_code"):
        zipimport._get_module_code = lru_cache(maxsize=1)(zipimport._get_module_code)
