"""Sockets: socket(2), connect(2), sendmsg(2), recvmsg(2) and their relatives.

Addresses are read here, messages in `messages`; what they mean is the sockets' part. A message that waits to be sent
has no references to the descriptions in it: one that is closed meanwhile makes the call fail with EBADF.

Sources: Linux net/socket.c, net/core/scm.c, net/compat.c.
"""

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import sentry_sockets
from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, FdNum, Int, Ptr
from sentry.syscalls.files import put, put_pair
from sentry.syscalls.guest import INT, read_one
from sentry.syscalls.waits import FOR_READ, FOR_WRITE, wait_io
from sentry_abi.capability import CAP_NET_RAW
from sentry_abi.errors import (
    EADDRINUSE,
    EAFNOSUPPORT,
    EAGAIN,
    ECONNREFUSED,
    EEXIST,
    EINPROGRESS,
    EINTR,
    EINVAL,
    EMFILE,
    ENOTSOCK,
    EOPNOTSUPP,
    EPERM,
    EPROTONOSUPPORT,
    ERESTARTSYS,
    ESOCKTNOSUPPORT,
    LinuxError,
)
from sentry_abi.fcntl import O_CLOEXEC, O_NONBLOCK
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_abi.socket import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    AF_UNSPEC,
    IPPROTO_ICMP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SO_BINDTODEVICE,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_RAW,
    SOCK_STREAM,
    SOL_IP,
    SOL_IPV6,
    SOL_SOCKET,
)
from sentry_abi.stat import S_IFMT, S_IFSOCK
from sentry_host import KeptDescriptors
from sentry_sockets import (
    KINDS,
    Socket,
    Ucred,
    UnixDatagram,
    UnixSocket,
    family_of,
    new_inode,
    unix_name,
)
from sentry_vfs import WRITE, do_mknodat, do_unlinkat, filename_lookup, may
from sentry_waiter import OUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import Task
    from sentry_sockets import Network
    from sentry_vfs import Inode

calls = Calls("sockets")

MAX_ADDRESS: Final = 128
INET_LEVELS: Final = frozenset({SOL_IP, SOL_IPV6, IPPROTO_TCP, IPPROTO_UDP})


# -- making


def socket_of(t: "Task", fd: int) -> Socket:
    """Return the socket of a descriptor. Raises: EBADF, ENOTSOCK."""
    file = t.files.get(fd)
    if not isinstance(file, Socket):
        raise ENOTSOCK
    return file


def _peer_creds(t: "Task") -> Ucred:
    return Ucred(t.group.tgid, t.creds.euid, t.creds.egid)


@cache
def _inet() -> "Callable[[Network, Inode, int, int, int, int], Socket]":
    """Import the internet's sockets, at the first of them; return what makes one."""
    with KeptDescriptors():
        return sentry_sockets.open_inet


def _open(t: "Task", family: int, kind: int, protocol: int) -> Socket:
    """Return a new socket. Raises: EINVAL, EAFNOSUPPORT, ESOCKTNOSUPPORT, EPROTONOSUPPORT, EPERM."""
    if kind & ~(0xF | SOCK_CLOEXEC | SOCK_NONBLOCK):
        raise EINVAL
    flags = kind & SOCK_NONBLOCK
    kind &= 0xF
    if not 0 <= family < 46:
        raise EAFNOSUPPORT
    if not kind <= 10:
        raise EINVAL
    network = t.ns.net.stack
    inode = new_inode(network.fs, t.creds.fsuid, t.creds.fsgid)
    if family == AF_UNIX:
        if protocol not in {0, AF_UNIX}:
            raise EPROTONOSUPPORT
        if kind == SOCK_RAW:
            kind = SOCK_DGRAM
        if kind not in KINDS:
            raise ESOCKTNOSUPPORT
        return KINDS[kind](network, inode, flags, 0)
    if family not in {AF_INET, AF_INET6}:
        raise EAFNOSUPPORT
    if kind == SOCK_RAW and not t.creds.capable(CAP_NET_RAW):
        raise EPERM
    if kind not in {SOCK_STREAM, SOCK_DGRAM}:
        # Differs: there are no raw sockets, whatever the capabilities.
        raise ESOCKTNOSUPPORT if kind != SOCK_RAW else EPROTONOSUPPORT
    if protocol not in {0, IPPROTO_TCP if kind == SOCK_STREAM else IPPROTO_UDP}:
        raise EPERM if kind == SOCK_DGRAM and protocol == IPPROTO_ICMP else EPROTONOSUPPORT
    return _inet()(network, inode, family, kind, flags, protocol)


@calls.call
def socket(t: "Task", family: Int, kind: Int, protocol: Int) -> Result:
    """socket(2)."""
    made = _open(t, family, kind, protocol)
    t.kernel.record_socket(made)
    return put(t, made, O_CLOEXEC if kind & SOCK_CLOEXEC else 0)


