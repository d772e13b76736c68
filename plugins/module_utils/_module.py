# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share: argument specs, and the way from a module's options to its result."""

from __future__ import annotations

import os
import time
from types import ModuleType
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from . import _ssh_layer, _sshd_layer, _sysctl_layer
from ._changes import FileChange, sweep
from ._command import Result, Run
from ._errors import HardeningError
from ._intent import WISHES, parse_intent
from ._intent import plan as plan_intent
from ._middleboxes import parse_idle_timeout
from ._observation import observe
from ._openssh import find, version
from ._options import OPTIONS
from ._report import report
from ._settings import SSH, SSHD, SYSCTL, wanted_values
from ._timeline import NEWEST
from ._transaction import Plan, carry_out, exclusive_run

#: Where a killed run may have left something behind.
_DIRECTORIES = ("/etc", "/etc/ssh", "/etc/ssh/sshd_config.d", "/etc/ssh/ssh_config.d", "/etc/sysctl.d")
LAYERS: dict[str, ModuleType] = {"sshd": _sshd_layer, "ssh": _ssh_layer, "sysctl": _sysctl_layer}


def run_layer(name: str) -> None:
    """The whole of a module that manages one layer."""
    module = AnsibleModule(argument_spec=OPTIONS[name], supports_check_mode=True)
    try:
        plans = _harden(module, {name: module.params})
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=_printable(str(problem)))
    plan = plans[0]
    module.exit_json(before=plan.before, effective=plan.effective, **_result(plans), **plan.extra)


def run_layers() -> None:
    """The whole of the module that manages several layers in one run."""
    module = AnsibleModule(
        argument_spec={
            **{name: {"type": "dict", "options": options} for name, options in OPTIONS.items()},
            "intent": {"type": "dict", "options": {wish: {"type": "str"} for wish in WISHES}},
            "layers": {"type": "list", "elements": "str", "choices": list(LAYERS)},
        },
        required_one_of=[[*LAYERS, "intent"]],
        supports_check_mode=True,
    )
    try:
        intended = _intended(module)
        chosen, skipped = _choose(_with_intent(module.params, intended))
        plans = _harden(module, chosen)
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=_printable(str(problem)))
    extra = {key: value for plan in plans for key, value in plan.extra.items()}
    if intended:
        extra["plan"] = intended
    module.exit_json(
        before={plan.layer: plan.before for plan in plans},
        effective={plan.layer: plan.effective for plan in plans},
        skipped_layers=skipped,
        **{"reloaded": False, **extra},
        **_result(plans),
    )


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
        module.fail_json(msg=_printable(str(problem)))
    module.exit_json(changed=False, **_all_printable(report(facts)))


def _present(named: list[str] | None) -> list[str]:
    """The layers to look at. Raises HardeningError for one that is named and missing."""
    present = [name for name, layer in LAYERS.items() if layer.present()]
    missing = [name for name in named or [] if name not in present]
    if missing:
        raise HardeningError(f"layers names {', '.join(missing)}, but this host has no such layer")
    return present if named is None else named


