# SPDX-FileCopyrightText: The keepalive.hardening authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel answers about its TCP connections."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies

from ansible_collections.keepalive.hardening.plugins.module_utils import _tcp_sockets
from ansible_collections.keepalive.hardening.plugins.module_utils._errors import HardeningError
from ansible_collections.keepalive.hardening.plugins.module_utils._tcp_sockets import (
    CLOSE_WAIT,
    ESTABLISHED,
    RETRANSMISSION,
    TcpSocket,
    open_connections,
    parse,
)

# Of include/uapi/linux: inet_diag.h, netlink.h.
INFO, SHUTDOWN = 2, 8
ERROR, DONE, BY_FAMILY = 2, 3, 20


def attribute(kind: int, content: bytes, length: int | None = None) -> bytes:
    said = 4 + len(content) if length is None else length
    return struct.pack("=HH", said, kind) + content + bytes(-len(content) % 4)


def tcp_info(more: int = 128) -> bytes:
    """struct tcp_info as newer kernels know it, which is longer than what we read."""
    states = struct.pack("=8B", 1, 0, 4, 0, 5, 7, 0, 0)
    # rto, ato, snd_mss, rcv_mss; unacked, sacked, lost, retrans, fackets; last data sent, ack sent, data recv, ack recv
    numbers = struct.pack("=13I", 204000, 0, 1448, 500, 3, 0, 1, 1, 0, 1500, 0, 2500, 3500)
    return states + numbers + bytes(more)


def message(family: int, local: str, peer: str, *attributes: bytes) -> bytes:
    addresses = [socket.inet_pton(family, address).ljust(16, b"\0") for address in (local, peer)]
    ports = [port.to_bytes(2, "big") for port in (22, 50000)]
    head = struct.pack("=4B", family, 1, RETRANSMISSION, 4)
    return (
        head + b"".join([*ports, *addresses]) + bytes(12) + struct.pack("=5I", 0, 0, 0, 1000, 77) + b"".join(attributes)
    )


def expected(local: str, peer: str) -> TcpSocket:
    return TcpSocket(77, ESTABLISHED, (local, 22), (peer, 50000), RETRANSMISSION, 4, 3, 1.5, 2.5, 3.5)


@pytest.mark.parametrize(
    ("family", "local", "peer", "told"),
    [
        (socket.AF_INET, "192.0.2.2", "198.51.100.1", ("192.0.2.2", "198.51.100.1")),
        (socket.AF_INET6, "2001:db8::2", "2001:db8::1", ("2001:db8::2", "2001:db8::1")),
        (socket.AF_INET6, "::ffff:192.0.2.2", "::ffff:198.51.100.1", ("192.0.2.2", "198.51.100.1")),
        (socket.AF_INET6, "::1", "::ffff:0:0:1", ("::1", "::ffff:0:0:1")),
    ],
)
def test_a_connection_is_told(family: int, local: str, peer: str, told: tuple[str, str]) -> None:
    assert parse(message(family, local, peer, attribute(INFO, tcp_info()))) == expected(*told)


@pytest.mark.parametrize("before", [attribute(SHUTDOWN, b"\0"), attribute(SHUTDOWN, b""), attribute(SHUTDOWN, b"", 0)])
def test_what_comes_before_its_state_is_skipped(before: bytes) -> None:
    text = message(socket.AF_INET, "192.0.2.2", "198.51.100.1", before, attribute(INFO, tcp_info(0)))
    assert parse(text) == expected("192.0.2.2", "198.51.100.1")


@pytest.mark.parametrize("attributes", [b"", attribute(SHUTDOWN, b"\0"), attribute(INFO, b"\1"), b"\0\0", bytes(64)])
def test_without_its_state_there_is_nothing_to_tell(attributes: bytes) -> None:
    assert parse(message(socket.AF_INET, "192.0.2.2", "198.51.100.1", attributes)) is None


WHOLE = message(socket.AF_INET, "192.0.2.2", "198.51.100.1", attribute(INFO, tcp_info(0)))


