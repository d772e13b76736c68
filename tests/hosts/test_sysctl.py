# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel value holds now, after the next boot and after `sysctl --system`, or the run fails and names who wins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.tests.hosts.support import (
    competing,
    harden,
    read_only,
    run,
    run_ok,
    snapshot,
    write,
)

KEY = Path("/proc/sys/net/ipv4/tcp_retries2")
DEFAULT = 15
# What no file here sets: it is still there after a reading that set nothing.
UNTOUCHED = 77
OURS = "/etc/sysctl.d/zz-keepalive.conf"
CONF = "/etc/sysctl.conf"
NINE = "net.ipv4.tcp_retries2 = 9\n"
TEN = "net.ipv4.tcp_retries2 = 10\n"


def live() -> int:
    return int(KEY.read_text())


def set_live(value: int) -> None:
    KEY.write_text(str(value))


def value_after(*command: str) -> int | None:
    """The value that a command leaves, None if it does not set it."""
    before = live()
    set_live(UNTOUCHED)
    run(*command)
    found = live()
    set_live(before)
    return None if found == UNTOUCHED else found


def next_boot() -> int | None:
    return value_after("/lib/systemd/systemd-sysctl", "--prefix=/net/ipv4/tcp_retries2")


def sysctl_system() -> int | None:
    # kernel.* and fs.* of the distribution's files would reach the machine itself.
    hide = "for part in kernel fs vm; do mount -t tmpfs none /proc/sys/$part; done"
    return value_after("unshare", "--mount", "sh", "-c", f"{hide}; sysctl --system")


@pytest.fixture(autouse=True)
def kernel_defaults(as_installed: None) -> Iterator[None]:
    """The values that the tests change, as the kernel starts with them, before and after."""

    def reset() -> None:
        for name, value in {"tcp_retries1": 3, "tcp_retries2": DEFAULT, "tcp_keepalive_time": 7200}.items():
            KEY.with_name(name).write_text(str(value))

    reset()
    yield
    reset()


class Trap(NamedTuple):
    """Files, after which tcp_retries2 is to become 7."""

    #: Path to text; a path to "-> TARGET" is a link.
    files: dict[str, str]
    #: What the next boot would set without us; None if nothing.
    boot: int | None = None
    #: Path and line of every other line that sets it.
    competing: tuple[tuple[str, int], ...] = ()
    #: The line that beats ours; "" if none does.
    winner: str = ""


TRAPS = {
    "nothing": Trap({}),
    "/etc": Trap({"/etc/sysctl.d/50-x.conf": NINE}, 9, (("/etc/sysctl.d/50-x.conf", 1),)),
    "/run": Trap({"/run/sysctl.d/50-x.conf": NINE}, 9, (("/run/sysctl.d/50-x.conf", 1),)),
    "/usr/local/lib": Trap({"/usr/local/lib/sysctl.d/a.conf": NINE}, 9, (("/usr/local/lib/sysctl.d/a.conf", 1),)),
    "/usr/lib": Trap({"/usr/lib/sysctl.d/50-x.conf": NINE}, 9, (("/usr/lib/sysctl.d/50-x.conf", 1),)),
    "no .conf": Trap({"/etc/sysctl.d/zzz.disabled": NINE, "/etc/sysctl.d/zzz": NINE}),
    "sorted by name, not by folder": Trap(
        {"/etc/sysctl.d/10-x.conf": NINE, "/usr/lib/sysctl.d/20-x.conf": TEN},
        10,
        (("/etc/sysctl.d/10-x.conf", 1), ("/usr/lib/sysctl.d/20-x.conf", 1)),
    ),
    "one name in two folders": Trap(
        {"/etc/sysctl.d/50-x.conf": NINE, "/usr/lib/sysctl.d/50-x.conf": TEN}, 9, (("/etc/sysctl.d/50-x.conf", 1),)
    ),
    "masked": Trap({"/etc/sysctl.d/50-x.conf": "-> /dev/null", "/usr/lib/sysctl.d/50-x.conf": TEN}),
    "a link elsewhere": Trap({"/etc/sysctl.d/50-x.conf": "-> /etc/other", "/etc/other": NINE}, 9, (("/etc/other", 1),)),
    "conflict in one file": Trap(
        {"/etc/sysctl.d/50-x.conf": NINE + TEN}, 10, (("/etc/sysctl.d/50-x.conf", 1), ("/etc/sysctl.d/50-x.conf", 2))
    ),
    "slashes": Trap({"/etc/sysctl.d/50-x.conf": "net/ipv4/tcp_retries2=9"}, 9, (("/etc/sysctl.d/50-x.conf", 1),)),
    "spelling": Trap(
        {"/etc/sysctl.d/50-x.conf": f"# {TEN}; {TEN}\n\t-net.ipv4.tcp_retries2 =\t9 \n"},
        9,
        (("/etc/sysctl.d/50-x.conf", 4),),
    ),
    "a wildcard": Trap(
        {"/etc/sysctl.d/50-x.conf": "net.ipv4.tcp_retries? = 9\n"}, 9, (("/etc/sysctl.d/50-x.conf", 1),)
    ),
    "a wildcard in the path": Trap(
        {"/etc/sysctl.d/50-x.conf": "net/*/tcp_retries2 = 9\n"}, 9, (("/etc/sysctl.d/50-x.conf", 1),)
    ),
    "a wildcard with an exclusion": Trap(
        {"/etc/sysctl.d/50-x.conf": "net.ipv4.tcp_retries? = 9\n-net.ipv4.tcp_retries2\n"},
        None,
        (("/etc/sysctl.d/50-x.conf", 1), ("/etc/sysctl.d/50-x.conf", 2)),
    ),
    "octal": Trap({"/etc/sysctl.d/50-x.conf": "net.ipv4.tcp_retries2 = 010"}, 8, (("/etc/sysctl.d/50-x.conf", 1),)),
    "hexadecimal": Trap(
        {"/etc/sysctl.d/50-x.conf": "net.ipv4.tcp_retries2 = 0x10"}, 16, (("/etc/sysctl.d/50-x.conf", 1),)
    ),
    "a later file": Trap({"/etc/sysctl.d/zzz.conf": f"# tuned\n{NINE}"}, 9, winner="/etc/sysctl.d/zzz.conf, line 2"),
    "a later file of the vendor": Trap(
        {"/usr/lib/sysctl.d/zzz.conf": NINE}, 9, winner="/usr/lib/sysctl.d/zzz.conf, line 1"
    ),
    "a later file that agrees": Trap(
        {"/etc/sysctl.d/zzz.conf": "net.ipv4.tcp_retries2 = 7\n"}, 7, (("/etc/sysctl.d/zzz.conf", 1),)
    ),
}


