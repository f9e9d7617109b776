"""Handlers of `syscalls.sockets`: making, naming and connecting."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import sockets
from sentry_abi.errors import (
    EADDRINUSE,
    EAFNOSUPPORT,
    EBADF,
    ECONNREFUSED,
    EFAULT,
    EINVAL,
    ENOENT,
    ENOPROTOOPT,
    ENOTCONN,
    ENOTSOCK,
    EOPNOTSUPP,
    EPROTONOSUPPORT,
    ERESTARTSYS,
)
from sentry_abi.fcntl import O_CREAT, O_RDWR
from sentry_abi.socket import (
    AF_INET,
    AF_UNIX,
    SO_RCVBUF,
    SO_TYPE,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
)
from sentry_abi.structs import SOCKADDR_IN

LOOPBACK = b"\x7f\0\0\1"
ABSTRACT = b"\1\0\0name"


def inet(port: int) -> bytes:
    """Return a sockaddr_in of the loopback."""
    return SOCKADDR_IN.pack(AF_INET, port.to_bytes(2, "big"), LOOPBACK)


def listening(p: Program) -> int:
    """Return a unix stream socket that listens on the abstract name."""
    fd = p.ok("socket", AF_UNIX, SOCK_STREAM, 0)
    p.ok("bind", fd, ABSTRACT, len(ABSTRACT))
    p.ok("listen", fd, 5)
    return fd


def test_socket(p: Program) -> None:
    """The flags of a socket are in its kind."""
    fd = p.ok("socket", AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    assert p.t.files.cloexec(fd)
    fds = p.zeros(8)
    p.ok("socketpair", AF_UNIX, SOCK_STREAM, 0, fds)
    a, b = p.number(fds), p.number(fds + 4)
    p.ok("write", a, b"hello", 5)
    assert p.ok("read", b, fds, 8) == 5
    p.ok("shutdown", a, 1)
    assert p.ok("read", b, fds, 8) == 0
    assert len(p.box.state.sockets) == 3


def test_socket_errors(p: Program) -> None:
    """Flags, family, kind, protocol; a pair's array counts before all but the flags."""
    assert p.error("socket", 99, 1 | 0x100, 0) is EINVAL
    assert p.error("socket", 99, SOCK_STREAM, 0) is EAFNOSUPPORT
    assert p.error("socket", -1, SOCK_STREAM, 0) is EAFNOSUPPORT
    assert p.error("socket", AF_UNIX, 14, 0) is EINVAL
    assert p.error("socket", AF_UNIX, SOCK_STREAM, 99) is EPROTONOSUPPORT
    assert p.error("socket", AF_INET, SOCK_STREAM, 17) is EPROTONOSUPPORT
    assert p.error("socketpair", 99, 1 | 0x100, 0, BAD) is EINVAL
    assert p.error("socketpair", 99, SOCK_STREAM, 0, BAD) is EFAULT
    assert p.error("socketpair", AF_INET, SOCK_STREAM, 0, p.zeros(8)) is EOPNOTSUPP
    assert len(p.t.files) == 0


def test_accept(p: Program) -> None:
    """An accept waits for a connection."""
    server, other = listening(p), p.child()
    pending = p.wait("accept4", server, 0, 0, SOCK_CLOEXEC)
    assert (pending.attempt, pending.restart) == (sockets.accept_on, ERESTARTSYS)
    client = other.ok("socket", AF_UNIX, SOCK_STREAM, 0)
    other.ok("connect", client, ABSTRACT, len(ABSTRACT))
    accepted = p.resume()
    assert accepted == 1
    assert p.t.files.cloexec(1)
    addr, length = p.zeros(32), p.put((32).to_bytes(4, "little"))
    p.ok("getsockname", 1, addr, length)
    assert p.get(addr, p.number(length)) == ABSTRACT
    other.ok("getpeername", client, other.put(bytes(32)), other.put((32).to_bytes(4, "little")))


def test_internet(p: Program) -> None:
    """A connection over the loopback, with names at both ends."""
    server, client = p.ok("socket", AF_INET, SOCK_STREAM, 0), p.ok("socket", AF_INET, SOCK_STREAM, 0)
    p.ok("bind", server, inet(7777), 16)
    p.ok("listen", server, 5)
    assert p.error("bind", client, inet(7777), 16) is EADDRINUSE
    p.ok("connect", client, inet(7777), 16)
    addr, length = p.zeros(16), p.put((16).to_bytes(4, "little"))
    accepted = p.ok("accept", server, addr, length)
    assert p.fields(SOCKADDR_IN, addr)[0] == AF_INET
    p.ok("getpeername", client, addr, length)
    assert p.get(addr, 16) == inet(7777)
    assert p.ok("write", client, b"x", 1) == 1
    assert p.ok("read", accepted, addr, 8) == 1
    dgram = p.ok("socket", AF_INET, SOCK_DGRAM, 0)
    assert p.error("listen", dgram, 1) is EOPNOTSUPP
    assert p.error("connect", p.ok("socket", AF_INET, SOCK_STREAM, 0), inet(9), 16) is ECONNREFUSED


