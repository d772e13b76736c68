# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from a real host: the values that count, the lines they come from, and what is wrong with them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._facts import Facts, Origin
from ansible_collections.keepalive.hardening.plugins.module_utils._findings import INFO, Finding, findings
from ansible_collections.keepalive.hardening.plugins.module_utils._observation import observe
from ansible_collections.keepalive.hardening.plugins.module_utils._report import report
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Kernel
from ansible_collections.keepalive.hardening.tests.hosts import service
from ansible_collections.keepalive.hardening.tests.hosts.support import (
    harden,
    run,
    run_command,
    run_ok,
    snapshot,
    ssh_says,
    sshd_says,
    write,
)

SSHD, SSH = "/etc/ssh/sshd_config", "/etc/ssh/ssh_config"
SSHD_DROP_IN, SSH_DROP_IN = f"{SSHD}.d/00-keepalive.conf", f"{SSH}.d/00-keepalive.conf"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"
OWN = "/home/alice/.ssh/config"
ALL = ("sshd", "ssh", "sysctl")

_words = re.match(r"OpenSSH_(\d+)\.(\d+)", run("ssh", "-V").stderr)
assert _words
VERSION = (int(_words[1]), int(_words[2]))
#: Debian 11 and 12 have a link to it in /etc/sysctl.d.
BOOT_READS_SYSCTL_CONF = VERSION < (10, 0)


def observed(
    *layers: str, users: tuple[str, ...] = (), ssh_arguments: tuple[str, ...] = (), path_idle_timeout: int | None = None
) -> Facts:
    """The facts of this host, which reading them has not changed; the arguments are those of host1, host2 ..."""
    before, read = snapshot(), service.reads()
    arguments = {f"host{number}": words for number, words in enumerate(ssh_arguments, start=1)}
    facts = observe(layers, [*users], arguments, path_idle_timeout, run_command)
    assert (snapshot(), service.reads()) == (before, read)
    return facts


def ids(facts: Facts) -> list[str]:
    return [finding.id for finding in findings(facts)]


def found(identifier: str, facts: Facts) -> Finding:
    """The one finding with that id."""
    (finding,) = (finding for finding in findings(facts) if finding.id == identifier)
    return finding


def line_of(path: str, word: str) -> Origin:
    """The first line of a file whose first word it is."""
    lines = Path(path).read_text().splitlines()
    return Origin(path, next(number for number, line in enumerate(lines, start=1) if line.split()[:1] == [word]))


def sysctl(option: str, value: int) -> None:
    run_ok("sysctl", "-w", f"net.ipv4.{option}={value}")


@pytest.fixture(autouse=True)
def kernel_defaults(as_installed: None) -> Iterator[None]:
    """The values that the tests change, as the kernel starts with them, before and after."""

    def reset() -> None:
        for option, value in Kernel()._asdict().items():
            sysctl(option, value)

    reset()
    yield
    reset()


@pytest.fixture
def loaded(as_installed: None) -> Iterator[None]:
    """An sshd that runs and has read the files as they are."""
    service.reload()
    yield
    if not service.PID_FILE.exists():
        service.start()


# --- what is set, and where


def test_an_untouched_host_has_what_the_real_tools_say_from_no_line(loaded: None) -> None:
    facts = observed(*ALL)

    assert facts.server
    sshd, ssh = facts.server.openssh, facts.clients[""]
    since_9_2 = {"channel_timeout": {}, "unused_connection_timeout": 0} if VERSION >= (9, 2) else {}
    assert sshd.effective == {
        "client_alive_interval": int(sshd_says("ClientAliveInterval")),
        "client_alive_count_max": int(sshd_says("ClientAliveCountMax")),
        "tcp_keepalive": sshd_says("TCPKeepAlive") == "yes",
        **since_9_2,
    }
    assert ssh.effective == {
        "server_alive_interval": int(ssh_says("ServerAliveInterval")),
        "server_alive_count_max": int(ssh_says("ServerAliveCountMax")),
        "tcp_keepalive": ssh_says("TCPKeepAlive") == "yes",
        "connect_timeout": 0,
    }
    assert (ssh_says("ConnectTimeout"), facts.live) == ("none", Kernel())
    assert (sshd.version, ssh.version) == (VERSION, VERSION)
    assert facts.kernel
    assert (sshd.origins, ssh.origins, facts.kernel.origins) == ({}, {}, {})
    assert facts.kernel.next_boot == Kernel()._asdict()


