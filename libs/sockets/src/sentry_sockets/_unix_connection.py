"""Unix sockets with connections, streams and sequenced packets: listening, connecting, and the end of a connection."""

from collections import deque

from sentry_abi.errors import EAGAIN, ECONNREFUSED, ECONNRESET, EINVAL, EISCONN, EPROTOTYPE
from sentry_abi.fcntl import O_NONBLOCK
from sentry_sockets._datagram import MessageQueue
from sentry_sockets._network import Network
from sentry_sockets._queue import ByteQueue, Ucred
from sentry_sockets._socket import (
    EVERYTHING,
    MAX_BACKLOG,
    READ_READY,
    SHUT_BOTH,
    SHUT_READ,
    SHUT_WRITE,
    WRITE_READY,
    new_inode,
)
from sentry_sockets._states import TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN
from sentry_sockets._unix import UnixSocket
from sentry_vfs import FileDescription, Inode
from sentry_waiter import HUP, OUT


class UnixConnection(UnixSocket):
    """One end of a connection, or a listener."""

    __slots__ = ("backlog", "pending")

    inbox: ByteQueue | MessageQueue
    """What was sent to this end."""
    peer: "UnixConnection | None"

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make an unconnected socket."""
        super().__init__(network, inode, flags, protocol)
        self.pending: deque[UnixConnection] | None = None
        """A listener's connections that were not accepted yet."""
        self.backlog = 0

    # connections

    def is_listening(self) -> bool:
        """Return whether it accepts connections."""
        return self.state == TCP_LISTEN

    def listen(self, backlog: int, creds: Ucred) -> None:
        """Accept connections; creds is what SO_PEERCRED gives the clients. Raises: EINVAL."""
        if not self.name or self.state == TCP_ESTABLISHED:
            raise EINVAL
        if self.pending is None:
            self.pending = deque()
        self.state = TCP_LISTEN
        self.backlog = min(backlog & 0xFFFF_FFFF, MAX_BACKLOG)
        self.peer_creds = creds
        self.queue.notify(OUT)

    def connect(self, target: UnixSocket, creds: Ucred) -> None:
        """Connect; EAGAIN: the listener's queue is full, and its `queue` is notified when it is not."""
        if target.kind != self.kind:
            raise EPROTOTYPE
        assert isinstance(target, UnixConnection)
        pending = target.pending
        if target.state != TCP_LISTEN or target.gone or pending is None or target.shut & SHUT_READ:
            raise ECONNREFUSED
        if self.state != TCP_CLOSE:
            raise EISCONN if self.state == TCP_ESTABLISHED else EINVAL
        if len(pending) > target.backlog:
            raise EAGAIN
        assert target.inode is not None
        inode = new_inode(self.network.fs, target.inode.uid, target.inode.gid)
        other = type(self)(self.network, inode, 0, target.protocol)
        other.inherit(target)
        other.pass_creds = target.pass_creds
        other.name = target.name
        self.socketpair(other, creds)
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

    def shutdown(self, how: int) -> None:
        """Shut down one direction or both, and the other end's opposite."""
        self.shut |= how
        peer = self.peer
        if peer is not None:
            peer.shut |= (how & SHUT_READ) << 1 | (how & SHUT_WRITE) >> 1
            peer.queue.notify(EVERYTHING)
        self.queue.notify(EVERYTHING)

    def leave_peer(self) -> None:
        """Close the connection; the other end gets a reset if this one has not read everything."""
        pending = self.pending
        if pending:
            self.pending = deque()
            for embryo in pending:
                embryo.gone = True
                embryo.close_peer(reset=True)
                embryo.drop_messages()
        if pending is not None:
            self.queue.notify(EVERYTHING)
        self.close_peer(reset=self.unread() > 0)
        self.drop_messages()

    def close_peer(self, *, reset: bool) -> None:
        """Shut down the other end, if it is still open."""
        peer = self.peer
        if peer is not None and not peer.gone:
            if reset:
                peer.error = ECONNRESET.errno
            peer.shut = SHUT_BOTH
            peer.queue.notify(EVERYTHING)

    # data

    def unread(self) -> int:
        """Return how much of what was sent to this end it has not read."""
        raise NotImplementedError

    def empty_inbox(self) -> list[FileDescription]:
        """Drop what was not read; return the descriptions in it."""
        raise NotImplementedError

    def drop_messages(self) -> None:
        """Drop all messages, those to connections that were not accepted too."""
        self.network.flight.destruct_fds(self.empty_inbox())
        for embryo in self.pending or ():
            embryo.drop_messages()

    def held_files(self) -> list[FileDescription]:
        """Return the descriptions in messages, those to connections that were not accepted too."""
        return self.inbox.files() + [file for embryo in self.pending or () for file in embryo.held_files()]

    def readiness(self) -> int:
        """Return the poll(2) bits (unix_poll): writable while at most a quarter of the buffer is taken."""
        mask = self.conditions()
        if self.outq_len() << 2 <= self.sndbuf and self.state != TCP_LISTEN:
            mask |= WRITE_READY
        if self.state == TCP_CLOSE:
            mask |= HUP
        if self.pending or self.inbox.size:
            mask |= READ_READY
        return mask

    def outq_len(self) -> int:
        """Return how much of the buffer is taken by what the other end has not read."""
        return 0 if self.peer is None else self.peer.inbox.size
