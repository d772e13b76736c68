# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of every kind side by side: what is said of each, and that those that are meant end, and no other."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.keepalive.hardening.molecule.sessions.tests.story import HELD, SHARING, Story, tell

testinfra_hosts = ["ansible://session_servers"]

HUNG = {name for name, held in HELD.items() if name.startswith("cut-")}
UNKNOWN = {"silent", "silent-command", "silent-cut"}
ACTIVE = {
    *("typing", "output", "command", "sftp", "internal-sftp", "tunnel", "used-tunnel", "masquerade"),
    *("root-tunnel", "bob-typing", "carol-cut", "dave-stopped", "dave-left"),
}
# Nobody can tell what is idle of what runs without a terminal beside one.
WORKING = {"working"}
IDLE = {"idle", "shared", "other-port", "ipv6", "root", "visitor", "bob-idle", "carol-idle", "dave-stubborn"}
LISTED = HUNG | UNKNOWN | ACTIVE | WORKING | IDLE
KINDS = {
    **{name: "terminal" if held.terminal else "command" for name, held in HELD.items()},
    **{name: "sftp" for name, held in HELD.items() if held.answers == "sftp"},
    **{name: "tunnel" for name, held in HELD.items() if held.answers == "tunnel"},
}


@pytest.fixture(scope="session")
def story(request: pytest.FixtureRequest) -> Story:
    return tell(str(request.config.getoption("ansible_inventory")), str(request.config.getoption("ssh_config")))


@pytest.fixture
def server(host) -> str:
    return str(host.backend.host)


def alive_after(story, step, server):
    return story.steps[step].alive[server]


def ended_in(story, step, server):
    """The names of those that a step ended."""
    return story.names(story.steps[step].answers, server)


def test_the_tests_say_what_is_expected_of_every_session():
    assert HELD.keys() - {"own-sshd"} == LISTED


@pytest.mark.parametrize("name", sorted(LISTED))
def test_a_session_is_listed_once_and_its_kind_is_told(story, server, name):
    assert [session["kind"] for session in story.sessions(story.before, server, name)] == [KINDS[name]]


def test_nothing_is_listed_that_is_none_of_the_hosts_sessions(story, server):
    """Neither a user's process that looks like a session nor the sessions of a user's own sshd."""
    others = {name for name in story.names(story.before, server) if not name.startswith("admin:")}
    assert others <= LISTED
    assert story.connections[server]["own-sshd"]


@pytest.mark.parametrize("name", sorted(LISTED - {"used-tunnel"}))
def test_a_session_is_told_whose_it_is_and_since_when(host, story, server, name):
    session, held = story.session(story.before, server, name), HELD[name]
    assert session["user"] == held.user
    assert session["local_port"] == held.port
    assert (":" in session["peer"]) == held.ipv6
    started = datetime.fromisoformat(session["started"].replace("Z", "+00:00"))
    # It was opened before the tests could tell how it ended.
    assert 0 < (datetime.now(timezone.utc) - started).total_seconds() < 300
    assert not session["own"]


@pytest.mark.parametrize("name", sorted(LISTED - {"used-tunnel"}))
def test_roots_process_watches_over_the_users_and_before_9_8_none_over_roots_own(story, server, name):
    session = story.session(story.before, server, name)
    alone = HELD[name].user == "root" and story.versions[server] < (9, 8)
    assert (session["pid"] == session["monitor_pid"]) == alone


@pytest.mark.parametrize("name", sorted(LISTED - {"used-tunnel"}))
def test_it_has_the_terminals_that_were_asked_for(story, server, name):
    session = story.session(story.before, server, name)
    assert len(session["terminals"]) == (2 if name == "shared" else HELD[name].terminal)
    assert all(terminal.startswith("pts/") for terminal in session["terminals"])
    assert session["multiplexed"] == (name in ("shared", "working"))
    assert session["channels"] == (0 if KINDS[name] == "tunnel" else 1 + session["multiplexed"])


@pytest.mark.parametrize("name", sorted(ACTIVE))
def test_what_is_used_or_answers_without_a_terminal_is_active(story, server, name):
    assert story.session(story.before, server, name)["verdict"] == "active"


@pytest.mark.parametrize("name", sorted(IDLE | {"cut-idle"}))
def test_what_answers_and_is_not_used_is_idle(story, server, name):
    assert story.session(story.before, server, name)["verdict"] == "idle"


def test_what_works_beside_an_idle_terminal_is_not_idle(story, server):
    assert story.session(story.before, server, "working")["verdict"] == "active"


@pytest.mark.parametrize("name", sorted(UNKNOWN))
def test_what_is_silent_where_sshd_does_not_probe_is_unknown_cut_or_not(story, server, name):
    for answers in (story.before, story.after):
        session = story.session(answers, server, name)
        assert session["verdict"] == "unknown"
        assert "its client was last heard" in session["reason"]


@pytest.mark.parametrize("name", sorted(HUNG))
def test_what_is_cut_off_is_hung_within_two_of_sshds_periods(story, server, name):
    assert name in story.hung_after[server]
    assert story.hung_after[server][name] <= 2 * story.periods[server]


def test_nothing_else_is_hung(story, server):
    assert story.hung_after[server].keys() == HUNG


@pytest.mark.parametrize("name", sorted(HUNG))
def test_it_is_told_for_how_long_nothing_was_acknowledged(story, server, name):
    session = story.session(story.after, server, name)
    assert session["hung_for"] > 0
    assert session["tcp"]["unacknowledged"] > 0
    assert session["tcp"]["timer"] == "retransmission"
    assert f"{session['tcp']['retransmissions']} times again" in session["reason"]