def _choose(params: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The options of every layer to manage, and the layers that this host lacks."""
    named = params["layers"]
    if named == []:
        raise HardeningError("layers names no layer; leave it out to manage every layer that the host has")
    chosen, skipped = {}, []
    for name, layer in LAYERS.items():
        options = params[name]
        if named is not None and name not in named:
            continue
        if options is None:
            if named is not None:
                raise HardeningError(f"layers names {name}, but no options are given for it")
            continue
        if not layer.present():
            if named is not None:
                raise HardeningError(f"layers names {name}, but this host has no such layer")
            skipped.append(name)
            continue
        chosen[name] = options
    if not chosen:
        raise HardeningError("this host has none of the layers to manage: no sshd, no ssh, no TCP settings")
    return chosen, skipped


def _intended(module: AnsibleModule) -> dict[str, Any]:
    """What the intent comes to on this host, with the values that win over it; nothing where none is given."""
    params = module.params
    if params["intent"] is None:
        return {}
    sshd = find("sshd")
    given: dict[str, dict[str, Any]] = {}
    for layer, settings in (("sshd", SSHD), ("ssh", SSH), ("sysctl", SYSCTL)):
        options = params[layer]
        # Values for some users or hosts leave everybody else's to the intent.
        if options and not options.get("match") and options.get("host", "*") == "*":
            wanted = wanted_values(settings, options, layer)
            given[layer] = {setting.option: value for setting, value in wanted.items()}
    return plan_intent(parse_intent(params["intent"]), version(runner(module), sshd) if sshd else NEWEST, given)


def _with_intent(params: dict[str, Any], intended: dict[str, Any]) -> dict[str, Any]:
    """The module's options, with the values of the intent wherever a layer's options do not say otherwise."""
    if not intended:
        return params
    merged = dict(params)
    for name, options in OPTIONS.items():
        given = params[name] or {option: spec.get("default") for option, spec in options.items()}
        # Values for a Match block are the user's alone.
        if given["state"] == "present" and not given.get("match"):
            values = {option: value for option, value in intended[name].items() if given[option] is None}
            given = {**given, **{option: value if value is True else str(value) for option, value in values.items()}}
        merged[name] = given
    return merged


def runner(module: AnsibleModule) -> Run:
    """What the layers run programs by."""

    def run(command: list[str]) -> Result:
        # OpenSSH's and systemctl's words are read, so they have to be English.
        return Result(*module.run_command(command, environ_update={"LC_ALL": "C"}, handle_exceptions=False))

    return run


def _harden(module: AnsibleModule, chosen: dict[str, dict[str, Any]]) -> list[Plan]:
    """The plans of the chosen layers, carried out unless in check mode. Raises HardeningError."""
    run = runner(module)
    if module.check_mode:
        plans = [LAYERS[name].plan(options, run) for name, options in chosen.items()]
    else:
        with exclusive_run():
            sweep(_DIRECTORIES)
            plans = [LAYERS[name].plan(options, run) for name, options in chosen.items()]
            for plan in plans:
                if chosen[plan.layer]["backup"]:
                    _request_backups(plan.file_changes)
            if any(plan.changed for plan in plans):
                carry_out(plans)
    for plan in plans:
        for warning in plan.warnings:
            module.warn(_printable(warning))
    return plans


def _request_backups(changes: list[FileChange]) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
    for change in changes:
        directory, name = os.path.split(os.path.realpath(change.path))
        # The leading dot keeps it out of any Include's reach.
        change.backup_file = os.path.join(directory, f".{name}.{os.getpid()}.{stamp}~")


def _result(plans: list[Plan]) -> dict[str, Any]:
    changes = [change for plan in plans for change in plan.file_changes]
    return {
        "changed": any(plan.changed for plan in plans),
        "files": [_file(change) for change in changes],
        "competing": [
            {key: _printable(value) for key, value in line.items()} for plan in plans for line in plan.competing
        ],
        "diff": [_diff(change) for change in changes] + [diff for plan in plans for diff in plan.live_diff],
    }


def _file(change: FileChange) -> dict[str, str]:
    made = change.backup_file and change.before is not None
    return {"path": change.path, **({"backup_file": change.backup_file} if made else {})}


def _diff(change: FileChange) -> dict[str, str]:
    return {
        "before_header": change.path,
        "after_header": change.path,
        "before": _printable(change.before or ""),
        "after": _printable(change.after or ""),
    }


def _all_printable(value: Any) -> Any:
    """As _printable, for every text in a result."""
    if isinstance(value, dict):
        return {_printable(key): _all_printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_all_printable(inner) for inner in value]
    return _printable(value)


def _printable(value: Any) -> Any:
    """Text with a replacement for every byte that is not UTF-8, which no result can carry."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if isinstance(value, str) else value
