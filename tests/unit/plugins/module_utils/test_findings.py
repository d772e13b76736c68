# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found wrong with a host, and with the nearest host that is well nothing is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._facts import (
    AnsibleConnection,
    Chroot,
    Facts,
    Failure,
    KernelSettings,
    Line,
    OpenSSH,
    Origin,
    Server,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._findings import (
    ERROR,
    INFO,
    SEVERITIES,
    WARNING,
    Finding,
    findings,
)
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel, Value

MAIN = "/etc/ssh/sshd_config"
INTERVAL_LINE, COUNT_LINE = Origin(MAIN, 1), Origin(MAIN, 2)
STOCK, HARDENED = Kernel(), Kernel(120, 30, 5)
SYSCTL_LINE = Origin("/etc/sysctl.d/50-x.conf", 1)


def openssh(
    word: str,
    interval: int = 30,
    count: int = 6,
    version: tuple[int, int] = (10, 0),
    tcp_keepalive: bool = True,
    lines: Sequence[Line] = (),
) -> OpenSSH:
    interval_option, count_option = f"{word}_interval", f"{word}_count_max"
    effective: dict[str, Value] = {interval_option: interval, count_option: count, "tcp_keepalive": tcp_keepalive}
    return OpenSSH(version, effective, {interval_option: INTERVAL_LINE, count_option: COUNT_LINE}, [*lines])


def client(
    interval: int = 30,
    count: int = 6,
    version: tuple[int, int] = (10, 0),
    tcp_keepalive: bool = True,
    lines: Sequence[Line] = (),
) -> OpenSSH:
    return openssh("server_alive", interval, count, version, tcp_keepalive, lines)


def server(
    interval: int = 30,
    count: int = 6,
    version: tuple[int, int] = (10, 0),
    tcp_keepalive: bool = True,
    lines: Sequence[Line] = (),
    rekey_seconds: int = 0,
    unread: Sequence[str] = (),
    chroots: Sequence[Chroot] = (),
) -> Server:
    settings = openssh("client_alive", interval, count, version, tcp_keepalive, lines)
    return Server(settings, rekey_seconds, [*unread], [*chroots])


def boot(values: Kernel = STOCK, lines: Sequence[Line] = ()) -> KernelSettings:
    """What the next boot sets; what the kernel does not start with by itself stands in a file."""
    options = values._asdict()
    from_file = [option for option, value in options.items() if value != getattr(STOCK, option)]
    return KernelSettings(options, dict.fromkeys(from_file, SYSCTL_LINE), [*lines])


def line(option: str, text: str, value: Value | None, scope: str = "", beaten_by: Origin | None = None) -> Line:
    return Line(Origin(MAIN, 7), option, text, value, scope, not beaten_by, beaten_by)


def ids(facts: Facts) -> list[str]:
    return [finding.id for finding in findings(facts)]


def found(identifier: str, facts: Facts) -> Finding:
    """The one finding with that id."""
    (finding,) = (finding for finding in findings(facts) if finding.id == identifier)
    return finding


# --- a well-hardened host


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ((8, 4), []),
        ((9, 2), ["doubled-interval", "output-silences-probes"]),
        ((10, 0), ["output-silences-probes"]),
    ],
)
def test_this_collections_own_defaults_leave_nothing_but_what_is_good_to_know(
    version: tuple[int, int], known: list[str]
) -> None:
    facts = Facts(
        server=server(version=version),
        clients={"": client(version=version), "alice": client(version=version)},
        kernel=boot(HARDENED),
        live=HARDENED,
        ansible=[AnsibleConnection("web1", 30)],
        path_idle_timeout=240,
    )
    assert ids(facts) == known
    assert {finding.severity for finding in findings(facts)} <= {INFO}


def test_a_host_of_which_nothing_is_known_has_nothing_wrong() -> None:
    assert findings(Facts()) == []


