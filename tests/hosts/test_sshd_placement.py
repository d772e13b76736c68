# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever stands in sshd_config already, the value takes effect, or the run fails and names the line that wins."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.tests.hosts.support import (
    competing,
    harden,
    run_ok,
    snapshot,
    sshd_says,
    write,
)

MAIN = "sshd_config"
DROP_IN = "sshd_config.d/00-keepalive.conf"
INCLUDE = "Include /etc/ssh/sshd_config.d/*.conf\n"
FIFTEEN = "ClientAliveInterval 15\n"


class Trap(NamedTuple):
    """A configuration in which ClientAliveInterval is to become 60."""

    #: Below /etc/ssh; what is not named is as installed, without any line for keepalive.
    files: dict[str, str]
    #: Path, line, value of every line of another's.
    competing: tuple[tuple[str, int, str], ...] = ()
    #: The file that our value is written to; "" if it cannot win.
    place: str = MAIN
    #: The line that beats it, "" if none does.
    winner: str = ""
    #: The value that user backup has from a Match block and keeps.
    backup: str = "60"


# A block of one value in the main file moves its lines down by four.
TRAPS = {
    "stock": Trap({}, place=DROP_IN),
    "earlier drop-in": Trap({"sshd_config.d/00-a.conf": FIFTEEN}, (("sshd_config.d/00-a.conf", 1, "15"),)),
    "drop-in of cloud-init": Trap(
        {"sshd_config.d/50-cloud-init.conf": "PasswordAuthentication yes\nClientAliveInterval 420\n"},
        (("sshd_config.d/50-cloud-init.conf", 2, "420"),),
        place=DROP_IN,
    ),
    "byte order, not alphabet": Trap(
        {"sshd_config.d/00-Z.conf": FIFTEEN, "sshd_config.d/.hidden.conf": FIFTEEN},
        (("sshd_config.d/00-Z.conf", 1, "15"),),
    ),
    "line above the Include": Trap({MAIN: FIFTEEN + INCLUDE}, ((MAIN, 5, "15"),)),
    "Include in the middle": Trap({MAIN: f"Port 22\n{INCLUDE}{FIFTEEN}"}, ((MAIN, 3, "15"),), place=DROP_IN),
    "several Includes": Trap(
        {MAIN: f"Include a.d/*.conf b.d/*.conf\n{INCLUDE}", "a.d/x.conf": FIFTEEN, "b.d/x.conf": FIFTEEN},
        (("a.d/x.conf", 1, "15"), ("b.d/x.conf", 1, "15")),
        place="a.d/00-keepalive.conf",
    ),
    "relative Include": Trap({MAIN: "Include sshd_config.d/*.conf\n"}, place=DROP_IN),
    "quoted Include": Trap({MAIN: 'Include "/etc/ssh/sshd_config.d/*.conf"\n'}, place=DROP_IN),
    "odd case Include": Trap({MAIN: "\tiNCLUDE =  sshd_config.d/*.conf\n"}, place=DROP_IN),
    "Include of one file": Trap({MAIN: "Include one.conf\n", "one.conf": FIFTEEN}, (("one.conf", 1, "15"),)),
    "Include with a wildcard folder": Trap(
        {MAIN: "Include /etc/ssh/[ab].d/*.conf\n", "a.d/1.conf": FIFTEEN}, (("a.d/1.conf", 1, "15"),)
    ),
    "nested Includes": Trap(
        {"sshd_config.d/50-more.conf": "Include more.d/*\n", "more.d/00": f"Include deep\n{FIFTEEN}", "deep": FIFTEEN},
        (("deep", 1, "15"), ("more.d/00", 2, "15")),
        place=DROP_IN,
    ),
    "the same file twice": Trap(
        {MAIN: "Include one.conf\nInclude one.conf\n", "one.conf": FIFTEEN},
        (("one.conf", 1, "15"), ("one.conf", 1, "15")),
    ),
    "Include in a Match block": Trap(
        {MAIN: f"Match User backup\n{INCLUDE}", "sshd_config.d/a.conf": FIFTEEN},
        (("sshd_config.d/a.conf", 1, "15"),),
        backup="15",
    ),
    "nothing to include": Trap({MAIN: f"Include /etc/ssh/none.d/*.conf\n{FIFTEEN}"}, ((MAIN, 6, "15"),)),
    "no Include": Trap({MAIN: "Port 22\n"}),
    "empty file": Trap({MAIN: ""}),
    "ends in a Match block": Trap({MAIN: "X11Forwarding no\nMatch User backup\n    X11Forwarding yes\n"}),
    "Match all": Trap({MAIN: f"Match all\n{FIFTEEN}"}, winner="sshd_config, line 2"),
    "Match all above the Include": Trap({MAIN: f"Match all\n{FIFTEEN}{INCLUDE}"}, winner="sshd_config, line 2"),
    "Match all in a late drop-in": Trap(
        {"sshd_config.d/99-late.conf": f"\n# late\nMatch All\n{FIFTEEN}"}, winner="99-late.conf, line 4"
    ),
    "Match all, negated": Trap({MAIN: f"{INCLUDE}Match User *,!backup\n{FIFTEEN}"}, winner="sshd_config, line 3"),
    "Match User": Trap(
        {MAIN: f"{INCLUDE}Match User backup\nClientAliveInterval 600\n"}, ((MAIN, 3, "600"),), DROP_IN, backup="600"
    ),
    "Match User in a drop-in": Trap(
        {"sshd_config.d/10-a.conf": "Match User=backup\nClientAliveInterval 600\n"},
        (("sshd_config.d/10-a.conf", 2, "600"),),
        place=DROP_IN,
        backup="600",
    ),
    "an equals sign": Trap({MAIN: "ClientAliveInterval=15\n"}, ((MAIN, 5, "15"),)),
    "blanks and an equals sign": Trap({MAIN: "  ClientAliveInterval =\t15  \n"}, ((MAIN, 5, "15"),)),
    "quotes and a time": Trap({MAIN: '"clientaliveinterval" "1m30s"\n'}, ((MAIN, 5, "1m30s"),)),
    "trailing comment": Trap({MAIN: "CLIENTALIVEINTERVAL 15 # as agreed\n"}, ((MAIN, 5, "15"),)),
    "duplicates": Trap({MAIN: FIFTEEN + "ClientAliveInterval 0\n"}, ((MAIN, 5, "15"), (MAIN, 6, "0"))),
    "the same value": Trap({MAIN: "ClientAliveInterval 60\n"}, ((MAIN, 5, "60"),)),
    "CRLF": Trap({MAIN: f"Port 22\r\n{FIFTEEN}".replace("\n", "\r\n")}, ((MAIN, 6, "15"),)),
    "no final newline": Trap({MAIN: "Port 22\nClientAliveInterval 15"}, ((MAIN, 6, "15"),)),
    "our name is taken": Trap({DROP_IN: FIFTEEN}, ((DROP_IN, 1, "15"),)),
    "our name is taken, harmlessly": Trap({DROP_IN: "# mine"}),
}


