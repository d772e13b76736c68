# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-doc tells about the filters, against the filters."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from jinja2 import Environment, StrictUndefined

from ansible_collections.keepalive.hardening.plugins.filter import audit_table, plan, timeline, timeline_svg
from ansible_collections.keepalive.hardening.plugins.module_utils._facts import Facts
from ansible_collections.keepalive.hardening.plugins.module_utils._report import report

MODULES = [plan, timeline, timeline_svg, audit_table]
# What the examples take from tasks of the reader's own.
VARIABLES = {"web1_result": report(Facts()), "web2_result": {}}


def name_of(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def filters(module: ModuleType) -> dict[str, Callable[..., Any]]:
    registered: dict[str, Callable[..., Any]] = module.FilterModule().filters()
    return registered


def strings(task: Any) -> list[str]:
    """Every text in a task."""
    if isinstance(task, dict):
        return [text for value in task.values() for text in strings(value)]
    return [task] if isinstance(task, str) else []


@pytest.fixture(params=MODULES, ids=name_of)
def module(request: pytest.FixtureRequest) -> ModuleType:
    found: ModuleType = request.param
    return found


def test_a_file_holds_the_filter_of_its_name(module: ModuleType) -> None:
    assert list(filters(module)) == [name_of(module)]


def test_the_documentation_names_the_parameters_as_they_are(module: ModuleType) -> None:
    documentation = yaml.safe_load(module.DOCUMENTATION)
    options = documentation["options"]
    # What stands in front of the bar has a name of its own.
    parameters = list(inspect.signature(filters(module)[name_of(module)]).parameters.values())[1:]
    assert documentation["name"] == name_of(module)
    assert list(options) == ["_input", *(parameter.name for parameter in parameters)]
    assert documentation.get("positional", "") == ", ".join(parameter.name for parameter in parameters)


def test_the_documentation_names_the_defaults_as_they_are(module: ModuleType) -> None:
    options = yaml.safe_load(module.DOCUMENTATION)["options"]
    parameters = list(inspect.signature(filters(module)[name_of(module)]).parameters.values())[1:]
    assert options["_input"]["required"] is True
    assert [parameter.default for parameter in parameters] == [
        options[parameter.name].get("default") for parameter in parameters
    ]


def test_the_examples_work_as_they_stand(module: ModuleType) -> None:
    jinja = Environment(undefined=StrictUndefined, autoescape=False)
    jinja.filters |= {f"keepalive.hardening.{name_of(each)}": filters(each)[name_of(each)] for each in MODULES}
    tasks = yaml.safe_load(module.EXAMPLES)
    templates = [text for task in tasks for text in strings(task) if "{{" in text]
    assert any(f"keepalive.hardening.{name_of(module)}" in template for template in templates)
    for template in templates:
        assert jinja.from_string(template).render(VARIABLES)


def test_the_documentation_names_the_type_of_what_comes_back(module: ModuleType) -> None:
    given: dict[str, Any] = {
        "plan": {"detect_within": 300},
        "timeline": {"client_alive_interval": 15},
        "timeline_svg": {"server": timeline.timeline({})},
        "audit_table": {"web1": {}},
    }
    answer = filters(module)[name_of(module)](given[name_of(module)])
    types = {"dict": dict, "str": str, "list": list}
    assert isinstance(answer, types[yaml.safe_load(module.RETURN)["_value"]["type"]])
    # Ansible hands on nothing but plain data.
    assert json.loads(json.dumps(answer)) == answer


def test_the_title_of_a_picture_can_be_left_out_or_given() -> None:
    draw = filters(timeline_svg)["timeline_svg"]
    titles = [ElementTree.fromstring(svg)[0].text for svg in (draw({}), draw({}, "Mine"), draw({}, title="Mine"))]
    assert titles == ["An idle session whose path is cut", "Mine", "Mine"]