@calls.call
def socketpair(t: "Task", family: Int, kind: Int, protocol: Int, fds: Ptr) -> Result:
    """socketpair(2)."""
    if kind & ~(0xF | SOCK_CLOEXEC | SOCK_NONBLOCK):
        raise EINVAL
    t.mm.writable(fds, 8)
    pair = _open(t, family, kind, protocol), _open(t, family, kind, protocol)
    if not isinstance(pair[0], UnixSocket) or not isinstance(pair[1], UnixSocket):
        raise EOPNOTSUPP
    pair[0].socketpair(pair[1], _peer_creds(t))
    for end in pair:
        t.kernel.record_socket(end)
    put_pair(t, pair, fds, O_CLOEXEC if kind & SOCK_CLOEXEC else 0)
    return 0


# -- addresses


def address_in(t: "Task", pointer: int, length: int) -> bytes:
    """Return an address that a guest passes. Raises: EINVAL, EFAULT."""
    if not 0 <= length <= MAX_ADDRESS:
        raise EINVAL
    return t.mm.copy_in(pointer, length) if length else b""


def address_out(t: "Task", address: bytes, pointer: int, length_pointer: int) -> None:
    """Write an address, cut to the space that the guest has for it, and its length. Raises: EFAULT, EINVAL."""
    space = read_one(t, length_pointer, INT)
    if space < 0:
        raise EINVAL
    if address[:space]:
        t.mm.copy_out(pointer, address[:space])
    t.mm.copy_out(length_pointer, len(address).to_bytes(4, "little"))


def checked_name(raw: bytes) -> bytes:
    """Return the name in a unix address to send to (unix_validate_addr). Raises: EINVAL, ECONNREFUSED."""
    name = unix_name(raw)
    if not name:
        raise EINVAL if len(raw) == 2 else ECONNREFUSED
    return name


def unix_target(t: "Task", raw: bytes) -> UnixSocket:
    """Return the socket behind a unix address. Raises: EINVAL, ECONNREFUSED and what walking the path raises."""
    name = checked_name(raw)
    network = t.ns.net.stack
    if name[0] == 0:
        found = network.abstract.find(name)
    else:
        where = filename_lookup(None, name, t.fs, t.creds)
        inode = where.dentry.positive()
        may(inode, t.creds, WRITE)
        if inode.mode & S_IFMT != S_IFSOCK:
            raise ECONNREFUSED
        found = network.bound.get(inode)
    if not isinstance(found, UnixSocket):
        raise ECONNREFUSED
    return found


@calls.call
def bind(t: "Task", fd: FdNum, addr: Ptr, length: Int) -> Result:
    """bind(2)."""
    file = socket_of(t, fd)
    raw = address_in(t, addr, length)
    if isinstance(file, UnixSocket):
        name = unix_name(raw)
        if not name or name[0] == 0:
            if not name and len(raw) > 2:
                raise EINVAL
            file.bind_abstract(name)
            return 0
        try:
            dentry = do_mknodat(None, name, S_IFSOCK | 0o777, 0, t.fs, t.creds)
        except EEXIST:
            raise EADDRINUSE from None
        if file.name:
            do_unlinkat(None, name, t.fs, t.creds)
            raise EINVAL
        file.bind_bsd(name, dentry.positive())
    elif isinstance(file, sentry_sockets.InetSocket):
        file.bind(raw)
    return 0


@calls.call
def listen(t: "Task", fd: FdNum, backlog: Int) -> Result:
    """listen(2)."""
    socket_of(t, fd).listen(backlog, _peer_creds(t))
    return 0


class Accept(NamedTuple):
    """An accept under way."""

    file: Socket
    addr: int
    length: int
    flags: int


@calls.call
def accept4(t: "Task", fd: FdNum, addr: Ptr, length: Ptr, flags: Int) -> Result:
    """accept4(2)."""
    t.files.get(fd)
    if flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK):
        raise EINVAL
    return accept_on(t, Accept(socket_of(t, fd), addr, length, flags))


@calls.call
def accept(t: "Task", fd: FdNum, addr: Ptr, length: Ptr) -> Result:
    """accept(2)."""
    return accept4(t, fd, addr, length, 0)


@attempt
def accept_on(t: "Task", state: Accept) -> Result:
    """Accept a connection, or wait for one."""
    file, addr, length, flags = state
    if t.files.is_full(t.limits.soft(RLIMIT_NOFILE)):
        raise EMFILE
    try:
        found = file.accept()
    except EAGAIN:
        return wait_io(t, accept_on, state, file, FOR_READ)
    found.flags |= flags & O_NONBLOCK
    t.kernel.record_socket(found)
    number = put(t, found, O_CLOEXEC if flags & SOCK_CLOEXEC else 0)
    if addr:
        try:
            address_out(t, found.accepted_from(), addr, length)
        except LinuxError:
            t.files.close(number)
            raise
    return number


