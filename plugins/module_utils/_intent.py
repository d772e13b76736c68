# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an intent to the values of all three layers, each with its reason. Pure; docs/values.md tells the arithmetic."""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

from ._ends import end_with
from ._errors import HardeningError
from ._middleboxes import parse_idle_timeout
from ._options import WISHES
from ._settings import Kernel
from ._timeline import (
    NEWEST,
    End,
    doubles_interval,
    gives_up,
    login_patience,
    outage_patience,
    probe_period,
    retransmission_timeout,
    survives,
    timeline,
)
from ._values import parse_whole_number

# A week. linux_conntrack, the longest idle timeout there is a name for, is five days.
_LONGEST_WISH = 604800
# net/ipv4/sysctl_net_ipv4.c, proc_dou8vec_minmax()
_MOST_RETRIES = 255
# Silence on a path that nobody described lasts no longer than this.
_LONGEST_SILENCE = 60
# A client counts whole seconds and may give up this much too early.
_EARLY = 1
# Fewer unanswered probes than this are too few to judge a peer by, where there is a choice.
_ENOUGH_PROBES = 3
# What a login may wait for, such as Duo's push (uit.stanford.edu/service/authentication/twostep/push).
LOGIN_SECONDS = 60
# include/net/tcp.h, MAX_TCP_KEEPCNT
_MOST_TCP_PROBES = 127

_SITUATIONS = {
    "idle": "is silent",
    "in_flight": "has sent something",
    "steady_output": "keeps sending",
    "rekey_due": "is silent and has a time-based RekeyLimit that is due",
}


class Intent(NamedTuple):
    """What an administrator wants of a connection, in seconds; None where there is no wish."""

    #: A dead peer is noticed at the latest after this time.
    detect_within: int | None = None
    #: An outage up to this long ends no session.
    ride_out: int | None = None
    #: The path forgets a connection that was silent for this long.
    path_idle_timeout: int | None = None


class Probing(NamedTuple):
    """An interval in seconds and a count, as an OpenSSH configuration states them."""

    interval: int
    count_max: int


#: Layer to option to value.
Given = dict[str, dict[str, Any]]


class Choice(NamedTuple):
    """The value of an option, and why it has to be this one."""

    value: bool | int
    reason: str


#: Layer to option to choice.
Choices = dict[str, dict[str, Choice]]


def parse_intent(options: dict[str, Any]) -> Intent:
    """The intent that the options state. Raises HardeningError for what is no number of seconds."""
    wishes = {}
    for wish in WISHES:
        raw = options.get(wish)
        if raw is None:
            continue
        try:
            wishes[wish] = (parse_idle_timeout if wish == "path_idle_timeout" else parse_whole_number)(str(raw))
        except ValueError as problem:
            raise HardeningError(f"intent: {wish}: {problem}") from problem
        longest = _longest_outage() if wish == "ride_out" else _LONGEST_WISH
        if not 1 <= wishes[wish] <= longest:
            raise HardeningError(f"intent: {wish}: {raw} is outside the range 1 to {longest}")
    return Intent(**wishes)


def _longest_outage() -> int:
    lasts = int(retransmission_timeout(_MOST_RETRIES)[0])
    return max(outage for outage in range(lasts) if outage_patience(outage) <= lasts)


