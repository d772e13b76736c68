# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that list and end SSH sessions: from options to result."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._errors import HardeningError
from ._module import runner
from ._session_ending import NOT, end_sessions
from ._session_reading import read_sessions, sshd_period
from ._sessions import HUNG, UNKNOWN, VERDICTS, Conditions, Session, Verdict, hung_for, judge
from ._values import parse_time

_IDLE_AFTER = "5m"
_CONDITIONS = ("user", "peer", "verdict", "idle_for", "hung_for", "older_than")


def run_session_info() -> None:
    """The whole of the module that lists sessions."""
    module = AnsibleModule(
        argument_spec={"idle_after": {"type": "str", "default": _IDLE_AFTER}}, supports_check_mode=True
    )
    try:
        listed = _judged(module, _seconds(module.params, "idle_after") or 0)
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False, sessions=[_described(*item) for item in listed])


def run_session() -> None:
    """The whole of the module that ends sessions."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent"], "required": True},
            "user": {"type": "list", "elements": "str"},
            "peer": {"type": "list", "elements": "str"},
            "verdict": {"type": "list", "elements": "str", "choices": list(VERDICTS)},
            "idle_for": {"type": "str"},
            "hung_for": {"type": "str"},
            "older_than": {"type": "str"},
            "idle_after": {"type": "str", "default": _IDLE_AFTER},
            "none_is_own": {"type": "bool", "default": False},
        },
        required_one_of=[_CONDITIONS],
        supports_check_mode=True,
    )
    try:
        conditions = _conditions(module.params)
        listed = _judged(module, _seconds(module.params, "idle_after") or 0)
        meant = [(session, verdict) for session, verdict in listed if conditions.select(session, verdict)]
        chosen = [(session, verdict) for session, verdict in meant if not session.own]
        if chosen and not module.params["none_is_own"] and not any(session.own for session, _verdict in listed):
            raise HardeningError(
                "which of the sessions is Ansible's own cannot be told, so none is ended; where Ansible has come by "
                "other ways than ssh, as with a local connection, set none_is_own: true"
            )
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    how: dict[int, str] = {}
    trouble = ""
    try:
        if not module.check_mode:
            end_sessions([session for session, _verdict in chosen], how)
    except (HardeningError, OSError) as problem:
        trouble = str(problem)
    stuck = ", ".join(str(pid) for pid, ended in how.items() if ended == NOT)
    if stuck:
        trouble = f"cannot be killed: process {stuck}; they wait for the kernel, as for a dead disk"
    result = {
        "changed": bool(chosen),
        "sessions": [
            {**_described(session, verdict), "ended": how.get(session.process.pid, NOT if trouble else "")}
            for session, verdict in chosen
        ],
        "spared": [_described(session, verdict) for session, verdict in meant if session.own],
    }
    if trouble:
        module.fail_json(msg=trouble, **result)
    module.exit_json(**result)


def _judged(module: AnsibleModule, idle_after: float) -> list[tuple[Session, Verdict]]:
    period = sshd_period(runner(module))
    return [(session, judge(session, period, idle_after)) for session in read_sessions()]


def _conditions(params: dict[str, Any]) -> Conditions:
    """The conditions that are given. Raises HardeningError for one that is empty, which might select everything."""
    for name in ("user", "peer", "verdict"):
        given = params[name]
        if given is not None and (not given or "" in given):
            raise HardeningError(f"{name} is given and empty; leave it out if it is no condition")
    for peer in params["peer"] or ():
        try:
            ipaddress.ip_network(peer, strict=False)
        except ValueError as problem:
            raise HardeningError(f"peer: {problem}") from problem
    if HUNG in (params["verdict"] or ()) and params["hung_for"] is None:
        raise HardeningError(
            "verdict: hung is said as soon as nothing got through for a second and a half, which may pass; name in "
            "hung_for how long it has to last"
        )
    if UNKNOWN in (params["verdict"] or ()) and params["idle_for"] is None and params["older_than"] is None:
        raise HardeningError(
            "verdict: unknown is said of whoever has been silent for some seconds where sshd does not probe; name in "
            "idle_for or older_than for how long"
        )
    return Conditions(
        params["user"] or (),
        params["peer"] or (),
        params["verdict"] or (),
        **{name: _least(params, name) for name in ("idle_for", "hung_for", "older_than")},
    )


def _least(params: dict[str, Any], name: str) -> int | None:
    """A time that a condition asks for. Raises HardeningError for 0, which every session reaches."""
    seconds = _seconds(params, name)
    if seconds == 0:
        raise HardeningError(f"{name}: 0 selects every session; name at least 1 s")
    return seconds


def _seconds(params: dict[str, Any], name: str) -> int | None:
    if params[name] is None:
        return None
    try:
        return parse_time(params[name])
    except ValueError as problem:
        raise HardeningError(f"{name}: {problem}") from problem


def _described(session: Session, verdict: Verdict) -> dict[str, Any]:
    """A session as the modules return it."""
    sock = session.socket
    hung = hung_for(session)
    return {
        "user": session.user,
        "peer": sock.peer[0],
        "peer_port": sock.peer[1],
        "local": sock.local[0],
        "local_port": sock.local[1],
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - session.age)),
        "age": int(session.age),
        "kind": session.kind,
        "terminals": list(session.terminals),
        "channels": session.channels,
        "multiplexed": session.channels > 1,
        "pid": session.process.pid,
        "monitor_pid": session.monitor.pid,
        "idle_for": None if session.idle_for is None else int(session.idle_for),
        "hung_for": None if hung is None else int(hung),
        "tcp": {
            "last_received": sock.last_received,
            "last_acknowledged": sock.last_acked,
            "last_sent": sock.last_sent,
            "unacknowledged": sock.unacked,
            "retransmissions": sock.retransmits,
            "timer": sock.timer_name,
        },
        "own": session.own,
        "verdict": verdict.word,
        "reason": verdict.reason,
    }
