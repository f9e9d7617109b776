"""Unix sockets: connections, messages, rights, the collector."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_abi.errors import (
    EADDRINUSE,
    EAGAIN,
    ECONNREFUSED,
    ECONNRESET,
    EDOM,
    EINVAL,
    EISCONN,
    EMSGSIZE,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    EPROTOTYPE,
    ESPIPE,
)
from sentry_abi.socket import (
    MSG_PEEK,
    MSG_TRUNC,
    SO_ERROR,
    SO_PASSCRED,
    SO_PEERCRED,
    SO_RCVTIMEO,
    SO_SNDBUF,
    SO_TYPE,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
)
from sentry_host import real_host
from sentry_sockets import (
    KINDS,
    SHUT_BOTH,
    SHUT_READ,
    SHUT_WRITE,
    Control,
    Network,
    Ucred,
    UnixConnection,
    UnixDatagram,
    UnixSocket,
    UnixStream,
    new_inode,
    pack_unix,
    unix_name,
)
from sentry_vfs import FileDescription, VirtualFilesystem
from sentry_waiter import ERR, HUP, IN, OUT, RDHUP

VFS = VirtualFilesystem(real_host())

ME = Ucred(7, 8, 9)


class Caller:
    """The maker of all calls."""

    def current_ids(self) -> tuple[int, int, int]:
        """Return the same credentials."""
        return ME


class Closing(FileDescription):
    """A description that notes its end."""

    closed = False

    def release(self) -> None:
        """Note it."""
        type(self).closed = True


def make(kind: int, network: Network | None = None) -> UnixSocket:
    """Return a socket that one table holds."""
    network = network or Network(VFS, Caller())
    made = KINDS[kind](network, new_inode(network.fs, 0, 0))
    made.incref()
    return made


def pair(kind: int, network: Network | None = None) -> tuple[UnixSocket, UnixSocket]:
    """Return two connected sockets."""
    network = network or Network(VFS, Caller())
    left, right = make(kind, network), make(kind, network)
    left.socketpair(right, ME)
    return left, right


def take(socket: UnixSocket, size: int = 100, flags: int = 0) -> bytes:
    """Receive bytes."""
    buffer = bytearray(size)
    return bytes(buffer[: socket.recvmsg([memoryview(buffer)], flags).length])


@given(
    st.lists(
        st.one_of(st.tuples(st.just("send"), st.integers(0, 3000)), st.tuples(st.just("take"), st.integers(1, 3000)))
    )
)
def test_a_stream_is_a_bounded_queue(operations: list[tuple[str, int]]) -> None:
    """Every byte arrives once and in order, and no more lies unread than the sender's buffer allows."""
    left, right = pair(SOCK_STREAM)
    left.setsockopt(SOL_SOCKET, SO_SNDBUF, (2304).to_bytes(4, "little"))
    model = bytearray()
    for name, size in operations:
        if name == "send":
            data = bytes(range(256)) * 12
            try:
                done = left.write([data[:size]])
            except EAGAIN:
                assert len(model) >= left.sndbuf
                continue
            model += data[:done]
            assert len(model) <= left.sndbuf
        elif model:
            got = take(right, size)
            assert got == model[: len(got)]
            assert len(got) == min(size, len(model))
            del model[: len(got)]
        else:
            with pytest.raises(EAGAIN):
                take(right, size)
    assert right.inq_len() == left.outq_len() == len(model)


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_SEQPACKET])
def test_connection(kind: int) -> None:
    """Listen, connect, accept, and what each end sees when the other goes."""
    network = Network(VFS, Caller())
    server, client = make(kind, network), make(kind, network)
    assert isinstance(server, UnixConnection)
    with pytest.raises(EINVAL):
        server.listen(1, ME)
    server.bind_abstract(b"\0name")
    with pytest.raises(EADDRINUSE):
        client.bind_abstract(b"\0name")
    with pytest.raises(EINVAL):
        server.bind_abstract(b"\0other")
    with pytest.raises(ECONNREFUSED):
        client.connect(server, ME)
    server.listen(0, Ucred(1, 1, 1))
    assert server.is_listening()
    with pytest.raises(EAGAIN):
        server.accept()
    client.connect(server, ME)
    assert server.readiness() & IN
    with pytest.raises(EISCONN):
        client.connect(server, ME)
    second = make(kind, network)
    with pytest.raises(EAGAIN):
        second.connect(server, ME)
    client.write([b"early"])
    got = server.accept()
    got.incref()
    assert isinstance(got, UnixSocket)
    assert take(got) == b"early"
    assert got.getsockopt(SOL_SOCKET, SO_PEERCRED) == bytes([7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0])
    assert client.getsockopt(SOL_SOCKET, SO_PEERCRED)[:4] == b"\1\0\0\0"
    assert client.getpeername() == pack_unix(b"\0name") == got.getsockname()
    got.write([b"unread"])
    client.decref()
    assert got.readiness() & (HUP | RDHUP | IN) == HUP | RDHUP | IN
    assert got.getsockopt(SOL_SOCKET, SO_ERROR) == ECONNRESET.errno.to_bytes(4, "little")
    assert take(got) == b""
    with pytest.raises(EPIPE):
        got.write([b"x"])
    second.connect(server, ME)
    server.decref()
    assert network.abstract.find(b"\0name") is None
    with pytest.raises(ECONNRESET):
        take(second)


