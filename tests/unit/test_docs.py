# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The docs name what the code has, with the same numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from ansible_collections.keepalive.hardening.plugins.filter import plan as plan_filter
from ansible_collections.keepalive.hardening.plugins.filter import timeline as timeline_filter
from ansible_collections.keepalive.hardening.plugins.filter.audit_table import audit_table
from ansible_collections.keepalive.hardening.plugins.module_utils import _findings
from ansible_collections.keepalive.hardening.plugins.module_utils._baselines import BASELINES
from ansible_collections.keepalive.hardening.plugins.module_utils._drawing import draw
from ansible_collections.keepalive.hardening.plugins.module_utils._ends import parse_end, parse_version
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._facts import (
    AnsibleConnection,
    Facts,
    KernelSettings,
    OpenSSH,
    Server,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._intent import parse_intent, plan
from ansible_collections.keepalive.hardening.plugins.module_utils._middleboxes import IDLE_TIMEOUTS
from ansible_collections.keepalive.hardening.plugins.module_utils._report import report
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel
from ansible_collections.keepalive.hardening.plugins.module_utils._timeline import timeline

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.MULTILINE | re.DOTALL)


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


# --- the guides


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="only a checkout has all that is linked to")
@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", text(page)):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def answers(page: str) -> Iterator[tuple[str, str]]:
    """The expressions that a page gives to Ansible's debug, with the answers that it shows."""
    for block in blocks(page, "console"):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE):
            asked = re.fullmatch(r'ansible localhost -m debug -a "msg=\{\{ (.+) \}\}"\n(.*)', command, re.DOTALL)
            if asked:
                yield asked[1], asked[2]


@pytest.mark.parametrize("page", PAGES)
def test_filters_answer_as_the_guides_say(page: str) -> None:
    environment = jinja2.Environment(autoescape=False)
    for module in (plan_filter, timeline_filter):
        for name, function in module.FilterModule().filters().items():
            environment.filters[f"keepalive.hardening.{name}"] = function
    for expression, shown in answers(page):
        answer = environment.compile_expression(expression)()
        assert answer
        printed = json.dumps({"msg": answer}, indent=4, sort_keys=True)
        assert shown in ("", f"localhost | SUCCESS => {printed}\n")


def probing(intent: dict[str, Any]) -> tuple[str, str, str]:
    """Interval and count that an intent comes to, for sshd 9.2, for the newest, and for ssh."""
    old, new = plan(parse_intent(intent), (9, 2)), plan(parse_intent(intent), (10, 0))
    of_sshd = ("client_alive_interval", "client_alive_count_max")
    of_ssh = ("server_alive_interval", "server_alive_count_max")
    cells = ((old["sshd"], of_sshd), (new["sshd"], of_sshd), (new["ssh"], of_ssh))
    one, other, third = (f"{values[interval]} × {values[count]}" for values, (interval, count) in cells)
    return one, other, third


def test_the_intents_of_the_guide_come_to_the_values_beside_them() -> None:
    guide = "docs/choosing-an-intent.md"
    first = yaml.safe_load(blocks(guide, "yaml")[0])["harden_intent"]
    rows = re.findall(r"^\|[^|]+\| `([^`]+)` \| (\d.*?) \| (.+?) \| (.+?) \|$", text(guide), re.MULTILINE)
    assert len(rows) > 5
    for wish, *values in rows:
        intent = yaml.safe_load(wish)
        if not isinstance(intent, dict):
            intent = {**first, "path_idle_timeout": intent}
        assert tuple(values) == probing(intent), wish


def test_no_middlebox_that_has_a_name_changes_a_plan() -> None:
    assert {probing({"path_idle_timeout": name}) for name in IDLE_TIMEOUTS} == {probing({})}
    assert probing({"path_idle_timeout": 80}) == probing({}) != probing({"path_idle_timeout": 79})


def test_wishes_that_contradict_each_other_are_answered_as_the_guide_says() -> None:
    ((intent, shown),) = re.findall(
        r"^<!-- plan: (.+) -->\n```text\n(.+)\n```$", text("docs/choosing-an-intent.md"), re.MULTILINE
    )
    with pytest.raises(HardeningError) as problem:
        plan(parse_intent(yaml.safe_load(intent)), (9, 2))
    assert str(problem.value) == shown


def test_an_untouched_debian_12_is_audited_as_the_quickstart_shows() -> None:
    def untouched(word: str) -> OpenSSH:
        return OpenSSH((9, 2), {f"{word}_interval": 0, f"{word}_count_max": 3, "tcp_keepalive": True}, {}, [])

    facts = Facts(
        Server(untouched("client_alive"), 0, [], []),
        {"": untouched("server_alive")},
        KernelSettings(Kernel()._asdict(), {}, []),
    )
    printed = "\n".join(audit_table({"web1.example.com": report(facts)}))
    assert f"```text\n{printed}\n```" in text("docs/quickstart.md")


def test_ansibles_own_connections_are_audited_as_the_guide_shows() -> None:
    facts = Facts(ansible=[AnsibleConnection("web1.example.com")])
    printed = "\n".join(audit_table({"(control node)": report(facts)})).partition("\n\n")[2]
    assert f"```text\n{printed}\n```" in text("docs/ansible-connections.md")


def options_of(module: str) -> set[str]:
    """The options of a module, from its documentation."""
    source = text(f"plugins/modules/{module}.py")
    return set(yaml.safe_load(source.partition('DOCUMENTATION = r"""')[2].partition('"""')[0])["options"])


def variables() -> set[str]:
    """Every word of the roles' and playbooks' own, thus all of their variables."""
    files = [*ROOT.glob("roles/*/meta/argument_specs.yml"), *ROOT.glob("playbooks/*.yml")]
    return {word for file in files for word in re.findall(r"\w+", file.read_text(encoding="utf-8"))}


def pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key in what was read from YAML, with its value."""
    if isinstance(value, dict):
        yield from value.items()
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from pairs(item)


@pytest.mark.parametrize("page", PAGES)
def test_examples_name_roles_modules_variables_and_options_that_there_are(page: str) -> None:
    roles = {path.name for path in ROOT.glob("roles/*")}
    layers = {"harden_sshd": "sshd_config", "harden_ssh": "ssh_config", "harden_sysctl": "sysctl"}
    for key, value in (pair for block in blocks(page, "yaml") for pair in pairs(yaml.safe_load(block))):
        if key.startswith("keepalive.hardening."):
            assert set(value) <= options_of(key.rpartition(".")[2])
        elif key in layers:
            assert set(value) <= options_of(layers[key])
        elif key.startswith(("bastion_", "harden_", "idle_", "survive_")):
            assert key in variables()
        elif key in ("name", "roles"):
            named = re.findall(r"keepalive\.hardening\.(\w+)", str(value))
            assert set(named) <= roles