def probing(intent: Intent, side: str, doubled: bool = False) -> Probing:
    """
    The longest interval, and a count, that keep the intent at this end.

    What a connection with them does is _timeline's to say; here the same rules are solved for interval and
    count. Raises HardeningError that names the wishes which contradict each other and the nearest that do not.
    """
    factor = 2 if doubled else 1
    early = _EARLY if side == "client" else 0
    needed = outage_patience(intent.ride_out) + early if intent.ride_out else 0
    silence = _LONGEST_SILENCE
    if intent.path_idle_timeout:
        if intent.path_idle_timeout <= factor:
            raise HardeningError(
                f"intent: path_idle_timeout: {intent.path_idle_timeout} cannot be kept: "
                f"OpenSSH here probes every {factor} s at best; the nearest is {factor + 1}"
            )
        # A quarter is left for probes that come late.
        silence = min(silence, max(factor, intent.path_idle_timeout * 3 // 4))
    for enough in (_ENOUGH_PROBES, 1):
        for interval in range(silence // factor, 0, -1):
            chosen = _least(interval, needed, enough, factor)
            if intent.detect_within is None or _noticed(chosen, side, factor) <= intent.detect_within:
                return chosen
    soonest = _noticed(_least(1, needed, 1, factor), side, factor)
    if intent.ride_out is None:
        raise HardeningError(
            f"intent: detect_within: {intent.detect_within} cannot be kept: a {side} here needs {soonest} s at least; "
            f"the nearest is detect_within: {soonest}"
        )
    raise HardeningError(
        f"intent: detect_within: {intent.detect_within} and ride_out: {intent.ride_out} contradict each other: "
        f"after an outage of {intent.ride_out} s TCP may take as long to try again, so a peer is known to be dead "
        f"after {soonest} s at the earliest; the nearest is detect_within: {soonest}"
    )


def _least(interval: int, needed: int, enough: int, factor: int) -> Probing:
    """The smallest count with which the end waits for as long as needed."""
    # Where the interval is doubled, what is sent after the cut may cost one.
    lost = interval if factor > 1 and needed else 0
    return Probing(interval, max(ceil((needed + lost) / (interval * factor)), enough))


def _noticed(chosen: Probing, side: str, factor: int) -> int:
    """When a dead peer is noticed at the latest: what a server has sent after the cut puts its next probe off."""
    return chosen.interval * factor * (chosen.count_max + 1) + (chosen.interval if side == "server" else 0)


def layer_choices(intent: Intent, sshd: tuple[int, int]) -> Choices:
    """
    The values that keep the intent, for a host whose sshd has this version.

    Raises HardeningError that names the wishes which contradict each other.
    """
    doubled = doubles_interval(sshd)
    server, client = probing(intent, "server", doubled), probing(intent, "client")
    return {
        "sshd": {
            "client_alive_interval": _interval(intent, server, doubled),
            "client_alive_count_max": _count(intent, "server", server, doubled),
            "tcp_keepalive": Choice(True, "notices a dead peer where sshd itself does not probe"),
        },
        "ssh": {
            "server_alive_interval": _interval(intent, client, doubled=False),
            "server_alive_count_max": _count(intent, "client", client, doubled=False),
            "tcp_keepalive": Choice(True, "notices a dead peer where ssh itself does not probe"),
        },
        "sysctl": _kernel_choices(intent, client),
    }


def plan(intent: Intent, sshd: tuple[int, int], given: Given | None = None) -> dict[str, Any]:
    """
    The values of all three layers with their reasons, and what a connection with them will do.

    ``given`` are values that win over the intent's. Raises HardeningError that names the wishes which
    contradict each other.
    """
    choices = layer_choices(intent, sshd)
    for layer, options in (given or {}).items():
        # What no end of a connection is made of, such as a channel's timeout, is none of the intent's.
        for option, value in options.items():
            if option in choices[layer] or option in Kernel._fields:
                choices[layer][option] = Choice(value, "given, whatever the intent is")
    server, client = ends(choices, sshd)
    return {
        **{layer: {option: choice.value for option, choice in chosen.items()} for layer, chosen in choices.items()},
        "reasons": {
            layer: {option: choice.reason for option, choice in chosen.items()} for layer, chosen in choices.items()
        },
        "timeline": {"server": timeline(server), "client": timeline(client)},
        "exceptions": [*_exceptions(intent, server), *_exceptions(intent, client)],
    }


def ends(choices: Choices, sshd: tuple[int, int]) -> tuple[End, End]:
    """The server's and the client's end of a connection with these values, both with the same kernel values."""
    values = {layer: {option: choice.value for option, choice in chosen.items()} for layer, chosen in choices.items()}
    kernel = Kernel(**values["sysctl"])
    return end_with("server", values["sshd"], sshd, kernel), end_with("client", values["ssh"], NEWEST, kernel)


def _interval(intent: Intent, chosen: Probing, doubled: bool) -> Choice:
    reason = f"sends something after {_period(chosen, doubled)} s of silence"
    if doubled:
        reason += ", since sshd 9.2 to 9.4 probes at every second interval"
    if intent.path_idle_timeout:
        reason += f"; the path forgets after {intent.path_idle_timeout} s"
    return Choice(chosen.interval, reason)


def _count(intent: Intent, side: str, chosen: Probing, doubled: bool) -> Choice:
    period = _period(chosen, doubled)
    allowed = f" ({intent.detect_within} allowed)" if intent.detect_within else ""
    end = End(
        side,
        chosen.interval,
        chosen.count_max,
        (9, 2) if doubled else NEWEST,
        kernel=Kernel(tcp_retries2=_MOST_RETRIES),
    )
    needed = f", survives outages up to {survives(end)} s ({intent.ride_out} needed)" if intent.ride_out else ""
    return Choice(chosen.count_max, f"notices a dead peer within {period * (chosen.count_max + 1)} s{allowed}{needed}")


def _period(chosen: Probing, doubled: bool) -> int:
    return chosen.interval * (2 if doubled else 1)


def _kernel_choices(intent: Intent, client: Probing) -> dict[str, Choice]:
    silence = client.interval * client.count_max
    between = ceil(silence / min(client.count_max, _MOST_TCP_PROBES))
    probes = ceil(silence / between)
    choices = {
        "tcp_keepalive_time": Choice(
            client.interval, f"probes what SSH does not, after {client.interval} s of silence"
        ),
        "tcp_keepalive_intvl": Choice(between, f"and then every {between} s"),
        "tcp_keepalive_probes": Choice(probes, f"and gives up after {between * probes} s more"),
    }
    retries = Kernel().tcp_retries2
    # Unacknowledged data would end the connection sooner.
    while intent.ride_out and retransmission_timeout(retries)[0] < outage_patience(intent.ride_out):
        retries += 1
    if retries != Kernel().tcp_retries2:
        lasts = f"{retransmission_timeout(retries)[0]:.0f}"
        choices["tcp_retries2"] = Choice(retries, f"retries what was sent for {lasts} s ({intent.ride_out} needed)")
    return choices


def _exceptions(intent: Intent, end: End) -> list[str]:
    """What of the intent is not kept, and what it costs."""
    sentences = []
    for situation in timeline(end)["gives_up"]:
        window = gives_up(end, situation)
        if intent.detect_within and (window is None or window.latest > intent.detect_within):
            sentences.append(
                f"a {end.side} that {_SITUATIONS[situation]} notices a dead peer "
                + (f"after up to {window.latest:.0f} s ({window.layer})" if window else "never")
            )
    longest, period = survives(end), probe_period(end)
    if intent.ride_out and longest is not None and longest < intent.ride_out:
        sentences.append(f"a {end.side} survives outages up to {longest} s for certain, not {intent.ride_out}")
    if intent.path_idle_timeout and (period is None or period >= intent.path_idle_timeout):
        often = f"every {period} s only" if period else "never"
        sentences.append(f"a {end.side} probes {often}, and the path forgets after {intent.path_idle_timeout} s")
    patience = login_patience(end)
    if patience is not None and patience < LOGIN_SECONDS:
        sentences.append(f"a login that waits longer than {patience} s for the server, as for a push, is cut off")
    return sentences
