# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host's settings, what that does to its users, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ._facts import Facts, Failure, Line, OpenSSH, Origin
from ._intent import LOGIN_SECONDS
from ._settings import SYSCTL, Kernel, Setting
from ._timeline import (
    IDLE,
    IN_FLIGHT,
    REKEY_DUE,
    STEADY_OUTPUT,
    End,
    doubles_interval,
    ends_healthy_after,
    gives_up,
    login_patience,
    probe_period,
    refresh_period,
    retransmission_timeout,
)
from ._values import GLOBAL_TIMEOUT, parse_channel_timeouts

#: Sessions break or hang.
ERROR = "error"
#: They do where something else comes on top.
WARNING = "warning"
#: Good to know.
INFO = "info"
SEVERITIES = (ERROR, WARNING, INFO)

# From here on an interval is not meant to notice dead peers; the baselines' idle timeouts begin with it.
_IDLE_TIMEOUT_SECONDS = 300


# RFC 1122, 4.2.3.5: at least 100 s, which is 8 (Documentation/networking/ip-sysctl.rst).
_LEAST_RETRIES = 8
# Names in one sentence.
_MOST_HOSTS = 5


class Finding(NamedTuple):
    """One thing that is wrong."""

    id: str
    severity: str
    #: sshd, ssh, sysctl or ansible.
    layer: str
    #: What happens to the user.
    what: str
    #: What to do about it.
    do: str
    origin: Origin | None = None
    #: Whose configuration it is; "" is everybody's.
    user: str = ""