def test_where_the_kernels_files_were_not_asked_for_its_values_count_and_are_not_judged() -> None:
    facts = Facts(clients={"": client(0)}, live=HARDENED)
    assert "after up to 270 s" in found("client-never-probes", facts).what
    assert ids(facts) == ["client-never-probes"]


# --- either end


def test_an_end_that_never_probes_hangs_until_tcp_gives_up() -> None:
    finding = found("server-never-probes", Facts(server=server(0)))
    assert (finding.severity, finding.layer, finding.origin) == (ERROR, "sshd", INTERVAL_LINE)
    assert "server's end" in finding.what
    assert "until TCP gives up after up to 7875 s" in finding.what
    assert "client_alive_interval" in finding.do

    finding = found("client-never-probes", Facts(clients={"": client(0)}))
    assert (finding.severity, finding.layer, finding.origin) == (ERROR, "ssh", INTERVAL_LINE)
    assert "client's end" in finding.what
    assert "until TCP gives up after up to 7875 s" in finding.what
    assert "server_alive_interval" in finding.do


def test_how_long_a_silent_end_hangs_is_the_kernels_to_say() -> None:
    assert "up to 270 s" in found("server-never-probes", Facts(server=server(0), live=HARDENED)).what
    assert "for ever" in found("server-never-probes", Facts(server=server(0, tcp_keepalive=False))).what


def test_an_end_that_probes_once_a_second_does_probe() -> None:
    assert "server-never-probes" not in ids(Facts(server=server(1)))
    assert "client-never-probes" not in ids(Facts(clients={"": client(1)}))


@pytest.mark.parametrize(
    ("facts", "layer"),
    [
        (Facts(clients={"": client(30, 0)}), "ssh"),
        (Facts(server=server(30, 0, (8, 1))), "sshd"),
    ],
    ids=["client", "server before 8.2"],
)
def test_a_count_of_zero_ends_healthy_sessions_of_clients_and_of_old_servers(facts: Facts, layer: str) -> None:
    finding = found("count-zero", facts)
    assert (finding.severity, finding.layer, finding.origin) == (ERROR, layer, COUNT_LINE)
    assert "healthy session is ended as soon as it was silent for 30 s" in finding.what


def test_a_count_of_zero_never_ends_a_session_of_a_server_since_8_2() -> None:
    finding = found("count-zero", Facts(server=server(30, 0, (8, 2))))
    assert (finding.severity, finding.layer, finding.origin) == (WARNING, "sshd", COUNT_LINE)
    # 30 s to the probe, which TCP retries for 1047.6 s.
    assert "probes for ever" in finding.what
    assert "after up to 1078 s" in finding.what


def test_a_count_of_one_is_none_of_zero_and_without_probes_none_counts() -> None:
    assert "count-zero" not in ids(Facts(server=server(30, 1), clients={"": client(30, 1)}))
    assert "count-zero" not in ids(Facts(server=server(0, 0), clients={"": client(0, 0)}))


def test_a_long_interval_is_no_idle_timeout() -> None:
    finding = found("keepalive-as-idle-timeout", Facts(server=server(300, 3)))
    assert (finding.severity, finding.layer, finding.origin) == (WARNING, "sshd", INTERVAL_LINE)
    assert "an interval of 300 s logs nobody out" in finding.what
    assert "idle client answers" in finding.what
    assert "after up to 1200 s" in finding.what

    finding = found("keepalive-as-idle-timeout", Facts(clients={"": client(300, 3)}))
    assert finding.layer == "ssh"
    assert "idle server answers" in finding.what


def test_an_interval_just_below_the_baselines_is_not_taken_for_an_idle_timeout() -> None:
    facts = Facts(server=server(299), clients={"": client(299)})
    assert "keepalive-as-idle-timeout" not in ids(facts)


@pytest.mark.parametrize(
    "facts",
    [Facts(clients={"": client(300, 0)}), Facts(server=server(300, 0, (8, 1)))],
    ids=["client", "server before 8.2"],
)
def test_a_count_of_zero_that_does_log_out_is_not_said_to_log_nobody_out(facts: Facts) -> None:
    assert ids(facts) == ["count-zero"]