def test_an_untouched_host_never_probes_and_passes_no_baseline(loaded: None) -> None:
    shown = report(observed(*ALL))
    assert [finding["id"] for finding in shown["findings"]] == ["server-never-probes", "client-never-probes"]
    assert "up to 7875 s" in shown["findings"][0]["what"]
    assert not any(baseline["holds"] for baseline in shown["baselines"])


def test_a_hardened_host_has_its_values_from_our_lines_and_nothing_wrong(loaded: None) -> None:
    harden("sshd", client_alive_interval=30, client_alive_count_max=6, tcp_keepalive=True)
    harden("ssh", server_alive_interval=30, server_alive_count_max=6, tcp_keepalive=True)
    harden("sysctl", tcp_keepalive_time=120, tcp_keepalive_intvl=30, tcp_keepalive_probes=5)

    facts = observed(*ALL, path_idle_timeout=240)

    assert facts.server
    assert facts.server.openssh.origins == {
        "client_alive_interval": line_of(SSHD_DROP_IN, "ClientAliveInterval"),
        "client_alive_count_max": line_of(SSHD_DROP_IN, "ClientAliveCountMax"),
        "tcp_keepalive": line_of(SSHD_DROP_IN, "TCPKeepAlive"),
    }
    assert facts.clients[""].origins == {
        "server_alive_interval": line_of(SSH_DROP_IN, "ServerAliveInterval"),
        "server_alive_count_max": line_of(SSH_DROP_IN, "ServerAliveCountMax"),
        "tcp_keepalive": line_of(SSH_DROP_IN, "TCPKeepAlive"),
    }
    ours = "/etc/sysctl.d/zz-keepalive.conf"
    assert facts.kernel
    assert facts.kernel.origins == {
        option: line_of(ours, f"net.ipv4.{option}")
        for option in ("tcp_keepalive_time", "tcp_keepalive_intvl", "tcp_keepalive_probes")
    }
    assert (facts.live, facts.kernel.next_boot) == (Kernel(120, 30, 5), Kernel(120, 30, 5)._asdict())
    assert {finding.severity for finding in findings(facts)} <= {INFO}
    assert ("doubled-interval" in ids(facts)) is (VERSION == (9, 2))
    assert ("output-silences-probes" in ids(facts)) is (VERSION >= (9, 2))


def test_a_layer_that_is_not_asked_for_is_not_reported_though_the_kernel_counts() -> None:
    sysctl("tcp_keepalive_time", 100)
    shown = report(observed("ssh"))
    assert set(shown["effective"]) == {"ssh"}
    assert "up to 775 s" in shown["findings"][0]["what"]
    assert [finding["id"] for finding in shown["findings"]] == ["client-never-probes"]


class Text(NamedTuple):
    """A configuration, the value that is effective in it, and the line that says so."""

    text: str
    value: int
    line: int


SSHD_TEXTS = {
    "plain": Text("Port 22\nClientAliveInterval 1m30s\n", 90, 2),
    "the first of two": Text("ClientAliveInterval=5\nClientAliveInterval 7\n", 5, 1),
    "a block for others": Text("ClientAliveInterval 5\nMatch User backup1\nClientAliveInterval 7\n", 5, 1),
    "a block for everybody": Text("ClientAliveInterval 5\nMatch all\nClientAliveInterval 7\n", 7, 3),
    "a block for another routing domain": Text("ClientAliveInterval 5\nMatch RDomain x\nClientAliveInterval 7\n", 5, 1),
    "a block for every group": Text("ClientAliveInterval 5\nMatch Group *\nClientAliveInterval 7\n", 5, 1),
}
SSH_TEXTS = {
    "plain": Text("Host *\n  ServerAliveInterval 1m30s\n", 90, 2),
    "the first of two": Text("ServerAliveInterval=5\nServerAliveInterval 7\n", 5, 1),
    "a block for others": Text("Host x\nServerAliveInterval 5\nHost *\nServerAliveInterval 7\n", 7, 4),
    "a command that succeeds": Text('Match exec "true"\nServerAliveInterval 5\nHost *\nServerAliveInterval 7\n', 5, 2),
    "a command that fails": Text('Match exec "false"\nServerAliveInterval 5\nHost *\nServerAliveInterval 7\n', 7, 4),
    "a name that is not canonical": Text(
        "Match canonical\nServerAliveInterval 5\nHost *\nServerAliveInterval 7\n", 7, 4
    ),
}


