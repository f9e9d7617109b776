"""Messages of sockets: sending and receiving, with control messages. Source: Linux net/socket.c, net/core/scm.c."""

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Attempt, Pending, Result, attempt
from sentry.kernel.signal import send_sig
from sentry.syscalls.binder import Calls, FdNum, Flags, Int, Ptr, Size, UInt
from sentry.syscalls.files import put
from sentry.syscalls.io import total
from sentry.syscalls.poll import deadline_of
from sentry.syscalls.sockets import MAX_ADDRESS, address_in, address_out, checked_name, socket_of, unix_target
from sentry.syscalls.waits import FOR_READ, FOR_WRITE, wait_io
from sentry_abi.capability import CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN
from sentry_abi.errors import (
    EAGAIN,
    EBADF,
    EFAULT,
    EINVAL,
    EMFILE,
    EMSGSIZE,
    ENOBUFS,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    LinuxError,
)
from sentry_abi.fcntl import MAX_RW_COUNT, O_CLOEXEC, O_NONBLOCK, UIO_MAXIOV
from sentry_abi.signal import SIGPIPE
from sentry_abi.socket import (
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
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
)
from sentry_sockets import NOTHING, Control, Received, Socket, Ucred, UnixSocket
from sentry_usermem import gather, import_iovec, scatter
from sentry_vfs import FileDescription

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import Task

calls = Calls("messages of sockets")

MAX_CONTROL: Final = 1 << 16
MSGHDR: Final = struct.Struct("<QI4xQQQQI4x")
MMSGHDR_SIZE: Final = 64
CMSG: Final = struct.Struct("<QII")


def _header(t: "Task", message: int) -> tuple[int, ...]:
    """Read a msghdr: name, its length, iovec, its length, control, its length. Raises: EFAULT, EINVAL, EMSGSIZE."""
    fields: tuple[int, ...] = MSGHDR.unpack(t.mm.copy_in(message, MSGHDR.size))[:6]
    if fields[0] and fields[1] & 0x8000_0000:
        raise EINVAL
    if fields[3] > UIO_MAXIOV:
        raise EMSGSIZE
    return fields


# -- sending


class Send(NamedTuple):
    """A send under way; `to` is the destination that an address named (`Socket.sendmsg`)."""

    file: Socket
    pieces: tuple[tuple[int, int], ...]
    flags: int
    control: Control
    to: Socket | bytes | None
    done: int


def _blocks(file: Socket, flags: int) -> bool:
    """Return whether the call may block."""
    return not (flags & MSG_DONTWAIT or file.flags & O_NONBLOCK)


def _broken(t: "Task", file: Socket, flags: int) -> None:
    """Send the SIGPIPE of a send that fails with EPIPE."""
    if file.breaks_with_signal and not flags & MSG_NOSIGNAL:
        send_sig(t, SIGPIPE)


def _gather(t: "Task", state: Send, done: int) -> list[memoryview | bytes]:
    """Return what is left to send. Raises: EFAULT, but first what a stream that is not connected fails with."""
    try:
        return gather(t.mm, state.pieces, done)
    except EFAULT:
        if not done and state.file.kind == SOCK_STREAM:
            state.file.sendmsg([], NOTHING, state.to)
        raise


@attempt
def send_on(t: "Task", state: Send) -> Result:
    """Send a message, or the rest of one on a stream."""
    file, pieces, flags, control, to, done = state
    wanted = total(pieces)
    while True:
        if control.files and any(not description.refs for description in control.files):
            raise EBADF
        try:
            data = _gather(t, state, done)
            if file.kind != SOCK_STREAM and sum(map(len, data)) < wanted:
                raise EMSGSIZE if wanted > file.message_limit() else EFAULT
            done += file.sendmsg(data, control, to)
        except EAGAIN:
            if _blocks(file, flags):
                return wait_io(t, send_on, state._replace(control=control, done=done), file, FOR_WRITE)
            if done:
                return done
            raise
        except EPIPE:
            if done:
                return done
            _broken(t, file, flags)
            raise
        except LinuxError:
            if done:
                return done
            raise
        if done >= wanted or file.kind != SOCK_STREAM:
            return done
        control = control._replace(files=())