@pytest.mark.parametrize(
    ("end", "timeout", "every"),
    [
        (server(240), 240, "every 240 s only"),
        (server(240), 241, ""),
        (server(120, version=(9, 2)), 240, "every 240 s only"),
        (server(119, version=(9, 2)), 240, ""),
        (server(120, version=(9, 5)), 240, ""),
        (server(0), 7200, "every 7200 s only"),
        (server(0), 7201, ""),
        (server(0, tcp_keepalive=False), 432000, "never"),
    ],
)
def test_an_end_has_to_send_something_before_the_path_forgets(end: Server, timeout: int, every: str) -> None:
    facts = Facts(server=end, path_idle_timeout=timeout)
    if not every:
        assert "interval-above-path" not in ids(facts)
        return
    finding = found("interval-above-path", facts)
    assert (finding.severity, finding.layer, finding.origin) == (ERROR, "sshd", INTERVAL_LINE)
    assert f"silent for {timeout} s" in finding.what
    assert every in finding.what


def test_the_kernels_probes_keep_a_path_open_too() -> None:
    slow = Facts(clients={"": client(300)}, path_idle_timeout=240)
    assert found("interval-above-path", slow).layer == "ssh"
    assert "interval-above-path" not in ids(Facts(clients=slow.clients, live=HARDENED, path_idle_timeout=240))


def test_without_a_path_no_interval_is_above_it() -> None:
    assert "interval-above-path" not in ids(Facts(server=server(0, tcp_keepalive=False)))


def test_where_sshd_doubles_the_interval_it_is_not_told_to_go_just_below_the_path() -> None:
    # 100 is below 150 already.
    finding = found("interval-above-path", Facts(server=server(100, version=(9, 2)), path_idle_timeout=150))
    assert "75" in finding.do


# --- what is peculiar to sshd


@pytest.mark.parametrize(("version", "doubles"), [((9, 1), False), ((9, 2), True), ((9, 4), True), ((9, 5), False)])
def test_sshd_9_2_to_9_4_doubles_the_interval(version: tuple[int, int], doubles: bool) -> None:
    facts = Facts(server=server(30, 6, version), clients={"": client(30, 6, version)})
    assert ("doubled-interval" in ids(facts)) is doubles
    if doubles:
        finding = found("doubled-interval", facts)
        assert (finding.severity, finding.layer, finding.origin) == (INFO, "sshd", INTERVAL_LINE)
        assert "every 60 s, not every 30 s" in finding.what
        assert "after up to 420 s" in finding.what


def test_an_interval_of_zero_is_not_doubled() -> None:
    assert "doubled-interval" not in ids(Facts(server=server(0, version=(9, 2))))


def test_output_silences_the_probes_of_sshd_since_9_2() -> None:
    finding = found("output-silences-probes", Facts(server=server(version=(9, 2))))
    assert (finding.severity, finding.layer) == (INFO, "sshd")
    assert "after up to 1048 s" in finding.what
    assert "output-silences-probes" not in ids(Facts(server=server(version=(9, 1))))
    assert "output-silences-probes" not in ids(Facts(clients={"": client(version=(9, 2))}))


@pytest.mark.parametrize(
    "facts",
    [
        Facts(server=server(0)),
        # Nobody would notice sooner without output.
        Facts(server=server(30, 0)),
        Facts(server=server(30, 60)),
        Facts(server=server(), live=Kernel(tcp_retries2=5)),
    ],
    ids=["no probes", "probes that never count", "more probes than TCP has patience", "TCP gives up sooner anyway"],
)
def test_output_is_not_to_blame_where_probes_would_not_help(facts: Facts) -> None:
    assert "output-silences-probes" not in ids(facts)


