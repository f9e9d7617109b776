"""UDP: a datagram goes into the receiver's queue at once, or is lost.

Sources: Linux net/ipv4/{udp,datagram}.c, udp(7).
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from sentry_abi.errors import ECONNREFUSED, EDESTADDRREQ, EINVAL, EMSGSIZE, ENOTCONN, EPIPE
from sentry_abi.socket import AF_INET, IPPROTO_UDP, SOCK_DGRAM
from sentry_sockets._address import ANY4, ANY6, LOOP4, LOOP6, Place, pack_inet
from sentry_sockets._datagram import OVERHEAD, DatagramSocket, Message, MessageQueue
from sentry_sockets._inet import InetSocket
from sentry_sockets._network import Network
from sentry_sockets._ports import Ports
from sentry_sockets._queue import NOTHING, Control
from sentry_sockets._socket import EVERYTHING, READ_READY, SHUT_WRITE, Socket
from sentry_sockets._states import TCP_CLOSE, TCP_ESTABLISHED
from sentry_vfs import Buffer, Inode

MAX_DATAGRAM: Final = 65507


class UdpSocket(DatagramSocket, InetSocket):
    """SOCK_DGRAM."""

    __slots__ = ("inbox",)

    kind: ClassVar[int] = SOCK_DGRAM

    def __init__(
        self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0, family: int = AF_INET
    ) -> None:
        """Make a socket without a port or a destination."""
        super().__init__(network, inode, flags, protocol or IPPROTO_UDP, family)
        self.inbox = MessageQueue()

    def ports(self) -> Ports:
        """Return the ports of UDP."""
        return self.network.loopback.udp

    def connect(self, raw: bytes, *, wait: bool) -> None:
        """Send to a sockaddr and receive only from there from now on. Raises: EINVAL, ENETUNREACH."""
        del wait
        self.autobind()
        place = self.destination(raw)
        self.autobind(place[0])
        self.remote = place
        self.state = TCP_ESTABLISHED

    def disconnect(self) -> None:
        """Have no destination any more (connect to AF_UNSPEC, udp_disconnect)."""
        self.remote = None
        self.state = TCP_CLOSE
        self.forget_address()
        if not self.port_locked:
            self.unbind()
            self.place = self.place[0], 0

    def shutdown(self, how: int) -> None:
        """Shut down one direction or both, also without a destination. Raises: ENOTCONN."""
        self.shut |= how
        self.queue.notify(EVERYTHING)
        if self.state != TCP_ESTABLISHED:
            raise ENOTCONN

    def sendmsg(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Socket | bytes | None = None) -> int:
        """Send one datagram; that no socket is there is a pending error, of a connected socket only."""
        del control
        self.autobind()
        assert not isinstance(to, Socket)
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
                known = socket.remote in {source, (source[0], 0)}  # connected to port 0: to all ports of the address
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

    def release(self) -> None:
        """Free the port."""
        self.gone = True
        self.ports().free(self)
        self.inbox = MessageQueue()

    def has_write_space(self) -> bool:
        """Return True: what was sent has arrived or is lost."""
        return True
