"""Handlers of `syscalls.messages`: sending and receiving."""

import struct

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import messages
from sentry_abi.errors import (
    EAGAIN,
    EBADF,
    EFAULT,
    EINVAL,
    EMSGSIZE,
    ENOTCONN,
    ENOTSOCK,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    ERESTARTSYS,
)
from sentry_abi.fcntl import O_CREAT, O_RDWR
from sentry_abi.signal import SIGPIPE
from sentry_abi.socket import (
    AF_INET,
    AF_UNIX,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
    SCM_CREDENTIALS,
    SCM_RIGHTS,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)
from sentry_abi.structs import CMSGHDR, IOVEC, MMSGHDR, MSGHDR, TIMESPEC


def pair(p: Program, kind: int = SOCK_STREAM) -> tuple[int, int]:
    """Return two connected unix sockets."""
    fds = p.zeros(8)
    p.ok("socketpair", AF_UNIX, kind, 0, fds)
    return p.number(fds), p.number(fds + 4)


def header(p: Program, data: int, size: int, control: bytes = b"", space: int = 0) -> int:
    """Put a msghdr of one piece into memory; return its address."""
    vector = p.put(IOVEC.pack(data, size))
    where = p.put(control.ljust(space, b"\0")) if control or space else 0
    return p.put(MSGHDR.pack(0, 0, vector, 1, where, max(space, len(control)), 0))


def rights(*numbers: int) -> bytes:
    """Return a control message with descriptors."""
    return CMSGHDR.pack(16 + 4 * len(numbers), SOL_SOCKET, SCM_RIGHTS) + struct.pack(f"<{len(numbers)}i", *numbers)


def test_send_and_receive(p: Program) -> None:
    """Bytes of a stream; MSG_PEEK leaves them."""
    a, b = pair(p)
    buf = p.zeros(16)
    assert p.ok("sendto", a, b"hello", 5, 0, 0, 0) == 5
    assert p.ok("recvfrom", b, buf, 16, MSG_PEEK, 0, 0) == 5
    assert p.ok("recvmsg", b, header(p, buf, 2), 0) == 2
    assert p.ok("recvfrom", b, buf, 16, 0, 0, 0) == 3
    assert p.get(buf, 3) == b"llo"
    assert p.ok("sendmsg", a, header(p, p.put(b"again"), 5), 0) == 5


def test_receive_waits(p: Program) -> None:
    """A receive waits for bytes; with MSG_WAITALL for all, and a signal gives what came."""
    a, b = pair(p)
    buf = p.zeros(16)
    pending = p.wait("recvfrom", b, buf, 4, 0, 0, 0)
    assert (pending.attempt, pending.restart) == (messages.receive_on, ERESTARTSYS)
    p.ok("sendto", a, b"xy", 2, 0, 0, 0)
    assert p.resume() == 2
    p.wait("recvfrom", b, buf, 4, MSG_WAITALL, 0, 0)
    p.ok("sendto", a, b"xyz", 3, 0, 0, 0)
    p.resume()
    assert p.interrupt() == 3
    assert p.error("recvfrom", b, buf, 4, MSG_DONTWAIT, 0, 0) is EAGAIN


def test_send_waits(p: Program) -> None:
    """A full socket keeps a send."""
    a, b = pair(p)
    size = 1 << 20
    data = p.put(bytes(size))
    pending = p.wait("sendto", a, data, size, 0, 0, 0)
    assert pending.attempt is messages.send_on
    result: object = None
    while p.t.parked is not None:
        p.ok("recvfrom", b, data, size, MSG_DONTWAIT, 0, 0)
        result = p.resume()
    assert result == size


def test_datagrams(p: Program) -> None:
    """A message is cut to the space for it, and says so."""
    a, b = pair(p, SOCK_DGRAM)
    buf = p.zeros(16)
    p.ok("sendto", a, b"hello", 5, 0, 0, 0)
    message = header(p, buf, 2)
    assert p.ok("recvmsg", b, message, 0) == 2
    assert p.fields(MSGHDR, message)[6] == MSG_TRUNC
    assert p.error("sendto", a, p.zeros(300_000), 300_000, 0, 0, 0) is EMSGSIZE


def test_descriptors(p: Program) -> None:
    """A descriptor is passed; without space for it it is closed, and the flags say so."""
    a, b = pair(p)
    fd, buf = p.open(b"/a", O_CREAT | O_RDWR), p.zeros(16)
    p.ok("sendmsg", a, header(p, p.put(b"x"), 1, rights(fd)), 0)
    message = header(p, buf, 1, space=24)
    p.ok("recvmsg", b, message, 0)
    control = p.fields(MSGHDR, message)[4]
    number = p.number(control + 16)
    assert p.t.files.get(number) is p.t.files.get(fd)
    p.ok("sendmsg", a, header(p, p.put(b"x"), 1, rights(fd)), 0)
    message = header(p, buf, 1)
    p.ok("recvmsg", b, message, 0)
    assert p.fields(MSGHDR, message)[6] == MSG_CTRUNC