def test_a_rekey_limit_silences_the_probes_of_sshd_before_8_7() -> None:
    finding = found("rekey-silences-probes", Facts(server=server(version=(8, 6), rekey_seconds=3600)))
    assert (finding.severity, finding.layer) == (WARNING, "sshd")
    assert "after the 3600 s of RekeyLimit" in finding.what
    assert "after up to 7875 s" in finding.what


@pytest.mark.parametrize(
    "well",
    [server(version=(8, 7), rekey_seconds=3600), server(version=(8, 6)), server(0, version=(8, 6), rekey_seconds=3600)],
    ids=["8.7", "no time", "no probes"],
)
def test_a_rekey_limit_does_no_harm(well: Server) -> None:
    assert "rekey-silences-probes" not in ids(Facts(server=well))


def test_what_sshd_has_not_read_is_named() -> None:
    finding = found("sshd-not-reloaded", Facts(server=server(unread=["/etc/ssh/a", "/etc/ssh/b"])))
    assert (finding.severity, finding.layer) == (WARNING, "sshd")
    assert "/etc/ssh/a, /etc/ssh/b changed" in finding.what
    assert "sshd-not-reloaded" not in ids(Facts(server=server()))


def test_an_unsafe_chroot_is_named_with_the_part_that_is_to_blame() -> None:
    chroots = [
        Chroot(Origin(MAIN, number), user, f"/srv/{number}", "is not owned by root")
        for number, user in ((8, ""), (9, "alice"))
    ]
    facts = Facts(server=server(chroots=chroots))
    assert ids(facts)[:2] == ["unsafe-chroot", "unsafe-chroot"]
    first, second = findings(facts)[:2]
    assert (first.severity, first.layer, first.origin) == (ERROR, "sshd", Origin(MAIN, 8))
    assert "/srv/8 is not owned by root" in first.what
    assert "of alice" in second.what
    assert "/srv/9 is not owned by root" in second.what


@pytest.mark.parametrize("text", ["Session:*=3s", "sesion:*=5m", "session:*=5m bogus=3s", "pty=1h"])
def test_a_channel_timeout_that_matches_no_channel_is_named(text: str) -> None:
    finding = found("channel-timeout-matches-nothing", Facts(server=server(lines=[line("channel_timeout", text, {})])))
    assert (finding.severity, finding.layer, finding.origin) == (WARNING, "sshd", Origin(MAIN, 7))
    assert "matches no channel type" in finding.what
    assert "session:*" in finding.do


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "NONE",
        "*=10m",
        "session:*=0",
        "session:shell=5m direct-tcpip=1h30m",
        "session:subsystem:netconf=5m",
        "x11-*=1",
        "direct-streamlocal@openssh.com=1h",
    ],
)
def test_a_channel_timeout_that_does_something_is_well(text: str) -> None:
    assert ids(Facts(server=server(version=(9, 1), lines=[line("channel_timeout", text, {})]))) == []


# Measured, each on an idle session: 10.0 does not do what its own manual says of session.
@pytest.mark.parametrize(
    ("text", "version", "closes"),
    [
        ("session=5m", (9, 2), False),
        ("session=5m", (10, 0), False),
        ("session=5m", (10, 6), True),
        ("global=10m", (9, 2), False),
        ("global=10m", (10, 0), True),
        ("global=10m", (10, 6), True),
    ],
)
def test_which_channel_timeouts_match_depends_on_the_version(text: str, version: tuple[int, int], closes: bool) -> None:
    facts = Facts(server=server(version=version, lines=[line("channel_timeout", text, {})]))
    assert ("channel-timeout-matches-nothing" not in ids(facts)) is closes


def test_a_block_that_closes_every_login_is_the_worst_that_can_be_found() -> None:
    none = line("channel_timeout", "none", {})
    locking = Facts(server=server(lines=[none._replace(scope="Match User alice")]))
    finding = found("channel-timeout-locks-out", locking)
    assert (finding.severity, finding.origin) == (ERROR, none.origin)
    assert "every login that Match User alice selects" in finding.what
    assert "channel-timeout-locks-out" not in ids(Facts(server=server(lines=[none])))


