# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role harden makes of its variables, as Ansible evaluates them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import template
from ansible.parsing.dataloader import DataLoader

ROLE = Path(__file__).resolve().parents[2] / "roles" / "harden"
LAYERS = ("sshd", "ssh", "sysctl")
# From ansible-core 2.19 on, nothing else is taken for an expression.
trusted = getattr(template, "trust_as_template", str)


def read(part: str) -> Any:
    return yaml.safe_load((ROLE / part / "main.yml").read_text())


VALUES = read("vars")
SSHD, SSH, SYSCTL = (VALUES[f"__harden_{layer}_values"] for layer in LAYERS)


def options(**given: Any) -> dict[str, Any]:
    """The options that each layer of the module gets."""
    templar = template.Templar(loader=DataLoader(), variables={**VALUES, **read("defaults"), **given})
    (task,) = read("tasks")
    return {layer: templar.template(trusted(task["keepalive.hardening.keepalive"][layer])) for layer in LAYERS}


PRESENT, ABSENT = {"state": "present"}, {"state": "absent"}


@pytest.mark.parametrize(
    ("given", "sshd", "ssh", "sysctl"),
    [
        ({}, {**SSHD, **PRESENT}, {**SSH, **PRESENT}, {**SYSCTL, **PRESENT}),
        # As "harden_sshd:" with nothing behind it.
        (
            {"harden_sshd": None, "harden_ssh": None, "harden_sysctl": None},
            {**SSHD, **PRESENT},
            {**SSH, **PRESENT},
            {**SYSCTL, **PRESENT},
        ),
        (
            {"harden_sshd": {"client_alive_interval": 7, "state": "absent"}, "harden_ssh": {"users": ["alice"]}},
            {**SSHD, **ABSENT, "client_alive_interval": 7},
            {**SSH, **PRESENT, "users": ["alice"]},
            {**SYSCTL, **PRESENT},
        ),
        (
            {"harden_sshd": {"match": "User backup", "client_alive_interval": 7}},
            {**PRESENT, "match": "User backup", "client_alive_interval": 7},
            {**SSH, **PRESENT},
            {**SYSCTL, **PRESENT},
        ),
        (
            {"harden_intent": {"detect_within": "2m"}, "harden_sysctl": {"tcp_retries2": 8}, "harden_sshd": None},
            PRESENT,
            {**PRESENT, "connect_timeout": SSH["connect_timeout"]},
            {**PRESENT, "tcp_retries2": 8},
        ),
        ({"harden_state": "gone"}, {**SSHD, "state": "gone"}, {**SSH, "state": "gone"}, {**SYSCTL, "state": "gone"}),
        # Only where to work, and what is never a value.
        (
            {
                "harden_state": "absent",
                "harden_sshd": {"client_alive_interval": 7, "match": "User backup", "state": "present"},
                "harden_ssh": None,
                "harden_sysctl": {"path": "/etc/sysctl.d/90-own.conf", "tcp_retries2": 8},
            },
            {**ABSENT, "match": "User backup"},
            ABSENT,
            {**ABSENT, "path": "/etc/sysctl.d/90-own.conf"},
        ),
    ],
)
def test_the_options_that_the_module_gets(
    given: dict[str, Any], sshd: dict[str, Any], ssh: dict[str, Any], sysctl: dict[str, Any]
) -> None:
    assert options(**given) == {"sshd": sshd, "ssh": ssh, "sysctl": sysctl}


def test_an_option_may_be_an_expression_itself() -> None:
    given = {"interval": 8, "harden_sshd": {"client_alive_interval": trusted("{{ interval * 2 }}")}}
    assert options(**given)["sshd"]["client_alive_interval"] in (16, "16")
