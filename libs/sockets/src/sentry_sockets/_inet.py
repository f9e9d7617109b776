"""The internet inside the sandbox: TCP and UDP over loopback, in memory.

There is one interface with the addresses 127.0.0.0/8 and ::1, and no way out of it: any other destination is
unreachable. No packets exist. A TCP connection is two sockets that know each other, made when connect finds a
listener; what lies between them is `ByteQueue`. A listener whose queue is full keeps the sockets that want in, and
lets one in for each that is accepted.

Addresses are kept as 4 bytes for IPv4, mapped ones too, so that an IPv6 socket on :: takes IPv4 connections.

Sources: Linux net/ipv4/{tcp,udp,af_inet,inet_connection_sock}.c, tcp(7), udp(7), ip(7), ipv6(7). Differs: no TIME_WAIT,
no urgent data; options of IP and TCP are remembered and change nothing.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from sentry_abi.errors import (
    BY_NUMBER,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EAGAIN,
    EALREADY,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EDESTADDRREQ,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    EMSGSIZE,
    ENETUNREACH,
    ENOPROTOOPT,
    ENOTCONN,
    EOPNOTSUPP,
    EPIPE,
)
from sentry_abi.socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_V6ONLY,
    MSG_PEEK,
    MSG_TRUNC,
    SO_PEERCRED,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_IP,
    SOL_IPV6,
    SOL_SOCKET,
    SOL_TCP,
    SOL_UDP,
    TCP_CONGESTION,
    TCP_INFO,
    TCP_MAXSEG,
)
from sentry_sockets._address import (
    ANY4,
    ANY6,
    LOOP4,
    LOOP6,
    NO_PLACE,
    Place,
    inet_place,
    pack_inet,
)
from sentry_sockets._network import Network
from sentry_sockets._queue import NOBODY, NOTHING, ByteQueue, Control, Message, Ucred
from sentry_sockets._socket import MAX_BACKLOG, SHUT_BOTH, SHUT_READ, SHUT_WRITE, Received, Socket, new_inode
from sentry_sockets._unix import EVERYTHING, OVERHEAD, READ_READY, WRITE_READY, MessageInbox
from sentry_vfs import Buffer, Inode
from sentry_waiter import ERR, HUP, OUT, RDHUP, WRNORM

FIRST_EPHEMERAL: Final = 32768
LAST_EPHEMERAL: Final = 60999
WINDOW: Final = 1 << 19
"""How much may lie between two TCP sockets whose SO_SNDBUF nobody has set."""
MAX_DATAGRAM: Final = 65507
_DEFAULTS: Final = {
    (SOL_IP, 2): 64,  # IP_TTL
    (SOL_IP, 10): 1,  # IP_MTU_DISCOVER
    (SOL_IP, 33): 1,  # IP_MULTICAST_TTL
    (SOL_IP, 34): 1,  # IP_MULTICAST_LOOP
    (SOL_IPV6, 16): 64,  # IPV6_UNICAST_HOPS
    (SOL_IPV6, 18): 1,  # IPV6_MULTICAST_HOPS
    (SOL_IPV6, 19): 1,  # IPV6_MULTICAST_LOOP
    (SOL_TCP, 2): 536,  # TCP_MAXSEG
    (SOL_TCP, 4): 7200,  # TCP_KEEPIDLE
    (SOL_TCP, 5): 75,  # TCP_KEEPINTVL
    (SOL_TCP, 6): 9,  # TCP_KEEPCNT
    (SOL_TCP, 7): 6,  # TCP_SYNCNT
    (SOL_TCP, 8): 60,  # TCP_LINGER2
    (SOL_TCP, 12): 1,  # TCP_QUICKACK
}

IP_TTL: Final = 2
_KNOWN: Final = {
    SOL_IP: frozenset({*range(1, 27), *range(32, 52)}),
    SOL_TCP: frozenset({*range(1, 38)}),
}
"""The options that Linux 6.17 has."""
_RANGES: Final = {
    (SOL_IP, IP_TTL): (-1, 255),
    (SOL_TCP, 4): (1, 32767),  # TCP_KEEPIDLE
    (SOL_TCP, 5): (1, 32767),  # TCP_KEEPINTVL
    (SOL_TCP, 6): (1, 127),  # TCP_KEEPCNT
    (SOL_TCP, 7): (1, 127),  # TCP_SYNCNT
}
_SWITCHES: Final = frozenset({(SOL_TCP, 1), (SOL_TCP, 3), (SOL_IPV6, 26)})
"""TCP_NODELAY, TCP_CORK, IPV6_V6ONLY: what is remembered is whether they are on."""

CLOSED: Final = 0
LISTENING: Final = 1
CONNECTING: Final = 2
CONNECTED: Final = 3
OVER: Final = 4
"""A TCP connection that has ended both ways or was reset: the socket is not to be used for another one."""


def is_local(address: bytes) -> bool:
    """Return whether an address is one of ours, or stands for all of them."""
    return address[:1] == b"\x7f" if len(address) == 4 and address != ANY4 else address in {ANY4, ANY6, LOOP6}


class Ports:
    """The ports of one protocol: who is bound where."""

    __slots__ = ("_last", "by_port")

    def __init__(self, last: int) -> None:
        """Begin with none; last is the ephemeral port that counts as the one given out before."""
        self.by_port: dict[int, list[InetSocket]] = {}
        self._last = last

    def bind(self, socket: "InetSocket", place: Place) -> None:
        """Bind socket; port 0 takes a free one. Raises: EADDRINUSE."""
        address, port = place
        if not port:
            port = self._ephemeral()
        else:
            for other in self.by_port.get(port, ()):
                if overlap(socket, address, other) and not both_reuse(socket, other):
                    raise EADDRINUSE
        socket.place = (address, port)
        self.enter(socket)

    def _ephemeral(self) -> int:
        for _ in range(LAST_EPHEMERAL - FIRST_EPHEMERAL + 1):
            self._last = self._last + 1 if self._last < LAST_EPHEMERAL else FIRST_EPHEMERAL
            if self._last not in self.by_port:
                return self._last
        raise EADDRINUSE

    def enter(self, socket: "InetSocket") -> None:
        """Let a socket have the port of its place, as a connection has that of its listener."""
        self.by_port.setdefault(socket.place[1], []).append(socket)
        socket.held = True

    def free(self, socket: "InetSocket") -> None:
        """Unbind; the place is still what getsockname tells."""
        if not socket.held:
            return
        socket.held = False
        port = socket.place[1]
        sockets = self.by_port[port]
        sockets.remove(socket)
        if not sockets:
            del self.by_port[port]

    def find(self, place: Place) -> "InetSocket | None":
        """Return who takes what comes for a place: the exact address first, then a socket on all of them."""
        address, port = place
        best: InetSocket | None = None
        for socket in self.by_port.get(port, ()):
            if not socket.takes_new():
                continue
            own = socket.place[0]
            if own == address:
                return socket
            if (own == ANY4 and len(address) == 4) or (own == ANY6 and (len(address) == 16 or not socket.v6_only())):
                best = best or socket
        return best


def overlap(socket: "InetSocket", address: bytes, other: "InetSocket") -> bool:
    """Return whether an address of socket's, and where other is bound, have something in common."""
    theirs = other.place[0]
    if address == theirs:
        return True
    if len(address) == len(theirs):
        return ANY4 in {address, theirs} or ANY6 in {address, theirs}
    wide, narrow, owner = (address, theirs, socket) if len(address) == 16 else (theirs, address, other)
    return wide == ANY6 and not owner.v6_only() and len(narrow) == 4