@pytest.fixture(params=list(TRAPS), ids=str)
def trap(request: pytest.FixtureRequest) -> Iterator[Trap]:
    found = TRAPS[request.param]
    for path, text in found.files.items():
        if text.startswith("-> "):
            os.symlink(text[3:], path)
        else:
            write(path, text)
    yield found
    if "/etc/other" in found.files:
        os.unlink("/etc/other")


def all_values() -> tuple[int, int | None, int | None]:
    return live(), next_boot(), sysctl_system()


def test_takes_effect_or_names_the_winner(trap: Trap) -> None:
    before = snapshot()
    assert next_boot() == trap.boot

    if trap.winner:
        with pytest.raises(HardeningError, match=trap.winner):
            harden("sysctl", tcp_retries2=7)
        assert (snapshot(), live()) == (before, DEFAULT)
        return

    plan = harden("sysctl", tcp_retries2=7)

    assert all_values() == (7, 7, 7)
    assert plan.extra == {"next_boot": {"tcp_retries2": 7}}
    assert [(path, line) for path, line, _value, _wins in competing(plan)] == list(trap.competing)
    assert not harden("sysctl", tcp_retries2=7).changed

    plan = harden("sysctl", state="absent")

    assert snapshot() == before
    expected = DEFAULT if trap.boot is None else trap.boot
    assert plan.effective == {"tcp_retries2": expected}
    assert live() == expected


def test_exclusive_takes_effect(trap: Trap) -> None:
    before = snapshot()

    harden("sysctl", tcp_retries2=7, exclusive=True)

    assert all_values() == (7, 7, 7)
    assert not harden("sysctl", tcp_retries2=7, exclusive=True).changed
    harden("sysctl", state="absent")
    assert snapshot() == before


def test_sysctl_conf_counts_for_procps_and_on_older_debian_for_the_boot() -> None:
    write(CONF, f"# mine\n{NINE}")
    before = snapshot()
    assert sysctl_system() == 9

    with pytest.raises(HardeningError, match=f"{CONF}, line 2 wins"):
        harden("sysctl", tcp_retries2=7)
    assert (snapshot(), live()) == (before, DEFAULT)

    harden("sysctl", tcp_retries2=7, exclusive=True)
    assert all_values() == (7, 7, 7)
    harden("sysctl", state="absent")
    assert snapshot() == before


