# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that reads all layers: from options to result."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._errors import HardeningError
from ._middleboxes import parse_idle_timeout
from ._module import LAYERS, layer, printable, runner
from ._observation import observe
from ._report import report


def run_info() -> None:
    """The whole of the module that reads all layers."""
    module = AnsibleModule(
        argument_spec={
            "layers": {"type": "list", "elements": "str", "choices": list(LAYERS)},
            "users": {"type": "list", "elements": "str", "default": []},
            "ansible_ssh_args": {"type": "dict", "default": {}},
            "path_idle_timeout": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        path = params["path_idle_timeout"]
        idle_timeout = None if path is None else parse_idle_timeout(path)
    except ValueError as problem:
        module.fail_json(msg=f"path_idle_timeout: {problem}")
    try:
        layers = _present(params["layers"])
        facts = observe(layers, params["users"], params["ansible_ssh_args"], idle_timeout, runner(module))
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=printable(str(problem)))
    module.exit_json(changed=False, **_printable(report(facts)))


def _present(named: list[str] | None) -> list[str]:
    """The layers to look at. Raises HardeningError for one that is named and missing."""
    present = [name for name in LAYERS if layer(name).present()]
    missing = [name for name in named or [] if name not in present]
    if missing:
        raise HardeningError(f"layers names {', '.join(missing)}, but this host has no such layer")
    return present if named is None else named


def _printable(value: Any) -> Any:
    """As printable(), for every text in a result."""
    if isinstance(value, dict):
        return {printable(key): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    return printable(value)
