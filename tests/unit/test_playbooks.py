# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook harden does in one go what the roles do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("role", ["server", "client", "bastion"])
def test_the_playbook_has_the_layers_of_the_roles(role: str) -> None:
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text())
    plays = yaml.safe_load((ROOT / "playbooks" / "harden.yml").read_text())
    layers = [play["vars"]["harden_group_layers"] for play in plays if "harden_group_layers" in play.get("vars", {})]
    assert len(layers) == 2
    for expression in layers:
        assert f"{role}_layers | default({defaults[f'{role}_layers']})" in expression