@pytest.mark.parametrize("case", list(SSHD_TEXTS), ids=str)
def test_the_line_that_is_named_is_the_one_whose_value_sshd_takes(case: str) -> None:
    text, value, line = SSHD_TEXTS[case]
    write(SSHD, text)
    facts = observed("sshd")
    assert facts.server
    assert facts.server.openssh.effective["client_alive_interval"] == value
    assert facts.server.openssh.origins["client_alive_interval"] == Origin(SSHD, line)


@pytest.mark.parametrize("case", list(SSH_TEXTS), ids=str)
def test_the_line_that_is_named_is_the_one_whose_value_ssh_takes(case: str) -> None:
    text, value, line = SSH_TEXTS[case]
    write(SSH, text)
    client = observed("ssh").clients[""]
    assert client.effective["server_alive_interval"] == value
    assert client.origins["server_alive_interval"] == Origin(SSH, line)


def test_a_line_that_is_effective_is_not_said_to_have_no_effect() -> None:
    write(SSHD, SSHD_TEXTS["a block for another routing domain"].text)
    write(SSH, SSH_TEXTS["a command that fails"].text)
    assert "shadowed-line" not in ids(observed("sshd", "ssh"))


def test_a_line_that_counts_for_somebody_is_not_said_to_have_no_effect() -> None:
    write(SSHD, "ClientAliveInterval 5\nMatch User *,!root\nClientAliveInterval 7\n")
    write(SSH, "Host * !bastion\nServerAliveInterval 20\nHost *\nServerAliveInterval 30\n")
    assert (sshd_says("ClientAliveInterval", user="root"), ssh_says("ServerAliveInterval", "bastion")) == ("5", "30")
    assert "shadowed-line" not in ids(observed("sshd", "ssh"))


# --- lines of sshd_config and ssh_config


def test_a_line_behind_an_earlier_drop_in_is_named_with_it() -> None:
    write(f"{SSHD}.d/00-a.conf", "ClientAliveInterval 15\n")
    write(f"{SSHD}.d/50-b.conf", "# agreed\nClientAliveInterval 60\nClientAliveInterval 15\n")

    finding = found("shadowed-line", observed("sshd"))

    assert finding.origin == Origin(f"{SSHD}.d/50-b.conf", 2)
    assert f"client_alive_interval 60 has no effect: {SSHD}.d/00-a.conf, line 1 wins" in finding.what


def test_a_block_in_which_sshd_never_probes_is_named() -> None:
    harden("sshd", client_alive_interval=30, reload=False)
    with Path(SSHD).open("a") as main:
        main.write("\nMatch User backup1\n    ClientAliveInterval 0\n")

    facts = observed("sshd")

    finding = found("block-never-probes", facts)
    assert finding.origin == line_of(SSHD, "ClientAliveInterval")
    assert "Match User backup1" in finding.what
    assert not {"server-never-probes", "shadowed-line"} & set(ids(facts))


def test_a_block_in_which_ssh_never_probes_is_named() -> None:
    write(SSH, "Host old *.old.example\n    ServerAliveInterval 0\nHost *\n    ServerAliveInterval 30\n")

    facts = observed("ssh")

    finding = found("block-never-probes", facts)
    assert (finding.origin, finding.user) == (Origin(SSH, 2), "")
    assert "Host old *.old.example" in finding.what
    assert not {"client-never-probes", "shadowed-line"} & set(ids(facts))


def test_a_block_behind_a_line_for_everybody_is_shadowed_in_ssh_config() -> None:
    write(SSH, "ServerAliveInterval 30\nHost old\n    ServerAliveInterval 0\n")
    facts = observed("ssh")
    assert found("shadowed-line", facts).origin == Origin(SSH, 3)
    assert "block-never-probes" not in ids(facts)


# --- users


