"""Sockets: socket(2), connect(2), sendmsg(2), recvmsg(2) and their relatives.

Addresses and control messages are read here; what they mean is the sockets'. A message that waits to be sent holds
no count of the descriptions in it: one that is closed meanwhile makes the call fail with EBADF.

Sources: Linux net/socket.c, net/core/scm.c, net/compat.c.
"""

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, FdNum, Flags, Int, Ptr, Size, UInt
from sentry.syscalls.files import RLIMIT_NOFILE, put, put_pair
from sentry.syscalls.io import SIGPIPE, total
from sentry.syscalls.poll import deadline_of
from sentry.syscalls.waits import FOR_READ, FOR_WRITE, done_or_restart, wait_io
from sentry_abi.capability import CAP_NET_RAW, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN
from sentry_abi.errors import (
    EADDRINUSE,
    EAFNOSUPPORT,
    EAGAIN,
    EBADF,
    ECONNREFUSED,
    EEXIST,
    EFAULT,
    EINVAL,
    EMFILE,
    EMSGSIZE,
    ENOBUFS,
    ENOTSOCK,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
    LinuxError,
)
from sentry_abi.fcntl import MAX_RW_COUNT, O_CLOEXEC, O_NONBLOCK
from sentry_abi.socket import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    AF_UNSPEC,
    IPPROTO_ICMP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_WAITALL,
    MSG_WAITFORONE,
    SCM_CREDENTIALS,
    SCM_MAX_FD,
    SCM_RIGHTS,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOCK_NONBLOCK,
    SOCK_RAW,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_IP,
    SOL_SOCKET,
)
from sentry_abi.stat import S_IFMT, S_IFSOCK
from sentry_sockets import (
    KINDS,
    NOTHING,
    Control,
    Received,
    Socket,
    TcpSocket,
    Ucred,
    UdpSocket,
    UnixDatagram,
    UnixSocket,
    family_of,
    new_inode,
    open_inet,
    unix_name,
)
from sentry_usermem import gather, import_iovec, scatter
from sentry_vfs import WRITE, FileDescription, may
from sentry_waiter import OUT

if TYPE_CHECKING:
    from sentry.kernel.task import Task

calls = Calls("sockets")

MAX_ADDRESS: Final = 128
MAX_CONTROL: Final = 1 << 16
MSGHDR: Final = struct.Struct("<QI4xQQQQI4x")
MMSGHDR_SIZE: Final = 64
CMSG: Final = struct.Struct("<QII")
MAX_MESSAGES: Final = 1024


# -- making


def _socket(t: "Task", fd: int) -> Socket:
    """Return the socket of a descriptor. Raises: EBADF, ENOTSOCK."""
    file = t.files.get(fd)
    if not isinstance(file, Socket):
        raise ENOTSOCK
    return file


def _peer_creds(t: "Task") -> Ucred:
    return Ucred(t.group.tgid, t.creds.euid, t.creds.egid)


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
    network = t.kernel.network
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
    return open_inet(network, inode, family, kind, flags, protocol)


@calls.call
def socket(t: "Task", family: Int, kind: Int, protocol: Int) -> Result:
    """socket(2)."""
    return put(t, _open(t, family, kind, protocol), O_CLOEXEC if kind & SOCK_CLOEXEC else 0)


@calls.call
def socketpair(t: "Task", family: Int, kind: Int, protocol: Int, fds: Ptr) -> Result:
    """socketpair(2)."""
    pair = _open(t, family, kind, protocol), _open(t, family, kind, protocol)
    if not isinstance(pair[0], UnixSocket) or not isinstance(pair[1], UnixSocket):
        raise EOPNOTSUPP
    pair[0].join(pair[1], _peer_creds(t))
    put_pair(t, pair, fds, O_CLOEXEC if kind & SOCK_CLOEXEC else 0)
    return 0


# -- addresses


def _address_in(t: "Task", pointer: int, length: int) -> bytes:
    """Return an address that a guest passes. Raises: EINVAL, EFAULT."""
    if not 0 <= length <= MAX_ADDRESS:
        raise EINVAL
    return t.mm.copy_in(pointer, length) if length else b""


