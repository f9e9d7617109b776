"""Unix domain sockets: streams, sequenced packets and datagrams.

A connection is two sockets that know each other; each owns the queue of what it has not read yet. Room is the
sender's SO_SNDBUF, as in Linux. A connection exists from connect on: what the client sends before accept lies in the
socket that waits in the listener's queue.

Finding the socket behind a path is the caller's: it walks the path, checks the rights and asks `Network.bound`.

Sources: Linux net/unix/af_unix.c, unix(7). Differs: room is counted in bytes of data, Linux counts the memory behind
it, so that many small writes fill a socket later here; a datagram counts 576 bytes more than it has.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from sentry_abi.errors import (
    EAGAIN,
    ECONNREFUSED,
    ECONNRESET,
    EINVAL,
    EISCONN,
    EMSGSIZE,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    EPROTOTYPE,
)
from sentry_abi.fcntl import O_NONBLOCK
from sentry_abi.socket import (
    AF_UNIX,
    MSG_PEEK,
    MSG_TRUNC,
    SO_PASSCRED,
    SO_PEERCRED,
    SO_PEERGROUPS,
    SO_PEERSEC,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
)
from sentry_sockets._address import pack_unix
from sentry_sockets._network import Network
from sentry_sockets._queue import NOBODY, NOTHING, ByteQueue, Control, Message, Ucred
from sentry_sockets._rights import Holder
from sentry_sockets._socket import MAX_BACKLOG, SHUT_BOTH, SHUT_READ, SHUT_WRITE, Received, Socket, new_inode
from sentry_vfs import Buffer, FileDescription, Inode
from sentry_waiter import ERR, HUP, IN, OUT, RDHUP, RDNORM, WRBAND, WRNORM

READ_READY: Final = IN | RDNORM
WRITE_READY: Final = OUT | WRNORM | WRBAND
EVERYTHING: Final = READ_READY | WRITE_READY | HUP | ERR | RDHUP
OVERHEAD: Final = 576
MAX_DATAGRAMS: Final = 10
"""net.unix.max_dgram_qlen: how many may wait in a socket that has not connected back."""

CLOSED: Final = 0
LISTENING: Final = 1
CONNECTED: Final = 2


UNKNOWN: Final = Ucred(0, 65534, 65534)
"""What SO_PASSCRED tells of a message that was sent when nobody asked."""


class UnixSocket(Socket, Holder):
    """What the three kinds share: names and credentials."""

    __slots__ = ("bound_inode", "gone", "name", "network", "pass_creds", "peer", "peer_creds", "state")

    family: ClassVar[int] = AF_UNIX

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make a socket that is neither bound nor connected."""
        super().__init__(inode, flags, protocol)
        self.network = network
        self.name = b""
        self.bound_inode: Inode | None = None
        self.peer: Any = None
        self.peer_creds = NOBODY
        self.pass_creds = False
        self.state = CLOSED
        self.gone = False

    # names

    def bind_abstract(self, name: bytes) -> None:
        """Take an abstract name, any free one if it is empty. Raises: EINVAL, EADDRINUSE."""
        if self.name:
            if not name:
                return
            raise EINVAL
        name = name or self.network.free_name()
        self.network.claim(name, self)
        self.name = name

    def autobind(self) -> None:
        """Take a name if the peer may want to know who sends."""
        if self.pass_creds and not self.name:
            self.bind_abstract(b"")

    def bind_inode(self, name: bytes, inode: Inode) -> None:
        """Become the socket behind a path that was just made."""
        self.network.bound[inode] = self
        self.bound_inode = inode
        self.name = name

    def source(self) -> bytes:
        """Return the name that a receiver of a message from here sees: the one at that time, nothing for none."""
        return pack_unix(self.name) if self.name else b""

    def local_address(self) -> bytes:
        """Return the name of this end."""
        return pack_unix(self.name)

    def remote_address(self) -> bytes:
        """Return the name of the other end. Raises: ENOTCONN."""
        if self.peer is None:
            raise ENOTCONN
        return pack_unix(self.peer.name)

    def join(self, other: "UnixSocket", creds: Ucred) -> None:
        """Connect both ends (socketpair)."""
        self.peer, other.peer = other, self
        self.peer_creds = other.peer_creds = creds
        self.state = other.state = CONNECTED

    def connect_to(self, target: "UnixSocket", creds: Ucred) -> None:
        """Connect to the socket behind a name. Raises: EPROTOTYPE, ECONNREFUSED, EISCONN, EINVAL, EAGAIN, EPERM."""
        raise EOPNOTSUPP

    def shutdown(self, how: int) -> None:
        """Close one direction or both; the other end of a connection learns of it."""
        self.shut |= how
        peer = self.peer
        if peer is not None and self.kind != SOCK_DGRAM:
            peer.shut |= (how & SHUT_READ) << 1 | (how & SHUT_WRITE) >> 1
            peer.queue.notify(EVERYTHING)
        self.queue.notify(EVERYTHING)

    # messages and rights

    def _sent_along(self, control: Control, receiver: "UnixSocket") -> Control:
        """Return control with the credentials that the receiver wants."""
        if control.creds is None and (receiver.pass_creds or self.pass_creds):
            return control._replace(creds=self.network.ucred())
        return control

    def _handed_out(self, control: Control, flags: int) -> Control:
        """Let go of (or, peeking, count once more) the descriptions of a message that is received."""
        if control.files:
            if flags & MSG_PEEK:
                for file in control.files:
                    file.incref()
            else:
                self.network.flight.land(control.files)
        if not self.pass_creds:
            return control._replace(creds=None)
        return control if control.creds is not None else control._replace(creds=UNKNOWN)

    def release(self) -> None:
        """Give up the name; what was connected learns that this end is gone."""
        self.gone = True
        network = self.network
        if self.bound_inode is not None:
            network.bound.pop(self.bound_inode, None)
        elif self.name and network.abstract.get(self.name) is self:
            del network.abstract[self.name]
        self.disconnect()
        if network.flight:
            network.flight.collect()

    def disconnect(self) -> None:
        """Leave the other end, which this one does not read or write any more."""
        raise NotImplementedError

    # options

    def set_option(self, level: int, name: int, value: bytes) -> None:
        """Set SO_PASSCRED; others as any socket."""
        if level == SOL_SOCKET and name == SO_PASSCRED:
            if len(value) < 4:
                raise EINVAL
            self.pass_creds = any(value[:4])
            return
        super().set_option(level, name, value)

    def get_option(self, level: int, name: int) -> bytes:
        """Return SO_PASSCRED or SO_PEERCRED; others as any socket."""
        if level == SOL_SOCKET:
            if name == SO_PASSCRED:
                return int(self.pass_creds).to_bytes(4, "little")
            if name == SO_PEERCRED:
                return b"".join((number & 0xFFFF_FFFF).to_bytes(4, "little") for number in self.peer_creds)
            if name in {SO_PEERSEC, SO_PEERGROUPS}:
                raise ENOPROTOOPT
        return super().get_option(level, name)