def _destination(t: "Task", file: Socket, raw: bytes, length: int, flags: int) -> Socket | bytes | None:
    """Return the destination in an address, for a message of length bytes; None where it is ignored."""
    if not raw:
        return None
    if isinstance(file, UnixSocket):
        if file.kind == SOCK_SEQPACKET:
            return None
        if file.kind == SOCK_STREAM:
            return raw
        checked_name(raw)
        try:
            file.check_send(length)
        except EPIPE:
            _broken(t, file, flags)
            raise
        return unix_target(t, raw)
    return None if file.kind == SOCK_STREAM else raw


def _check_send(flags: int) -> None:
    # Differs: no urgent data anywhere.
    if flags & MSG_OOB:
        raise EOPNOTSUPP


@calls.call
def sendto(t: "Task", fd: FdNum, buf: Ptr, count: Size, flags: Flags, addr: Ptr, length: Int) -> Result:
    """sendto(2)."""
    file = socket_of(t, fd)
    count = min(count, MAX_RW_COUNT)
    to = None
    address = address_in(t, addr, length) if addr else b""
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
    name, name_length, iov, count, control, control_length = _header(t, message)
    to = None
    address = address_in(t, name, min(name_length, MAX_ADDRESS)) if name else b""
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
    file = socket_of(t, fd)
    return send_on(t, _message_to_send(t, file, message, flags))


# -- receiving


