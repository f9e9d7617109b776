"""TCP and UDP over loopback."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_abi.errors import (
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EAGAIN,
    EALREADY,
    ECONNREFUSED,
    ECONNRESET,
    EDESTADDRREQ,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ENETUNREACH,
    ENOTCONN,
    EPIPE,
)
from sentry_abi.socket import (
    AF_INET,
    AF_INET6,
    IPV6_V6ONLY,
    MSG_PEEK,
    MSG_TRUNC,
    SO_LINGER,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SOL_IPV6,
    SOL_SOCKET,
)
from sentry_host import real_host
from sentry_sockets import (
    SHUT_BOTH,
    SHUT_READ,
    SHUT_WRITE,
    InetSocket,
    Network,
    TcpSocket,
    Ucred,
    UdpSocket,
    inet_place,
    new_inode,
    pack_inet,
)
from sentry_vfs import VirtualFilesystem
from sentry_waiter import HUP, IN, OUT, RDHUP

VFS = VirtualFilesystem(real_host())

ME = Ucred(1, 0, 0)
LOOP = b"\x7f\0\0\x01"
ONE = (1).to_bytes(4, "little")


def tcp(network: Network, family: int = AF_INET) -> TcpSocket:
    """Return a TCP socket that a table holds."""
    made = TcpSocket(network, new_inode(network.fs, 0, 0), family=family)
    made.incref()
    return made


def udp(network: Network, family: int = AF_INET) -> UdpSocket:
    """Return a UDP socket that a table holds."""
    made = UdpSocket(network, new_inode(network.fs, 0, 0), family=family)
    made.incref()
    return made


def listener(network: Network, port: int = 0, backlog: int = 5) -> TcpSocket:
    """Return a socket that listens on loopback."""
    made = tcp(network)
    made.bind(pack_inet((LOOP, port), AF_INET))
    made.listen(backlog, ME)
    return made


def take(socket: InetSocket, size: int = 100, flags: int = 0) -> bytes:
    """Receive bytes."""
    buffer = bytearray(size)
    return bytes(buffer[: socket.recvmsg([memoryview(buffer)], flags).length])


def connected(network: Network) -> tuple[TcpSocket, TcpSocket]:
    """Return both ends of a connection."""
    server, client = listener(network), tcp(network)
    client.connect(server.getsockname(), wait=True)
    other = server.accept()
    other.incref()
    return client, other


@given(st.binary(min_size=16, max_size=28))
def test_addresses_come_back(raw: bytes) -> None:
    """A place packs to what it was unpacked from."""
    four = b"\2\0" + raw[2:8] + bytes(8)
    assert pack_inet(inet_place(four, AF_INET), AF_INET) == four
    if len(raw) >= 24:
        six = b"\x0a\0" + raw[2:4] + bytes(4) + raw[8:24] + bytes(4)
        assert pack_inet(inet_place(six, AF_INET6), AF_INET6) == six
    with pytest.raises(EAFNOSUPPORT):
        inet_place(four.ljust(28, b"\0"), AF_INET6)


def test_connection_and_its_ends() -> None:
    """Both ends know each other's place; bytes go both ways; a close is an end, unread bytes are a reset."""
    network = Network(VFS)
    client, other = connected(network)
    assert client.getpeername() == other.getsockname()
    assert client.getsockname() == other.getpeername()
    client.write([b"hello"])
    assert take(other, flags=MSG_PEEK) == b"hello"
    assert other.recvmsg([memoryview(bytearray(3))], MSG_TRUNC).length == 3
    assert take(other) == b"lo"
    with pytest.raises(EAGAIN):
        take(other)
    other.decref()
    assert take(client) == b""
    assert client.readiness() & (RDHUP | HUP | OUT) == RDHUP | OUT
    assert client.write([b"lost"]) == 4
    with pytest.raises(EPIPE):
        client.write([b"x"])
    client, other = connected(network)
    client.write([b"unread"])
    other.write([b"first"])
    other.decref()
    assert take(client) == b"first"
    with pytest.raises(ECONNRESET):
        take(client)
    client, other = connected(network)
    other.setsockopt(SOL_SOCKET, SO_LINGER, ONE + bytes(4))
    other.decref()
    with pytest.raises(ECONNRESET):
        take(client)


def test_shutdown() -> None:
    """Halves end one by one."""
    network = Network(VFS)
    client, other = connected(network)
    client.shutdown(SHUT_WRITE)
    with pytest.raises(EPIPE):
        client.write([b"x"])
    assert take(other) == b""
    other.write([b"back"])
    other.shutdown(SHUT_WRITE)
    assert take(client) == b"back"
    assert client.readiness() & HUP
    with pytest.raises(ENOTCONN):
        client.shutdown(SHUT_BOTH)
    with pytest.raises(ENOTCONN):
        tcp(network).shutdown(SHUT_BOTH)
    server = listener(network)
    server.shutdown(SHUT_READ)
    with pytest.raises(EINVAL):
        server.accept()


