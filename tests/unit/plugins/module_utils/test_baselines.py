# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which baselines a server passes, what it would have to be, and where they exclude each other."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils._baselines import check
from ansible_collections.keepalive.hardening.plugins.module_utils._settings import Value

IDS = ["cis", "cis_idle_timeout", "stig", "stig_count_zero", "dev_sec"]


def effective(interval: int, count: int, tcp_keepalive: bool = True) -> dict[str, Value]:
    return {"client_alive_interval": interval, "client_alive_count_max": count, "tcp_keepalive": tcp_keepalive}


def passed(values: dict[str, Value]) -> list[str]:
    return [baseline["id"] for baseline in check(values) if baseline["holds"]]


def fails(identifier: str, values: dict[str, Value]) -> list[str]:
    (baseline,) = (baseline for baseline in check(values) if baseline["id"] == identifier)
    return list(baseline["fails"])


def test_every_baseline_is_reported_with_where_it_stands_and_where_it_was_read() -> None:
    assert [baseline["id"] for baseline in check({})] == IDS
    for baseline in check({}):
        assert baseline["title"]
        assert baseline["source"].startswith("https://")


@pytest.mark.parametrize(
    ("values", "baselines"),
    [
        # This collection's defaults, and OpenSSH's.
        (effective(30, 6), ["cis"]),
        (effective(0, 3), []),
        # Every interval at which a baseline begins or ends,
        (effective(1, 3), ["cis", "cis_idle_timeout"]),
        (effective(300, 3), ["cis", "cis_idle_timeout"]),
        (effective(301, 3), ["cis"]),
        (effective(1, 1), ["cis", "cis_idle_timeout", "stig"]),
        (effective(300, 1), ["cis", "cis_idle_timeout", "stig"]),
        (effective(301, 1), ["cis", "stig"]),
        (effective(600, 1), ["cis", "stig"]),
        (effective(601, 1), ["cis"]),
        # and every count.
        (effective(300, 0), ["cis_idle_timeout", "stig_count_zero"]),
        (effective(301, 0), ["stig_count_zero"]),
        (effective(600, 0), ["stig_count_zero"]),
        (effective(601, 0), []),
        (effective(300, 2), ["cis", "cis_idle_timeout"]),
        (effective(300, 4), ["cis"]),
        # dev-sec wants these three and no other.
        (effective(300, 3, tcp_keepalive=False), ["cis", "cis_idle_timeout", "dev_sec"]),
        (effective(299, 3, tcp_keepalive=False), ["cis", "cis_idle_timeout"]),
        (effective(301, 3, tcp_keepalive=False), ["cis"]),
        (effective(300, 2, tcp_keepalive=False), ["cis", "cis_idle_timeout"]),
        (effective(300, 4, tcp_keepalive=False), ["cis"]),
    ],
)
def test_which_baselines_a_server_passes(values: dict[str, Value], baselines: list[str]) -> None:
    assert passed(values) == baselines


@pytest.mark.parametrize(
    ("identifier", "values", "sentences"),
    [
        ("cis", effective(0, 1), ["client_alive_interval is 0, not 1 or more"]),
        ("cis_idle_timeout", effective(900, 3), ["client_alive_interval is 900, not 1 to 300"]),
        (
            "stig",
            effective(601, 3),
            ["client_alive_interval is 601, not 1 to 600", "client_alive_count_max is 3, not 1"],
        ),
        ("stig_count_zero", effective(600, 3), ["client_alive_count_max is 3, not 0"]),
        ("dev_sec", effective(300, 3), ["tcp_keepalive is yes, not no"]),
        ("cis", {"client_alive_interval": 1}, ["client_alive_count_max is unknown, not 1 or more"]),
    ],
)
def test_what_fails_is_said_with_what_it_would_have_to_be(
    identifier: str, values: dict[str, Value], sentences: list[str]
) -> None:
    assert fails(identifier, values) == sentences


def test_whoever_expects_what_sshd_does_not_do_is_told_so() -> None:
    contradictions = {baseline["id"]: baseline["contradiction"] for baseline in check({})}
    assert contradictions["cis"] == ""
    assert "ends no idle session" in contradictions["cis_idle_timeout"]
    assert "ends no idle session" in contradictions["stig"]
    # tcp_retries2 of 15, Documentation/networking/ip-sysctl.rst
    assert "after 925 s or more" in contradictions["stig_count_zero"]
    assert "240 s" in contradictions["dev_sec"]


SERVERS = strategies.builds(
    effective,
    strategies.sampled_from([0, 1, 30, 299, 300, 301, 600, 601]) | strategies.integers(0, 2147483),
    strategies.integers(0, 5) | strategies.integers(0, 2147483),
    strategies.booleans(),
)


@given(SERVERS)
def test_no_server_passes_both_dev_sec_and_stig(values: dict[str, Value]) -> None:
    assert not {"dev_sec", "stig"} <= set(passed(values))
    assert not {"stig", "stig_count_zero"} <= set(passed(values))


@given(SERVERS)
def test_a_server_that_never_probes_passes_nothing(values: dict[str, Value]) -> None:
    assert passed({**values, "client_alive_interval": 0}) == []


@given(SERVERS)
def test_a_baseline_holds_where_nothing_fails(values: dict[str, Value]) -> None:
    assert [baseline["holds"] for baseline in check(values)] == [not baseline["fails"] for baseline in check(values)]
