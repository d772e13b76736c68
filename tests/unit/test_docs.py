# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The docs name what the code has, with the same numbers."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ansible_collections.keepalive.hardening.plugins.module_utils import _findings
from ansible_collections.keepalive.hardening.plugins.module_utils._baselines import BASELINES
from ansible_collections.keepalive.hardening.plugins.module_utils._drawing import draw
from ansible_collections.keepalive.hardening.plugins.module_utils._ends import parse_end, parse_version
from ansible_collections.keepalive.hardening.plugins.module_utils._intent import parse_intent, plan
from ansible_collections.keepalive.hardening.plugins.module_utils._middleboxes import IDLE_TIMEOUTS
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import timeline

ROOT = Path(__file__).resolve().parents[2]


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_every_finding_and_baseline_is_described() -> None:
    # A template ends in an expression: f"{end.side}-never-probes".
    code = Path(_findings.__file__).read_text(encoding="utf-8")
    ids = set(re.findall(r'Finding\(\n\s+f?"([^"]+)",', code)) - {"{end.side}-never-probes"}
    ids |= {"server-never-probes", "client-never-probes", *(baseline.id for baseline in BASELINES)}
    described = set(re.findall(r"^\| `([^`]+)`", text("docs/findings.md"), re.MULTILINE))
    assert described == ids


def test_every_middlebox_has_its_timeout_and_source() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)`[^|]*\| (\d+)[^|]*\| \[[^]]+\]\(https://", text("docs/values.md"), re.MULTILINE)
    )
    assert {name: int(seconds) for name, seconds in rows.items()} == IDLE_TIMEOUTS
    options = text("plugins/modules/keepalive.py")
    assert all(f"V({name})" in options for name in IDLE_TIMEOUTS)


def test_the_picture_is_what_its_playbook_draws() -> None:
    (play,) = yaml.safe_load(text("examples/timeline.yml"))
    timelines = {}
    for label, expression in play["vars"]["timelines"].items():
        match = re.fullmatch(r"\{\{ (\w+) \| keepalive\.hardening\.timeline(?:\('(.+)'\))? \}\}", expression)
        assert match
        timelines[label] = timeline(parse_end(play["vars"][match[1]], parse_version(match[2])))
    assert draw(timelines, play["vars"]["title"]) == text("docs/timeline.svg")


def test_the_readmes_plan_is_what_the_intent_beside_it_comes_to() -> None:
    readme = text("README.md")
    (intent,) = re.findall(r"^```yaml\n(harden_intent:.+?)```", readme, re.MULTILINE | re.DOTALL)
    answer = plan(parse_intent(yaml.safe_load(intent)["harden_intent"]), (9, 2))
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+) \|$", readme, re.MULTILINE)
    planned = [
        (option, str(value), answer["reasons"][layer][option])
        for layer in ("sshd", "ssh", "sysctl")
        for option, value in answer[layer].items()
        if option != "tcp_keepalive"
    ]
    assert rows == planned