def test_nonblocking_connect() -> None:
    """The outcome is reported later, once."""
    network = Network(VFS)
    server, client = listener(network), tcp(network)
    with pytest.raises(EINPROGRESS):
        client.connect(server.getsockname(), wait=False)
    assert client.readiness() & OUT
    client.connect(server.getsockname(), wait=False)
    with pytest.raises(EISCONN):
        client.connect(server.getsockname(), wait=False)
    lost = tcp(network)
    nowhere = pack_inet((LOOP, 9), AF_INET)
    with pytest.raises(EINPROGRESS):
        lost.connect(nowhere, wait=False)
    assert lost.sock_error() == ECONNREFUSED.errno
    with pytest.raises(ECONNREFUSED):
        tcp(network).connect(nowhere, wait=True)
    with pytest.raises(ENETUNREACH):
        tcp(network).connect(pack_inet((b"\x08\x08\x08\x08", 53), AF_INET), wait=True)


def test_full_queue() -> None:
    """Who finds the listener's queue full gets in when there is space, and is refused when it closes."""
    network = Network(VFS)
    server = listener(network, backlog=0)
    clients = [tcp(network) for _ in range(3)]
    clients[0].connect(server.getsockname(), wait=True)
    for client in clients[1:]:
        with pytest.raises(EAGAIN):
            client.connect(server.getsockname(), wait=True)
        with pytest.raises(EALREADY):
            client.connect(server.getsockname(), wait=False)
        assert not client.readiness()
    server.accept()
    assert clients[1].readiness() & OUT
    clients[2].decref()
    server.accept()
    with pytest.raises(EAGAIN):
        server.accept()
    late, later = tcp(network), tcp(network)
    late.connect(server.getsockname(), wait=True)
    with pytest.raises(EINPROGRESS):
        later.connect(server.getsockname(), wait=False)
    server.decref()
    assert later.sock_error() == ECONNREFUSED.errno
    with pytest.raises(ECONNRESET):
        take(late)


def test_ports() -> None:
    """Who may share a port, and that all come back."""
    network = Network(VFS)
    server = listener(network, 80)
    other = tcp(network)
    for address in (LOOP, bytes(4)):
        with pytest.raises(EADDRINUSE):
            other.bind(pack_inet((address, 80), AF_INET))
    other.setsockopt(SOL_SOCKET, SO_REUSEADDR, ONE)
    server.setsockopt(SOL_SOCKET, SO_REUSEADDR, ONE)
    with pytest.raises(EADDRINUSE):
        other.bind(pack_inet((LOOP, 80), AF_INET))
    client = tcp(network)
    client.connect(server.getsockname(), wait=True)
    accepted = server.accept()
    accepted.incref()
    server.decref()
    other.bind(pack_inet((LOOP, 80), AF_INET))
    other.listen(1, ME)
    with pytest.raises(EADDRNOTAVAIL):
        tcp(network).bind(pack_inet((b"\x0a\0\0\x01", 0), AF_INET))
    pair = tcp(network), tcp(network)
    for socket in pair:
        socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, ONE)
        socket.bind(pack_inet((LOOP, 81), AF_INET))
        socket.listen(1, ME)
    for socket in (other, client, accepted, *pair):
        socket.decref()
    assert not network.loopback.tcp.by_port


def test_both_families() -> None:
    """An IPv6 socket on all addresses takes IPv4 too, unless it says otherwise."""
    network = Network(VFS)
    server = tcp(network, AF_INET6)
    server.bind(pack_inet((bytes(16), 80), AF_INET6))
    server.listen(5, ME)
    four, six = tcp(network), tcp(network, AF_INET6)
    four.connect(pack_inet((LOOP, 80), AF_INET), wait=True)
    six.connect(pack_inet((bytes(15) + b"\1", 80), AF_INET6), wait=True)
    assert server.accept().getpeername()[8:24] == bytes(10) + b"\xff\xff" + LOOP
    with pytest.raises(EADDRINUSE):
        tcp(network).bind(pack_inet((LOOP, 80), AF_INET))
    only = tcp(network, AF_INET6)
    only.setsockopt(SOL_IPV6, IPV6_V6ONLY, ONE)
    only.bind(pack_inet((bytes(16), 81), AF_INET6))
    only.listen(5, ME)
    with pytest.raises(ECONNREFUSED):
        tcp(network).connect(pack_inet((LOOP, 81), AF_INET), wait=True)
    tcp(network).bind(pack_inet((LOOP, 81), AF_INET))


def test_datagrams() -> None:
    """Names on both ends, a filter for who is connected, and an error that comes later."""
    network = Network(VFS)
    server, client = udp(network), udp(network)
    server.bind(pack_inet((LOOP, 0), AF_INET))
    with pytest.raises(EDESTADDRREQ):
        client.write([b"x"])
    client.sendmsg([b"hello"], to=server.getsockname())
    got = server.recvmsg([memoryview(bytearray(10))], 0)
    assert got.length == 5
    assert inet_place(got.source, AF_INET) == (LOOP, client.place[1])
    server.sendmsg([b"back"], to=got.source)
    assert take(client) == b"back"
    client.connect(server.getsockname(), wait=True)
    stranger = udp(network)
    stranger.sendmsg([b"x"], to=client.getsockname())
    assert not client.readiness() & IN
    server.decref()
    client.write([b"lost"])
    with pytest.raises(ECONNREFUSED):
        client.write([b"x"])
    client.disconnect()
    with pytest.raises(ENOTCONN):
        client.shutdown(SHUT_BOTH)
    full = udp(network)
    full.bind(pack_inet((LOOP, 99), AF_INET))
    for _ in range(100):
        stranger.sendmsg([bytes(60_000)], to=full.getsockname())
    assert len(full.inbox.messages) < 10
