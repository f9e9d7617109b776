"""Unix sequenced packets: connections that keep the borders of messages."""

from collections.abc import Sequence
from typing import ClassVar

from sentry_abi.errors import EAGAIN, EINVAL, EMSGSIZE, ENOTCONN, EPIPE
from sentry_abi.socket import MSG_PEEK, SOCK_SEQPACKET
from sentry_sockets._datagram import Message, MessageQueue
from sentry_sockets._network import Network
from sentry_sockets._queue import NOTHING, Control
from sentry_sockets._socket import READ_READY, SHUT_READ, SHUT_WRITE, WRITE_READY, Received, Socket
from sentry_sockets._states import TCP_ESTABLISHED, TCP_LISTEN
from sentry_sockets._unix_connection import UnixConnection
from sentry_vfs import Buffer, FileDescription, Inode


class UnixSeqpacket(UnixConnection):
    """SOCK_SEQPACKET."""

    __slots__ = ("inbox",)

    inbox: MessageQueue
    peer: "UnixSeqpacket | None"

    kind: ClassVar[int] = SOCK_SEQPACKET
    breaks_with_signal: ClassVar[bool] = False

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make an unconnected socket."""
        super().__init__(network, inode, flags, protocol)
        self.inbox = MessageQueue()

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.first_size())

    def check_connected(self) -> None:
        """Check what unix_seqpacket_sendmsg does first. Raises: the pending error, ENOTCONN."""
        self.raise_error()
        if self.peer is None or self.state != TCP_ESTABLISHED:
            raise ENOTCONN

    def sendmsg(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Socket | bytes | None = None) -> int:
        """Send one message; an address is ignored."""
        del to
        self.check_connected()
        self.autobind()
        peer = self.peer
        assert peer is not None
        data = b"".join(bufs)
        if len(data) > self.sndbuf - 32:
            raise EMSGSIZE
        if self.shut & SHUT_WRITE or peer.shut & SHUT_READ:
            raise EPIPE
        inbox = peer.inbox
        if inbox.size >= self.sndbuf:
            raise EAGAIN
        control = self.scm_send(control, peer)
        self.network.flight.attach_fds(control.files)
        inbox.put(Message(data, b"", control, self))
        peer.queue.notify(READ_READY)
        return len(data)

    def recvmsg(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive one message."""
        if self.state != TCP_ESTABLISHED:
            raise ENOTCONN
        self.raise_error()
        if not self.inbox.messages:
            if self.shut & SHUT_READ:
                return Received(0)
            raise EAGAIN
        got, message = self.inbox.recvmsg(bufs, flags)
        assert self.peer is not None
        if not flags & MSG_PEEK:
            self.peer.queue.notify(WRITE_READY)
        return got._replace(source=self.peer.source(), control=self.scm_recv(message.control, flags))

    def unread(self) -> int:
        """Return how many messages were not read; an empty one in front does not count (unix_release_sock)."""
        messages = self.inbox.messages
        return len(messages) - (1 if messages and not messages[0].data else 0)

    def empty_inbox(self) -> list[FileDescription]:
        """Drop what was not read; return the descriptions in it."""
        before, self.inbox = self.inbox, MessageQueue()
        return before.files()

    def inq_len(self) -> int:
        """Return the size of all messages. Raises: EINVAL on a listener."""
        if self.state == TCP_LISTEN:
            raise EINVAL
        return sum(len(message.data) for message in self.inbox.messages)