def _address_out(t: "Task", address: bytes, pointer: int, length_pointer: int) -> None:
    """Write an address and its length, cut to the room that the guest names. Raises: EFAULT, EINVAL."""
    room = int.from_bytes(t.mm.copy_in(length_pointer, 4), "little", signed=True)
    if room < 0:
        raise EINVAL
    if address[:room]:
        t.mm.copy_out(pointer, address[:room])
    t.mm.copy_out(length_pointer, len(address).to_bytes(4, "little"))


def _checked_name(raw: bytes) -> bytes:
    """Return the name in a unix address to send to (unix_validate_addr). Raises: EINVAL, ECONNREFUSED."""
    name = unix_name(raw)
    if not name:
        raise EINVAL if len(raw) == 2 else ECONNREFUSED
    return name


def _unix_target(t: "Task", raw: bytes) -> UnixSocket:
    """Return the socket behind a unix address. Raises: EINVAL, ECONNREFUSED and what walking the path raises."""
    name = _checked_name(raw)
    network = t.kernel.network
    if name[0] == 0:
        found = network.abstract.get(name)
    else:
        where = t.kernel.vfs.lookup(None, name, t.fs, t.creds)
        inode = where.dentry.positive()
        may(inode, t.creds, WRITE)
        if inode.mode & S_IFMT != S_IFSOCK:
            raise ECONNREFUSED
        found = network.bound.get(inode)
    if found is None:
        raise ECONNREFUSED
    return found


@calls.call
def bind(t: "Task", fd: FdNum, addr: Ptr, length: Int) -> Result:
    """bind(2)."""
    file = _socket(t, fd)
    raw = _address_in(t, addr, length)
    if isinstance(file, UnixSocket):
        name = unix_name(raw)
        if not name or name[0] == 0:
            if not name and len(raw) > 2:
                raise EINVAL
            file.bind_abstract(name)
            return 0
        try:
            dentry = t.kernel.vfs.mknod(None, name, S_IFSOCK | 0o777, 0, t.fs, t.creds)
        except EEXIST:
            raise EADDRINUSE from None
        if file.name:
            t.kernel.vfs.unlink(None, name, t.fs, t.creds)
            raise EINVAL
        file.bind_inode(name, dentry.positive())
    elif isinstance(file, TcpSocket | UdpSocket):
        file.bind(raw)
    return 0


@calls.call
def listen(t: "Task", fd: FdNum, backlog: Int) -> Result:
    """listen(2)."""
    _socket(t, fd).listen(backlog, _peer_creds(t))
    return 0


class Accept(NamedTuple):
    """An accept under way."""

    file: Socket
    addr: int
    length: int
    flags: int
    done: int


@calls.call
def accept4(t: "Task", fd: FdNum, addr: Ptr, length: Ptr, flags: Int) -> Result:
    """accept4(2)."""
    if flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK):
        raise EINVAL
    return accept_on(t, Accept(_socket(t, fd), addr, length, flags, 0))


@calls.call
def accept(t: "Task", fd: FdNum, addr: Ptr, length: Ptr) -> Result:
    """accept(2)."""
    return accept4(t, fd, addr, length, 0)


@attempt
def accept_on(t: "Task", state: Accept) -> Result:
    """Take a connection, or wait for one."""
    file, addr, length, flags, _ = state
    if t.files.is_full(t.limits.soft(RLIMIT_NOFILE)):
        raise EMFILE
    try:
        found = file.accept()
    except EAGAIN:
        return wait_io(t, accept_on, state, file, FOR_READ)
    found.flags |= flags & O_NONBLOCK
    number = put(t, found, O_CLOEXEC if flags & SOCK_CLOEXEC else 0)
    if addr:
        try:
            _address_out(t, found.accepted_from(), addr, length)
        except LinuxError:
            t.files.close(number)
            raise
    return number


class Connect(NamedTuple):
    """A connect under way: to the socket behind a unix name, or (target None) to where the socket itself knows."""

    file: Socket
    target: UnixSocket | None
    done: int