def test_a_users_own_configuration_is_named_as_theirs() -> None:
    harden("ssh", server_alive_interval=30, server_alive_count_max=6)
    write(OWN, "# mine\nServerAliveInterval 0\n", owner="alice")

    facts = observed("ssh", users=("alice", "bob"))

    finding = found("client-never-probes", facts)
    assert (finding.user, finding.origin) == ("alice", Origin(OWN, 2))
    shown = report(facts)
    assert {user: values["server_alive_interval"] for user, values in shown["effective"]["ssh"].items()} == {
        "alice": 0,
        "bob": 30,
    }
    assert shown["origins"]["ssh"]["alice"]["server_alive_interval"] == {"path": OWN, "line": 2}
    assert shown["origins"]["ssh"]["bob"]["server_alive_interval"]["path"] == SSH_DROP_IN
    assert shown["origins"]["ssh"]["alice"]["server_alive_count_max"]["path"] == SSH_DROP_IN


def test_what_a_user_prefers_to_the_systems_value_is_no_fault_of_the_systems() -> None:
    harden("ssh", server_alive_interval=30, server_alive_count_max=6)
    write(OWN, "ServerAliveInterval 20\n", owner="alice")
    assert ids(observed("ssh", users=("alice",))) == []


def test_a_block_for_the_users_own_name_on_the_server_counts() -> None:
    # Without a user in the command line, it is the name on the client that ssh logs in with.
    write(OWN, "Match user alice\n    ServerAliveInterval 7\nHost *\n    ServerAliveInterval 9\n", owner="alice")
    client = observed("ssh", users=("alice",)).clients["alice"]
    assert client.effective["server_alive_interval"] == 7
    assert client.origins["server_alive_interval"] == Origin(OWN, 2)


def test_only_the_users_that_were_named_are_looked_at() -> None:
    write(OWN, "ServerAliveInterval 0\n", owner="alice")
    assert set(observed("ssh").clients) == {""}


def test_a_user_who_is_not_there_is_named_and_the_others_are_looked_at() -> None:
    facts = observed("ssh", users=("nosuchuser", "alice"))
    assert set(facts.clients) == {"", "alice"}
    finding = found("cannot-be-read", facts)
    assert (finding.user, finding.what) == ("nosuchuser", "there is no user nosuchuser on this host")


SECRET = "/etc/ssh/secret.conf"


@pytest.mark.parametrize("trap", ["link", "include", "link to shadow"])
def test_a_users_file_is_read_with_the_users_rights(trap: str) -> None:
    write(SECRET, "ServerAliveInterval 4711\n", mode=0o600)
    write(str(Path(OWN).with_name("known_hosts")), "", owner="alice")
    if trap == "include":
        write(OWN, f"Include {SECRET}\n", owner="alice")
    else:
        os.symlink("/etc/shadow" if trap == "link to shadow" else SECRET, OWN)
    groups = os.getgroups()

    finding = found("cannot-be-read", observed("ssh", users=("alice",)))

    assert finding.user == "alice"
    assert "4711" not in finding.what
    assert "$" not in finding.what, "a line of /etc/shadow"
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, groups)


# --- what is peculiar to sshd


# Measured on an idle session of each version.
@pytest.mark.parametrize(
    ("text", "matches_since"),
    [("session:*=3s", (9, 2)), ("session=3s", (10, 6)), ("global=3s", (9, 7)), ("sesion:*=3s", (99, 0))],
)
def test_a_channel_timeout_that_matches_nothing_is_named(text: str, matches_since: tuple[int, int]) -> None:
    write(SSHD, f"{INCLUDE}ChannelTimeout {text}\n")
    if VERSION < (9, 2):
        assert "ChannelTimeout" in found("cannot-be-read", observed("sshd")).what
    elif matches_since > VERSION:
        assert found("channel-timeout-matches-nothing", observed("sshd")).origin == Origin(SSHD, 2)
    else:
        assert "channel-timeout-matches-nothing" not in ids(observed("sshd"))


def test_a_rekey_limit_with_a_time_is_named_where_it_silences_sshd() -> None:
    write(SSHD, "ClientAliveInterval 30\nRekeyLimit default 1h\n")
    facts = observed("sshd")
    assert facts.server
    assert facts.server.rekey_seconds == 3600
    if VERSION < (8, 7):
        assert "after the 3600 s of RekeyLimit" in found("rekey-silences-probes", facts).what
    else:
        assert "rekey-silences-probes" not in ids(facts)


