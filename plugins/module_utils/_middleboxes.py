# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Idle timeouts of middleboxes that are known by name; docs/values.md has the sources. Pure."""

from __future__ import annotations

from ._values import parse_whole_number

#: Name to the seconds of silence after which it forgets a TCP connection, as it comes.
IDLE_TIMEOUTS = {
    "aws_gateway_lb": 350,
    "aws_nat_gateway": 350,
    "aws_network_firewall": 350,
    "aws_nlb": 350,
    "aws_security_group": 350,
    "azure_load_balancer": 240,
    "azure_nat_gateway": 240,
    "cisco_asa": 3600,
    "fortigate": 3600,
    "gcp_cloud_nat": 1200,
    "gcp_vpc": 600,
    "juniper_srx": 1800,
    "linux_conntrack": 432000,
    "oci_nlb": 360,
    "openwrt": 7440,
    "palo_alto": 3600,
    "rfc5382_nat": 7440,
}


def parse_idle_timeout(text: str) -> int:
    """Seconds, from a number of seconds or a middlebox's name. Raises ValueError."""
    if text in IDLE_TIMEOUTS:
        return IDLE_TIMEOUTS[text]
    try:
        seconds = parse_whole_number(text)
        if seconds < 1:
            raise ValueError
        return seconds
    except ValueError:
        raise ValueError(f"{text!r} is neither a number of seconds nor one of {', '.join(IDLE_TIMEOUTS)}") from None