# Within the addresses, and within the state that an attribute announces.
@pytest.mark.parametrize("length", [0, 40, len(WHOLE) - 4])
def test_a_message_that_breaks_off_tells_nothing(length: int) -> None:
    assert parse(WHOLE[:length]) is None


@given(strategies.binary(max_size=200))
def test_whatever_follows_the_addresses_is_no_crash(attributes: bytes) -> None:
    parse(message(socket.AF_INET, "192.0.2.2", "198.51.100.1", attributes))


class Kernel:
    """Answers a request with what it was told to."""

    def __init__(self, *parts: bytes):
        self._parts = list(parts)

    def recv(self, size: int) -> bytes:
        return self._parts.pop(0)


def packet(kind: int, content: bytes, length: int | None = None) -> bytes:
    return struct.pack("=IHHII", 16 + len(content) if length is None else length, kind, 0, 0, 0) + content


@pytest.fixture
def patience() -> Iterator[None]:
    """A loop that never ends fails the test."""

    def give_up(*_: object) -> None:
        raise AssertionError("it never ends")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def answers(*parts: bytes) -> list[TcpSocket]:
    return list(_tcp_sockets._answers(Kernel(*parts)))  # type: ignore[arg-type]


@pytest.mark.usefixtures("patience")
def test_answers_in_several_parts_are_read_to_the_end() -> None:
    one = packet(BY_FAMILY, WHOLE)
    assert len(answers(one + one, one, packet(DONE, bytes(4)))) == 3


def test_the_kernels_error_is_an_error() -> None:
    with pytest.raises(OSError, match="error 2"):
        answers(packet(ERROR, struct.pack("=i", -2)))


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    "broken", [packet(BY_FAMILY, b"", 0), packet(BY_FAMILY, WHOLE, 0), b"\x10\0\0"], ids=["empty", "no length", "short"]
)
def test_an_answer_that_is_no_answer_is_an_error_and_no_endless_loop(broken: bytes) -> None:
    with pytest.raises((OSError, HardeningError)):
        answers(broken, packet(DONE, bytes(4)))


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_this_kernel_tells_both_ends_of_a_connection(family: socket.AddressFamily, address: str) -> None:
    with (
        socket.create_server((address, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2]) as client,
        listener.accept()[0] as server,
    ):
        found = {found.inode: found for found in open_connections()}
        client_end, server_end = (found[os.fstat(end.fileno()).st_ino] for end in (client, server))
    assert client_end.local == server_end.peer
    assert client_end.peer == server_end.local
    assert client_end.local[0] == address
    assert client_end.unacked == server_end.retransmits == 0
    assert client_end.state == server_end.state == ESTABLISHED


def test_a_connection_that_the_peer_has_closed_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            server = listener.accept()[0]
        with server:
            inode = os.fstat(server.fileno()).st_ino
            (found,) = [found for found in open_connections() if found.inode == inode]
    assert found.state == CLOSE_WAIT


@pytest.mark.parametrize(("missing", "fails"), [(socket.AF_INET6, False), (socket.AF_INET, True)])
def test_a_kernel_without_ipv6_tells_the_rest(
    monkeypatch: pytest.MonkeyPatch, missing: socket.AddressFamily, fails: bool
) -> None:
    request = _tcp_sockets._answers
    families = iter((socket.AF_INET, socket.AF_INET6))

    def answer(kernel: socket.socket) -> Iterator[TcpSocket]:
        yield from request(kernel)
        if next(families) == missing:
            raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(_tcp_sockets, "_answers", answer)
    if fails:
        with pytest.raises(HardeningError, match="does not tell its TCP connections"):
            open_connections()
        return
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        assert os.fstat(client.fileno()).st_ino in {found.inode for found in open_connections()}


def test_this_kernel_tells_ipv4_clients_of_a_socket_for_both() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), listener.accept()[0] as server:
            inode = os.fstat(server.fileno()).st_ino
            (found,) = [found for found in open_connections() if found.inode == inode]
    assert found.local == ("127.0.0.1", port)
    assert found.peer[0] == "127.0.0.1"