@pytest.mark.parametrize("text", ["", "RekeyLimit 1G\n", "RekeyLimit 1G none\n"])
def test_a_rekey_limit_without_a_time_is_none(text: str) -> None:
    write(SSHD, f"ClientAliveInterval 30\n{text}")
    facts = observed("sshd")
    assert facts.server
    assert facts.server.rekey_seconds == 0


def test_what_sshd_has_not_read_is_named_until_it_is_reloaded(loaded: None) -> None:
    assert "sshd-not-reloaded" not in ids(observed("sshd"))

    path = write(f"{SSHD}.d/50-x.conf", "ClientAliveInterval 30\n")
    assert path in found("sshd-not-reloaded", observed("sshd")).what

    service.reload()
    assert "sshd-not-reloaded" not in ids(observed("sshd"))


def test_a_stopped_sshd_is_read_and_has_nothing_to_reload(loaded: None) -> None:
    service.stop()
    # It need not be there.
    shutil.rmtree("/run/sshd", ignore_errors=True)
    write(f"{SSHD}.d/50-x.conf", "ClientAliveInterval 30\n")

    facts = observed("sshd")

    assert facts.server
    assert facts.server.openssh.effective["client_alive_interval"] == 30
    assert "sshd-not-reloaded" not in ids(facts)
    assert not service.answers()


def test_a_configuration_that_sshd_refuses_is_a_finding_in_its_words_beside_the_others() -> None:
    write(SSHD, "ClientAliveIntervall 30\n")
    facts = observed("sshd", "ssh")
    finding = found("cannot-be-read", facts)
    assert finding.layer == "sshd"
    assert "ClientAliveIntervall" in finding.what
    assert "client-never-probes" in ids(facts)


def test_a_value_that_only_we_would_not_set_is_read() -> None:
    write(OWN, "ServerAliveInterval 3000000\n", owner="alice")
    client = observed("ssh", users=("alice",)).clients["alice"]
    assert client.effective["server_alive_interval"] == 3000000


# --- ChrootDirectory


class Jail(NamedTuple):
    """A configuration in which sshd may drop alice as soon as she has logged in."""

    text: str
    #: The component that is to blame; "" where she is let in.
    component: str = ""
    problem: str = ""
    #: The line that says so.
    line: int = 5


# Without PAM an account without a password is locked.
HEAD = f"{INCLUDE}UsePAM yes\nSubsystem sftp internal-sftp\n"
SFTP = "ForceCommand internal-sftp\n"


def jailed(directory: str, match: str = "User alice") -> str:
    return f"Match {match}\nChrootDirectory {directory}\n{SFTP}"


ROOTS = "is not owned by root"
JAILS = {
    "a good one": Jail(jailed("/home/jail")),
    "the root": Jail(jailed("/")),
    "none": Jail(jailed("none")),
    "a quoted one": Jail(jailed('"/home/jail/with blank"')),
    "the user's": Jail(jailed("/home/alice"), "/home/alice", ROOTS),
    "below the user's": Jail(jailed("/home/alice/jail"), "/home/alice", ROOTS),
    "the group's": Jail(jailed("/home/jail/shared"), "/home/jail/shared", "may be written to by others (mode 0775)"),
    "everybody's": Jail(jailed("/home/jail/open/x"), "/home/jail/open", "may be written to by others (mode 0757)"),
    "missing": Jail(jailed("/home/jail/missing"), "/home/jail/missing", "cannot be used: No such file or directory"),
    "a file": Jail(jailed("/home/jail/file"), "/home/jail/file", "is no directory"),
    "a link to a good one": Jail(jailed("/home/jail/link")),
    "the home": Jail(jailed("%h"), "/home/alice", ROOTS),
    "by name": Jail(jailed("/home/jail/%u")),
    "by name, missing": Jail(jailed("/home/jail/%u/%u"), "/home/jail/alice/alice", "cannot be used"),
    "a percent sign": Jail(jailed("/home/jail/%%h")),
    "by group": Jail(jailed("%h", "Group alice"), "/home/alice", ROOTS),
    "from some addresses": Jail(jailed("%h", "User alice Address 127.0.0.0/8"), "/home/alice", ROOTS),
    # The lab's own user is the first whom it keeps out.
    "for everybody": Jail(f"{SFTP}ChrootDirectory %h\n", "/home/admin", ROOTS),
    "exempted by an earlier block": Jail(jailed("none") + jailed("%h", "Group alice")),
    "set right by an earlier block": Jail(jailed("/home/jail") + jailed("/home/alice", "Group alice")),
}


