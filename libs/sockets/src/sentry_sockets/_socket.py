"""What all sockets have in common: the description, its options, pending errors, the file system.

A socket's `queue` is notified of everything that may make an operation possible. `error` is the pending error: the next
operation raises it, or SO_ERROR reads it (sk_err). Nothing here waits: what would raises EAGAIN.

Sources: Linux net/socket.c, net/core/sock.c, socket(7).
"""

import struct
from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from sentry_abi.errors import (
    BY_NUMBER,
    EDOM,
    EINVAL,
    ENOPROTOOPT,
    ENOTTY,
    EOPNOTSUPP,
    ESPIPE,
)
from sentry_abi.fcntl import O_NONBLOCK, O_RDWR
from sentry_abi.ioctl import FIONREAD, TIOCOUTQ
from sentry_abi.socket import (
    SO_ACCEPTCONN,
    SO_BROADCAST,
    SO_DEBUG,
    SO_DOMAIN,
    SO_DONTROUTE,
    SO_ERROR,
    SO_INCOMING_CPU,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_MARK,
    SO_OOBINLINE,
    SO_PASSCRED,
    SO_PRIORITY,
    SO_PROTOCOL,
    SO_RCVBUF,
    SO_RCVBUFFORCE,
    SO_RCVLOWAT,
    SO_RCVTIMEO,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SO_SNDBUF,
    SO_SNDBUFFORCE,
    SO_SNDLOWAT,
    SO_SNDTIMEO,
    SO_TIMESTAMP,
    SO_TYPE,
    SOL_SOCKET,
)
from sentry_abi.stat import S_IFSOCK
from sentry_sockets._interface import INTERFACE_COMMANDS, interface_ioctl
from sentry_sockets._queue import NOTHING, Control, Ucred
from sentry_vfs import Buffer, FileDescription, Filesystem, Inode, UserMemory
from sentry_waiter import ERR, HUP, IN, OUT, RDHUP, RDNORM, WRBAND, WRNORM, Queue

READ_READY: Final = IN | RDNORM
WRITE_READY: Final = OUT | WRNORM | WRBAND
EVERYTHING: Final = READ_READY | WRITE_READY | HUP | ERR | RDHUP

SHUT_READ: Final = 1
SHUT_WRITE: Final = 2
SHUT_BOTH: Final = 3
DEFAULT_BUFFER: Final = 212992
MIN_SEND_BUFFER: Final = 4608
MIN_RECEIVE_BUFFER: Final = 2304
MAX_BACKLOG: Final = 4096
SECOND: Final = 1_000_000_000

_FLAGS: Final = frozenset(
    {SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_REUSEPORT, SO_TIMESTAMP}
)
_NUMBERS: Final = frozenset({SO_PRIORITY, SO_MARK, SO_INCOMING_CPU})


class Received(NamedTuple):
    """What a receive brought; the receiver owns the descriptions in `control`."""

    length: int
    source: bytes = b""
    control: Control = NOTHING
    flags: int = 0


class SocketFilesystem(Filesystem):
    """The file system of the inodes of sockets."""

    __slots__ = ()
    name = b"sockfs"
    magic = 0x534F_434B


