"""UDP: a datagram goes from the sender's hands into the receiver's queue, or is lost.

Sources: Linux net/ipv4/{udp,datagram}.c, udp(7).
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from sentry_abi.errors import ECONNREFUSED, EDESTADDRREQ, EINVAL, EMSGSIZE, ENOTCONN, EPIPE
from sentry_abi.socket import AF_INET, IPPROTO_UDP, SOCK_DGRAM
from sentry_sockets._address import ANY4, ANY6, LOOP4, LOOP6, Place, pack_inet
from sentry_sockets._inet import CLOSED, CONNECTED, InetSocket, Ports
from sentry_sockets._network import Network
from sentry_sockets._queue import NOTHING, Control, Message
from sentry_sockets._socket import SHUT_BOTH, SHUT_READ, SHUT_WRITE, Received
from sentry_sockets._unix import EVERYTHING, OVERHEAD, READ_READY, WRITE_READY, MessageInbox
from sentry_vfs import Buffer, Inode
from sentry_waiter import ERR, HUP, RDHUP

MAX_DATAGRAM: Final = 65507


class UdpSocket(InetSocket):
    """SOCK_DGRAM."""

    __slots__ = ("inbox",)

    kind: ClassVar[int] = SOCK_DGRAM

    def __init__(
        self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0, family: int = AF_INET
    ) -> None:
        """Make a socket without a port or a destination."""
        super().__init__(network, inode, flags, protocol or IPPROTO_UDP, family)
        self.inbox = MessageInbox()

    def ports(self) -> Ports:
        """Return the ports of UDP."""
        ports: Ports = self.network.loopback.udp
        return ports

    def takes_new(self) -> bool:
        """Return whether the socket is open to all."""
        return True

    def connect(self, raw: bytes, *, wait: bool) -> None:
        """Send to a sockaddr from now on, and receive from nobody else. Raises: EINVAL, ENETUNREACH."""
        del wait
        self.autobind()
        place = self.destination(raw)
        self.autobind(place[0])
        self.remote = place
        self.state = CONNECTED

    def dissolve(self) -> None:
        """Send to nobody in particular from now on."""
        self.remote = None
        self.state = CLOSED
        self.forget_address()
        if not self.port_locked:
            self.unbind()
            self.place = self.place[0], 0

    def shutdown(self, how: int) -> None:
        """Close one direction or both, also without a destination. Raises: ENOTCONN."""
        self.shut |= how
        self.queue.notify(EVERYTHING)
        if self.state != CONNECTED:
            raise ENOTCONN

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.first_size())

    def transmit(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Any = None) -> int:  # noqa: ANN401  (a family's own kind of destination)
        """Send one datagram; nobody there is an error only for a connected socket, and told later."""
        del control
        self.autobind()
        place = self.remote if to is None else self.destination(to)
        if place is None:
            raise EDESTADDRREQ
        if to is not None and not place[1]:
            raise EINVAL
        data = b"".join(bufs)
        if len(data) > MAX_DATAGRAM:
            raise EMSGSIZE
        self.raise_error()
        if self.shut & SHUT_WRITE:
            raise EPIPE
        source = self.place
        if source[0] in {ANY4, ANY6}:
            source = (LOOP6 if len(place[0]) == 16 else LOOP4), source[1]
        target = self._receiver(place, source)
        if target is None:
            if self.remote in {place, (place[0], 0)}:
                self.error = ECONNREFUSED.errno
                self.queue.notify(EVERYTHING)
            return len(data)
        inbox = target.inbox
        if inbox.size + len(data) + OVERHEAD <= target.rcvbuf or not inbox.messages:
            inbox.put(Message(data, pack_inet(source, target.family), NOTHING, self))
            target.queue.notify(READ_READY)
        return len(data)

    def message_limit(self) -> int:
        """Return the most bytes that one datagram may have."""
        return MAX_DATAGRAM

    def _receiver(self, place: Place, source: Place) -> "UdpSocket | None":
        """Return the socket that a datagram goes to: one that is connected to source first."""
        best = None
        for socket in self.ports().by_port.get(place[1], ()):
            assert isinstance(socket, UdpSocket)
            if socket.remote is not None:
                known = socket.remote in {source, (source[0], 0)}  # connected to port 0: to all of that address
                if known and socket.place[0] == place[0]:
                    return socket
                continue
            own = socket.place[0]
            if own == place[0] or (
                best is None
                and (
                    (own == ANY4 and len(place[0]) == 4)
                    or (own == ANY6 and (len(place[0]) == 16 or not socket.v6_only()))
                )
            ):
                best = socket
        return best

    def receive(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive one datagram."""
        self.raise_error()
        if not self.inbox.messages:
            return self.empty(flags)
        got, _ = self.inbox.receive(bufs, flags)
        return got

    def release(self) -> None:
        """Free the port."""
        self.gone = True
        self.ports().free(self)
        self.inbox = MessageInbox()

    def readiness(self) -> int:
        """Return the poll(2) bits: there is always room to send."""
        mask = WRITE_READY
        if self.error:
            mask |= ERR
        if self.shut & SHUT_READ:
            mask |= RDHUP | READ_READY
            if self.shut == SHUT_BOTH:
                mask |= HUP
        return mask | READ_READY if self.inbox.messages else mask

    def pending_bytes(self) -> int:
        """Return the size of the first datagram."""
        return self.inbox.first_size()