def both_reuse(socket: "InetSocket", other: "InetSocket") -> bool:
    """Return whether two sockets may share a port: nobody listens and both said so, or both said SO_REUSEPORT."""
    if socket.remembered(SOL_SOCKET, SO_REUSEPORT) and other.remembered(SOL_SOCKET, SO_REUSEPORT):
        return True
    if not (socket.remembered(SOL_SOCKET, SO_REUSEADDR) and other.remembered(SOL_SOCKET, SO_REUSEADDR)):
        return False
    return not (socket.accepts() or other.accepts())


class Loopback:
    """The one interface."""

    __slots__ = ("tcp", "udp")

    def __init__(self) -> None:
        """Make it, with all ports free."""
        self.tcp = Ports(FIRST_EPHEMERAL)
        self.udp = Ports((FIRST_EPHEMERAL + LAST_EPHEMERAL) // 2)


class InetSocket(Socket):
    """What TCP and UDP share."""

    __slots__ = ("_family", "address_locked", "gone", "held", "network", "place", "port_locked", "remote", "state")

    breaks_with_signal: ClassVar[bool] = False

    def __init__(self, network: Network, inode: Inode, flags: int, protocol: int, family: int) -> None:
        """Make a socket that is neither bound nor connected."""
        super().__init__(inode, flags, protocol)
        self.network = network
        self._family = family
        self.place = NO_PLACE if family == AF_INET else (ANY6, 0)
        self.held = False
        """Whether the port is taken (inet_num)."""
        self.address_locked = self.port_locked = False
        """Whether bind(2) named them: they outlast a connection."""
        self.remote: Place | None = None
        self.state = CLOSED
        self.gone = False
        if network.loopback is None:
            network.loopback = Loopback()

    @property
    def family(self) -> int:  # type: ignore[override]  # a class variable where a class has one family
        """AF_INET or AF_INET6."""
        return self._family

    def ports(self) -> Ports:
        """Return the ports of this protocol."""
        raise NotImplementedError

    def takes_new(self) -> bool:
        """Return whether what nobody else waits for may come here."""
        raise NotImplementedError

    def v6_only(self) -> bool:
        """Return whether an IPv6 socket takes no IPv4."""
        return bool(self.remembered(SOL_IPV6, IPV6_V6ONLY))

    def bind(self, raw: bytes) -> None:
        """Bind to a sockaddr. Raises: EINVAL, EAFNOSUPPORT, EADDRNOTAVAIL, EADDRINUSE."""
        if self._family == AF_INET and len(raw) >= 16 and raw[:2] == b"\0\0" and raw[4:8] == ANY4:
            raw = AF_INET.to_bytes(2, "little") + raw[2:]
        place = inet_place(raw, self._family)
        if not is_local(place[0]):
            raise EADDRNOTAVAIL
        if self.held or self.state not in {CLOSED, OVER}:
            raise EINVAL
        self.ports().bind(self, place)
        self.address_locked = place[0] not in {ANY4, ANY6}
        self.port_locked = place[1] != 0

    def autobind(self, address: bytes | None = None) -> None:
        """Take a free port if there is none, and the address that the destination asks for."""
        if not self.held:
            self.ports().bind(self, (self.place[0], 0))
        if address is not None and self.place[0] in {ANY4, ANY6}:
            self.place = (LOOP6 if len(address) == 16 else LOOP4), self.place[1]

    def unbind(self) -> None:
        """Give the port back unless bind(2) named it."""
        if not self.port_locked:
            self.ports().free(self)

    def forget_address(self) -> None:
        """Be at all addresses again unless bind(2) named one."""
        if not self.address_locked:
            self.place = ANY4 if self._family == AF_INET else ANY6, self.place[1]

    def destination(self, raw: bytes) -> Place:
        """Return where a sockaddr leads: to all addresses is to this host. Raises: EINVAL, ENETUNREACH."""
        address, port = inet_place(raw, self._family)
        if len(address) == 4 and self._family == AF_INET6 and (self.v6_only() or self.place[0] == LOOP6):
            raise ENETUNREACH
        if address == ANY4:
            address = LOOP4
        elif address == ANY6:
            address = LOOP4 if self.place[0] == LOOP4 else LOOP6
        if not is_local(address):
            raise ENETUNREACH
        return address, port

    def local_address(self) -> bytes:
        """Return where this end is bound."""
        return pack_inet(self.place, self._family)

    def accepted_from(self) -> bytes:
        """Return where the other end is or was."""
        return pack_inet(self.remote or self.place, self._family)

    def remote_address(self) -> bytes:
        """Return where the other end is. Raises: ENOTCONN."""
        if self.remote is None or not self.remote[1] or self.state != CONNECTED:
            raise ENOTCONN
        return pack_inet(self.remote, self._family)

    def set_option(self, level: int, name: int, value: bytes) -> None:
        """Set an option; those of IP, TCP and UDP are remembered. Raises: ENOPROTOOPT, EINVAL."""
        if level == SOL_SOCKET:
            super().set_option(level, name, value)
            return
        if not self._knows(level):
            raise ENOPROTOOPT
        if level == SOL_TCP and name == TCP_CONGESTION:
            return
        if level != SOL_IP and len(value) < 4:
            raise EINVAL
        if level in _KNOWN and name not in _KNOWN[level]:
            raise ENOPROTOOPT
        number = int.from_bytes(value[:4] if len(value) >= 4 else value[:1], "little", signed=True)
        low, high = _RANGES.get((level, name), (-(1 << 31), 1 << 31))
        if not low <= number <= high or (level == SOL_IP and name == IP_TTL and not number):
            raise EINVAL
        self.remember(level, name, int(number != 0) if (level, name) in _SWITCHES else number)

    def _knows(self, level: int) -> bool:
        """Return whether the protocols of this socket have options of a level."""
        if level == SOL_IPV6:
            return self._family != AF_INET
        return level in {SOL_IP, SOL_TCP if self.kind == SOCK_STREAM else SOL_UDP}

    def get_option(self, level: int, name: int) -> bytes:
        """Return an option. Raises: EOPNOTSUPP for the level, ENOPROTOOPT."""
        if level == SOL_SOCKET:
            if name == SO_PEERCRED:
                return b"".join((number & 0xFFFF_FFFF).to_bytes(4, "little") for number in NOBODY)
            return super().get_option(level, name)
        if not self._knows(level):
            raise EOPNOTSUPP
        if level in _KNOWN and name not in _KNOWN[level]:
            raise ENOPROTOOPT
        if level == SOL_TCP:
            if name == TCP_CONGESTION:
                return b"cubic".ljust(16, b"\0")
            if name == TCP_INFO:
                return self._tcp_state().to_bytes(1, "little") + bytes(231)
            if name == TCP_MAXSEG and self.state == CONNECTED:
                return (32768 - 40).to_bytes(4, "little")
        number = self.remembered(level, name, _DEFAULTS.get((level, name), 0))
        return (number & 0xFFFF_FFFF).to_bytes(4, "little")

    def _tcp_state(self) -> int:
        """Return TCP_ESTABLISHED, TCP_CLOSE, TCP_LISTEN or TCP_SYN_SENT."""
        return {CLOSED: 7, LISTENING: 10, CONNECTING: 2, CONNECTED: 1, OVER: 7}[self.state]


class TcpSocket(InetSocket):
    """SOCK_STREAM."""

    __slots__ = ("backlog", "fresh", "inbox", "peer", "pending", "stuck", "target", "waiting")

    kind: ClassVar[int] = SOCK_STREAM
    breaks_with_signal: ClassVar[bool] = True

    def __init__(
        self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0, family: int = AF_INET
    ) -> None:
        """Make an unconnected socket."""
        super().__init__(network, inode, flags, protocol or IPPROTO_TCP, family)
        self.inbox = ByteQueue()
        self.peer: TcpSocket | None = None
        self.pending: deque[TcpSocket] | None = None
        """A listener's connections that nobody has accepted."""
        self.waiting: deque[TcpSocket] | None = None
        """Who found a listener's queue full."""
        self.backlog = 0
        self.fresh = False
        """A connection that connect(2) has announced (EINPROGRESS) and not yet confirmed."""
        self.stuck = False
        """It was shut down after a connect that failed, before anybody asked how that went (SS_DISCONNECTING)."""
        self.target: TcpSocket | None = None
        """The listener that this socket waits for."""
        self.sndbuf = 16384
        self.rcvbuf = 131072

    def ports(self) -> Ports:
        """Return the ports of TCP."""
        ports: Ports = self.network.loopback.tcp
        return ports

    def takes_new(self) -> bool:
        """Return whether the socket listens."""
        return self.state == LISTENING

    def accepts(self) -> bool:
        """Return whether the socket listens."""
        return self.state == LISTENING

    # connections

    def listen(self, backlog: int, creds: Ucred) -> None:
        """Take connections. Raises: EINVAL, EADDRINUSE."""
        del creds
        if self.state not in {CLOSED, LISTENING} or self.fresh:
            raise EINVAL
        self.autobind()
        if self.state == CLOSED:
            for other in self.ports().by_port[self.place[1]]:
                if other is not self and other.accepts() and overlap(self, self.place[0], other):
                    if self.remembered(SOL_SOCKET, SO_REUSEPORT) and other.remembered(SOL_SOCKET, SO_REUSEPORT):
                        continue
                    raise EADDRINUSE
        self.state = LISTENING
        self.backlog = min(backlog & 0xFFFF_FFFF, MAX_BACKLOG)
        if self.pending is None:
            self.pending, self.waiting = deque(), deque()

    def connect(self, raw: bytes, *, wait: bool) -> None:
        """Connect to a sockaddr.

        wait says that the caller will: then EAGAIN means "not yet", else EINPROGRESS is raised whatever the outcome,
        which is then told by poll(2), SO_ERROR or the next connect.

        Raises: EISCONN, EALREADY, EINVAL, ENETUNREACH, ECONNREFUSED, EADDRNOTAVAIL.
        """
        if self.state == CONNECTING:
            if wait:
                raise EAGAIN
            raise EALREADY
        if self.state == CONNECTED and self.fresh:
            self.fresh = False
            return
        if self.fresh:
            error = self.take_error() or ECONNABORTED.errno
            self.dissolve()
            raise BY_NUMBER[error]
        if self.stuck:
            raise EINVAL
        if self.state != CLOSED:
            raise EISCONN
        place = self.destination(raw)
        self.autobind(place[0])
        if any(
            other.remote == place and other.state == CONNECTED and other.place == self.place
            for other in self.ports().by_port[self.place[1]]
        ):
            raise EADDRNOTAVAIL
        target = self.ports().find(place)
        if target is None and place == self.place:
            self._meet_itself(place)
            if wait:
                return
            raise EINPROGRESS
        if target is None or not isinstance(target, TcpSocket) or target.pending is None:
            if wait:
                raise ECONNREFUSED
            self.refuse()
            raise EINPROGRESS
        self.remote = place
        if len(target.pending) > target.backlog:
            assert target.waiting is not None
            self.state = CONNECTING
            self.target = target
            target.waiting.append(self)
            if wait:
                raise EAGAIN
            raise EINPROGRESS
        self.meet(target)
        if not wait:
            self.fresh = True
            raise EINPROGRESS

    def refuse(self) -> None:
        """Learn that nobody listens."""
        self.state = CLOSED
        self.target = None
        self.error = ECONNREFUSED.errno
        self.shut = SHUT_BOTH
        self.fresh = True
        self.unbind()
        self.queue.notify(EVERYTHING)

    def meet(self, target: "TcpSocket") -> None:
        """Become connected to a new socket in target's queue."""
        assert target.pending is not None
        assert target.inode is not None
        assert self.remote is not None
        inode = new_inode(self.network.fs, target.inode.uid, target.inode.gid)
        other = TcpSocket(self.network, inode, 0, target.protocol, target.family)
        other.inherit(target)
        other.place = self.remote
        other.remote = self.place
        other.state = self.state = CONNECTED
        other.peer, self.peer = self, other
        self.target = None
        self.ports().enter(other)
        target.pending.append(other)
        target.queue.notify(READ_READY)
        self.queue.notify(EVERYTHING)

    def _meet_itself(self, place: Place) -> None:
        """Become both ends: who connects to its own port meets its own request on the way."""
        self.remote = place
        self.peer = self
        self.state = CONNECTED
        self.fresh = True
        self.queue.notify(EVERYTHING)

    def accept(self) -> "TcpSocket":
        """Return the next connection. Raises: EINVAL unless listening, EAGAIN."""
        pending = self.pending
        if self.state != LISTENING or pending is None:
            raise EINVAL
        if not pending:
            raise EAGAIN
        found = pending.popleft()
        if self.waiting:
            client = self.waiting.popleft()
            client.meet(self)
            client.fresh = True
        return found

    def dissolve(self) -> None:
        """Break the connection, or stop listening (connect to AF_UNSPEC)."""
        self.disconnect(reset=True)
        if self.state in {CONNECTING, CONNECTED}:
            self.error = ECONNRESET.errno
        if self.state != CLOSED:
            self.unbind()
        self.state = CLOSED
        self.peer = self.remote = self.target = None
        self.shut = 0
        self.fresh = self.stuck = False
        self.inbox.clear()
        self.pending = self.waiting = None
        self.forget_address()

    def shutdown(self, how: int) -> None:
        """Close one direction or both. Raises: ENOTCONN."""
        self.stuck = self.stuck or (self.fresh and self.state == CLOSED)
        self.fresh = False
        if self.state == CONNECTING or (self.state == LISTENING and how & SHUT_READ):
            self.dissolve()
            self.queue.notify(EVERYTHING)
        elif self.state != LISTENING:
            self.shut |= how
            peer = self.peer
            if peer is None or self.state != CONNECTED:
                raise ENOTCONN
            if how & SHUT_WRITE and not peer.gone:
                peer.shut |= SHUT_READ
                peer.queue.notify(EVERYTHING)
            self.settle()
            self.queue.notify(EVERYTHING)

    def settle(self) -> None:
        """See whether both ends have closed their direction: the connection is then over for both."""
        peer = self.peer
        if peer is not None and self.shut & SHUT_WRITE and (peer.gone or peer.shut & SHUT_WRITE):
            for end in (self, peer):
                if end.state == CONNECTED:
                    end.end()

    def end(self) -> None:
        """Have no connection any more (tcp_done)."""
        self.state = OVER
        self.shut = SHUT_BOTH
        self.unbind()

    def disconnect(self, *, reset: bool) -> None:
        """Tell whoever is at the other end, or in the queue."""
        for client in self.waiting or ():
            client.refuse()
        for embryo in self.pending or ():
            embryo.gone = True
            embryo.disconnect(reset=True)
            self.ports().free(embryo)
        if self.target is not None and self.target.waiting is not None and self in self.target.waiting:
            self.target.waiting.remove(self)
        peer = self.peer
        if peer is None or peer.gone:
            return
        if reset or self.inbox.size:
            if peer.state == CONNECTED:
                peer.error = EPIPE.errno if peer.shut & SHUT_READ else ECONNRESET.errno
                peer.end()
            peer.peer = None
        else:
            peer.shut |= SHUT_READ
            peer.settle()
        peer.queue.notify(EVERYTHING)

    def release(self) -> None:
        """Close this end and free the port."""
        self.gone = True
        lingers = self.remembered(SOL_SOCKET, 13)
        self.disconnect(reset=lingers & 0xFFFF_FFFF != 0 and lingers >> 32 == 0)
        self.ports().free(self)
        self.inbox.clear()

    # data

    def room(self) -> int:
        """Return how much may lie unread at the other end."""
        return WINDOW if self.sndbuf == 16384 else self.sndbuf

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.size)

    def transmit(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Any = None) -> int:  # noqa: ANN401  (a family's own kind of destination)
        """Send as much as there is room for; an address is not looked at."""
        del control, to
        peer = self.peer
        if self.shut & SHUT_WRITE or peer is None or self.error:
            if self.state == CONNECTING:
                raise EAGAIN
            self.raise_error()
            raise EPIPE
        total = sum(map(len, bufs))
        if not total:
            return 0
        if peer.gone:
            # the other host answers data for a closed socket with a reset, which the next call tells
            self.error = EPIPE.errno
            self.end()
            self.queue.notify(EVERYTHING)
            return total
        inbox = peer.inbox
        room = self.room() - inbox.size
        if room <= 0:
            raise EAGAIN
        done = inbox.append(bufs, room)
        peer.queue.notify(READ_READY)
        return done

    write = transmit

    def read(self, bufs: list[memoryview]) -> int:
        """Receive bytes."""
        inbox = self.inbox
        if inbox.size and bufs:
            done = inbox.take(bufs, inbox.size)
            if self.peer is not None:
                self.peer.queue.notify(WRITE_READY)
            return done
        return self.receive(bufs, 0).length

    def receive(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive bytes."""
        inbox = self.inbox
        if not inbox.size:
            if self.state == LISTENING:
                raise ENOTCONN
            self.raise_error()
            if self.shut & SHUT_READ:
                return Received(0)
            if self.state == CLOSED:
                raise ENOTCONN
            raise EAGAIN
        if flags & MSG_PEEK:
            return Received(inbox.peek(bufs, inbox.size))
        if flags & MSG_TRUNC:
            done = min(inbox.size, sum(map(len, bufs)))
            inbox.skip(done)
        else:
            done = inbox.take(bufs, inbox.size)
        if self.peer is not None:
            self.peer.queue.notify(WRITE_READY)
        return Received(done)

    def readiness(self) -> int:
        """Return the poll(2) bits."""
        state = self.state
        if state == LISTENING:
            return READ_READY if self.pending else 0
        mask = ERR if self.error else 0
        if state == CONNECTING:
            return mask
        shut = self.shut
        if shut == SHUT_BOTH or state in {CLOSED, OVER}:
            mask |= HUP
        if shut & SHUT_READ:
            mask |= RDHUP | READ_READY
        if self.inbox.size:
            mask |= READ_READY
        peer = self.peer
        if shut & SHUT_WRITE or peer is None or peer.inbox.size * 3 <= self.room() * 2:
            mask |= OUT | WRNORM
        return mask

    def pending_bytes(self) -> int:
        """Return how many bytes can be read. Raises: EINVAL on a listener."""
        if self.state == LISTENING:
            raise EINVAL
        return self.inbox.size

    def unsent_bytes(self) -> int:
        """Return 0: what was sent has arrived."""
        return 0


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


def open_inet(network: Network, inode: Inode, family: int, kind: int, flags: int, protocol: int) -> InetSocket:
    """Return a new socket; kind and protocol are already checked. Raises: EAFNOSUPPORT."""
    if family not in {AF_INET, AF_INET6}:
        raise EAFNOSUPPORT
    return (TcpSocket if kind == SOCK_STREAM else UdpSocket)(network, inode, flags, protocol, family)