@calls.call
def connect(t: "Task", fd: FdNum, addr: Ptr, length: Int) -> Result:
    """connect(2)."""
    file = _socket(t, fd)
    raw = _address_in(t, addr, length)
    family = family_of(raw)
    if family == AF_UNSPEC and isinstance(file, TcpSocket | UdpSocket | UnixDatagram):
        file.dissolve()
        return 0
    if isinstance(file, UnixSocket):
        _checked_name(raw)
        file.autobind()
        return connect_on(t, Connect(file, _unix_target(t, raw), 0))
    assert isinstance(file, TcpSocket | UdpSocket)
    try:
        file.connect(raw, wait=not file.flags & O_NONBLOCK)
    except EAGAIN:
        return connect_on(t, Connect(file, None, 0))
    return 0


@attempt
def connect_on(t: "Task", state: Connect) -> Result:
    """Connect, or wait for room in the listener's queue."""
    file, target, _ = state
    if target is None:
        assert isinstance(file, TcpSocket)
        if file.target is not None:
            return wait_io(t, connect_on, state, file, FOR_WRITE)
        file.fresh = False
        file.raise_error()
        return 0
    assert isinstance(file, UnixSocket)
    try:
        file.connect_to(target, _peer_creds(t))
    except EAGAIN:
        if file.flags & O_NONBLOCK:
            raise
        return Pending(connect_on, state, ((target.queue, FOR_READ | OUT),), on_signal=done_or_restart)
    return 0


@calls.call
def getsockname(t: "Task", fd: FdNum, addr: Ptr, length: Ptr) -> Result:
    """getsockname(2)."""
    _address_out(t, _socket(t, fd).local_address(), addr, length)
    return 0


@calls.call
def getpeername(t: "Task", fd: FdNum, addr: Ptr, length: Ptr) -> Result:
    """getpeername(2)."""
    _address_out(t, _socket(t, fd).remote_address(), addr, length)
    return 0


@calls.call
def shutdown(t: "Task", fd: FdNum, how: Int) -> Result:
    """shutdown(2)."""
    file = _socket(t, fd)
    if not 0 <= how <= 2:
        raise EINVAL
    file.shutdown(how + 1)
    return 0


# -- options


@calls.call
def setsockopt(t: "Task", fd: FdNum, level: Int, name: Int, value: Ptr, length: Int) -> Result:
    """setsockopt(2)."""
    file = _socket(t, fd)
    if length < 0:
        raise EINVAL
    file.set_option(level, name, t.mm.copy_in(value, min(length, 256)) if length else b"")
    return 0


@calls.call
def getsockopt(t: "Task", fd: FdNum, level: Int, name: Int, value: Ptr, length: Ptr) -> Result:
    """getsockopt(2)."""
    file = _socket(t, fd)
    room = int.from_bytes(t.mm.copy_in(length, 4), "little", signed=True)
    if room < 0:
        raise EINVAL
    found = file.get_option(level, name)
    if level == SOL_IP and 0 < room < 4 and not any(found[1:]):
        room = 1  # a small number fits a byte
    found = found[:room]
    t.mm.copy_out(value, found)
    t.mm.copy_out(length, len(found).to_bytes(4, "little"))
    return 0


# -- sending


class Send(NamedTuple):
    """A send under way: `to` is what an address led to."""

    file: Socket
    pieces: tuple[tuple[int, int], ...]
    flags: int
    control: Control
    to: Any
    done: int


@attempt
def send_on(t: "Task", state: Send) -> Result:
    """Send a message, or the rest of one on a stream."""
    file, pieces, flags, control, to, done = state
    wanted = total(pieces)
    while True:
        if control.files and any(not held.refs for held in control.files):
            raise EBADF
        try:
            data = gather(t.mm, pieces, done)
            if file.kind != SOCK_STREAM and sum(map(len, data)) < wanted:
                raise EMSGSIZE if wanted > file.message_limit() else EFAULT
            done += file.transmit(data, control, to)
        except EAGAIN:
            if flags & MSG_DONTWAIT or file.flags & O_NONBLOCK:
                if done:
                    return done
                raise
            return wait_io(t, send_on, Send(file, pieces, flags, control, to, done), file, FOR_WRITE)
        except EPIPE:
            if done:
                return done
            if file.breaks_with_signal and not flags & MSG_NOSIGNAL:
                t.send_signal(SIGPIPE)
            raise
        except LinuxError:
            if done:
                return done
            raise
        if done >= wanted or file.kind != SOCK_STREAM:
            return done
        control = control._replace(files=())


