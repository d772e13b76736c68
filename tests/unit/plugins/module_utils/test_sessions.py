# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From processes and sockets to sessions and verdicts. molecule/sessions does the same with real ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._processes import Process
from ansible_collections.keepalive.hardening.plugins.module_utils._sessions import (
    ACTIVE,
    HUNG,
    IDLE,
    UNKNOWN,
    VERDICTS,
    Conditions,
    Session,
    Verdict,
    hung_for,
    judge,
    sessions,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._tcp_sockets import (
    CLOSE_WAIT,
    ESTABLISHED,
    RETRANSMISSION,
    TcpSocket,
)

NOW = 1000.0
KEEPALIVE_TIMER = 2
LISTENER = Process(1, 0, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", 0, 1.0)
MONITOR = Process(10, 1, "sshd", "sshd: alice [priv]", 0, 900.0)
OWN = Process(11, 10, "sshd", "sshd: alice@pts/0", 1000, 901.0)
SHELL = Process(12, 11, "bash", "-bash", 1000, 902.0)
CONNECTION = 77


def connection(inode: int = CONNECTION, state: int = ESTABLISHED, **fields: Any) -> TcpSocket:
    silent: dict[str, Any] = {"last_sent": 0.5, "last_received": 0.5, "last_acked": 0.5}
    quiet: dict[str, Any] = {"timer": KEEPALIVE_TIMER, "retransmits": 0, "unacked": 0}
    return TcpSocket(inode, state, ("192.0.2.2", 22), ("198.51.100.1", 50000), **{**quiet, **silent, **fields})


def session(idle_for: float | None = 5.0, **fields: Any) -> Session:
    kind, terminals = ("command", ()) if idle_for is None else ("terminal", ("pts/0",))
    return Session("alice", connection(**fields), OWN, MONITOR, kind, terminals, 1, 100.0, idle_for)


def listed(
    *processes: Process,
    held: Mapping[int, Collection[int]] | None = None,
    connections: tuple[TcpSocket, ...] = (connection(),),
    terminals: dict[str, float] | None = None,
) -> list[Session]:
    both = {MONITOR.pid: {CONNECTION}, OWN.pid: {CONNECTION}}
    return list(sessions(processes, held or both, connections, terminals or {}, NOW))


def titled(title: str, *started: Process, program: str = "sshd") -> list[Session]:
    """What is listed where a session's process has that title."""
    own = OWN._replace(title=title, program=program)
    return listed(LISTENER, MONITOR._replace(program=program), own, *started)


@pytest.mark.parametrize(
    ("title", "user", "kind", "terminals"),
    [
        ("sshd: alice@pts/0", "alice", "terminal", ("pts/0",)),
        ("sshd: alice@pts/0,pts/12", "alice", "terminal", ("pts/0", "pts/12")),
        ("sshd: alice@notty", "alice", "command", ()),
        ("sshd: alice", "alice", "tunnel", ()),
        ("sshd: alice.b-c_d$@notty", "alice.b-c_d$", "command", ()),
        ("sshd: DOM\\alice@pts/0", "DOM\\alice", "terminal", ("pts/0",)),
        ("sshd: DOM\\alice smith@pts/0", "DOM\\alice smith", "terminal", ("pts/0",)),
        ("sshd: alice@example.org@pts/0", "alice@example.org", "terminal", ("pts/0",)),
        ("sshd: alice@example.org@notty", "alice@example.org", "command", ()),
    ],
)
@pytest.mark.parametrize("program", ["sshd", "sshd-session", "sshd.pam", "sshd-session.pam"])
def test_a_title_tells_user_kind_and_terminals(
    program: str, title: str, user: str, kind: str, terminals: tuple[str, ...]
) -> None:
    (found,) = titled(title.replace("sshd:", f"{program}:"), SHELL, program=program)
    assert (found.user, found.kind, found.terminals) == (user, kind, terminals)


@pytest.mark.parametrize(
    "title",
    [
        "sshd: alice [priv]",
        "sshd: alice [net]",
        "sshd: unknown [net]",
        "sshd: [accepted]",
        "sshd: [net]",
        "sshd: alice [preauth]",
        "sshd-session: alice [postauth]",
        "sshd-session: alice [preauth]",
        "sshd: /usr/sbin/sshd -D [listener] 1 of 10-100 startups",
        "/usr/sbin/sshd -D -R",
        "-bash",
        "",
    ],
)
def test_what_is_no_session_by_its_title_is_not_listed(title: str) -> None:
    assert titled(title) == []


def test_a_program_of_another_name_is_not_listed() -> None:
    assert titled("sshd: alice@pts/0", program="bash") == []


@pytest.mark.parametrize(
    "started",
    [
        Process(12, 11, "sftp-server", "/usr/lib/openssh/sftp-server", 1000, 902.0),
        Process(12, 11, "sh", "sh -c /usr/lib/openssh/sftp-server", 1000, 902.0),
        # session.c, do_child(): a copy of the session's process.
        Process(12, 11, "sshd", "sshd: alice@internal-sftp", 1000, 902.0),
    ],
)
def test_a_subsystem_for_files_is_sftp(started: Process) -> None:
    (found,) = titled("sshd: alice@notty", started)
    assert found.kind == "sftp"


def test_a_session_is_described_by_its_processes() -> None:
    (found,) = listed(LISTENER, MONITOR, OWN, SHELL, SHELL._replace(pid=13), terminals={"pts/0": 4.0, "pts/1": 1.0})
    assert found == Session("alice", connection(), OWN, MONITOR, "terminal", ("pts/0",), 2, 99.0, None)._replace(
        idle_for=found.idle_for
    )


def test_the_terminal_that_was_used_last_tells_how_long_a_session_is_idle() -> None:
    own = OWN._replace(title="sshd: alice@pts/0,pts/1")
    shells = (SHELL, SHELL._replace(pid=13))
    (found,) = listed(LISTENER, MONITOR, own, *shells, terminals={"pts/0": 400.0, "pts/1": 30.0, "pts/2": 1.0})
    assert found.idle_for == 30.0


def test_what_runs_without_a_terminal_beside_one_makes_it_unknown_what_is_idle() -> None:
    """A copy that runs in a shared connection ends with it, however long its terminal was not used."""
    copying = Process(13, 11, "rsync", "rsync --server", 1000, 902.0)
    (found,) = listed(LISTENER, MONITOR, OWN, SHELL, copying, terminals={"pts/0": 4000.0})
    assert found.idle_for is None


def test_a_terminal_that_is_gone_is_not_idle() -> None:
    (found,) = listed(LISTENER, MONITOR, OWN)
    assert found.idle_for is None


def test_roots_own_session_has_no_monitor() -> None:
    own = Process(10, 1, "sshd", "sshd: root@pts/0", 0, 900.0)
    (found,) = listed(LISTENER, own, held={own.pid: {CONNECTION}})
    assert found.process == found.monitor == own


def test_the_listener_is_not_the_monitor_of_roots_own_session() -> None:
    own = Process(10, LISTENER.pid, "sshd", "sshd: root@pts/0", 0, 900.0)
    (found,) = listed(LISTENER, own, held={own.pid: {CONNECTION}, LISTENER.pid: {5}})
    assert found.monitor == own


@pytest.mark.parametrize("monitor", [MONITOR._replace(uid=1000), SHELL._replace(pid=MONITOR.pid)])
def test_what_root_does_not_watch_over_is_not_listed(monitor: Process) -> None:
    assert listed(LISTENER, monitor, OWN) == []


def test_a_process_with_a_connection_of_its_own_is_not_listed() -> None:
    fake = Process(20, OWN.pid, "sshd", "sshd: root@pts/0", 1000, 950.0)
    held = {MONITOR.pid: {CONNECTION}, OWN.pid: {CONNECTION}, fake.pid: {78}}
    found = listed(LISTENER, MONITOR, OWN, fake, held=held, connections=(connection(), connection(78)))
    assert [one.process for one in found] == [OWN]


def test_a_session_whose_connection_is_gone_is_not_listed() -> None:
    assert listed(LISTENER, MONITOR, OWN, connections=()) == []


def test_a_tunnel_is_listed_while_connections_pass_through_it() -> None:
    own = OWN._replace(title="sshd: alice")
    held = {MONITOR.pid: {CONNECTION}, OWN.pid: {CONNECTION, 78, 79}}
    passing = (connection(78), connection(79))
    (found,) = listed(LISTENER, MONITOR, own, held=held, connections=(*passing, connection()))
    assert found.socket.inode == CONNECTION


def test_work_that_passes_through_an_unused_terminals_tunnel_makes_it_unknown_what_is_idle() -> None:
    held = {MONITOR.pid: {CONNECTION}, OWN.pid: {CONNECTION, 78}}
    (found,) = listed(
        LISTENER, MONITOR, OWN, SHELL, held=held, connections=(connection(), connection(78)), terminals={"pts/0": 90.0}
    )
    assert found.idle_for is None


def test_what_stays_of_a_tunnel_that_is_not_used_any_more_does_not_keep_a_terminal_from_being_idle() -> None:
    held = {MONITOR.pid: {CONNECTION}, OWN.pid: {CONNECTION, 78}}
    left = connection(78, state=CLOSE_WAIT)
    (found,) = listed(
        LISTENER, MONITOR, OWN, SHELL, held=held, connections=(connection(), left), terminals={"pts/0": 90.0}
    )
    assert found.idle_for == 90.0


def test_without_a_monitor_the_lowest_descriptor_is_the_sessions_own() -> None:
    """As for root before 9.8; the kernel's numbers of sockets are in no order."""
    own = OWN._replace(parent=LISTENER.pid, uid=0, title="sshd: root")
    (found,) = listed(LISTENER, own, held={own.pid: [CONNECTION, 5]}, connections=(connection(5), connection()))
    assert found.socket.inode == CONNECTION


def test_nobody_is_idle_for_longer_than_the_session_lasts() -> None:
    """The clock was set forward by an hour."""
    (found,) = listed(LISTENER, MONITOR, OWN, SHELL, terminals={"pts/0": 3600.0})
    assert found.idle_for == found.age


def test_the_oldest_comes_first() -> None:
    younger = [MONITOR._replace(pid=20, started=950.0), OWN._replace(pid=21, parent=20, started=951.0)]
    held = {MONITOR.pid: {CONNECTION}, OWN.pid: {CONNECTION}, 20: {78}, 21: {78}}
    found = listed(*younger, LISTENER, MONITOR, OWN, held=held, connections=(connection(), connection(78)))
    assert [one.process.pid for one in found] == [11, 21]


def in_flight(**fields: Any) -> dict[str, Any]:
    return {"timer": RETRANSMISSION, "retransmits": 3, "unacked": 1, "last_received": 9.0, "last_acked": 9.0, **fields}


@pytest.mark.parametrize(
    ("judged", "period", "word"),
    [
        (session(**in_flight()), 3, HUNG),
        (session(None, **in_flight()), None, HUNG),
        (session(0.0, **in_flight()), 3, HUNG),
        (session(400.0, **in_flight(retransmits=2, last_acked=1.0)), 3, IDLE),
        (session(400.0, **in_flight(timer=KEEPALIVE_TIMER)), 30, IDLE),
        (session(400.0, **in_flight(unacked=0)), 30, IDLE),
        (session(0.0, state=CLOSE_WAIT, last_acked=4.0), 3, HUNG),
        (session(299.9), 3, ACTIVE),
        (session(300.0), 3, IDLE),
        (session(None), 3, ACTIVE),
        (session(None), None, ACTIVE),
        # An answer is due every 3 s and may be 3 s late.
        (session(400.0, last_received=6.0, last_acked=6.0), 3, IDLE),
        (session(400.0, last_received=6.1, last_acked=6.1), 3, UNKNOWN),
        (session(None, last_received=6.1, last_acked=6.1), 3, UNKNOWN),
        (session(400.0, last_received=60.0, last_acked=2.0), 3, IDLE),
        (session(400.0, last_received=2.0, last_acked=60.0), 3, IDLE),
        (session(400.0, last_received=3.1, last_acked=3.1), None, UNKNOWN),
        (session(None, last_received=3.1, last_acked=3.1), None, UNKNOWN),
        # Its terminal was used, and nobody can tell whether its client is still there.
        (session(3.1, last_received=3.1, last_acked=3.1), None, UNKNOWN),
        (session(6.0, last_received=6.0, last_acked=6.0), 3, ACTIVE),
    ],
)
def test_what_a_session_is(judged: Session, period: int | None, word: str) -> None:
    verdict = judge(judged, period, 300)
    assert verdict.word == word
    assert verdict.reason


def test_a_reason_says_whether_sshd_probes() -> None:
    silent = session(400.0, last_received=60.0, last_acked=60.0)
    assert judge(silent, 3, 300).reason == "its client was last heard 60 s ago, though sshd is set to probe after 3 s"
    assert judge(silent, None, 300).reason == "its client was last heard 60 s ago, and sshd is not known to probe"


AGES = strategies.floats(0, 1e6)
SESSIONS = strategies.builds(
    session,
    strategies.none() | AGES,
    state=strategies.sampled_from([ESTABLISHED, CLOSE_WAIT]),
    timer=strategies.integers(0, 4),
    retransmits=strategies.integers(0, 16),
    unacked=strategies.integers(0, 3),
    last_received=AGES,
    last_acked=AGES,
)
TIMES = strategies.none() | AGES
CONDITIONS: dict[str, strategies.SearchStrategy[Any]] = {
    "users": strategies.sampled_from([(), ("alice",), ("bob",), ("alice", "bob")]),
    "peers": strategies.sampled_from([(), ("198.51.100.0/24",), ("2001:db8::/32",), ("198.51.100.1",)]),
    "verdicts": strategies.lists(strategies.sampled_from(VERDICTS), unique=True),
    "idle_for": TIMES,
    "hung_for": TIMES,
    "older_than": TIMES,
}


@given(SESSIONS, strategies.none() | strategies.integers(1, 600), AGES)
def test_what_is_hung_has_sent_something_or_is_closed(judged: Session, period: int | None, idle_after: float) -> None:
    word = judge(judged, period, idle_after).word
    assert (word == HUNG) == (hung_for(judged) is not None)
    if word == HUNG:
        assert judged.socket.unacked or judged.socket.state == CLOSE_WAIT
    if word == IDLE:
        assert judged.idle_for is not None


@given(
    SESSIONS,
    strategies.sampled_from(VERDICTS),
    strategies.fixed_dictionaries(CONDITIONS),
    strategies.sampled_from(sorted(CONDITIONS)),
)
def test_a_condition_more_never_selects_more(
    one: Session, word: str, conditions: dict[str, Any], left_out: str
) -> None:
    verdict = Verdict(word, "")
    fewer = Conditions(**{name: value for name, value in conditions.items() if name != left_out})
    if Conditions(**conditions).select(one, verdict):
        assert fewer.select(one, verdict)


@given(SESSIONS, AGES, AGES)
def test_a_longer_time_never_selects_more(one: Session, time: float, more: float) -> None:
    verdict = Verdict(UNKNOWN, "")
    for name in ("idle_for", "hung_for", "older_than"):
        shorter: dict[str, Any] = {name: time}
        longer: dict[str, Any] = {name: time + more}
        if Conditions(**longer).select(one, verdict):
            assert Conditions(**shorter).select(one, verdict)


@pytest.mark.parametrize("condition", [Conditions(idle_for=0), Conditions(hung_for=0)])
def test_what_is_not_known_meets_nothing(condition: Conditions) -> None:
    assert not condition.select(session(None), Verdict(ACTIVE, ""))


@pytest.mark.parametrize(
    ("condition", "selected"),
    [
        (Conditions(idle_for=5), True),
        (Conditions(idle_for=5.1), False),
        (Conditions(older_than=100), True),
        (Conditions(older_than=100.1), False),
        (Conditions(users=["alice", "bob"]), True),
        (Conditions(users=["alic"]), False),
        (Conditions(peers=["198.51.100.0/24"]), True),
        (Conditions(peers=["198.51.100.1"]), True),
        (Conditions(peers=["198.51.101.0/24", "::/0"]), False),
        (Conditions(verdicts=[ACTIVE, HUNG]), True),
        (Conditions(verdicts=[IDLE]), False),
        (Conditions(users=["alice"], verdicts=[IDLE]), False),
    ],
)
def test_whom_a_condition_selects(condition: Conditions, selected: bool) -> None:
    assert condition.select(session(), Verdict(ACTIVE, "")) == selected


def test_an_ipv4_client_of_an_ipv6_socket_is_in_its_ipv4_network() -> None:
    one = session()._replace(socket=connection()._replace(peer=("198.51.100.1", 50000)))
    assert Conditions(peers=["198.51.100.0/24"]).select(one, Verdict(ACTIVE, ""))


def test_a_moment_of_loss_after_a_long_silence_is_not_a_long_hang() -> None:
    """Nobody asked the client anything for an hour. Then one line was sent and lost three times, for 1.4 s."""
    one = session(None, **in_flight(retransmits=3, last_acked=3600.0, last_received=3600.0, last_sent=0.1))
    assert not Conditions(hung_for=120).select(one, Verdict(HUNG, ""))