@pytest.mark.parametrize("name", sorted(LISTED - HUNG - {"used-tunnel", "carol-cut"}))
def test_what_is_not_cut_off_keeps_its_verdict(story, server, name):
    before, after = (story.session(answers, server, name) for answers in (story.before, story.after))
    assert after["verdict"] == before["verdict"]
    assert after["hung_for"] is None


@pytest.mark.parametrize(
    ("conditions", "selected"),
    [
        ("hung", HUNG),
        ("hung for long", set()),
        ("hung and another's", set()),
        ("unknown", UNKNOWN),
        ("idle", {"bob-idle", "carol-idle"}),
        ("old", set()),
        ("elsewhere", set()),
        ("from there", {"bob-idle", "bob-typing"}),
        ("a stranger's", set()),
    ],
)
def test_only_what_meets_every_condition_is_selected(story, server, conditions, selected):
    answer = story.selected[conditions]
    assert story.names(answer, server) == selected
    assert answer[server]["changed"] == bool(selected)


def test_what_works_beside_an_idle_terminal_is_not_selected_as_idle(story, server):
    assert "working" not in story.names(story.selected["idle where work goes on"], server)


def test_check_mode_ends_nothing(story, server):
    assert story.selected["hung"][server]["changed"]
    assert {session["ended"] for session in story.selected["hung"][server]["sessions"]} == {""}
    assert ended_in(story, "hung", server) == HUNG


def test_the_hung_end_and_no_other(story, server):
    assert ended_in(story, "hung", server) == HUNG
    assert {session["ended"] for session in story.steps["hung"].answers[server]["sessions"]} == {"politely"}
    assert not HUNG & story.names(story.ended, server)
    lasting = {name for name, held in {**HELD, **SHARING}.items() if not held.cut}
    assert alive_after(story, "hung", server) == lasting - {"bob-idle"}


def test_what_its_client_has_left_is_hung_while_sshd_does_not_end_it(story, server):
    session = story.session(story.left, server, "dave-left")
    assert (session["verdict"], session["reason"][:21]) == ("hung", "its client has closed")
    assert story.session(story.left, server, "dave-stopped")["verdict"] != "hung"


def test_the_idle_terminal_ends_and_not_the_one_that_is_typed_in(story, server):
    assert ended_in(story, "idle", server) == {"bob-idle"}
    assert "bob-typing" in alive_after(story, "idle", server)
    assert "bob-idle" not in alive_after(story, "idle", server)


@pytest.mark.parametrize(
    ("step", "ended"),
    [
        ("stubborn", {"dave-stubborn": "politely", "dave-stopped": "firmly", "dave-left": "firmly"}),
        ("root", {"root": "politely", "root-tunnel": "politely"}),
        ("own", {"visitor": "politely"}),
        ("network", {"ipv6": "politely"}),
    ],
)
def test_how_each_session_ended_is_told(story, server, step, ended):
    answer = story.steps[step].answers
    # The tests' own connection may be among Ansible's user's.
    told = {name for name in ended_in(story, step, server) if ":" not in name}
    assert {name: story.session(answer, server, name)["ended"] for name in told} == ended
    assert not ended.keys() & alive_after(story, step, server)


def test_ansibles_own_connection_is_spared_and_outlives_it(story, server):
    (spared,) = story.steps["own"].answers[server]["spared"]
    assert spared["own"]
    assert spared["user"] == "admin"
    # The last listing came through it.
    (own,) = [session for session in story.steps["reaped"].answers[server]["sessions"] if session["own"]]
    assert (own["pid"], own["peer_port"]) == (spared["pid"], spared["peer_port"])


@pytest.mark.parametrize("step", ["idle", "hung", "stubborn", "root", "network"])
def test_nothing_is_spared_that_is_not_ansibles_own(story, server, step):
    assert story.steps[step].answers[server]["spared"] == []


def test_the_playbook_reaps_what_hangs_and_no_other(story, server):
    first, second = story.reaped
    assert first.returncode == second.returncode == 0, first.stdout + first.stderr
    assert f"changed: [{server}]" in first.stdout
    assert f"ok: [{server}]" in second.stdout
    assert "changed=1" not in second.stdout
    listed = story.names(story.steps["reaped"].answers, server)
    assert "carol-cut" not in listed
    assert "carol-idle" in listed


def test_what_nobody_meant_is_alive_to_the_end(story, server):
    meant = {"bob-idle", "dave-stubborn", "dave-stopped", "dave-left", "root", "root-tunnel", "visitor", "ipv6"}
    lasting = {name for name, held in {**HELD, **SHARING}.items() if not held.cut}
    assert alive_after(story, "reaped", server) == lasting - meant


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("nothing", "one of the following is required"),
        ("no user", "user is given and empty"),
        ("an empty user", "user is given and empty"),
        ("an empty network", "peer is given and empty"),
        ("no verdict", "verdict is given and empty"),
        ("an empty time", "hung_for: "),
        ("a network that is none", "peer: '10.0.0.0/33'"),
        ("a time that is none", "older_than: 'soon' is not a time"),
        ("no time at all", "older_than: 0 selects every session"),
        ("hung for a moment", "name in hung_for how long"),
        ("silent for a moment", "name in idle_for or older_than"),
        ("not root", "run with become: true"),
    ],
)
def test_conditions_that_are_none_are_an_error(story, server, wrong, why):
    answer = story.refused[wrong][server]
    assert why in answer["msg"]
    assert not answer["changed"]
    assert "sessions" not in answer
