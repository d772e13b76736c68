# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share: argument specs, and the way from a module's options to its result."""

from __future__ import annotations

import os
import time
from types import ModuleType
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._changes import FileChange, sweep
from ._command import Result, Run
from ._errors import HardeningError
from ._options import OPTIONS, WISHES
from ._platform import is_linux
from ._transaction import Plan, carry_out, exclusive_run

#: Where a killed run may have left something behind.
_DIRECTORIES = ("/etc", "/etc/ssh", "/etc/ssh/sshd_config.d", "/etc/ssh/ssh_config.d", "/etc/sysctl.d")
LAYERS = tuple(OPTIONS)


def layer(name: str) -> ModuleType:
    """
    What manages the layer of that name.

    Python compiles what a module imports anew in every run, so a run imports what it needs and no more.
    """
    if name == "sshd":
        from . import _sshd_layer

        return _sshd_layer
    if name == "ssh":
        from . import _ssh_layer

        return _ssh_layer
    from . import _sysctl_layer

    return _sysctl_layer


def run_layer(name: str) -> None:
    """The whole of a module that manages one layer."""
    module = AnsibleModule(argument_spec=OPTIONS[name], supports_check_mode=True)
    try:
        plans = _harden(module, {name: module.params})
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=printable(str(problem)))
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
        module.fail_json(msg=printable(str(problem)))
    for warning in _unsupported(skipped):
        module.warn(warning)
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


def _choose(params: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The options of every layer to manage, and the layers that this host lacks."""
    named = params["layers"]
    if named == []:
        raise HardeningError("layers names no layer; leave it out to manage every layer that the host has")
    chosen, skipped = {}, []
    for name in LAYERS:
        options = params[name]
        if named is not None and name not in named:
            continue
        if options is None:
            if named is not None:
                raise HardeningError(f"layers names {name}, but no options are given for it")
            continue
        if not layer(name).present():
            if named is not None:
                raise HardeningError(f"layers names {name}, but this host has no such layer")
            skipped.append(name)
            continue
        chosen[name] = options
    if not chosen:
        raise HardeningError("this host has none of the layers to manage: no sshd, no ssh, no TCP settings")
    return chosen, skipped


def _unsupported(skipped: list[str]) -> list[str]:
    """What to say where layers are skipped that the host may well have, but that we do not know there."""
    if is_linux() or not skipped:
        return []
    return [f"{', '.join(skipped)}: left alone on {os.uname().sysname}; beyond Linux only ssh can be managed"]


def _intended(module: AnsibleModule) -> dict[str, Any]:
    """What the intent comes to on this host, with the values that win over it; nothing where none is given."""
    params = module.params
    if params["intent"] is None:
        return {}
    from ._intent import parse_intent, plan
    from ._openssh import find, version
    from ._settings import SSH, SSHD, SYSCTL, wanted_values
    from ._timeline import NEWEST

    sshd = find("sshd")
    given: dict[str, dict[str, Any]] = {}
    for name, settings in (("sshd", SSHD), ("ssh", SSH), ("sysctl", SYSCTL)):
        options = params[name]
        # Values for some users or hosts leave everybody else's to the intent.
        if options and not options.get("match") and options.get("host", "*") == "*":
            wanted = wanted_values(settings, options, name)
            given[name] = {setting.option: value for setting, value in wanted.items()}
    return plan(parse_intent(params["intent"]), version(runner(module), sshd) if sshd else NEWEST, given)


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
        plans = [layer(name).plan(options, run) for name, options in chosen.items()]
    else:
        with exclusive_run():
            sweep(_DIRECTORIES)
            plans = [layer(name).plan(options, run) for name, options in chosen.items()]
            for plan in plans:
                if chosen[plan.layer]["backup"]:
                    _request_backups(plan.file_changes)
            if any(plan.changed for plan in plans):
                carry_out(plans)
    for plan in plans:
        for warning in plan.warnings:
            module.warn(printable(warning))
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
            {key: printable(value) for key, value in line.items()} for plan in plans for line in plan.competing
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
        "before": printable(change.before or ""),
        "after": printable(change.after or ""),
    }


def printable(value: Any) -> Any:
    """Text with a replacement for every byte that is not UTF-8, which no result can carry."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if isinstance(value, str) else value