# --- what is peculiar to ssh


@pytest.mark.parametrize(("interval", "count", "short"), [(5, 3, True), (19, 3, True), (20, 3, False), (59, 1, True)])
def test_a_login_has_to_have_time_for_a_push(interval: int, count: int, short: bool) -> None:
    facts = Facts(clients={"": client(interval, count)})
    assert ("login-too-short" in ids(facts)) is short
    if short:
        finding = found("login-too-short", facts)
        assert (finding.severity, finding.layer, finding.origin) == (WARNING, "ssh", INTERVAL_LINE)
        assert f"longer than {interval * count} s" in finding.what


def test_neither_a_server_nor_a_client_that_never_probes_cuts_a_login_off() -> None:
    assert "login-too-short" not in ids(Facts(server=server(5, 3), clients={"": client(0, 3)}))


def test_each_users_own_configuration_is_judged_and_named() -> None:
    facts = Facts(clients={"": client(), "alice": client(0), "bob": client(5, 3)})
    assert [(finding.id, finding.user) for finding in findings(facts)] == [
        ("client-never-probes", "alice"),
        ("login-too-short", "bob"),
    ]


# --- lines


@pytest.mark.parametrize(
    ("facts", "layer"),
    [
        (Facts(server=server(lines=[line("client_alive_interval", "0", 0, "Match User backup")])), "sshd"),
        (Facts(clients={"": client(lines=[line("server_alive_interval", "0", 0, "Host old")])}), "ssh"),
    ],
    ids=["sshd", "ssh"],
)
def test_a_block_whose_connections_are_never_probed_is_named(facts: Facts, layer: str) -> None:
    finding = found("block-never-probes", facts)
    assert (finding.severity, finding.layer, finding.origin) == (WARNING, layer, Origin(MAIN, 7))
    assert ("Match User backup" if layer == "sshd" else "Host old") in finding.what


@pytest.mark.parametrize(
    "well",
    [
        line("client_alive_interval", "15", 15, "Match User backup"),
        line("client_alive_count_max", "0", 0, "Match User backup"),
        line("unused_connection_timeout", "none", 0, "Match User backup"),
        line("client_alive_interval", "0", 0, "Match User backup", beaten_by=Origin(MAIN, 3)),
        line("client_alive_interval", "x", None, "Match User backup"),
        line("client_alive_interval", "0", 0),
    ],
    ids=["it probes", "its count", "another zero", "it does not win", "no value", "for everybody"],
)
def test_a_block_is_not_said_never_to_probe(well: Line) -> None:
    assert "block-never-probes" not in ids(Facts(server=server(lines=[well])))


@pytest.mark.parametrize(
    ("layer", "option"),
    [("sshd", "tcp_keepalive"), ("ssh", "server_alive_count_max"), ("sysctl", "tcp_retries2")],
)
def test_a_line_without_effect_is_named_with_the_one_that_wins(layer: str, option: str) -> None:
    shadowed = [line(option, "9", 9, beaten_by=Origin("/etc/first.conf", 3))]
    facts = {
        "sshd": Facts(server=server(lines=shadowed)),
        "ssh": Facts(clients={"": client(lines=shadowed)}),
        "sysctl": Facts(kernel=boot(lines=shadowed)),
    }[layer]
    finding = found("shadowed-line", facts)
    assert (finding.severity, finding.layer, finding.origin) == (WARNING, layer, Origin(MAIN, 7))
    assert f"{option} 9 has no effect: /etc/first.conf, line 3 wins" in finding.what


def test_a_line_that_wins_is_not_without_effect() -> None:
    facts = Facts(server=server(lines=[line("client_alive_interval", "30", 30)]))
    assert "shadowed-line" not in ids(facts)


# --- both ends


