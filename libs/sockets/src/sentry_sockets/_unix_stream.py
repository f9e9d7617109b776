"""Unix streams."""

from collections.abc import Sequence
from typing import ClassVar

from sentry_abi.errors import EAGAIN, EINVAL, EISCONN, ENOTCONN, EOPNOTSUPP, EPIPE
from sentry_abi.socket import MSG_PEEK, SOCK_STREAM
from sentry_sockets._network import Network
from sentry_sockets._queue import NOTHING, ByteQueue, Control
from sentry_sockets._socket import READ_READY, SHUT_READ, SHUT_WRITE, WRITE_READY, Received, Socket
from sentry_sockets._states import TCP_ESTABLISHED, TCP_LISTEN
from sentry_sockets._unix_connection import UnixConnection
from sentry_vfs import Buffer, FileDescription, Inode


class UnixStream(UnixConnection):
    """SOCK_STREAM."""

    __slots__ = ("inbox",)

    inbox: ByteQueue
    peer: "UnixStream | None"

    kind: ClassVar[int] = SOCK_STREAM

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make an unconnected socket."""
        super().__init__(network, inode, flags, protocol)
        self.inbox = ByteQueue()

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.size)

    def sendmsg(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Socket | bytes | None = None) -> int:
        """Send as much as the buffer has space for."""
        peer = self.peer
        if to is not None:
            raise EISCONN if self.state == TCP_ESTABLISHED else EOPNOTSUPP
        if peer is None:
            raise ENOTCONN
        if self.shut & SHUT_WRITE or peer.shut & SHUT_READ:
            raise EPIPE
        inbox = peer.inbox
        space = self.sndbuf - inbox.size
        if space <= 0:
            raise EAGAIN
        done = inbox.append(bufs, space)
        if done:
            if control is not NOTHING or peer.pass_creds or self.pass_creds:
                self._mark(peer, done, control)
            peer.queue.notify(READ_READY)
        return done

    def _mark(self, peer: "UnixStream", done: int, control: Control) -> None:
        control = self.scm_send(control, peer)
        if control != NOTHING:
            self.network.flight.attach_fds(control.files)
            peer.inbox.mark(done, control)

    write = sendmsg

    def read(self, bufs: list[memoryview]) -> int:
        """Receive bytes."""
        inbox = self.inbox
        if inbox.size:
            if bufs and not inbox.marks:
                done = inbox.take(bufs, inbox.size)
                if self.peer is not None:
                    self.peer.queue.notify(WRITE_READY)
                return done
        elif self.state is TCP_ESTABLISHED and not self.error and not self.shut:
            raise EAGAIN
        return super().read(bufs)

    def _write_space(self) -> None:
        """Notify the other end, which has space in its buffer again."""
        peer = self.peer
        assert peer is not None
        peer.queue.notify(WRITE_READY)

    def recvmsg(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive bytes, and what came with them."""
        if self.state != TCP_ESTABLISHED:
            raise EINVAL
        inbox = self.inbox
        wanted = sum(map(len, bufs))
        if not inbox.size:
            self.raise_error()
            if self.shut & SHUT_READ:
                return Received(0, b"", self.scm_recv(NOTHING, flags))
            raise EAGAIN
        control = NOTHING
        limit = inbox.size
        if inbox.marks or self.pass_creds:
            limit, control = inbox.span(wanted, creds=self.pass_creds)
            control = self.scm_recv(control, flags)
        assert self.peer is not None
        source = self.peer.source()
        if flags & MSG_PEEK:
            return Received(inbox.peek(bufs, limit), source, control)
        done = inbox.take(bufs, limit)
        self._write_space()
        return Received(done, source, control)

    def unread(self) -> int:
        """Return how many bytes were not read."""
        return self.inbox.size

    def empty_inbox(self) -> list[FileDescription]:
        """Drop what was not read; return the descriptions in it."""
        return self.inbox.clear()

    def inq_len(self) -> int:
        """Return how many bytes can be read. Raises: EINVAL on a listener."""
        if self.state == TCP_LISTEN:
            raise EINVAL
        return self.inbox.size
