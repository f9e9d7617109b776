"""Networks with everything in them through an image."""

import io
from typing import TypeVar

import pytest

from sentry_abi.errors import EADDRINUSE, EAGAIN, ECONNRESET
from sentry_abi.socket import AF_INET, SO_PASSCRED, SO_REUSEADDR, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET
from sentry_host.testing import FakeHost
from sentry_sockets import (
    KINDS,
    Control,
    Network,
    Socket,
    SocketState,
    TcpSocket,
    TcpState,
    Ucred,
    UdpSocket,
    UnixConnection,
    UnixSocket,
    new_inode,
    pack_inet,
)
from sentry_sockets._state import register
from sentry_state import Reader, Registry, Writer
from sentry_vfs import VirtualFilesystem
from sentry_vfs._state import register as register_vfs
from sentry_waiter._state import register as register_queues

T = TypeVar("T")
HOST = FakeHost().record
LOOP = b"\x7f\0\0\x01"
ONE = (1).to_bytes(4, "little")
ME = Ucred(7, 8, 9)


class Caller:
    """Makes all calls."""

    __slots__ = ()

    def current_ids(self) -> tuple[int, int, int]:
        """Return the same credentials."""
        return ME


def through_an_image(graph: T) -> T:
    """Save and load a graph."""
    registry, file = Registry(), io.BytesIO()
    for add in (register_queues, register_vfs, register):
        add(registry)
    registry.savable("test.Caller")(Caller)
    with Writer(file, registry=registry) as writer:
        writer.save("graph", graph, {"host": HOST})
    file.seek(0)
    reader = Reader(file, registry=registry)
    loaded: T = reader.load("graph", {"host": HOST})
    reader.finish()
    return loaded


def network() -> Network:
    """Return an empty network."""
    return Network(VirtualFilesystem(HOST), Caller())


def unix(place: Network, kind: int) -> UnixSocket:
    """Return a socket that a table holds."""
    made = KINDS[kind](place, new_inode(place.fs, 0, 0))
    made.incref()
    return made


def take(socket: Socket, size: int = 100) -> bytes:
    """Receive bytes."""
    buffer = bytearray(size)
    return bytes(buffer[: socket.recvmsg([memoryview(buffer)], 0).length])


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM])
def test_unread_messages_are_still_there(kind: int) -> None:
    """Bytes, credentials and descriptions that were sent are received after it, by the ends that stay each other's."""
    place = network()
    left, right, sent = unix(place, kind), unix(place, kind), unix(place, SOCK_STREAM)
    left.socketpair(right, ME)
    right.setsockopt(SOL_SOCKET, SO_PASSCRED, ONE)
    left.sendmsg([b"hello"], Control((sent,)))
    left.shutdown(2)
    left, right, sent = through_an_image([left, right, sent])
    assert right.state is TcpState.ESTABLISHED
    assert right.peer is left
    got = right.recvmsg([memoryview(buffer := bytearray(10))], 0)
    assert (bytes(buffer[:5]), got.control.creds) == (b"hello", ME)
    assert got.control.files == (sent,)
    assert sent.refs == 2
    assert not right.network.flight
    right.sendmsg([b"back"])
    assert take(left) == b"back"


def test_listeners_and_names() -> None:
    """A connection that waits is accepted after it; names are taken still; a reset is still pending."""
    place = network()
    server, client, late = (unix(place, SOCK_STREAM) for _ in range(3))
    server.bind_abstract(b"\0name")
    server.listen(1, ME)
    client.connect(server, ME)
    client.write([b"early"])
    client.error = ECONNRESET.errno
    place, server, client, late = through_an_image((place, server, client, late))
    with pytest.raises(EADDRINUSE):
        late.bind_abstract(b"\0name")
    assert isinstance(server, UnixConnection)
    accepted = server.accept()
    assert take(accepted) == b"early"
    with pytest.raises(ECONNRESET):
        client.raise_error()
    assert place.abstract.find(b"\0name") is server
    late.bind_abstract(b"")
    assert late.name == b"\x0000001"


def test_the_internet() -> None:
    """Connections, ports, options and what connect has come to."""
    place = network()
    server, client, waiting = (TcpSocket(place, new_inode(place.fs, 0, 0)) for _ in range(3))
    for each in (server, client, waiting):
        each.incref()
    server.setsockopt(SOL_SOCKET, SO_REUSEADDR, ONE)
    server.bind(pack_inet((LOOP, 80), AF_INET))
    server.listen(0, ME)
    client.connect(server.getsockname(), wait=True)
    with pytest.raises(EAGAIN):
        waiting.connect(server.getsockname(), wait=True)
    client.write([bytes(100_000)])
    udp = UdpSocket(place, new_inode(place.fs, 0, 0))
    udp.bind(pack_inet((LOOP, 53), AF_INET))
    udp.connect(udp.getsockname(), wait=True)
    udp.sendmsg([b"datagram"])
    place, server, client, waiting, udp = through_an_image((place, server, client, waiting, udp))
    assert waiting.state is TcpState.SYN_SENT
    assert waiting.sock_state.name == "CONNECTING"
    assert len(take(server.accept(), 200_000)) == 100_000
    assert waiting.target is None
    waiting.finish_connect()
    assert waiting.sock_state is SocketState.CONNECTED
    assert server.remembered(SOL_SOCKET, SO_REUSEADDR) == 1
    assert take(udp) == b"datagram"
    other = TcpSocket(place, new_inode(place.fs, 0, 0))
    with pytest.raises(EADDRINUSE):
        other.bind(pack_inet((LOOP, 80), AF_INET))