def test_when_one_end_alone_probes_the_other_one_is_named() -> None:
    silent_server = Facts(server=server(0), clients={"": client()})
    finding = found("one-end-probes", silent_server)
    assert (finding.severity, finding.layer) == (INFO, "sshd")
    assert "as a server, this host" in finding.what
    assert "role server" in finding.do

    finding = found("one-end-probes", Facts(server=server(), clients={"": client(0)}))
    assert (finding.severity, finding.layer) == (INFO, "ssh")
    assert "as a client, this host" in finding.what
    assert "role client" in finding.do


@pytest.mark.parametrize(
    "facts",
    [
        Facts(server=server(0), clients={"": client(0)}),
        Facts(server=server(0)),
        Facts(clients={"": client()}),
        # Hers is not what this host does as a client.
        Facts(server=server(), clients={"": client(), "alice": client(0)}),
    ],
    ids=["none", "server alone", "client alone", "one user"],
)
def test_where_there_are_not_two_ends_that_differ_neither_is_named(facts: Facts) -> None:
    assert "one-end-probes" not in ids(facts)


# --- the kernel


def test_a_kernel_that_is_not_what_its_file_says_is_named() -> None:
    facts = Facts(kernel=boot(Kernel(tcp_keepalive_time=120)))
    (finding,) = findings(facts)
    assert finding.id == "kernel-and-file-disagree"
    assert (finding.severity, finding.layer, finding.origin) == (WARNING, "sysctl", SYSCTL_LINE)
    assert "tcp_keepalive_time is 7200 now and 120 after the next boot" in finding.what


def test_a_value_that_is_no_number_is_not_promised_for_the_next_boot() -> None:
    settings = KernelSettings({**STOCK._asdict(), "tcp_retries2": "many"}, {"tcp_retries2": SYSCTL_LINE}, [])
    (finding,) = findings(Facts(kernel=settings))
    assert finding.origin == SYSCTL_LINE
    assert "many after the next boot" not in finding.what


def test_a_value_that_no_file_has_is_lost_at_the_next_boot() -> None:
    (finding,) = findings(Facts(kernel=boot(), live=Kernel(tcp_retries2=8)))
    assert finding.id == "lost-at-boot"
    assert (finding.severity, finding.layer, finding.origin) == (WARNING, "sysctl", None)
    assert "tcp_retries2 is 8 now and will be 15 again" in finding.what


@pytest.mark.parametrize("values", [HARDENED, STOCK], ids=["in a file", "untouched"])
def test_a_kernel_that_stays_as_it_is_has_nothing_wrong(values: Kernel) -> None:
    assert findings(Facts(kernel=boot(values), live=values)) == []


# --- Ansible


def test_hosts_whose_loss_ansible_would_not_notice_are_named() -> None:
    connections = [AnsibleConnection("web1", 30), *(AnsibleConnection(f"db{number}") for number in range(1, 8))]
    finding = found("ansible-never-probes", Facts(ansible=connections))
    assert (finding.severity, finding.layer) == (WARNING, "ansible")
    assert "when a host vanishes, here db1, db2, db3, db4, db5 and 2 more:" in finding.what
    assert "web1" not in finding.what


def test_arguments_that_ssh_does_not_take_are_told_once_with_the_hosts() -> None:
    problem = "Can't open user config file /nowhere"
    facts = Facts(ansible=[AnsibleConnection("web1", problem=problem), AnsibleConnection("web2", problem=problem)])
    (finding,) = findings(facts)
    assert (finding.id, finding.severity) == ("ansible-arguments-refused", ERROR)
    assert finding.what == f"web1, web2 cannot be reached: {problem}"