def test_kinds_do_not_mix() -> None:
    """A socket connects to its own kind."""
    network = Network(VFS)
    server = make(SOCK_STREAM, network)
    for kind in (SOCK_DGRAM, SOCK_SEQPACKET):
        with pytest.raises(EPROTOTYPE):
            make(kind, network).connect(server, ME)


def test_shutdown() -> None:
    """Each half ends by itself, and the other end knows."""
    left, right = pair(SOCK_STREAM)
    left.write([b"last"])
    left.shutdown(SHUT_WRITE)
    with pytest.raises(EPIPE):
        left.write([b"x"])
    assert take(right) == b"last"
    assert take(right) == b""
    assert right.readiness() & RDHUP
    right.write([b"back"])
    assert take(left) == b"back"
    left.shutdown(SHUT_READ)
    assert left.shut == SHUT_BOTH == right.shut


def test_messages_keep_their_borders() -> None:
    """One send is one receive; what does not fit is cut."""
    for kind in (SOCK_DGRAM, SOCK_SEQPACKET):
        left, right = pair(kind)
        for data in (b"one", b"", b"three"):
            left.write([data])
        buffer = memoryview(bytearray(2))
        got = right.recvmsg([buffer], MSG_PEEK | MSG_TRUNC)
        assert (got.length, got.flags) == (3, MSG_TRUNC)
        assert [take(right) for _ in range(3)] == [b"one", b"", b"three"]
        with pytest.raises(EMSGSIZE):
            left.write([bytes(left.message_limit() + 1)])
        for _ in range(10_000):
            try:
                left.write([bytes(1000)])
            except EAGAIN:
                break
        with pytest.raises(EAGAIN):
            left.write([bytes(1000)])
        assert not left.readiness() & OUT


def test_datagrams() -> None:
    """Names, destinations, the limit for strangers, and a destination that goes."""
    network = Network(VFS, Caller())
    server, client = make(SOCK_DGRAM, network), make(SOCK_DGRAM, network)
    assert isinstance(client, UnixDatagram)
    with pytest.raises(ENOTCONN):
        client.write([b"x"])
    client.bind_abstract(b"")
    client.sendmsg([b"x"], to=server)
    buffer = memoryview(bytearray(4))
    assert unix_name(server.recvmsg([buffer], 0).source) == client.name
    client.connect(server, ME)
    for _ in range(11):
        client.write([b"x"])
    with pytest.raises(EAGAIN):
        client.write([b"x"])
    assert not client.readiness() & OUT
    take(server)
    assert client.readiness() & OUT
    server.connect(client, ME)
    stranger = make(SOCK_DGRAM, network)
    with pytest.raises(EPERM):
        stranger.sendmsg([b"x"], to=server)
    with pytest.raises(EPERM):
        stranger.connect(server, ME)
    client.write([b"now there is space"])
    server.write([b"unread"])
    client.disconnect()
    with pytest.raises(ECONNRESET):
        take(server)
    client.connect(server, ME)
    server.decref()
    with pytest.raises(ECONNREFUSED):
        client.write([b"x"])
    with pytest.raises(ENOTCONN):
        client.write([b"x"])
    assert client.outstanding == 0
    for call in (lambda: client.listen(1, ME), client.accept):
        with pytest.raises(EOPNOTSUPP):
            call()


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM])
def test_rights(kind: int) -> None:
    """A message owns its descriptions until it is received; peeking counts once more; a plain read closes them."""
    left, right = pair(kind)
    file = Closing(0, None, None)
    file.incref()
    left.sendmsg([b"x"], Control((file,)))
    assert file.refs == 2
    buffer = memoryview(bytearray(4))
    assert right.recvmsg([buffer], MSG_PEEK).control.files == (file,)
    assert file.refs == 3
    assert right.recvmsg([buffer], 0).control.files == (file,)
    assert file.refs == 3
    file.decref()
    file.decref()
    left.sendmsg([b"x"], Control((file,)))
    right.read([buffer])
    assert file.refs == 1
    left.sendmsg([b"x"], Control((file,)))
    right.decref()
    assert file.refs == 1