class UnixConnection(UnixSocket):
    """What streams and sequenced packets share: listening and connecting."""

    __slots__ = ("backlog", "pending")

    inbox: Any
    """What was sent to this end, a `ByteQueue` or a `MessageInbox`."""

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make an unconnected socket."""
        super().__init__(network, inode, flags, protocol)
        self.pending: deque[UnixConnection] | None = None
        """A listener's connections that nobody has accepted."""
        self.backlog = 0

    def accepts(self) -> bool:
        """Return whether the socket listens."""
        return self.state == LISTENING

    def listen(self, backlog: int, creds: Ucred) -> None:
        """Take connections; who listens is what SO_PEERCRED tells the clients. Raises: EINVAL."""
        if not self.name or self.state == CONNECTED:
            raise EINVAL
        if self.pending is None:
            self.pending = deque()
        self.state = LISTENING
        self.backlog = min(backlog & 0xFFFF_FFFF, MAX_BACKLOG)
        self.peer_creds = creds
        self.queue.notify(OUT)

    def connect_to(self, target: UnixSocket, creds: Ucred) -> None:
        """Connect; EAGAIN means that the listener's queue is full: its `queue` tells."""
        if target.kind != self.kind:
            raise EPROTOTYPE
        assert isinstance(target, UnixConnection)
        pending = target.pending
        if target.state != LISTENING or target.gone or pending is None or target.shut & SHUT_READ:
            raise ECONNREFUSED
        if self.state != CLOSED:
            raise EISCONN if self.state == CONNECTED else EINVAL
        if len(pending) > target.backlog:
            raise EAGAIN
        assert target.inode is not None
        inode = new_inode(self.network.fs, target.inode.uid, target.inode.gid)
        other = type(self)(self.network, inode, 0, target.protocol)
        other.inherit(target)
        other.pass_creds = target.pass_creds
        other.name = target.name
        self.join(other, creds)
        self.peer_creds = target.peer_creds
        pending.append(other)
        target.queue.notify(READ_READY)
        self.queue.notify(WRITE_READY)

    def accept(self) -> "UnixConnection":
        """Return the next connection. Raises: EINVAL unless listening, EAGAIN."""
        pending = self.pending
        if pending is None:
            raise EINVAL
        if not pending:
            if self.shut & SHUT_READ and not self.flags & O_NONBLOCK:
                raise EINVAL
            raise EAGAIN
        found = pending.popleft()
        self.queue.notify(OUT)
        return found

    def disconnect(self) -> None:
        """Tell the other end; what this end has not read is a reset for it."""
        peer, pending = self.peer, self.pending
        if pending:
            self.pending = deque()
            for embryo in pending:
                embryo.gone = True
                embryo.disconnect_hard()
        if pending is not None:
            self.queue.notify(EVERYTHING)
        if peer is not None and not peer.gone:
            if self.unread():
                peer.error = ECONNRESET.errno
            peer.shut = SHUT_BOTH
            peer.queue.notify(EVERYTHING)
        self.drop_messages()

    def disconnect_hard(self) -> None:
        """Be closed before anyone accepted this connection."""
        peer = self.peer
        if not peer.gone:
            peer.error = ECONNRESET.errno
            peer.shut = SHUT_BOTH
            peer.queue.notify(EVERYTHING)
        self.drop_messages()

    def unread(self) -> int:
        """Return how much of what was sent to this end it has not read."""
        raise NotImplementedError

    def drop_messages(self) -> None:
        """Throw away all messages, those to connections that nobody accepted too."""
        for embryo in self.pending or ():
            embryo.drop_messages()

    def held_files(self) -> list[FileDescription]:
        """Return the descriptions in messages, those to connections that nobody accepted too."""
        return [file for embryo in self.pending or () for file in embryo.held_files()]

    def readiness(self) -> int:
        """Return the poll(2) bits; writable while a quarter of the room is taken at most."""
        mask = WRITE_READY if self.unsent_bytes() << 2 <= self.sndbuf and self.state != LISTENING else 0
        if self.error:
            mask |= ERR
        if self.shut & SHUT_READ:
            mask |= RDHUP | READ_READY
            if self.shut == SHUT_BOTH:
                mask |= HUP
        if self.state == CLOSED:
            mask |= HUP
        if self.pending or self.inbox.size:
            mask |= READ_READY
        return mask

    def unsent_bytes(self) -> int:
        """Return how much room what the other end has not read takes."""
        return 0 if self.peer is None else int(self.peer.inbox.size)