def _destination(t: "Task", file: Socket, raw: bytes, length: int, flags: int) -> Any:  # noqa: ANN401  (a socket, or an address in wire form)
    if not raw or isinstance(file, TcpSocket):
        return None
    if isinstance(file, UnixSocket):
        if file.kind == SOCK_SEQPACKET:
            return None
        if file.kind == SOCK_STREAM:
            return raw
        _checked_name(raw)
        try:
            file.admit(length)
        except EPIPE:
            if file.breaks_with_signal and not flags & MSG_NOSIGNAL:
                t.send_signal(SIGPIPE)
            raise
        return _unix_target(t, raw)
    return raw


def _check_send(flags: int) -> None:
    # Differs: no urgent data anywhere.
    if flags & MSG_OOB:
        raise EOPNOTSUPP


@calls.call
def sendto(t: "Task", fd: FdNum, buf: Ptr, count: Size, flags: Flags, addr: Ptr, length: Int) -> Result:
    """sendto(2)."""
    file = _socket(t, fd)
    count = min(count, MAX_RW_COUNT)
    to = None
    address = _address_in(t, addr, length) if addr else b""
    _check_send(flags)
    if address:
        to = _destination(t, file, address, count, flags)
    return send_on(t, Send(file, ((buf, count),) if count else (), flags, NOTHING, to, 0))


def _control_in(t: "Task", file: Socket, pointer: int, length: int) -> Control:
    """Read control messages. Raises: EFAULT, EINVAL, EBADF, EPERM, ENOBUFS."""
    if not length:
        return NOTHING
    if length > MAX_CONTROL:
        raise ENOBUFS
    raw = t.mm.copy_in(pointer, length)
    files: list[FileDescription] = []
    creds: Ucred | None = None
    at = 0
    while at + CMSG.size <= length:
        size, level, kind = CMSG.unpack_from(raw, at)
        if not CMSG.size <= size <= length - at:
            raise EINVAL
        body = raw[at + CMSG.size : at + size]
        at += size + 7 & ~7
        if level != SOL_SOCKET:
            continue
        if kind == SCM_RIGHTS:
            if not isinstance(file, UnixSocket):
                continue
            numbers = memoryview(body[: len(body) & ~3]).cast("i")
            if len(files) + len(numbers) > SCM_MAX_FD:
                raise EINVAL
            files += [t.files.get_any(number) for number in numbers]
        elif kind == SCM_CREDENTIALS:
            if len(body) != 12:
                raise EINVAL
            creds = Ucred(*memoryview(body).cast("I"))
            _check_creds(t, creds)
        else:
            raise EINVAL
    return Control(tuple(files), creds) if files or creds is not None else NOTHING


def _check_creds(t: "Task", creds: Ucred) -> None:
    mine = t.creds
    if (
        (creds.pid != t.group.tgid and not mine.capable(CAP_SYS_ADMIN))
        or (creds.uid not in {mine.uid, mine.euid, mine.suid} and not mine.capable(CAP_SETUID))
        or (creds.gid not in {mine.gid, mine.egid, mine.sgid} and not mine.capable(CAP_SETGID))
    ):
        raise EPERM


def _message_to_send(t: "Task", file: Socket, message: int, flags: int) -> Send:
    name, name_length, iov, count, control, control_length, _ = MSGHDR.unpack(t.mm.copy_in(message, MSGHDR.size))
    if count > 1024:
        raise EMSGSIZE
    if name_length & 0x8000_0000:
        raise EINVAL
    to = None
    address = _address_in(t, name, min(name_length, MAX_ADDRESS)) if name else b""
    pieces = import_iovec(t.mm, iov, count)
    file.check_connected()
    along = _control_in(t, file, control, control_length)
    _check_send(flags)
    if address:
        to = _destination(t, file, address, total(pieces), flags)
    return Send(file, pieces, flags, along, to, 0)


@calls.call
def sendmsg(t: "Task", fd: FdNum, message: Ptr, flags: Flags) -> Result:
    """sendmsg(2)."""
    file = _socket(t, fd)
    return send_on(t, _message_to_send(t, file, message, flags))


class SendMany(NamedTuple):
    """A sendmmsg under way: `current` is the message that waits, `done` how many are through."""

    file: Socket
    vector: int
    most: int
    flags: int
    current: Send | None
    done: int


