"""What all sockets have in common: the description, its options, errors that wait to be told, the file system.

A socket's `queue` is told of everything that may make an operation possible; `error` is told once, by the next
operation or by SO_ERROR. Nothing here waits: what would raises EAGAIN.

Sources: Linux net/socket.c, net/core/sock.c, socket(7).
"""

import struct
from collections.abc import Sequence
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from sentry_abi.errors import (
    BY_NUMBER,
    EAGAIN,
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
    MSG_DONTWAIT,
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
from sentry_vfs import Buffer, FileDescription, Filesystem, Inode
from sentry_waiter import IN, OUT, Queue

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
    """What a receive brought: `files` are counted for whoever gets this."""

    length: int
    source: bytes = b""
    control: Control = NOTHING
    flags: int = 0


class Caller(Protocol):
    """Who makes the call that is under way: asked when a receiver wants credentials that nobody named."""

    def ucred(self) -> Ucred:
        """Return process, effective user and group."""
        ...


class SocketFilesystem(Filesystem):
    """Where sockets have their inodes."""

    __slots__ = ()
    name = b"sockfs"
    magic = 0x534F_434B


class Socket(FileDescription):
    """A socket of any family; the defaults are those of a family that can do nothing."""

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
        """Whether a wait may have an end of its own: SO_RCVTIMEO or SO_SNDTIMEO is set."""
        self.options: dict[tuple[int, int], int] | None = None

    # errors that wait

    def take_error(self) -> int:
        """Return the error number that waits to be told, and forget it."""
        error, self.error = self.error, 0
        return error

    def raise_error(self) -> None:
        """Raise the error that waits, if there is one."""
        if self.error:
            raise BY_NUMBER[self.take_error()]

    # addresses and connections

    def listen(self, backlog: int, creds: Ucred) -> None:
        """Take connections. Raises: EOPNOTSUPP, EINVAL."""
        raise EOPNOTSUPP

    def accept(self) -> "Socket":
        """Return the next connection. Raises: EOPNOTSUPP, EINVAL, EAGAIN."""
        raise EOPNOTSUPP

    def local_address(self) -> bytes:
        """Return the address of this end, in wire form."""
        raise EOPNOTSUPP

    def accepted_from(self) -> bytes:
        """Return the address that accept(2) tells of this connection, which may be over already."""
        return self.remote_address()

    def remote_address(self) -> bytes:
        """Return the address of the other end. Raises: ENOTCONN."""
        raise EOPNOTSUPP

    def shutdown(self, how: int) -> None:
        """Close one direction or both (`SHUT_READ`, `SHUT_WRITE`). Raises: ENOTCONN."""
        raise EOPNOTSUPP

    # data

    def transmit(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Any = None) -> int:  # noqa: ANN401  (a family's own kind of destination)
        """Send; descriptions in control are the message's from the moment this returns.

        `to` is what the family's addresses lead to: a socket, or a place.

        Raises: EPIPE, ENOTCONN, EISCONN, EMSGSIZE, EAGAIN and the error that waits.
        """
        raise EOPNOTSUPP

    def receive(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive into bufs; flags are MSG_PEEK, MSG_TRUNC and MSG_DONTWAIT.

        Raises: ENOTCONN, EINVAL, EAGAIN and the error that waits.
        """
        raise EOPNOTSUPP

    def check_connected(self) -> None:
        """Raise what a send fails with before anybody looks at what goes along."""

    def admit(self, length: int) -> None:
        """Raise what a send of length bytes fails with before anybody looks for its destination."""

    def empty(self, flags: int) -> Received:
        """Answer the receive of a datagram when there is none.

        Nothing, if nobody can send any more and the caller would wait (__skb_wait_for_more_packets). Raises: EAGAIN.
        """
        if self.shut & SHUT_READ and not (flags & MSG_DONTWAIT or self.flags & O_NONBLOCK):
            return Received(0)
        raise EAGAIN

    def message_limit(self) -> int:
        """Return the most bytes that one message may have."""
        return self.sndbuf - 32

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Send without an address."""
        return self.transmit(bufs)

    def read(self, bufs: list[memoryview]) -> int:
        """Receive; descriptions that came along are dropped."""
        got = self.receive(bufs, 0)
        for file in got.control.files:
            file.decref()
        return got.length

    def seek(self, offset: int, whence: int) -> int:
        """Refuse. Raises: ESPIPE."""
        raise ESPIPE

    # options

    def set_option(self, level: int, name: int, value: bytes) -> None:
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

    def get_option(self, level: int, name: int) -> bytes:
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
            return self.take_error()
        if name == SO_ACCEPTCONN:
            return int(self.accepts())
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

    def accepts(self) -> bool:
        """Return whether the socket listens."""
        return False

    def remember(self, level: int, name: int, value: int) -> None:
        """Keep an option that is only ever asked for again."""
        if self.options is None:
            self.options = {}
        self.options[level, name] = value

    def remembered(self, level: int, name: int, default: int = 0) -> int:
        """Return an option that was kept."""
        return default if self.options is None else self.options.get((level, name), default)

    def inherit(self, other: "Socket") -> None:
        """Take over the options of the listener that this connection was made by."""
        self.sndbuf, self.rcvbuf = other.sndbuf, other.rcvbuf
        self.sndtimeo, self.rcvtimeo, self.timed = other.sndtimeo, other.rcvtimeo, other.timed
        if other.options:
            self.options = dict(other.options)

    def wait_limit(self, mask: int) -> int:
        """Return how many nanoseconds a wait for mask may last, 0 for ever."""
        return self.rcvtimeo if mask & IN else self.sndtimeo

    # the rest of a description

    def pending_bytes(self) -> int:
        """Return what FIONREAD says. Raises: EINVAL on a listener."""
        return 0

    def unsent_bytes(self) -> int:
        """Return what TIOCOUTQ says."""
        return 0

    def ioctl(self, command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (as in the base class)
        """Do FIONREAD and TIOCOUTQ, and answer what is asked about interfaces. Raises: ENOTTY, ENODEV."""
        if command in INTERFACE_COMMANDS:
            return interface_ioctl(command, arg, mm)
        if command == FIONREAD:
            value = self.pending_bytes()
        elif command == TIOCOUTQ:
            value = self.unsent_bytes()
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
