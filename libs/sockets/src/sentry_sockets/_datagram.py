"""Messages that keep their borders: the queue of a socket, and what datagram sockets of all families share.

Source: Linux net/core/datagram.c.
"""

from collections import deque
from typing import Final

from sentry_abi.errors import EAGAIN
from sentry_abi.fcntl import O_NONBLOCK
from sentry_abi.socket import MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC
from sentry_sockets._queue import Control
from sentry_sockets._socket import READ_READY, SHUT_READ, WRITE_READY, Received, Socket
from sentry_vfs import FileDescription

OVERHEAD: Final = 576
"""How much more than its data a message takes of a buffer (the sk_buff and its head)."""


class Message:
    """One datagram or record."""

    __slots__ = ("control", "data", "sender", "source")

    def __init__(self, data: bytes, source: bytes, control: Control, sender: Socket) -> None:
        """Keep data, the sender's address in wire form, what came along, and whose buffer the message counts for."""
        self.data = data
        self.source = source
        self.control = control
        self.sender = sender


class MessageQueue:
    """Messages in order, and how much of a buffer they take."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        """Make an empty queue."""
        self.messages: deque[Message] = deque()
        self.size = 0

    def put(self, message: Message) -> None:
        """Add a message."""
        self.messages.append(message)
        self.size += len(message.data) + OVERHEAD

    def recvmsg(self, bufs: list[memoryview], flags: int) -> tuple[Received, Message]:
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
        """Return the descriptions in messages."""
        return [file for message in self.messages for file in message.control.files]

    def first_size(self) -> int:
        """Return the size of the first message."""
        return len(self.messages[0].data) if self.messages else 0


class DatagramSocket(Socket):
    """What receiving and polling are for a socket with a `MessageQueue`."""

    __slots__ = ()

    inbox: MessageQueue

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.first_size())

    def recvmsg(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive one datagram.

        Nothing, if no more can come and the caller would wait (__skb_wait_for_more_packets).
        """
        self.raise_error()
        if self.inbox.messages:
            got, message = self.inbox.recvmsg(bufs, flags)
            return self.taken(got, message, flags)
        if self.shut & SHUT_READ and not (flags & MSG_DONTWAIT or self.flags & O_NONBLOCK):
            return Received(0)
        raise EAGAIN

    def taken(self, got: Received, message: Message, flags: int) -> Received:
        """Finish the receipt of a message; return what the caller gets."""
        del message, flags
        return got

    def has_write_space(self) -> bool:
        """Return whether a datagram can be sent now."""
        raise NotImplementedError

    def readiness(self) -> int:
        """Return the poll(2) bits (datagram_poll)."""
        mask = self.conditions()
        if self.inbox.messages:
            mask |= READ_READY
        return mask | WRITE_READY if self.has_write_space() else mask

    def inq_len(self) -> int:
        """Return the size of the first datagram."""
        return self.inbox.first_size()
