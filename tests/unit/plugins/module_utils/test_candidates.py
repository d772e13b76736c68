# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the files look like: a second run finds nothing to do, and absent gives every byte back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._placement import (
    Request,
    ssh_candidate,
    sshd_candidate,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import SSH, SSHD
from ansible_collections.keepalive.hardening.plugins.module_utils._ssh_tree import Files, Overlay, Place
from ansible_collections.keepalive.hardening.tests.unit.support import MemoryFiles

Candidate = Callable[[Files, Place, Request], Overlay]

LINES = {
    "sshd_config": [
        "Include /etc/ssh/sshd_config.d/*.conf",
        "include sshd_config.d/*",
        "ClientAliveInterval 300",
        "\tclientaliveinterval=5m # slow",
        'KeepAlive "no"',
        "Match User backup",
        "Match all",
        "# a comment",
        "",
        "UsePAM yes",
    ],
    "ssh_config": [
        "Include /etc/ssh/ssh_config.d/*.conf",
        "ServerAliveInterval 300",
        " serveraliveinterval=5m",
        "Host *",
        "Host slow*",
        "Match host slow",
        "# a comment",
        "",
        "SendEnv LANG",
    ],
}


def texts(main: str, includes: bool = False) -> strategies.SearchStrategy[str]:
    """Files with mixed line endings, with and without a final one."""
    words = [line for line in LINES[main] if includes or not line.lower().startswith("include")]
    line = strategies.tuples(strategies.sampled_from(words), strategies.sampled_from(["\n", "\n", "\r\n"]))
    ending = strategies.sampled_from(["", words[0], "# end", "\r"])
    return strategies.builds(
        lambda lines, tail: "".join(word + end for word, end in lines) + tail,
        strategies.lists(line, max_size=8),
        ending,
    )


@strategies.composite
def cases(draw: strategies.DrawFn) -> tuple[Candidate, Place, dict[str, str], list[Request]]:
    """A tree of files, and requests that one playbook may make of it, one after the other."""
    main, catalogue, candidate, scopes = draw(
        strategies.sampled_from(
            [
                ("sshd_config", SSHD[:3], sshd_candidate, ["", "User backup", "User other"]),
                ("ssh_config", SSH[:3], ssh_candidate, ["", "slow*", "bastion* !bastion9"]),
            ]
        )
    )
    place = Place(f"/etc/ssh/{main}", "/etc/ssh", has_drop_ins=draw(strategies.booleans()))
    names = [f"{main}.d/{name}" for name in ("00-a.conf", "50-cloud-init.conf", "README")]
    files = {place.main: draw(texts(main, includes=True))}
    files |= {f"/etc/ssh/{name}": draw(texts(main)) for name in names if draw(strategies.booleans())}
    requests = []
    for _ in range(draw(strategies.integers(1, 3))):
        scope = draw(strategies.sampled_from(scopes))
        exclusive = not scope and draw(strategies.booleans())
        position = "first" if exclusive or main == "sshd_config" else draw(strategies.sampled_from(["first", "last"]))
        wanted = draw(strategies.dictionaries(strategies.sampled_from(catalogue), strategies.just(60), min_size=1))
        requests.append(Request(dict(wanted), scope, position, exclusive, absent=False))
    return candidate, place, files, requests


def written(files: dict[str, str], overlay: Overlay) -> dict[str, str]:
    """The files after the overlay's texts were written."""
    return {path: text for path, text in {**files, **overlay.texts}.items() if text is not None}


@given(cases())
def test_absent_gives_every_byte_back(case: tuple[Candidate, Place, dict[str, str], list[Request]]) -> None:
    candidate, place, files, requests = case
    now = files
    for request in requests:
        now = written(now, candidate(MemoryFiles(now), place, request))
    everything = Request({}, "", "first", exclusive=False, absent=True)
    assert written(now, candidate(MemoryFiles(now), place, everything)) == files


@given(cases())
def test_a_second_run_of_a_playbook_changes_nothing(
    case: tuple[Candidate, Place, dict[str, str], list[Request]],
) -> None:
    candidate, place, now, requests = case
    # One task for each scope: two that say different things of the same one undo each other.
    tasks = list({request.scope: request for request in requests}.values())
    for request in tasks:
        now = written(now, candidate(MemoryFiles(now), place, request))
    for request in tasks:
        assert written(now, candidate(MemoryFiles(now), place, request)) == now


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_file_that_is_not_there_is_created_and_removed(state: str) -> None:
    place = Place("/home/alice/.ssh/config", "/home/alice/.ssh", "/home/alice")
    request = Request(dict.fromkeys(SSH[:1], 60), "", "first", exclusive=False, absent=False)
    files = written({}, ssh_candidate(MemoryFiles({}), place, request))
    assert "created file, created directory" in files[place.main]
    if state == "absent":
        assert written(files, ssh_candidate(MemoryFiles(files), place, request._replace(absent=True))) == {}
