#!/usr/bin/python
# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
"""

from ansible_collections.keepalive.hardening.plugins.module_utils._module import run_layer


def main() -> None:
    run_layer("sysctl")


if __name__ == "__main__":
    main()