@calls.call
def sendmmsg(t: "Task", fd: FdNum, messages: Ptr, count: UInt, flags: Flags) -> Result:
    """sendmmsg(2)."""
    return send_many_on(t, SendMany(_socket(t, fd), messages, min(count, MAX_MESSAGES), flags, None, 0))


@attempt
def send_many_on(t: "Task", state: SendMany) -> Result:
    """Send messages until one fails or has to wait."""
    file, messages, count, flags, current, done = state
    while done < count:
        at = messages + done * MMSGHDR_SIZE
        try:
            result = send_on(t, current or _message_to_send(t, file, at, flags))
            if isinstance(result, Pending):
                inner = result.state if isinstance(result.state, Send) else result.state.state
                return wait_io(t, send_many_on, SendMany(file, messages, count, flags, inner, done), file, FOR_WRITE)
            t.mm.copy_out(at + MSGHDR.size, result.to_bytes(4, "little"))
        except LinuxError:
            if done:
                return done
            raise
        current = None
        done += 1
    return done


# -- receiving


class Receive(NamedTuple):
    """A receive under way.

    message is the guest's msghdr, 0 for recvfrom; name is where the source goes, name_length where its length is
    (recvfrom) or how much room there is (recvmsg).
    """

    file: Socket
    pieces: tuple[tuple[int, int], ...]
    flags: int
    message: int
    name: int
    name_length: int
    control: int
    control_length: int
    done: int
    source: bytes = b""


@attempt
def receive_on(t: "Task", state: Receive) -> Result:
    """Receive a message, or all of the bytes that MSG_WAITALL asks for."""
    file, pieces, flags, done, source = state.file, state.pieces, state.flags, state.done, state.source
    wanted = total(pieces)
    all_of_it = flags & MSG_WAITALL and not flags & MSG_PEEK and file.kind == SOCK_STREAM
    while True:
        room = file.clamp(wanted - done)
        try:
            got = file.receive(scatter(t.mm, pieces, done, room), flags)
        except EAGAIN:
            if flags & MSG_DONTWAIT or file.flags & O_NONBLOCK:
                if done:
                    return _received(t, state, Received(done, source))
                raise
            return wait_io(t, receive_on, state._replace(done=done, source=source), file, FOR_READ)
        except LinuxError:
            if done:
                return _received(t, state, Received(done, source))
            raise
        done += got.length
        source = got.source or source
        if not all_of_it or done >= wanted or not got.length or got.control.files:
            return _received(t, state, got._replace(length=done, source=source))


def _received(t: "Task", state: Receive, got: Received) -> int:
    """Write what came along with the bytes; return their count."""
    if not state.message:
        if state.name:
            _address_out(t, got.source, state.name, state.name_length)
        for file in got.control.files:
            file.decref()
        return got.length
    used, cut = _control_out(t, state, got.control)
    if state.name:
        t.mm.copy_out(state.name, got.source[: state.name_length])
        t.mm.copy_out(state.message + 8, len(got.source).to_bytes(4, "little"))
    out = got.flags | cut | state.flags & MSG_CMSG_CLOEXEC
    t.mm.copy_out(state.message + 40, used.to_bytes(8, "little") + out.to_bytes(4, "little"))
    return got.length


def _control_out(t: "Task", state: Receive, control: Control) -> tuple[int, int]:
    """Write control messages and install descriptions; return the room used, and MSG_CTRUNC if there was too little."""
    pointer, room = state.control, state.control_length if state.control else 0
    used = cut = 0
    if control.creds is not None:
        body = b"".join((number & 0xFFFF_FFFF).to_bytes(4, "little") for number in control.creds)
        record = CMSG.pack(CMSG.size + 12, SOL_SOCKET, SCM_CREDENTIALS) + body
        if room < CMSG.size:
            cut = MSG_CTRUNC
        else:
            if room < len(record):
                cut = MSG_CTRUNC
                record = CMSG.pack(room, SOL_SOCKET, SCM_CREDENTIALS) + body[: room - CMSG.size]
            t.mm.copy_out(pointer, record)
            used = min(len(record) + 7 & ~7, room)
    if control.files:
        used, more = _install(t, state, control.files, used, room)
        cut |= more
    return used, cut