def lay(trap: Trap) -> None:
    for path, text in trap.files.items():
        write(f"/etc/ssh/{path}", text)


@pytest.fixture(params=list(TRAPS), ids=str)
def trap(request: pytest.FixtureRequest) -> Trap:
    found = TRAPS[request.param]
    lay(found)
    return found


def effective(*users: str) -> list[str]:
    return [sshd_says("ClientAliveInterval", user=user) for user in users]


def test_takes_effect_or_names_the_winner(trap: Trap) -> None:
    before = snapshot()

    if trap.winner:
        with pytest.raises(HardeningError, match=trap.winner):
            harden("sshd", client_alive_interval=60, reload=False)
        assert snapshot() == before
        return

    plan = harden("sshd", client_alive_interval=60, reload=False)

    assert [change.path for change in plan.file_changes] == [f"/etc/ssh/{trap.place}"]
    assert effective("someone", "backup") == ["60", trap.backup]
    assert plan.effective == {"client_alive_interval": 60}
    kept = trap.backup != "60"
    assert competing(plan) == [(f"/etc/ssh/{path}", line, value, kept) for path, line, value in trap.competing]
    assert not harden("sshd", client_alive_interval=60, reload=False).changed

    harden("sshd", state="absent", reload=False)

    assert snapshot() == before


def test_exclusive_takes_effect_for_everybody(trap: Trap) -> None:
    before = snapshot()

    plan = harden("sshd", client_alive_interval=60, exclusive=True, reload=False)

    assert effective("someone", "backup") == ["60", "60"]
    assert plan.competing == []
    assert not harden("sshd", client_alive_interval=60, exclusive=True, reload=False).changed

    harden("sshd", state="absent", reload=False)

    assert snapshot() == before


@pytest.mark.parametrize("keyword", ["TCPKeepAlive", "KeepAlive", "keepalive"])
@pytest.mark.parametrize("exclusive", [False, True])
def test_keepalive_is_an_alias_of_tcp_keepalive(keyword: str, exclusive: bool) -> None:
    write("/etc/ssh/sshd_config", f"{keyword} yes\n")
    before = snapshot()

    plan = harden("sshd", tcp_keepalive=False, exclusive=exclusive, reload=False)

    assert sshd_says("TCPKeepAlive") == "no"
    assert [line["line"] for line in plan.competing] == ([] if exclusive else [5])
    harden("sshd", tcp_keepalive=False, state="absent", reload=False)
    assert snapshot() == before