def test_name_errors(p: Program) -> None:
    """Bind and listen need a socket first; connect and accept4 a descriptor, then their arguments, then a socket."""
    file = p.open(b"/a", O_CREAT | O_RDWR)
    s = p.ok("socket", AF_UNIX, SOCK_STREAM, 0)
    assert p.error("bind", NO_FD, BAD, -1) is EBADF
    assert p.error("bind", file, BAD, -1) is ENOTSOCK
    assert p.error("bind", s, BAD, -1) is EINVAL
    assert p.error("bind", s, BAD, 200) is EINVAL
    assert p.error("bind", s, BAD, 2) is EFAULT
    assert p.error("bind", s, b"\1\0/a", 4) is EADDRINUSE
    assert p.error("connect", NO_FD, BAD, 5) is EBADF
    assert p.error("connect", file, BAD, 5) is EFAULT
    assert p.error("connect", file, ABSTRACT, 5) is ENOTSOCK
    assert p.error("connect", s, BAD, 0) is EINVAL
    assert p.error("connect", s, ABSTRACT, len(ABSTRACT)) is ECONNREFUSED
    assert p.error("connect", s, b"\1\0/nope", 7) is ENOENT
    assert p.error("listen", NO_FD, 1) is EBADF
    assert p.error("listen", file, 1) is ENOTSOCK
    assert p.error("accept4", NO_FD, 0, 0, 0x10) is EBADF
    assert p.error("accept4", file, 0, 0, 0x10) is EINVAL
    assert p.error("accept4", file, 0, 0, 0) is ENOTSOCK
    assert p.error("accept", s, 0, 0) is EINVAL
    assert p.error("getsockname", file, BAD, BAD) is ENOTSOCK
    assert p.error("getsockname", s, BAD, BAD) is EFAULT
    assert p.error("getsockname", s, BAD, b"\xff\xff\xff\xff") is EINVAL
    assert p.error("getpeername", s, BAD, BAD) is ENOTCONN
    assert p.error("shutdown", file, 9) is ENOTSOCK
    assert p.error("shutdown", s, 9) is EINVAL


def test_options(p: Program) -> None:
    """Values are cut to the space that there is for them; lengths are signed."""
    file, s = p.open(b"/a", O_CREAT | O_RDWR), p.ok("socket", AF_UNIX, SOCK_STREAM, 0)
    value, length = p.zeros(8), p.put((2).to_bytes(4, "little"))
    p.ok("getsockopt", s, SOL_SOCKET, SO_TYPE, value, length)
    assert (p.number(value), p.number(length)) == (SOCK_STREAM, 2)
    p.ok("setsockopt", s, SOL_SOCKET, SO_RCVBUF, (5000).to_bytes(4, "little"), 4)
    p.ok("getsockopt", s, SOL_SOCKET, SO_RCVBUF, value, p.put((4).to_bytes(4, "little")))
    assert p.number(value) == 10_000
    assert p.error("setsockopt", file, 1, 1, BAD, -1) is ENOTSOCK
    assert p.error("setsockopt", s, 1, 2, BAD, -1) is EINVAL
    assert p.error("setsockopt", s, 1, 2, BAD, 3) is EINVAL
    assert p.error("setsockopt", s, 1, 2, BAD, 4) is EFAULT
    assert p.error("setsockopt", s, 6, 1, BAD, 4) is EOPNOTSUPP
    inet_socket = p.ok("socket", AF_INET, SOCK_STREAM, 0)
    assert p.error("setsockopt", inet_socket, 99, 1, BAD, 4) is ENOPROTOOPT
    assert p.error("setsockopt", inet_socket, 6, 1, BAD, 4) is EFAULT
    assert p.error("getsockopt", inet_socket, 99, 1, BAD, BAD) is EOPNOTSUPP
    assert p.error("getsockopt", s, 6, 1, BAD, BAD) is EOPNOTSUPP
    assert p.error("setsockopt", s, 1, 2, bytes(4), 1) is EINVAL
    assert p.error("setsockopt", s, 1, 9999, bytes(4), 4) is ENOPROTOOPT
    assert p.error("setsockopt", s, 99, 1, bytes(4), 4) is EOPNOTSUPP
    assert p.error("getsockopt", file, 1, 2, BAD, BAD) is ENOTSOCK
    assert p.error("getsockopt", s, 1, 9999, BAD, BAD) is EFAULT
    assert p.error("getsockopt", s, 1, 9999, BAD, (4).to_bytes(4, "little")) is ENOPROTOOPT
    assert p.error("getsockopt", s, 99, 1, BAD, (4).to_bytes(4, "little")) is EOPNOTSUPP