class UnixStream(UnixConnection):
    """SOCK_STREAM."""

    __slots__ = ("inbox",)

    inbox: ByteQueue

    kind: ClassVar[int] = SOCK_STREAM

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make an unconnected socket."""
        super().__init__(network, inode, flags, protocol)
        self.inbox = ByteQueue()

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.size)

    def transmit(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Any = None) -> int:  # noqa: ANN401  (a family's own kind of destination)
        """Send as much as there is room for."""
        peer = self.peer
        if to is not None:
            raise EISCONN if self.state == CONNECTED else EOPNOTSUPP
        if peer is None:
            raise ENOTCONN
        if self.shut & SHUT_WRITE or peer.shut & SHUT_READ:
            raise EPIPE
        inbox = peer.inbox
        room = self.sndbuf - inbox.size
        if room <= 0:
            raise EAGAIN
        done: int = inbox.append(bufs, room)
        if done:
            if control is not NOTHING or peer.pass_creds or self.pass_creds:
                self._mark(peer, done, control)
            peer.queue.notify(READ_READY)
        return done

    def _mark(self, peer: "UnixStream", done: int, control: Control) -> None:
        control = self._sent_along(control, peer)
        if control != NOTHING:
            self.network.flight.launch(control.files)
            peer.inbox.mark(done, control)

    write = transmit

    def read(self, bufs: list[memoryview]) -> int:
        """Receive bytes."""
        inbox = self.inbox
        if inbox.size:
            if bufs and not inbox.marks:
                done = inbox.take(bufs, inbox.size)
                self.peer.queue.notify(WRITE_READY)
                return done
        elif self.state == CONNECTED and not self.error and not self.shut:
            raise EAGAIN
        return super().read(bufs)

    def receive(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive bytes, and what came with them."""
        if self.state != CONNECTED:
            raise EINVAL
        inbox = self.inbox
        wanted = sum(map(len, bufs))
        if not inbox.size:
            self.raise_error()
            if self.shut & SHUT_READ:
                return Received(0, b"", self._handed_out(NOTHING, flags))
            raise EAGAIN
        control = NOTHING
        limit = inbox.size
        if inbox.marks or self.pass_creds:
            limit, control = inbox.span(wanted, creds=self.pass_creds)
            control = self._handed_out(control, flags)
        if flags & MSG_PEEK:
            return Received(inbox.peek(bufs, limit), self.peer.source(), control)
        done = inbox.take(bufs, limit)
        self.peer.queue.notify(WRITE_READY)
        return Received(done, self.peer.source(), control)

    def unread(self) -> int:
        """Return how many bytes lie here."""
        return self.inbox.size

    def held_files(self) -> list[FileDescription]:
        """Return the descriptions in messages."""
        return self.inbox.files() + super().held_files()

    def drop_messages(self) -> None:
        """Throw away what was not read."""
        self.network.flight.sink(self.inbox.clear())
        super().drop_messages()

    def pending_bytes(self) -> int:
        """Return how many bytes can be read. Raises: EINVAL on a listener."""
        if self.state == LISTENING:
            raise EINVAL
        return self.inbox.size


