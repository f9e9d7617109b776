"""Unix datagrams."""

from collections.abc import Sequence
from typing import ClassVar, Final

from sentry_abi.errors import EAGAIN, ECONNREFUSED, ECONNRESET, EMSGSIZE, ENOTCONN, EPERM, EPIPE, EPROTOTYPE
from sentry_abi.socket import MSG_PEEK, SOCK_DGRAM
from sentry_sockets._datagram import OVERHEAD, DatagramSocket, Message, MessageQueue
from sentry_sockets._network import Network
from sentry_sockets._queue import NOTHING, Control, Ucred
from sentry_sockets._socket import EVERYTHING, READ_READY, SHUT_READ, SHUT_WRITE, WRITE_READY, Received, Socket
from sentry_sockets._states import TCP_CLOSE, TCP_ESTABLISHED
from sentry_sockets._unix import UnixSocket
from sentry_vfs import Buffer, FileDescription, Inode

MAX_DGRAM_QLEN: Final = 10
"""net.unix.max_dgram_qlen: messages that a socket which has not connected back may have in its queue."""


class UnixDatagram(DatagramSocket, UnixSocket):
    """SOCK_DGRAM."""

    __slots__ = ("inbox", "outstanding", "waiters")

    peer: "UnixDatagram | None"

    kind: ClassVar[int] = SOCK_DGRAM
    breaks_with_signal: ClassVar[bool] = False

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make a socket without a name or a destination."""
        super().__init__(network, inode, flags, protocol)
        self.inbox = MessageQueue()
        self.outstanding = 0
        """How much of the buffer messages of this socket take, in whatever queue they are (sk_wmem_alloc)."""
        self.waiters: dict[UnixDatagram, None] = {}
        """Sockets that found this one full, notified when a message is taken (peer_wait)."""

    # destinations

    def connect(self, target: UnixSocket, creds: Ucred) -> None:
        """Send to target from now on. Raises: EPROTOTYPE, EPERM if it is connected to another."""
        del creds
        if not isinstance(target, UnixDatagram):
            raise EPROTOTYPE
        if target.peer is not None and target.peer is not self:
            raise EPERM
        if target is not self.peer:
            self._forget_peer()
        self.peer = target
        self.state = TCP_ESTABLISHED
        self.queue.notify(EVERYTHING)

    def disconnect(self) -> None:
        """Have no destination any more (connect to AF_UNSPEC, unix_dgram_disconnected)."""
        self._forget_peer()
        self.state = TCP_CLOSE

    def _forget_peer(self) -> None:
        before, self.peer = self.peer, None
        if before is not None:
            lost = self.inbox.messages
            self.drop_messages()
            before.waiters.pop(self, None)
            if lost and not before.gone and before.peer is self:
                before.error = ECONNRESET.errno
                before.queue.notify(EVERYTHING)

    def leave_peer(self) -> None:
        """Close; a sender notices at its next send."""
        self.drop_messages()
        peer = self.peer
        if peer is not None:
            peer.waiters.pop(self, None)
        for waiter in tuple(self.waiters):
            waiter.queue.notify(WRITE_READY)
        self.waiters.clear()

    # data

    def sendmsg(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Socket | bytes | None = None) -> int:
        """Send one datagram to a socket, or to the one that this is connected to."""
        target = to if to is not None else self.peer
        data = b"".join(bufs)
        self.check_send(len(data))
        if target is None:
            raise ENOTCONN
        if self.outstanding >= self.sndbuf:
            raise EAGAIN
        if not isinstance(target, UnixDatagram):
            raise EPROTOTYPE
        if target.gone:
            if to is None:
                self.disconnect()
            raise ECONNREFUSED
        if target.peer is not None and target.peer is not self:
            raise EPERM
        if target.shut & SHUT_READ:
            raise EPIPE
        if self._blocked_by(target):
            raise EAGAIN
        control = self.scm_send(control, target)
        self.network.flight.attach_fds(control.files)
        target.inbox.put(Message(data, b"", control, self))
        self.outstanding += len(data) + OVERHEAD
        target.queue.notify(READ_READY)
        return len(data)

    def check_send(self, length: int) -> None:
        """Check what sock_alloc_send_pskb does. Raises: EMSGSIZE, the pending error, EPIPE."""
        self.autobind()
        if length > self.sndbuf - 32:
            raise EMSGSIZE
        self.raise_error()
        if self.shut & SHUT_WRITE:
            raise EPIPE

    def _blocked_by(self, target: "UnixDatagram") -> bool:
        """Return whether target's queue is full; then wait for a notification (unix_dgram_peer_wake_me)."""
        if target is self or target.peer is self or len(target.inbox.messages) <= MAX_DGRAM_QLEN:
            return False
        target.waiters[self] = None
        return True

    def has_write_space(self) -> bool:
        """Return whether the buffer and the destination have space (unix_dgram_poll)."""
        if self.outstanding << 2 > self.sndbuf:
            return False
        peer = self.peer
        return peer is None or peer.gone or not self._blocked_by(peer)

    def taken(self, got: Received, message: Message, flags: int) -> Received:
        """Return the buffer space of a message to its sender."""
        if not flags & MSG_PEEK:
            self._uncharge(message)
        assert isinstance(message.sender, UnixSocket)
        return got._replace(source=message.sender.source(), control=self.scm_recv(message.control, flags))

    def _uncharge(self, message: Message) -> None:
        """Count a message, which has left the queue, no more for its sender, and notify who waits for that."""
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

    def held_files(self) -> list[FileDescription]:
        """Return the descriptions in messages."""
        return self.inbox.files()

    def drop_messages(self) -> None:
        """Drop what was not read."""
        before, self.inbox = self.inbox, MessageQueue()
        for message in before.messages:
            self._uncharge(message)
        self.network.flight.destruct_fds(before.files())

    def outq_len(self) -> int:
        """Return how much of the buffer unread messages take."""
        return self.outstanding