def findings(facts: Facts) -> list[Finding]:
    """Everything that is wrong, the worst first."""
    found = [
        *(_unreadable(failure) for failure in facts.failures),
        *_server(facts),
        *_clients(facts),
        *_ends_together(facts),
        *_kernel(facts),
        *_ansible(facts),
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _unreadable(failure: Failure) -> Finding:
    return Finding(
        "cannot-be-read",
        ERROR,
        failure.layer,
        failure.why,
        "mend that first: nothing else can be told of it",
        user=failure.user,
    )


def _server(facts: Facts) -> Iterator[Finding]:
    server, end = facts.server, facts.server_end
    if not server or not end:
        return
    openssh = server.openssh
    yield from _either_end("sshd", "client_alive", end, openssh, facts.path_idle_timeout)
    yield from _blocks("sshd", "client_alive", end, openssh, facts.path_idle_timeout)
    if end.interval and doubles_interval(end.version):
        yield Finding(
            "doubled-interval",
            INFO,
            "sshd",
            f"sshd 9.2 to 9.4 probes at every second interval only: every {probe_period(end)} s, not every "
            f"{end.interval} s, and gives a dead client up after {_latest(end)}",
            "nothing, if the interval was chosen for that, as an intent does; OpenSSH 9.5 and later do not need it",
            openssh.origins.get("client_alive_interval"),
        )
    silenced, probed = gives_up(end, STEADY_OUTPUT), gives_up(end, IN_FLIGHT)
    if end.interval and silenced and probed and silenced.latest > probed.latest:
        yield Finding(
            "output-silences-probes",
            INFO,
            "sshd",
            "while a session keeps printing, as top does, sshd 9.2 and later does not probe: a client that vanished "
            f"is noticed after {_latest(end, STEADY_OUTPUT)}",
            "nothing, if such sessions may linger; a lower tcp_retries2 ends them sooner, with every other connection",
        )
    if server.rekey_seconds and end.interval and end.version < (8, 7):
        yield Finding(
            "rekey-silences-probes",
            WARNING,
            "sshd",
            f"after the {server.rekey_seconds} s of RekeyLimit a silent session is not probed any more: a client that "
            f"vanished is noticed after {_latest(end, REKEY_DUE)}",
            "take the time out of RekeyLimit, or install OpenSSH 8.7 or later",
        )
    if server.unread:
        yield Finding(
            "sshd-not-reloaded",
            WARNING,
            "sshd",
            f"new sessions may get older values: {', '.join(server.unread)} changed after sshd has read it",
            "reload sshd, if what changed is meant to be in effect",
        )
    for chroot in server.chroots:
        yield Finding(
            "unsafe-chroot",
            ERROR,
            "sshd",
            f'sshd drops the session{" of " * bool(chroot.user)}{chroot.user} right after the login ("Broken pipe"): '
            f"{chroot.component} {chroot.problem}",
            "make every component of ChrootDirectory a directory of root's that nobody else may write to",
            chroot.origin,
        )
    for line in openssh.lines:
        if line.option == "channel_timeout" and line.scope and line.text.lower() == "none":
            yield Finding(
                "channel-timeout-locks-out",
                ERROR,
                "sshd",
                f'sshd closes every login that {line.scope} selects ("internal error: bad timeout none")',
                "give patterns a time of 0 instead, such as session:*=0",
                line.origin,
            )
        problem = _channel_timeout_problem(line.text, openssh.version) if line.option == "channel_timeout" else ""
        if problem:
            yield Finding(
                "channel-timeout-matches-nothing",
                WARNING,
                "sshd",
                f"it has no effect: {problem}",
                "write patterns of channel types, such as session:*",
                line.origin,
            )


def _clients(facts: Facts) -> Iterator[Finding]:
    for user, end in facts.client_ends.items():
        openssh = facts.clients[user]
        for judge in (_either_end, _blocks):
            for finding in judge("ssh", "server_alive", end, openssh, facts.path_idle_timeout):
                # Who is a server first may never be a client.
                mild = finding.id == "client-never-probes" and facts.server
                yield finding._replace(user=user, severity=WARNING if mild else finding.severity)
        patience = login_patience(end)
        if patience is not None and 0 < patience < LOGIN_SECONDS:
            yield Finding(
                "login-too-short",
                WARNING,
                "ssh",
                f"a login that waits longer than {patience} s for the server's next word, as for a push on a phone, "
                "is cut off: while logging in, ssh takes interval times count as its patience",
                f"raise server_alive_count_max, so that the product is {LOGIN_SECONDS} or more",
                openssh.origins.get("server_alive_interval"),
                user,
            )


def _either_end(layer: str, word: str, end: End, openssh: OpenSSH, path_idle_timeout: int | None) -> Iterator[Finding]:
    """What can be wrong with either end of a connection."""
    interval, count = f"{word}_interval", f"{word}_count_max"
    peer = "client" if end.side == "server" else "server"
    origin = openssh.origins.get(interval)
    if not end.interval:
        yield Finding(
            f"{end.side}-never-probes",
            ERROR,
            layer,
            f"the {end.side}'s end of a session hangs when the {peer} or the path is gone, {_until(end)}",
            f"set {interval}, as the role {end.side} does",
            origin,
        )
    elif end.count_max == 0 and ends_healthy_after(end):
        yield Finding(
            "count-zero",
            ERROR,
            layer,
            f"a healthy session is ended as soon as it was silent for {ends_healthy_after(end)} s",
            f"set {count} to 1 or more",
            openssh.origins.get(count),
        )
    elif end.count_max == 0:
        yield Finding(
            "count-zero",
            WARNING,
            layer,
            f"sshd probes for ever and never ends a session by that: a client that vanished is noticed by TCP alone, "
            f"after {_latest(end)}",
            f"set {count} to 1 or more; 0 is no way to end sessions at the first miss since OpenSSH 8.2",
            openssh.origins.get(count),
        )
    if end.interval >= _IDLE_TIMEOUT_SECONDS and not ends_healthy_after(end):
        yield Finding(
            "keepalive-as-idle-timeout",
            WARNING,
            layer,
            f"an interval of {end.interval} s logs nobody out, since a healthy idle {peer} answers every probe; "
            f"a {peer} that vanished is noticed late, after {_latest(end)}",
            f"set {interval} to a minute or less; for an idle timeout use ChannelTimeout, logind or the shell's TMOUT",
            origin,
        )
    refresh = refresh_period(end)
    if path_idle_timeout and (refresh is None or refresh >= path_idle_timeout):
        yield Finding(
            "interval-above-path",
            ERROR,
            layer,
            f"the path forgets a connection that was silent for {path_idle_timeout} s, and this end "
            + (f"sends something every {refresh} s only" if refresh else "never sends anything")
            + ": an idle session hangs, unless the other end keeps the path open",
            f"set {interval} below {path_idle_timeout // _doubling(end)}, or give path_idle_timeout in an intent"
            if path_idle_timeout > _doubling(end)
            else "have the path remember connections for longer: no interval is that short",
            origin,
        )
    for line in openssh.lines:
        yield from _shadowed(layer, line)


def _blocks(layer: str, word: str, end: End, openssh: OpenSSH, path_idle_timeout: int | None) -> Iterator[Finding]:
    """What is wrong for those alone whom a Match or Host block selects."""
    everybodys = {finding.id for finding in _either_end(layer, word, end, openssh, path_idle_timeout)}
    for line in openssh.lines:
        if not (line.scope and line.wins and isinstance(line.value, int)) or line.origin in openssh.origins.values():
            continue
        if line.option == f"{word}_interval" and line.value == 0:
            yield Finding(
                "block-never-probes",
                WARNING,
                layer,
                f"the connections that {line.scope} selects are never probed, whatever the rest of the files says",
                "take the line out, if that is not meant",
                line.origin,
            )
            continue
        if line.option == f"{word}_interval":
            scoped = end._replace(interval=line.value)
        elif line.option == f"{word}_count_max":
            scoped = end._replace(count_max=line.value)
        else:
            continue
        for finding in _either_end(layer, word, scoped, openssh._replace(lines=[]), path_idle_timeout):
            if finding.id not in everybodys:
                yield finding._replace(what=f"{line.scope}: {finding.what}", origin=line.origin)


def _shadowed(layer: str, line: Line) -> Iterator[Finding]:
    if line.beaten_by:
        yield Finding(
            "shadowed-line",
            WARNING,
            layer,
            f"{line.option} {line.text} has no effect: {line.beaten_by} wins",
            "take one of the two lines out, so that nobody trusts the wrong one",
            line.origin,
        )


def _ends_together(facts: Facts) -> Iterator[Finding]:
    server, client = facts.server_end, facts.client_ends.get("")
    if server and client and bool(server.interval) != bool(client.interval):
        silent = client if server.interval else server
        yield Finding(
            "one-end-probes",
            INFO,
            "sshd" if silent.side == "server" else "ssh",
            f"when the path forgets a connection, only the end that probes notices: as a {silent.side}, this host "
            "is left hanging",
            f"let both ends probe; the role {silent.side} makes this one do so",
        )


def _kernel(facts: Facts) -> Iterator[Finding]:
    kernel = facts.kernel
    if not kernel:
        return
    for setting in SYSCTL:
        live, boot = getattr(facts.live, setting.option), kernel.next_boot[setting.option]
        origin = kernel.origins.get(setting.option)
        yield from _unsafe_value(setting, live, boot, origin)
        if origin and not isinstance(boot, int):
            yield Finding(
                "kernel-and-file-disagree",
                WARNING,
                "sysctl",
                f"{setting.option} stays as it is, {live} now: the kernel does not take {boot}",
                "mend the line",
                origin,
            )
        elif origin and live != boot:
            yield Finding(
                "kernel-and-file-disagree",
                WARNING,
                "sysctl",
                f"{setting.option} is {live} now and {boot} after the next boot",
                "apply the file with systemd-sysctl, or mend it",
                origin,
            )
        elif not origin and live != getattr(Kernel(), setting.option):
            yield Finding(
                "lost-at-boot",
                WARNING,
                "sysctl",
                f"{setting.option} is {live} now and will be {boot} again: no file that the next boot reads sets it",
                "write it to a file in /etc/sysctl.d, as the module sysctl does; /etc/sysctl.conf is not read at boot "
                "by every system",
            )
    for line in kernel.lines:
        yield from _shadowed("sysctl", line)


def _unsafe_value(setting: Setting, live: int, boot: Any, origin: Origin | None) -> Iterator[Finding]:
    """What the kernel takes and nobody should give it."""
    unsafe = [value for value in dict.fromkeys((live, boot)) if isinstance(value, int) and value < setting.low]
    if unsafe:
        yield Finding(
            "unsafe-kernel-value",
            ERROR,
            "sysctl",
            f"{setting.option} {unsafe[0]}: {setting.why_low or 'the kernel takes it for about 50 days'}",
            f"set {setting.option} to {setting.low} or more",
            origin,
        )
    elif setting.option == "tcp_retries2" and live < _LEAST_RETRIES:
        yield Finding(
            "data-given-up-early",
            WARNING,
            "sysctl",
            f"an outage of {retransmission_timeout(live)[0]:.0f} s ends every TCP connection that has sent something",
            f"set tcp_retries2 to {_LEAST_RETRIES} or more, as RFC 1122 recommends",
            origin,
        )


def _ansible(facts: Facts) -> Iterator[Finding]:
    # Not the arguments: they may hold a password, as those of a ProxyCommand.
    by_problem: dict[str, list[str]] = {}
    for connection in facts.ansible:
        if connection.problem:
            by_problem.setdefault(connection.problem, []).append(connection.host)
    for problem, hosts in by_problem.items():
        yield Finding(
            "ansible-arguments-refused",
            ERROR,
            "ansible",
            f"{_some(hosts)} cannot be reached: {problem}",
            "mend ssh_args, ansible_ssh_args, ansible_ssh_common_args or ansible_ssh_extra_args",
        )
    silent = [connection.host for connection in facts.ansible if not connection.interval and not connection.problem]
    if silent:
        yield Finding(
            "ansible-never-probes",
            WARNING,
            "ansible",
            f"a play hangs when a host vanishes, here {_some(silent)}: Ansible's ssh does not probe, nor does the "
            "master that ControlPersist keeps, whose options alone count for all that share it",
            "harden this control node with the role client, or add -o ServerAliveInterval=30 to ssh_args",
        )


def _some(hosts: list[str]) -> str:
    more = len(hosts) - _MOST_HOSTS
    return ", ".join(hosts[:_MOST_HOSTS]) + (f" and {more} more" if more > 0 else "")


def _doubling(end: End) -> int:
    return 2 if end.side == "server" and doubles_interval(end.version) else 1


def _latest(end: End, situation: str = IDLE) -> str:
    window = gives_up(end, situation)
    return f"up to {window.latest:.0f} s" if window else "no time at all"


def _until(end: End) -> str:
    window = gives_up(end)
    return f"until TCP gives up after up to {window.latest:.0f} s" if window else "for ever"


def _channel_timeout_problem(text: str, version: tuple[int, int]) -> str:
    """Why sshd takes a ChannelTimeout and does nothing; "" where it does something."""
    if text.lower() == "none":
        return ""
    pairs = {pattern: time for pattern, _equals, time in (pair.rpartition("=") for pair in text.split())}
    if GLOBAL_TIMEOUT in pairs and version < (9, 7):
        return "sshd before 9.7 does not know global"
    if version > (10, 0):
        # Measured: 10.6 takes it for all sessions, 10.0 for none.
        pairs.pop("session", None)
    try:
        parse_channel_timeouts(pairs)
    except ValueError as problem:
        return str(problem)
    return ""