class MessageInbox:
    """Messages in order, and how much room they take."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        """Make an empty one."""
        self.messages: deque[Message] = deque()
        self.size = 0

    def put(self, message: Message) -> None:
        """Add a message."""
        self.messages.append(message)
        self.size += len(message.data) + OVERHEAD

    def receive(self, bufs: list[memoryview], flags: int) -> tuple[Received, Message]:
        """Copy the first message into bufs, and take it unless it is only looked at; there must be one."""
        message = self.messages[0]
        data = message.data
        done = 0
        for buf in bufs:
            part = data[done : done + len(buf)]
            buf[: len(part)] = part
            done += len(part)
        cut = MSG_TRUNC if done < len(data) else 0
        if not flags & MSG_PEEK:
            self.messages.popleft()
            self.size -= len(data) + OVERHEAD
        count = len(data) if flags & MSG_TRUNC else done
        return Received(count, message.source, message.control, cut), message

    def files(self) -> list[FileDescription]:
        """Return the descriptions on the way."""
        return [file for message in self.messages for file in message.control.files]

    def first_size(self) -> int:
        """Return the size of the first message."""
        return len(self.messages[0].data) if self.messages else 0


class UnixSeqpacket(UnixConnection):
    """SOCK_SEQPACKET: a connection that keeps the borders of messages."""

    __slots__ = ("inbox",)

    inbox: MessageInbox

    kind: ClassVar[int] = SOCK_SEQPACKET
    breaks_with_signal: ClassVar[bool] = False

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make an unconnected socket."""
        super().__init__(network, inode, flags, protocol)
        self.inbox = MessageInbox()

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.first_size())

    def check_connected(self) -> None:
        """Check what unix_seqpacket_sendmsg does first. Raises: the error that waits, ENOTCONN."""
        self.raise_error()
        if self.peer is None or self.state != CONNECTED:
            raise ENOTCONN

    def transmit(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Any = None) -> int:  # noqa: ANN401  (a family's own kind of destination)
        """Send one message; an address is not looked at."""
        del to
        self.check_connected()
        self.autobind()
        peer = self.peer
        data = b"".join(bufs)
        if len(data) > self.sndbuf - 32:
            raise EMSGSIZE
        if self.shut & SHUT_WRITE or peer.shut & SHUT_READ:
            raise EPIPE
        inbox = peer.inbox
        if inbox.size >= self.sndbuf:
            raise EAGAIN
        control = self._sent_along(control, peer)
        self.network.flight.launch(control.files)
        inbox.put(Message(data, b"", control, self))
        peer.queue.notify(READ_READY)
        return len(data)

    def receive(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive one message."""
        if self.state != CONNECTED:
            raise ENOTCONN
        self.raise_error()
        if not self.inbox.messages:
            if self.shut & SHUT_READ:
                return Received(0)
            raise EAGAIN
        got, message = self.inbox.receive(bufs, flags)
        if not flags & MSG_PEEK:
            self.peer.queue.notify(WRITE_READY)
        return got._replace(source=self.peer.source(), control=self._handed_out(message.control, flags))

    def unread(self) -> int:
        """Return how many messages lie here; an empty one in front does not count (unix_release_sock)."""
        messages = self.inbox.messages
        return len(messages) - (1 if messages and not messages[0].data else 0)

    def held_files(self) -> list[FileDescription]:
        """Return the descriptions in messages."""
        return self.inbox.files() + super().held_files()

    def drop_messages(self) -> None:
        """Throw away what was not read."""
        before, self.inbox = self.inbox, MessageInbox()
        self.network.flight.sink(before.files())
        super().drop_messages()

    def pending_bytes(self) -> int:
        """Return the size of all messages. Raises: EINVAL on a listener."""
        if self.state == LISTENING:
            raise EINVAL
        return sum(len(message.data) for message in self.inbox.messages)


class UnixDatagram(UnixSocket):
    """SOCK_DGRAM."""

    __slots__ = ("inbox", "outstanding", "waiters")

    kind: ClassVar[int] = SOCK_DGRAM
    breaks_with_signal: ClassVar[bool] = False

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make a socket without a name or a destination."""
        super().__init__(network, inode, flags, protocol)
        self.inbox = MessageInbox()
        self.outstanding = 0
        """Room that messages of this socket take wherever they lie."""
        self.waiters: dict[UnixDatagram, None] = {}
        """Who found this socket full: told when a message is taken."""

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.first_size())

    def connect_to(self, target: UnixSocket, creds: Ucred) -> None:
        """Send to target from now on. Raises: EPROTOTYPE, EPERM if it is connected to another."""
        del creds
        if target.kind != SOCK_DGRAM:
            raise EPROTOTYPE
        if target.peer is not None and target.peer is not self:
            raise EPERM
        if target is not self.peer:
            self._leave()
        self.peer = target
        self.state = CONNECTED
        self.queue.notify(EVERYTHING)

    def dissolve(self) -> None:
        """Send to nobody in particular from now on (connect to AF_UNSPEC)."""
        self._leave()
        self.state = CLOSED

    def _leave(self) -> None:
        before, self.peer = self.peer, None
        if before is not None:
            lost = self.inbox.messages
            self.drop_messages()
            before.waiters.pop(self, None)
            if lost and not before.gone and before.peer is self:
                before.error = ECONNRESET.errno
                before.queue.notify(EVERYTHING)

    def transmit(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Any = None) -> int:  # noqa: ANN401  (a family's own kind of destination)
        """Send one datagram to a socket, or to the one that this is connected to."""
        target = to if to is not None else self.peer
        data = b"".join(bufs)
        self.admit(len(data))
        if target is None:
            raise ENOTCONN
        if self.outstanding >= self.sndbuf:
            raise EAGAIN
        if target.kind != SOCK_DGRAM:
            raise EPROTOTYPE
        if target.gone:
            if to is None:
                self.dissolve()
            raise ECONNREFUSED
        if target.peer is not None and target.peer is not self:
            raise EPERM
        if target.shut & SHUT_READ:
            raise EPIPE
        if self._blocked_by(target):
            raise EAGAIN
        control = self._sent_along(control, target)
        self.network.flight.launch(control.files)
        target.inbox.put(Message(data, b"", control, self))
        self.outstanding += len(data) + OVERHEAD
        target.queue.notify(READ_READY)
        return len(data)

    def admit(self, length: int) -> None:
        """Check what sock_alloc_send_pskb does. Raises: EMSGSIZE, the error that waits, EPIPE."""
        self.autobind()
        if length > self.sndbuf - 32:
            raise EMSGSIZE
        self.raise_error()
        if self.shut & SHUT_WRITE:
            raise EPIPE

    def _blocked_by(self, target: "UnixDatagram") -> bool:
        """Return whether target's queue is full, and be told when it is not."""
        if target is self or target.peer is self or len(target.inbox.messages) <= MAX_DATAGRAMS:
            return False
        target.waiters[self] = None
        return True

    def receive(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive one datagram."""
        self.raise_error()
        if not self.inbox.messages:
            return self.empty(flags)
        got, message = self.inbox.receive(bufs, flags)
        if not flags & MSG_PEEK:
            self._taken(message)
        assert isinstance(message.sender, UnixSocket)
        source = message.sender.source()
        return got._replace(source=source, control=self._handed_out(message.control, flags))

    def _taken(self, message: Message) -> None:
        sender = message.sender
        assert isinstance(sender, UnixDatagram)
        sender.outstanding -= len(message.data) + OVERHEAD
        if not sender.gone:
            sender.queue.notify(WRITE_READY)
        if self.waiters:
            waiters = tuple(self.waiters)
            self.waiters.clear()
            for waiter in waiters:
                waiter.queue.notify(WRITE_READY)

    def disconnect(self) -> None:
        """Leave; who sends here finds out when it does."""
        self.drop_messages()
        peer = self.peer
        if peer is not None:
            peer.waiters.pop(self, None)
        for waiter in tuple(self.waiters):
            waiter.queue.notify(WRITE_READY)
        self.waiters.clear()

    def held_files(self) -> list[FileDescription]:
        """Return the descriptions in messages."""
        return self.inbox.files()

    def drop_messages(self) -> None:
        """Throw away what was not read."""
        before, self.inbox = self.inbox, MessageInbox()
        for message in before.messages:
            self._taken(message)
        self.network.flight.sink(before.files())

    def readiness(self) -> int:
        """Return the poll(2) bits."""
        mask = 0
        if self.error:
            mask |= ERR
        if self.shut & SHUT_READ:
            mask |= RDHUP | READ_READY
            if self.shut == SHUT_BOTH:
                mask |= HUP
        if self.inbox.messages:
            mask |= READ_READY
        peer = self.peer
        if self.outstanding << 2 <= self.sndbuf and (peer is None or peer.gone or not self._blocked_by(peer)):
            mask |= WRITE_READY
        return mask

    def pending_bytes(self) -> int:
        """Return the size of the first datagram."""
        return self.inbox.first_size()

    def unsent_bytes(self) -> int:
        """Return how much room what nobody has read takes."""
        return self.outstanding


KINDS: Final[dict[int, type[UnixSocket]]] = {
    SOCK_STREAM: UnixStream,
    SOCK_SEQPACKET: UnixSeqpacket,
    SOCK_DGRAM: UnixDatagram,
}