def _install(t: "Task", state: Receive, files: tuple[FileDescription, ...], used: int, room: int) -> tuple[int, int]:
    """Give received descriptions numbers, as many as there is room for; the others are dropped."""
    fits = max(0, room - used - CMSG.size) // 4
    numbers = []
    for index, file in enumerate(files):
        if index < fits:
            try:
                numbers.append(put(t, file, O_CLOEXEC if state.flags & MSG_CMSG_CLOEXEC else 0))
            except EMFILE:
                fits = 0
        file.decref()
    if numbers:
        size = CMSG.size + 4 * len(numbers)
        body = b"".join(number.to_bytes(4, "little") for number in numbers)
        t.mm.copy_out(state.control + used, CMSG.pack(size, SOL_SOCKET, SCM_RIGHTS) + body)
        used = min(used + (size + 7 & ~7), room)
    return used, MSG_CTRUNC if len(numbers) < len(files) else 0


def _check_receive(file: Socket, flags: int) -> None:
    if flags & MSG_OOB:
        raise EOPNOTSUPP if isinstance(file, UnixSocket) else EINVAL
    if flags & MSG_ERRQUEUE:
        raise EAGAIN if not isinstance(file, UnixSocket) else EOPNOTSUPP


@calls.call
def recvfrom(t: "Task", fd: FdNum, buf: Ptr, count: Size, flags: Flags, addr: Ptr, length: Ptr) -> Result:
    """recvfrom(2)."""
    file = _socket(t, fd)
    count = min(count, MAX_RW_COUNT)
    _check_receive(file, flags)
    return receive_on(t, Receive(file, ((buf, count),) if count else (), flags, 0, addr, length, 0, 0, 0))


def _message_to_fill(t: "Task", file: Socket, message: int, flags: int) -> Receive:
    name, name_length, iov, count, control, control_length, _ = MSGHDR.unpack(t.mm.copy_in(message, MSGHDR.size))
    if count > 1024:
        raise EMSGSIZE
    if name and name_length & 0x8000_0000:
        raise EINVAL
    _check_receive(file, flags)
    pieces = import_iovec(t.mm, iov, count)
    return Receive(file, pieces, flags, message, name, name_length, control, control_length, 0)


@calls.call
def recvmsg(t: "Task", fd: FdNum, message: Ptr, flags: Flags) -> Result:
    """recvmsg(2)."""
    file = _socket(t, fd)
    return receive_on(t, _message_to_fill(t, file, message, flags))


class ReceiveMany(NamedTuple):
    """A recvmmsg under way; the deadline is looked at after each message only, as Linux does."""

    file: Socket
    vector: int
    most: int
    flags: int
    deadline: int | None
    current: Receive | None
    done: int


@calls.call
def recvmmsg(t: "Task", fd: FdNum, messages: Ptr, count: UInt, flags: Flags, timeout: Ptr) -> Result:
    """recvmmsg(2)."""
    deadline = deadline_of(t, timeout, 1)
    file = _socket(t, fd)
    return receive_many_on(t, ReceiveMany(file, messages, min(count, MAX_MESSAGES), flags, deadline, None, 0))


@attempt
def receive_many_on(t: "Task", state: ReceiveMany) -> Result:
    """Receive messages until there are enough, or one has to wait."""
    file, messages, count, flags, deadline, current, done = state
    while done < count:
        at = messages + done * MMSGHDR_SIZE
        now = flags & ~MSG_WAITFORONE | (MSG_DONTWAIT if flags & MSG_WAITFORONE and done else 0)
        try:
            result = receive_on(t, current or _message_to_fill(t, file, at, now))
            if isinstance(result, Pending):
                inner = result.state if isinstance(result.state, Receive) else result.state.state
                waiting = ReceiveMany(file, messages, count, flags, deadline, inner, done)
                return wait_io(t, receive_many_on, waiting, file, FOR_READ)
            t.mm.copy_out(at + MSGHDR.size, result.to_bytes(4, "little"))
        except LinuxError:
            if done:
                return done
            raise
        current = None
        done += 1
        if deadline is not None and t.kernel.clock.monotonic_ns() >= deadline:
            break
    return done