def test_what_cannot_be_read_is_the_first_finding_and_no_reason_to_keep_quiet_of_the_rest() -> None:
    facts = Facts(clients={"": client(0)}, failures=[Failure("sshd", "line 3: Bad configuration option", "")])
    unreadable, silent = findings(facts)[:2]
    assert (unreadable.id, unreadable.severity, unreadable.layer) == ("cannot-be-read", ERROR, "sshd")
    assert "line 3" in unreadable.what
    assert silent.id == "client-never-probes"


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (Kernel(tcp_keepalive_probes=0), "tcp_keepalive_probes 0: with 0 the kernel kills healthy idle connections"),
        (Kernel(tcp_keepalive_time=-1), "tcp_keepalive_time -1: the kernel takes it for about 50 days"),
        (Kernel(tcp_retries2=2), "tcp_retries2 2: a moment of packet loss would end connections"),
    ],
)
@pytest.mark.parametrize("now", [True, False])
def test_a_value_that_nobody_should_give_the_kernel_is_an_error(kernel: Kernel, words: str, now: bool) -> None:
    facts = Facts(kernel=boot(STOCK if now else kernel), live=kernel if now else STOCK)
    finding = found("unsafe-kernel-value", facts)
    assert (finding.severity, finding.what) == (ERROR, words)


@pytest.mark.parametrize(("retries", "early"), [(3, True), (7, True), (8, False), (15, False)])
def test_data_is_not_given_up_before_rfc_1122_allows_it(retries: int, early: bool) -> None:
    values = Kernel(tcp_retries2=retries)
    assert ("data-given-up-early" in ids(Facts(kernel=boot(values), live=values))) is early


BLOCK = "Match User batch"


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("client_alive_interval", 0, "block-never-probes"),
        ("client_alive_interval", 300, "interval-above-path"),
        ("client_alive_count_max", 0, "count-zero"),
        ("client_alive_count_max", 4, ""),
        ("client_alive_interval", 20, ""),
    ],
)
def test_what_is_wrong_for_those_of_a_block_alone_is_named_with_its_line(option: str, value: int, named: str) -> None:
    scoped = line(option, str(value), value)._replace(scope=BLOCK, origin=Origin(MAIN, 99))
    facts = Facts(server=server(30, lines=[scoped]), path_idle_timeout=240)
    told = [finding for finding in findings(facts) if finding.origin == Origin(MAIN, 99)]
    assert [finding.id for finding in told][:1] == ([named] if named else [])
    assert all(BLOCK in finding.what for finding in told)


# --- all of them


def test_the_worst_comes_first() -> None:
    facts = Facts(
        server=server(300, version=(9, 2), chroots=[Chroot(Origin(MAIN, 9), "", "/srv", "is not owned by root")]),
        clients={"": client(0)},
        kernel=boot(),
        live=Kernel(tcp_retries2=8),
        ansible=[AnsibleConnection("web1")],
    )
    severities = [finding.severity for finding in findings(facts)]
    assert severities == sorted(severities, key=SEVERITIES.index)
    assert set(severities) == set(SEVERITIES)


INTERVALS, COUNTS = strategies.sampled_from([0, 1, 30, 299, 300, 7200]), strategies.integers(0, 40)
VERSIONS = strategies.sampled_from([(0, 0), (8, 1), (8, 4), (9, 2), (10, 0)])
KERNELS = strategies.builds(Kernel, *[strategies.integers(1, 300)] * 3, strategies.integers(3, 255))


@given(
    strategies.builds(server, INTERVALS, COUNTS, VERSIONS, strategies.booleans()),
    strategies.builds(client, INTERVALS, COUNTS, VERSIONS, strategies.booleans()),
    strategies.builds(boot, KERNELS),
    KERNELS,
    strategies.none() | strategies.integers(1, 432000),
)
def test_whatever_a_host_is_set_to_each_finding_says_what_and_what_to_do(
    as_server: Server, as_client: OpenSSH, settings: KernelSettings, live: Kernel, timeout: int | None
) -> None:
    for finding in findings(Facts(as_server, {"": as_client}, settings, live, path_idle_timeout=timeout)):
        assert finding.severity in SEVERITIES
        assert finding.layer in ("sshd", "ssh", "sysctl")
        assert finding.what
        assert finding.do
        assert "None" not in finding.what + finding.do