@pytest.mark.parametrize("options", [{"persist": False}, {"runtime": False}, {}], ids=str)
def test_only_what_is_asked_for_is_changed(options: dict[str, Any]) -> None:
    before = snapshot()

    harden("sysctl", tcp_retries2=7, **options)

    assert live() == (7 if options.get("runtime", True) else DEFAULT)
    assert next_boot() == (7 if options.get("persist", True) else None)
    assert (snapshot() == before) == ("persist" in options)
    assert not harden("sysctl", tcp_retries2=7, **options).changed
    harden("sysctl", tcp_retries2=7, state="absent", **options)
    assert (snapshot(), live()) == (before, DEFAULT)


def test_a_value_that_was_changed_meanwhile_is_set_again() -> None:
    harden("sysctl", tcp_retries2=7)
    set_live(12)

    plan = harden("sysctl", tcp_retries2=7)

    assert (plan.changed, plan.file_changes, plan.before, live()) == (True, [], {"tcp_retries2": 12}, 7)


def test_keys_that_are_not_ours_are_left_alone() -> None:
    write("/etc/sysctl.d/50-x.conf", "net.ipv4.tcp_retries1 = 4\n")

    harden("sysctl", tcp_retries2=7, tcp_keepalive_time=600)

    assert KEY.with_name("tcp_retries1").read_text() == "3\n"
    assert KEY.with_name("tcp_keepalive_time").read_text() == "600\n"
    harden("sysctl", tcp_keepalive_time=600, state="absent")
    assert (live(), next_boot()) == (7, 7)
    assert KEY.with_name("tcp_keepalive_time").read_text() == "7200\n"


def test_a_read_only_kernel_is_named_and_nothing_changed() -> None:
    before = snapshot()

    with read_only("/proc/sys"):
        with pytest.raises(HardeningError, match=r"tcp_retries2 is read-only.*runtime: false"):
            harden("sysctl", tcp_retries2=7)
        assert snapshot() == before
        harden("sysctl", tcp_retries2=7, runtime=False)

    assert (live(), next_boot()) == (DEFAULT, 7)


def test_a_read_only_folder_is_named_and_nothing_changed() -> None:
    with read_only("/etc/sysctl.d"), pytest.raises(HardeningError, match=r"cannot write /etc/sysctl\.d/zz-keepalive"):
        harden("sysctl", tcp_retries2=7)
    assert live() == DEFAULT


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/sysctl.d/keepalive", "does not read /etc/sysctl.d/keepalive"),
        ("/etc/keepalive.conf", "does not read /etc/keepalive.conf"),
        ("/etc/sysctl.d/10-first.conf", "/etc/sysctl.d/50-x.conf, line 1 wins"),
    ],
)
def test_a_path_that_would_not_count_is_refused(path: str, words: str) -> None:
    if "10-first" in path:
        write("/etc/sysctl.d/50-x.conf", NINE)
    before = snapshot()

    with pytest.raises(HardeningError, match=words):
        harden("sysctl", tcp_retries2=7, path=path)

    assert (snapshot(), live()) == (before, DEFAULT)


def test_another_path_is_kept_apart_from_what_stands_there() -> None:
    write("/etc/sysctl.d/99-site.conf", f"# site\n{NINE}", mode=0o600)
    before = snapshot()

    harden("sysctl", tcp_retries2=7, path="/etc/sysctl.d/99-site.conf")

    assert all_values() == (7, 7, 7)
    harden("sysctl", state="absent", path="/etc/sysctl.d/99-site.conf")
    assert snapshot() == before


def test_the_whole_service_agrees() -> None:
    harden("sysctl", tcp_retries2=7)
    if Path("/run/systemd/system").is_dir():
        set_live(DEFAULT)
        run_ok("systemctl", "restart", "systemd-sysctl")
        assert live() == 7


KEEPALIVE_TIME = Path("/proc/sys/net/ipv4/tcp_keepalive_time")


def test_a_killed_absent_has_taken_back_the_kernels_value_before_the_file() -> None:
    harden("sysctl", tcp_keepalive_time=120)
    pid = os.fork()
    if pid == 0:
        os.unlink = lambda *_arguments, **_more: os._exit(7)
        harden("sysctl", state="absent")
        os._exit(0)
    assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 7
    assert KEEPALIVE_TIME.read_text() == "7200\n"
    harden("sysctl", state="absent")
    assert not Path("/etc/sysctl.d/zz-keepalive.conf").exists()


def test_absent_gives_the_kernel_what_another_file_says() -> None:
    other = Path("/etc/sysctl.d/50-other.conf")
    other.write_text("net.ipv4.tcp_keepalive_time = 40000\n")
    harden("sysctl", tcp_keepalive_time=120)
    harden("sysctl", state="absent")
    assert KEEPALIVE_TIME.read_text() == "40000\n"
    KEEPALIVE_TIME.write_text("7200\n")