def test_credentials() -> None:
    """A receiver that asks gets the sender's, or those that the sender names."""
    for kind in (SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM):
        left, right = pair(kind)
        right.setsockopt(SOL_SOCKET, SO_PASSCRED, b"\1\0\0\0")
        assert right.getsockopt(SOL_SOCKET, SO_PASSCRED) == b"\1\0\0\0"
        buffer = memoryview(bytearray(4))
        left.write([b"x"])
        assert right.recvmsg([buffer], 0).control.creds == ME
        left.sendmsg([b"x"], Control((), Ucred(1, 2, 3)))
        assert right.recvmsg([buffer], 0).control.creds == Ucred(1, 2, 3)


def test_cycles_are_collected() -> None:
    """Sockets that only messages hold go when any unix socket is closed; others stay."""
    network = Network(VFS, Caller())
    Closing.closed = False
    left, right = pair(SOCK_STREAM, network)
    file = Closing(0, None, None)
    left.sendmsg([b"x"], Control((right,)))
    right.sendmsg([b"x"], Control((left,)))
    right.sendmsg([b"x"], Control((file,)))
    outer, inner = pair(SOCK_DGRAM, network)
    carried, end = pair(SOCK_SEQPACKET, network)
    outer.sendmsg([b"x"], Control((carried,)))
    end.sendmsg([b"x"], Control((end,)))
    carried.decref()
    end.decref()
    assert len(network.flight) == 4
    left.decref()
    right.decref()
    make(SOCK_STREAM, network).decref()
    assert Closing.closed
    assert len(network.flight) == 2, "what a living socket's messages reach stays"
    assert carried.refs == 1
    inner.decref()
    assert len(network.flight) == 0
    gc.collect()


def test_embryo_holds_rights() -> None:
    """Messages to a connection that was not accepted are searched too."""
    network = Network(VFS, Caller())
    server, client = make(SOCK_STREAM, network), make(SOCK_STREAM, network)
    server.bind_abstract(b"")
    server.listen(5, ME)
    client.connect(server, ME)
    client.sendmsg([b"x"], Control((server,)))
    assert server.held_files() == [server]
    server.decref()
    assert len(network.flight) == 1
    client.decref()
    assert len(network.flight) == 0
    assert server.gone


def test_options_and_the_rest() -> None:
    """What every socket answers."""
    left, _ = pair(SOCK_STREAM)
    assert left.getsockopt(SOL_SOCKET, SO_TYPE) == b"\1\0\0\0"
    for level, name, value, error in (
        (77, 1, b"", EOPNOTSUPP),
        (SOL_SOCKET, 999, bytes(4), ENOPROTOOPT),
        (SOL_SOCKET, SO_SNDBUF, b"", EINVAL),
        (SOL_SOCKET, SO_PASSCRED, b"", EINVAL),
        (SOL_SOCKET, SO_RCVTIMEO, bytes(8), EINVAL),
        (SOL_SOCKET, SO_RCVTIMEO, bytes(8) + b"\xff" * 7 + b"\0", EDOM),
    ):
        with pytest.raises(error):
            left.setsockopt(level, name, value)
    left.setsockopt(SOL_SOCKET, SO_RCVTIMEO, (2).to_bytes(8, "little") + bytes(8))
    assert (left.timed, left.wait_limit(IN), left.wait_limit(OUT)) == (True, 2_000_000_000, 0)
    with pytest.raises(ESPIPE):
        left.seek(0, 0)
    assert left.path().startswith(b"socket:[")
    lone = make(SOCK_STREAM)
    assert isinstance(lone, UnixStream)
    assert lone.readiness() & HUP
    assert not lone.readiness() & ERR
    with pytest.raises(ENOTCONN):
        lone.write([b"x"])
    with pytest.raises(ENOTCONN):
        lone.getpeername()


@pytest.mark.parametrize(
    ("raw", "name"),
    [(b"\1\0", b""), (b"\1\0path\0rest", b"path"), (b"\1\0\0ab\0", b"\0ab\0"), (b"\1\0" + b"x" * 108, b"x" * 108)],
)
def test_names(raw: bytes, name: bytes) -> None:
    """A path ends at its NUL, an abstract name at its length."""
    assert unix_name(raw) == name


@pytest.mark.parametrize("raw", [b"", b"\1", b"\2\0x", b"\1\0" + b"x" * 109])
def test_bad_names(raw: bytes) -> None:
    """Too short, too long, another family."""
    with pytest.raises(EINVAL):
        unix_name(raw)