class Receive(NamedTuple):
    """A receive under way.

    message is the address of the msghdr, 0 for recvfrom; name the address for the source; name_length the address of
    its length (recvfrom) or the length (recvmsg).
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
        space = file.clamp(wanted - done)
        try:
            got = file.recvmsg(scatter(t.mm, pieces, done, space), flags)
        except EAGAIN:
            if _blocks(file, flags):
                return wait_io(t, receive_on, state._replace(done=done, source=source), file, FOR_READ)
            if done:
                return _received(t, state, Received(done, source))
            raise
        except LinuxError:
            if done:
                return _received(t, state, Received(done, source))
            raise
        done += got.length
        source = got.source or source
        if not all_of_it or done >= wanted or not got.length or got.control != NOTHING:
            return _received(t, state, got._replace(length=done, source=source))


def _received(t: "Task", state: Receive, got: Received) -> int:
    """Write source, control messages and flags; return the count of bytes."""
    if not state.message:
        if state.name:
            address_out(t, got.source, state.name, state.name_length)
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
    """Write control messages, install descriptions; return the space used, and MSG_CTRUNC if it was too little."""
    pointer, space = state.control, state.control_length if state.control else 0
    used = cut = 0
    if control.creds is not None:
        body = b"".join((number & 0xFFFF_FFFF).to_bytes(4, "little") for number in control.creds)
        record = CMSG.pack(CMSG.size + 12, SOL_SOCKET, SCM_CREDENTIALS) + body
        if space < CMSG.size:
            cut = MSG_CTRUNC
        else:
            if space < len(record):
                cut = MSG_CTRUNC
                record = CMSG.pack(space, SOL_SOCKET, SCM_CREDENTIALS) + body[: space - CMSG.size]
            t.mm.copy_out(pointer, record)
            used = min(len(record) + 7 & ~7, space)
    if control.files:
        used, more = _install(t, state, control.files, used, space)
        cut |= more
    return used, cut


def _install(t: "Task", state: Receive, files: tuple[FileDescription, ...], used: int, space: int) -> tuple[int, int]:
    """Install received descriptions, as many as there is space for; the others are closed."""
    fits = max(0, space - used - CMSG.size) // 4
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
        used = min(used + (size + 7 & ~7), space)
    return used, MSG_CTRUNC if len(numbers) < len(files) else 0


def _check_receive(file: Socket, flags: int) -> None:
    if flags & MSG_OOB:
        if isinstance(file, UnixSocket) and file.kind != SOCK_STREAM:
            raise EOPNOTSUPP
        if file.kind == SOCK_STREAM:
            raise EINVAL
    if flags & MSG_ERRQUEUE and not isinstance(file, UnixSocket):
        raise EAGAIN


@calls.call
def recvfrom(t: "Task", fd: FdNum, buf: Ptr, count: Size, flags: Flags, addr: Ptr, length: Ptr) -> Result:
    """recvfrom(2)."""
    file = socket_of(t, fd)
    count = min(count, MAX_RW_COUNT)
    _check_receive(file, flags)
    return receive_on(t, Receive(file, ((buf, count),) if count else (), flags, 0, addr, length, 0, 0, 0))


def _message_to_fill(t: "Task", file: Socket, message: int, flags: int) -> Receive:
    name, name_length, iov, count, control, control_length = _header(t, message)
    pieces = import_iovec(t.mm, iov, count)
    _check_receive(file, flags)
    return Receive(file, pieces, flags, message, name, name_length, control, control_length, 0)


@calls.call
def recvmsg(t: "Task", fd: FdNum, message: Ptr, flags: Flags) -> Result:
    """recvmsg(2)."""
    file = socket_of(t, fd)
    return receive_on(t, _message_to_fill(t, file, message, flags))


# -- several messages


class Many(NamedTuple):
    """A sendmmsg or recvmmsg under way: `current` is the message that waits, `done` how many are through."""

    file: Socket
    vector: int
    most: int
    flags: int
    deadline: int | None
    """Of a recvmmsg, looked at after each message only, as Linux does."""
    current: Send | Receive | None
    done: int


def _many_on(t: "Task", state: Many, again: Attempt, mask: int, one: "Callable[[Task, Many, int], Result]") -> Result:
    """Send or receive messages until all are through, one fails, or one has to wait."""
    while state.done < state.most:
        at = state.vector + state.done * MMSGHDR_SIZE
        try:
            result = one(t, state, at)
            if isinstance(result, Pending):
                assert isinstance(result.state, Send | Receive)
                return wait_io(t, again, state._replace(current=result.state), state.file, mask)
            t.mm.copy_out(at + MSGHDR.size, result.to_bytes(4, "little"))
        except LinuxError:
            if state.done:
                break
            raise
        state = state._replace(current=None, done=state.done + 1)
        if state.deadline is not None and t.kernel.clock.monotonic_ns() >= state.deadline:
            break
    return state.done


@calls.call
def sendmmsg(t: "Task", fd: FdNum, messages: Ptr, count: UInt, flags: Flags) -> Result:
    """sendmmsg(2)."""
    return send_many_on(t, Many(socket_of(t, fd), messages, min(count, UIO_MAXIOV), flags, None, None, 0))


@attempt
def send_many_on(t: "Task", state: Many) -> Result:
    """Send messages until one fails or has to wait."""
    return _many_on(t, state, send_many_on, FOR_WRITE, _send_one)


def _send_one(t: "Task", state: Many, at: int) -> Result:
    current = state.current
    assert not isinstance(current, Receive)
    return send_on(t, current or _message_to_send(t, state.file, at, state.flags))


@calls.call
def recvmmsg(t: "Task", fd: FdNum, messages: Ptr, count: UInt, flags: Flags, timeout: Ptr) -> Result:
    """recvmmsg(2)."""
    deadline = deadline_of(t, timeout, 1)
    file = socket_of(t, fd)
    return receive_many_on(t, Many(file, messages, min(count, UIO_MAXIOV), flags, deadline, None, 0))


@attempt
def receive_many_on(t: "Task", state: Many) -> Result:
    """Receive messages until there are enough, or one has to wait."""
    return _many_on(t, state, receive_many_on, FOR_READ, _receive_one)


def _receive_one(t: "Task", state: Many, at: int) -> Result:
    current, flags = state.current, state.flags
    assert not isinstance(current, Send)
    if flags & MSG_WAITFORONE:
        flags = flags & ~MSG_WAITFORONE | (MSG_DONTWAIT if state.done else 0)
    return receive_on(t, current or _message_to_fill(t, state.file, at, flags))
