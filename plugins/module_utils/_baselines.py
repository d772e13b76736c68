# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hardening baselines demand of sshd's keepalive, and where that contradicts what sshd does. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._settings import Kernel, Value
from ._timeline import retransmission_timeout
from ._values import LONGEST_TIME, render


class Baseline(NamedTuple):
    """A demand that several editions share."""

    id: str
    #: Where it stands.
    title: str
    #: Option to the least and the most that pass.
    demands: dict[str, tuple[int, int]]
    #: What it expects that sshd does not do; "" for nothing.
    contradiction: str
    source: str


_ANY_COUNT = (1, LONGEST_TIME)
_NOBODY_IDLES = "ends no idle session: a healthy client answers every probe"

BASELINES = (
    Baseline(
        "cis",
        "CIS, current editions (Ubuntu 24.04 5.1.7, Debian 12 5.1.7, RHEL 9 5.1.10)",
        {"client_alive_interval": _ANY_COUNT, "client_alive_count_max": _ANY_COUNT},
        "",
        "https://github.com/ansible-lockdown/RHEL9-CIS-Audit/blob/HEAD/section_5/cis_5.1/cis_5.1.10.yml",
    ),
    Baseline(
        "cis_idle_timeout",
        'CIS, older editions, "Idle Timeout Interval" (distribution independent 5.2.12, Ubuntu 22.04 5.2.22)',
        {"client_alive_interval": (1, 300), "client_alive_count_max": (0, 3)},
        f"{_NOBODY_IDLES}; the count of 0 that it recommends ends no session at all since OpenSSH 8.2",
        "https://github.com/dev-sec/cis-dil-benchmark/blob/HEAD/controls/5_2_ssh_server_configuration.rb",
    ),
    Baseline(
        "stig",
        "DISA STIG (RHEL-09-255095 and -255100, UBTU-22-255030 and -255035, UBTU-24-600000 and -600010)",
        {"client_alive_interval": (1, 600), "client_alive_count_max": (1, 1)},
        f"{_NOBODY_IDLES}, though some editions call it inactivity; "
        "and 600 s keep no path open that forgets a silent connection sooner",
        "https://github.com/mitre/redhat-enterprise-linux-9-stig-baseline/blob/HEAD/controls/SV-257995.rb",
    ),
    Baseline(
        "stig_count_zero",
        "DISA STIG for RHEL 8 before V1R8 (RHEL-08-010200 and -010201)",
        {"client_alive_interval": (1, 600), "client_alive_count_max": (0, 0)},
        "a count of 0 ends no session at all since OpenSSH 8.2: TCP alone ends it, after "
        f"{retransmission_timeout(Kernel().tcp_retries2)[0]:.0f} s or more",
        "https://github.com/mitre/redhat-enterprise-linux-8-stig-baseline/blob/HEAD/controls/SV-230244.rb",
    ),
    Baseline(
        "dev_sec",
        "dev-sec ssh-baseline sshd-35, sshd-36, sshd-37",
        {"client_alive_interval": (300, 300), "client_alive_count_max": (3, 3), "tcp_keepalive": (0, 0)},
        "300 s is above the idle timeout of common load balancers (240 s), so that idle sessions hang; "
        "and without TCPKeepAlive nothing notices a dead client of a session that sshd does not probe",
        "https://github.com/dev-sec/ssh-baseline/blob/HEAD/controls/sshd_spec.rb",
    ),
)


def check(effective: dict[str, Value]) -> list[dict[str, Any]]:
    """Each baseline, with whether a server with these values passes it, and what it would have to be."""
    return [
        {
            "id": baseline.id,
            "title": baseline.title,
            "holds": not any(_fails(effective, *demand) for demand in baseline.demands.items()),
            "fails": [
                f"{option} is {_shown(effective.get(option))}, not {_range(option, least, most)}"
                for option, (least, most) in baseline.demands.items()
                if _fails(effective, option, (least, most))
            ],
            "contradiction": baseline.contradiction,
            "source": baseline.source,
        }
        for baseline in BASELINES
    ]


def _fails(effective: dict[str, Value], option: str, demand: tuple[int, int]) -> bool:
    value = effective.get(option)
    return not isinstance(value, int) or not demand[0] <= value <= demand[1]


def _range(option: str, least: int, most: int) -> str:
    if option == "tcp_keepalive":
        return render(bool(least))
    if least == most:
        return str(least)
    return f"{least} to {most}" if most < LONGEST_TIME else f"{least} or more"


def _shown(value: Value | None) -> str:
    return "unknown" if value is None else render(value)