class Socket(FileDescription):
    """A socket of any family; the defaults refuse."""

    __slots__ = (
        "__weakref__",
        "error",
        "options",
        "protocol",
        "rcvbuf",
        "rcvtimeo",
        "shut",
        "sndbuf",
        "sndtimeo",
        "timed",
    )

    family: ClassVar[int] = 0
    kind: ClassVar[int] = 0
    queue: Queue

    def __init__(self, inode: Inode, flags: int, protocol: int) -> None:
        """Make a socket that is neither bound nor connected."""
        super().__init__(O_RDWR | flags & O_NONBLOCK, None, inode, Queue())
        self.protocol = protocol
        self.error = 0
        self.shut = 0
        self.sndbuf = self.rcvbuf = DEFAULT_BUFFER
        self.sndtimeo = self.rcvtimeo = 0
        self.timed = False
        """Whether SO_RCVTIMEO or SO_SNDTIMEO is set."""
        self.options: dict[tuple[int, int], int] | None = None

    # pending errors

    def sock_error(self) -> int:
        """Return the number of the pending error, 0 for none, and clear it."""
        error, self.error = self.error, 0
        return error

    def raise_error(self) -> None:
        """Raise the pending error, if there is one."""
        if self.error:
            raise BY_NUMBER[self.sock_error()]

    def conditions(self) -> int:
        """Return the poll(2) bits of a pending error and of directions that are shut down."""
        mask = ERR if self.error else 0
        if self.shut & SHUT_READ:
            mask |= RDHUP | READ_READY
            if self.shut == SHUT_BOTH:
                mask |= HUP
        return mask

    # addresses and connections

    def listen(self, backlog: int, creds: Ucred) -> None:
        """Accept connections from now on. Raises: EOPNOTSUPP, EINVAL."""
        raise EOPNOTSUPP

    def accept(self) -> "Socket":
        """Return the next connection. Raises: EOPNOTSUPP, EINVAL, EAGAIN."""
        raise EOPNOTSUPP

    def is_listening(self) -> bool:
        """Return whether it accepts connections."""
        return False

    def getsockname(self) -> bytes:
        """Return the address of this end, in wire form."""
        raise EOPNOTSUPP

    def getpeername(self) -> bytes:
        """Return the address of the other end, in wire form. Raises: ENOTCONN."""
        raise EOPNOTSUPP

    def accepted_from(self) -> bytes:
        """Return the peer's address for accept(2); the connection may be over already."""
        return self.getpeername()

    def shutdown(self, how: int) -> None:
        """Shut down one direction or both (`SHUT_READ`, `SHUT_WRITE`). Raises: ENOTCONN."""
        raise EOPNOTSUPP

    # data

    def sendmsg(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: "Socket | bytes | None" = None) -> int:
        """Send; from then on the message owns the descriptions in control.

        `to` is the destination: the socket behind a unix address, an internet address in wire form, or None for the
        connected one.

        Raises: EPIPE, ENOTCONN, EISCONN, EMSGSIZE, EAGAIN and the pending error.
        """
        raise EOPNOTSUPP

    def recvmsg(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive into bufs; flags are MSG_PEEK, MSG_TRUNC and MSG_DONTWAIT.

        Raises: ENOTCONN, EINVAL, EAGAIN and the pending error.
        """
        raise EOPNOTSUPP

    def check_connected(self) -> None:
        """Raise what a send fails with before its control messages are read."""

    def check_send(self, length: int) -> None:
        """Raise what a send of length bytes fails with before its destination is looked up."""

    def message_limit(self) -> int:
        """Return the most bytes that one message may have."""
        return self.sndbuf - 32

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Send without an address."""
        return self.sendmsg(bufs)

    def read(self, bufs: list[memoryview]) -> int:
        """Receive; descriptions that came along are closed."""
        got = self.recvmsg(bufs, 0)
        for file in got.control.files:
            file.decref()
        return got.length

    def seek(self, offset: int, whence: int) -> int:
        """Refuse. Raises: ESPIPE."""
        raise ESPIPE

    # options

    def setsockopt(self, level: int, name: int, value: bytes) -> None:
        """Set an option from its wire form. Raises: ENOPROTOOPT, EINVAL, EDOM, EPERM, EOPNOTSUPP."""
        if level != SOL_SOCKET:
            raise EOPNOTSUPP
        if name in {SO_RCVTIMEO, SO_SNDTIMEO}:
            self._set_timeout(name, value)
            return
        if name == SO_LINGER:
            if len(value) < 8:
                raise EINVAL
            self.remember(SOL_SOCKET, SO_LINGER, int.from_bytes(value[:8], "little"))
            return
        if len(value) < 4:
            raise EINVAL
        number = int.from_bytes(value[:4], "little", signed=True)
        if name in _FLAGS:
            self.remember(SOL_SOCKET, name, int(number != 0))
        elif name in {SO_SNDBUF, SO_SNDBUFFORCE}:
            self.sndbuf = max(min(number & 0x7FFF_FFFF, DEFAULT_BUFFER) * 2, MIN_SEND_BUFFER)
            self.queue.notify(OUT)
        elif name in {SO_RCVBUF, SO_RCVBUFFORCE}:
            self.rcvbuf = max(min(number & 0x7FFF_FFFF, DEFAULT_BUFFER) * 2, MIN_RECEIVE_BUFFER)
        elif name in _NUMBERS:
            self.remember(SOL_SOCKET, name, number)
        elif name == SO_RCVLOWAT:
            self.remember(SOL_SOCKET, name, number if number > 0 else 1 if number == 0 else 0x7FFF_FFFF)
        elif name == SO_PASSCRED:
            raise EOPNOTSUPP
        else:
            raise ENOPROTOOPT

    def _set_timeout(self, name: int, value: bytes) -> None:
        if len(value) < 16:
            raise EINVAL
        seconds, part = struct.unpack("<qq", value[:16])
        if not 0 <= part < 1_000_000:
            raise EDOM
        span = 0 if seconds < 0 else min(seconds * SECOND + part * 1000, 1 << 62)
        if name == SO_RCVTIMEO:
            self.rcvtimeo = span
        else:
            self.sndtimeo = span
        self.timed = bool(self.rcvtimeo or self.sndtimeo)

    def getsockopt(self, level: int, name: int) -> bytes:
        """Return an option in wire form. Raises: ENOPROTOOPT, EOPNOTSUPP."""
        if level != SOL_SOCKET:
            raise EOPNOTSUPP
        if name in {SO_RCVTIMEO, SO_SNDTIMEO}:
            span = self.rcvtimeo if name == SO_RCVTIMEO else self.sndtimeo
            return struct.pack("<qq", span // SECOND, span % SECOND // 1000)
        if name == SO_LINGER:
            return self.remembered(SOL_SOCKET, name).to_bytes(8, "little")
        return (self._number(name) & 0xFFFF_FFFF).to_bytes(4, "little")

    def _number(self, name: int) -> int:
        if name == SO_TYPE:
            return self.kind
        if name == SO_DOMAIN:
            return self.family
        if name == SO_PROTOCOL:
            return self.protocol
        if name == SO_ERROR:
            return self.sock_error()
        if name == SO_ACCEPTCONN:
            return int(self.is_listening())
        if name == SO_SNDBUF:
            return self.sndbuf
        if name == SO_RCVBUF:
            return self.rcvbuf
        if name == SO_SNDLOWAT:
            return 1
        if name == SO_RCVLOWAT:
            return self.remembered(SOL_SOCKET, name, 1)
        if name in _FLAGS or name in _NUMBERS:
            return self.remembered(SOL_SOCKET, name)
        raise ENOPROTOOPT

    def remember(self, level: int, name: int, value: int) -> None:
        """Keep an option that has no effect but to be read again."""
        if self.options is None:
            self.options = {}
        self.options[level, name] = value

    def remembered(self, level: int, name: int, default: int = 0) -> int:
        """Return an option that was kept."""
        return default if self.options is None else self.options.get((level, name), default)

    def inherit(self, other: "Socket") -> None:
        """Copy the options of the listener."""
        self.sndbuf, self.rcvbuf = other.sndbuf, other.rcvbuf
        self.sndtimeo, self.rcvtimeo, self.timed = other.sndtimeo, other.rcvtimeo, other.timed
        if other.options:
            self.options = dict(other.options)

    def wait_limit(self, mask: int) -> int:
        """Return how many nanoseconds a wait for mask may last, 0 for no limit."""
        return self.rcvtimeo if mask & IN else self.sndtimeo

    # the rest of a description

    def inq_len(self) -> int:
        """Return how much can be read (FIONREAD). Raises: EINVAL on a listener."""
        return 0

    def outq_len(self) -> int:
        """Return how much is sent and not received (TIOCOUTQ)."""
        return 0

    def ioctl(self, command: int, arg: int, mm: UserMemory) -> int:
        """Do FIONREAD, TIOCOUTQ and the ioctls of interfaces. Raises: ENOTTY, ENODEV."""
        if command in INTERFACE_COMMANDS:
            return interface_ioctl(command, arg, mm)
        if command == FIONREAD:
            value = self.inq_len()
        elif command == TIOCOUTQ:
            value = self.outq_len()
        else:
            raise ENOTTY
        mm.copy_out(arg, value.to_bytes(4, "little"))
        return 0

    def path(self) -> bytes:
        """Return the link text."""
        assert self.inode is not None
        return b"socket:[%d]" % self.inode.ino


def new_inode(fs: SocketFilesystem, uid: int, gid: int) -> Inode:
    """Return the inode of a new socket."""
    return Inode(fs, fs.new_ino(), S_IFSOCK | 0o777, uid, gid)