class Connect(NamedTuple):
    """A connect under way: to the socket behind a unix name; None: of a TCP socket, which has its target."""

    file: Socket
    target: UnixSocket | None
    deadline: int | None
    """The end of the socket's time limit (SO_SNDTIMEO)."""


@calls.call
def connect(t: "Task", fd: FdNum, addr: Ptr, length: Int) -> Result:
    """connect(2)."""
    t.files.get(fd)
    raw = address_in(t, addr, length)
    file = socket_of(t, fd)
    family = family_of(raw)
    if isinstance(file, UnixSocket):
        if family == AF_UNSPEC and isinstance(file, UnixDatagram):
            file.disconnect()
            return 0
        checked_name(raw)
        file.autobind()
        return connect_on(t, Connect(file, unix_target(t, raw), _send_deadline(t, file)))
    assert isinstance(file, sentry_sockets.TcpSocket | sentry_sockets.UdpSocket)
    if family == AF_UNSPEC:
        file.disconnect()
        return 0
    try:
        file.connect(raw, wait=not file.flags & O_NONBLOCK)
    except EAGAIN:
        return connect_on(t, Connect(file, None, _send_deadline(t, file)))
    return 0


def _send_deadline(t: "Task", file: Socket) -> int | None:
    limit = file.wait_limit(OUT)
    return t.kernel.clock.monotonic_ns() + limit if limit else None


@attempt
def connect_on(t: "Task", state: Connect) -> Result:
    """Connect, or wait for space in the listener's queue.

    Raises: at the socket's time limit EINPROGRESS with TCP, which goes on connecting, and EAGAIN with a unix socket.
    """
    file, target, deadline = state
    restart = ERESTARTSYS if deadline is None else EINTR
    if target is None:
        assert isinstance(file, sentry_sockets.TcpSocket)
        if file.target is not None:
            if t.timed_out:
                raise EINPROGRESS
            return Pending(connect_on, state, ((file.queue, FOR_WRITE),), deadline, restart)
        file.finish_connect()
        return 0
    assert isinstance(file, UnixSocket)
    try:
        file.connect(target, _peer_creds(t))
    except EAGAIN:
        if file.flags & O_NONBLOCK or t.timed_out:
            raise
        return Pending(connect_on, state, ((target.queue, FOR_READ | OUT),), deadline, restart)
    return 0


@calls.call
def getsockname(t: "Task", fd: FdNum, addr: Ptr, length: Ptr) -> Result:
    """getsockname(2)."""
    address_out(t, socket_of(t, fd).getsockname(), addr, length)
    return 0


@calls.call
def getpeername(t: "Task", fd: FdNum, addr: Ptr, length: Ptr) -> Result:
    """getpeername(2)."""
    address_out(t, socket_of(t, fd).getpeername(), addr, length)
    return 0


@calls.call
def shutdown(t: "Task", fd: FdNum, how: Int) -> Result:
    """shutdown(2)."""
    file = socket_of(t, fd)
    if not 0 <= how <= 2:
        raise EINVAL
    file.shutdown(how + 1)
    return 0


# -- options


def _has_level(file: Socket, level: int) -> bool:
    """Return whether a socket has options of a level; without any its refusal comes before all else."""
    return level == SOL_SOCKET or (not isinstance(file, UnixSocket) and level in INET_LEVELS)


@calls.call
def setsockopt(t: "Task", fd: FdNum, level: Int, name: Int, value: Ptr, length: Int) -> Result:
    """setsockopt(2)."""
    file = socket_of(t, fd)
    if length < 0 or (level == SOL_SOCKET and length < 4 and name != SO_BINDTODEVICE):
        raise EINVAL
    if not _has_level(file, level):
        file.setsockopt(level, name, b"")
    file.setsockopt(level, name, t.mm.copy_in(value, min(length, 256)) if length else b"")
    return 0


@calls.call
def getsockopt(t: "Task", fd: FdNum, level: Int, name: Int, value: Ptr, length: Ptr) -> Result:
    """getsockopt(2)."""
    file = socket_of(t, fd)
    if not _has_level(file, level):
        file.getsockopt(level, name)
    space = read_one(t, length, INT)
    if space < 0:
        raise EINVAL
    found = file.getsockopt(level, name)
    if level == SOL_IP and 0 < space < 4 and not any(found[1:]):
        space = 1  # a small number fits a byte
    found = found[:space]
    t.mm.copy_out(value, found)
    t.mm.copy_out(length, len(found).to_bytes(4, "little"))
    return 0