def test_send_errors(p: Program) -> None:
    """Descriptor, socket, address, flags, connection, data."""
    file = p.open(b"/a", O_CREAT | O_RDWR)
    a, _ = pair(p)
    lone, tcp = p.ok("socket", AF_UNIX, SOCK_STREAM, 0), p.ok("socket", AF_INET, SOCK_STREAM, 0)
    assert p.error("sendto", NO_FD, BAD, 5, 0, BAD, -1) is EBADF
    assert p.error("sendto", file, BAD, 5, 0, BAD, -1) is ENOTSOCK
    assert p.error("sendto", a, BAD, 5, MSG_OOB, BAD, -1) is EINVAL
    assert p.error("sendto", a, BAD, 5, MSG_OOB, 0, 0) is EOPNOTSUPP
    assert p.error("sendto", lone, BAD, 5, 0, 0, 0) is ENOTCONN
    assert p.error("sendto", tcp, BAD, 5, MSG_NOSIGNAL, 0, 0) is EPIPE
    assert not p.t.pending.mask
    assert p.error("sendto", tcp, BAD, 5, 0, 0, 0) is EPIPE
    assert p.t.pending.mask == 1 << SIGPIPE - 1
    assert p.error("sendto", a, BAD, 5, 0, 0, 0) is EFAULT
    assert p.error("sendmsg", file, BAD, 0) is ENOTSOCK
    assert p.error("sendmsg", a, BAD, 0) is EFAULT
    assert p.error("sendmsg", a, MSGHDR.pack(0, 0, 0, 2000, 0, 0, 0), 0) is EMSGSIZE


def test_control_errors(p: Program) -> None:
    """A descriptor that is not open, a length that cannot be, credentials of others."""
    a, _ = pair(p)
    data = p.put(b"x")
    assert p.error("sendmsg", a, header(p, data, 1, rights(NO_FD)), 0) is EBADF
    assert p.error("sendmsg", a, header(p, data, 1, CMSGHDR.pack(8, 1, 1)), 0) is EINVAL
    assert p.error("sendmsg", a, header(p, data, 1, CMSGHDR.pack(16, SOL_SOCKET, 99)), 0) is EINVAL
    creds = CMSGHDR.pack(28, SOL_SOCKET, SCM_CREDENTIALS) + struct.pack("<3I", 999, 0, 0)
    p.become(1000)
    assert p.error("sendmsg", a, header(p, data, 1, creds), 0) is EPERM


def test_receive_errors(p: Program) -> None:
    """A socket of unix has no queue of errors; urgent data is nowhere."""
    file = p.open(b"/a", O_CREAT | O_RDWR)
    a, _ = pair(p)
    tcp, dgram = p.ok("socket", AF_INET, SOCK_STREAM, 0), p.ok("socket", AF_UNIX, SOCK_DGRAM, 0)
    buf = p.zeros(8)
    assert p.error("recvfrom", NO_FD, buf, 1, MSG_OOB, 0, 0) is EBADF
    assert p.error("recvfrom", a, buf, 1, MSG_OOB, 0, 0) is EINVAL
    assert p.error("recvfrom", tcp, buf, 1, MSG_OOB, 0, 0) is EINVAL
    assert p.error("recvfrom", dgram, buf, 1, MSG_OOB, 0, 0) is EOPNOTSUPP
    udp = p.ok("socket", AF_INET, SOCK_DGRAM, 0)
    assert p.error("recvfrom", udp, buf, 1, MSG_OOB | MSG_DONTWAIT, 0, 0) is EAGAIN
    assert p.error("recvfrom", tcp, buf, 1, MSG_ERRQUEUE, 0, 0) is EAGAIN
    bad_vector = MSGHDR.pack(0, 0, BAD, 1, 0, 0, 0)
    assert p.error("recvmsg", tcp, bad_vector, MSG_OOB) is EFAULT
    assert p.error("recvfrom", a, buf, 1, MSG_ERRQUEUE | MSG_DONTWAIT, 0, 0) is EAGAIN
    assert p.error("recvmsg", file, BAD, 0) is ENOTSOCK
    assert p.error("recvmsg", a, BAD, 0) is EFAULT


def test_several(p: Program) -> None:
    """Lengths are written behind each message; the first that waits parks the call."""
    a, b = pair(p, SOCK_DGRAM)
    data = p.put(b"abcdef")
    first, second = p.put(IOVEC.pack(data, 2)), p.put(IOVEC.pack(data, 3))
    many = p.put(b"".join(MMSGHDR.pack(0, 0, vector, 1, 0, 0, 0, 0) for vector in (first, second)))
    assert p.ok("sendmmsg", a, many, 2, 0) == 2
    assert p.number(many + MMSGHDR.size + 56) == 3
    p.ok("recvfrom", b, data, 6, 0, 0, 0)
    pending = p.wait("recvmmsg", b, many, 2, 0, 0)
    assert pending.attempt is messages.receive_many_on
    p.ok("sendto", a, b"x", 1, 0, 0, 0)
    assert p.resume() == 2
    file = p.open(b"/a", O_CREAT | O_RDWR)
    assert p.error("sendmmsg", file, BAD, 1, 0) is ENOTSOCK
    assert p.ok("sendmmsg", a, BAD, 0, 0) == 0
    assert p.error("sendmmsg", a, BAD, 1, 0) is EFAULT
    assert p.error("recvmmsg", file, BAD, 1, 0, BAD) is EFAULT
    assert p.error("recvmmsg", NO_FD, BAD, 1, 0, TIMESPEC.pack(-1, 0)) is EINVAL
    assert p.error("recvmmsg", a, BAD, 1, MSG_DONTWAIT, 0) is EFAULT