@pytest.mark.parametrize(
    ("match", "selected", "text"),
    [
        ("User backup", {"user": "backup"}, INCLUDE),
        ("User backup", {"user": "backup"}, "Port 22\n"),
        ("User backup", {"user": "backup"}, f"{INCLUDE}Match User other\n{FIFTEEN}"),
        ("User backup", {"user": "backup"}, "Match User backup\nX11Forwarding no\nClientAliveInterval 15\n"),
        ("User backup", {"user": "backup"}, "Port 22\nMatch all\nX11Forwarding no"),
        ("user b*,!bob", {"user": "backup"}, INCLUDE),
        ("Group backup", {"user": "backup"}, INCLUDE),
        ("Address 10.0.0.0/8", {"addr": "10.9.8.7"}, INCLUDE),
        ("Address 2001:db8::/32", {"addr": "2001:db8::9"}, INCLUDE),
        ("Host *.example.org", {"host": "a.example.org"}, INCLUDE),
        ("LocalPort 22 User backup", {"user": "backup"}, INCLUDE),
        ("LocalAddress 192.0.2.1", {"laddr": "192.0.2.1", "user": "backup"}, INCLUDE),
    ],
    ids=str,
)
def test_match_values_are_for_those_that_it_selects(match: str, selected: dict[str, str], text: str) -> None:
    write("/etc/ssh/sshd_config", text)
    before = snapshot()

    harden("sshd", client_alive_interval=30, reload=False)
    with_global = snapshot()
    harden("sshd", match=match, client_alive_interval=60, client_alive_count_max=2, reload=False)

    others = {"addr": "192.0.2.99", "laddr": "192.0.2.99"}
    assert sshd_says("ClientAliveInterval", **selected) == "60"
    assert sshd_says("ClientAliveCountMax", **selected) == "2"
    assert sshd_says("ClientAliveInterval", **others) == "30"
    assert sshd_says("ClientAliveCountMax", **others) == "3"
    assert not harden("sshd", match=match, client_alive_interval=60, client_alive_count_max=2, reload=False).changed

    harden("sshd", match=match, state="absent", reload=False)
    assert snapshot() == with_global
    harden("sshd", state="absent", reload=False)
    assert snapshot() == before


def test_a_match_block_of_ours_that_cannot_win_is_an_error() -> None:
    # Of several blocks that match, the first decides; this one is read before ours can be.
    write("/etc/ssh/sshd_config", f"Include first.conf\n{INCLUDE}")
    write("/etc/ssh/first.conf", f"Match User b*\n{FIFTEEN}")
    before = snapshot()

    with pytest.raises(HardeningError, match=r"first\.conf, line 2"):
        harden("sshd", match="User backup", client_alive_interval=60, reload=False)

    assert snapshot() == before


@pytest.mark.parametrize("first_run", [{"client_alive_interval": 60}, {"client_alive_count_max": 5}], ids=str)
def test_a_later_run_changes_only_what_it_names(first_run: dict[str, int]) -> None:
    harden("sshd", **first_run, tcp_keepalive=False, reload=False)
    harden("sshd", client_alive_interval=90, reload=False)

    assert sshd_says("ClientAliveInterval") == "90"
    assert sshd_says("ClientAliveCountMax") == str(first_run.get("client_alive_count_max", 3))
    assert sshd_says("TCPKeepAlive") == "no"

    harden("sshd", client_alive_interval="0", state="absent", reload=False)

    assert sshd_says("ClientAliveInterval") == "0"
    assert sshd_says("TCPKeepAlive") == "no"


def test_the_whole_set_in_other_peoples_presence() -> None:
    write("/etc/ssh/sshd_config", "Port 22\nMatch User backup\n  ClientAliveInterval 600\n  ClientAliveCountMax 1")
    run_ok("chmod", "0600", "/etc/ssh/sshd_config")
    before = snapshot()

    harden("sshd", client_alive_interval="1m30s", client_alive_count_max=0, tcp_keepalive=True, reload=False)

    assert [sshd_says(word) for word in ("ClientAliveInterval", "ClientAliveCountMax", "TCPKeepAlive")] == [
        "90",
        "0",
        "yes",
    ]
    assert sshd_says("ClientAliveCountMax", user="backup") == "1"
    assert not Path(f"/etc/ssh/{DROP_IN}").exists()
    harden("sshd", state="absent", reload=False)
    assert snapshot() == before


def test_a_match_that_only_sshd_can_judge_is_left_to_sshd() -> None:
    write(f"/etc/ssh/{MAIN}", "Match RDomain mgmt\n    ClientAliveInterval 7\n")
    plan = harden("sshd", client_alive_interval=60)
    assert sshd_says("ClientAliveInterval") == "60"
    assert [line["scope"] for line in plan.competing] == ["Match RDomain mgmt"]


def test_a_match_for_every_group_is_for_everybody() -> None:
    write(f"/etc/ssh/{MAIN}", "Match Group *\n    ClientAliveInterval 7\n")
    before = snapshot()
    with pytest.raises(HardeningError, match=r"sshd_config, line 2 in Match Group \* wins"):
        harden("sshd", client_alive_interval=60)
    assert snapshot() == before