@pytest.fixture
def key(as_installed: None, tmp_path: Path) -> Path:
    """A key with which alice logs in."""
    path = tmp_path / "key"
    run_ok("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    write("/home/alice/.ssh/authorized_keys", path.with_suffix(".pub").read_text(), owner="alice")
    return path


@pytest.fixture
def directories(as_installed: None) -> None:
    for path in ("", "with blank", "alice", "%h", "shared", "open", "open/x", "/home/alice/jail"):
        Path("/home/jail", path).mkdir()
    Path("/home/jail/shared").chmod(0o775)
    Path("/home/jail/open").chmod(0o757)
    write("/home/jail/file", "")
    os.symlink("alice", "/home/jail/link")


def lets_in(key: Path) -> bool:
    """Whether the running sshd gives alice a session."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", f"IdentityFile={key}"]
    command = ["sftp", "-F", "none", *(word for option in options for word in ("-o", option)), "alice@127.0.0.1"]
    done = run(*command)
    assert "Permission denied" not in done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("case", list(JAILS), ids=str)
def test_a_chroot_is_called_unsafe_where_sshd_drops_the_session(case: str, directories: None, key: Path) -> None:
    jail = JAILS[case]
    write(SSHD, HEAD + jail.text)
    service.reload()

    facts = observed("sshd")

    assert lets_in(key) is not bool(jail.component)
    if jail.component:
        finding = found("unsafe-chroot", facts)
        assert finding.origin == Origin(SSHD, jail.line)
        assert f"{jail.component} {jail.problem}" in finding.what
    else:
        assert "unsafe-chroot" not in ids(facts)


# --- the kernel


X = "/etc/sysctl.d/50-x.conf"


def test_a_running_value_that_is_not_the_files_is_named() -> None:
    write(X, "# tuned\nnet.ipv4.tcp_retries2 = 9\n")

    facts = observed("sysctl")

    (finding,) = findings(facts)
    assert (finding.id, finding.origin) == ("kernel-and-file-disagree", Origin(X, 2))
    assert "tcp_retries2 is 15 now and 9 after the next boot" in finding.what
    assert report(facts)["next_boot"]["tcp_retries2"] == 9
    sysctl("tcp_retries2", 9)
    assert ids(observed("sysctl")) == []


def test_a_running_value_that_no_file_has_is_lost_at_boot() -> None:
    sysctl("tcp_keepalive_time", 600)
    (finding,) = findings(observed("sysctl"))
    assert (finding.id, finding.origin) == ("lost-at-boot", None)
    assert "tcp_keepalive_time is 600 now and will be 7200 again" in finding.what


def test_sysctl_conf_is_read_at_boot_on_older_debian_only() -> None:
    write("/etc/sysctl.conf", "net.ipv4.tcp_keepalive_time = 600\n")
    sysctl("tcp_keepalive_time", 600)
    facts = observed("sysctl")
    assert facts.kernel
    if BOOT_READS_SYSCTL_CONF:
        assert ids(facts) == []
        assert facts.kernel.origins == {"tcp_keepalive_time": Origin("/etc/sysctl.conf", 1)}
    else:
        assert ids(facts) == ["lost-at-boot"]
        assert facts.kernel.origins == {}


def test_of_two_files_the_later_one_counts_and_the_other_is_named() -> None:
    write(X, "net.ipv4.tcp_retries2 = 9\n")
    write("/etc/sysctl.d/60-x.conf", "\nnet/ipv4/tcp_retries2 = 10\n")
    sysctl("tcp_retries2", 10)

    (finding,) = findings(observed("sysctl"))

    assert (finding.id, finding.origin) == ("shadowed-line", Origin(X, 1))
    assert "tcp_retries2 9 has no effect: /etc/sysctl.d/60-x.conf, line 2 wins" in finding.what


def test_a_wildcard_is_where_a_value_comes_from_and_shadows_nothing() -> None:
    write(X, "net.ipv4.tcp_keepalive_* = 8\nnet.ipv4.tcp_keepalive_time = 600\n")
    facts = observed("sysctl")
    assert facts.kernel
    assert facts.kernel.origins == {
        "tcp_keepalive_time": Origin(X, 2),
        "tcp_keepalive_intvl": Origin(X, 1),
        "tcp_keepalive_probes": Origin(X, 1),
    }
    assert facts.kernel.next_boot == Kernel(600, 8, 8)._asdict()
    assert ids(facts) == ["kernel-and-file-disagree"] * 3


def test_a_line_that_is_excluded_further_down_has_no_effect() -> None:
    write(X, "net.ipv4.tcp_retries2 = 9\n-net.ipv4.tcp_retries2\n")
    run("/lib/systemd/systemd-sysctl", "--prefix=/net/ipv4/tcp_retries2")
    facts = observed("sysctl")
    assert facts.live == Kernel()
    assert found("shadowed-line", facts).origin == Origin(X, 1)


def test_a_value_that_the_kernel_refuses_is_not_promised_for_the_next_boot() -> None:
    write(X, "net.ipv4.tcp_retries2 = 256\n")
    run("/lib/systemd/systemd-sysctl", "--prefix=/net/ipv4/tcp_retries2")
    facts = observed("sysctl")
    assert facts.live == Kernel()
    (finding,) = findings(facts)
    assert finding.origin == Origin(X, 1)
    assert "256 after the next boot" not in finding.what


# --- the path, and Ansible


def test_what_does_not_keep_the_path_open_is_named() -> None:
    stock = observed(*ALL, path_idle_timeout=240)
    assert ids(stock).count("interval-above-path") == 2

    harden("sshd", client_alive_interval=120, reload=False)
    harden("ssh", server_alive_interval=120)

    # 120 is 240 for sshd 9.2.
    above = [finding.layer for finding in findings(observed(*ALL, path_idle_timeout=240)) if "path" in finding.id]
    assert above == (["sshd"] if VERSION == (9, 2) else [])

    sysctl("tcp_keepalive_time", 200)
    assert "interval-above-path" not in ids(observed("sshd", "ssh", path_idle_timeout=240))


CONTROL = "-o ControlMaster=auto -o ControlPersist=60s"


@pytest.mark.parametrize(
    ("arguments", "interval"),
    [
        (CONTROL, 0),
        (f"{CONTROL} -o ServerAliveInterval=30", 30),
        (f'{CONTROL} -o "ServerAliveInterval 1m"', 60),
        # Debian's own patch.
        (f"{CONTROL} -o BatchMode=yes", 300),
    ],
)
def test_arguments_without_probes_are_named(arguments: str, interval: int) -> None:
    facts = observed(ssh_arguments=(arguments,))
    assert [(connection.host, connection.interval) for connection in facts.ansible] == [("host1", interval)]
    if interval:
        assert ids(facts) == []
    else:
        assert "when a host vanishes, here host1:" in found("ansible-never-probes", facts).what


def test_what_the_control_node_is_hardened_to_counts_for_ansible() -> None:
    harden("ssh", server_alive_interval=30)
    assert ids(observed(ssh_arguments=(CONTROL,))) == []


@pytest.mark.parametrize(
    ("arguments", "words"), [("-o Bogus=1", "bogus"), ("-F /nowhere", "/nowhere"), ("-o 'Port 22", "quot")]
)
def test_arguments_that_ssh_refuses_are_named_in_its_words(arguments: str, words: str) -> None:
    finding = found("ansible-arguments-refused", observed(ssh_arguments=(arguments,)))
    assert "host1 cannot be reached" in finding.what
    assert words in finding.what.lower()


def test_arguments_are_not_told_since_they_may_hold_a_password() -> None:
    finding = found("ansible-never-probes", observed(ssh_arguments=("-o ProxyCommand='sshpass -p S3cret nc'",)))
    assert "S3cret" not in repr(finding)


def test_arguments_are_judged_for_the_host_that_they_are_for() -> None:
    write("/root/asked", "Host host2\n    ServerAliveInterval 15\n", mode=0o600)
    facts = observed(ssh_arguments=("-F /root/asked", "-F /root/asked"))
    Path("/root/asked").unlink()
    assert [connection.interval for connection in facts.ansible] == [0, 15]
