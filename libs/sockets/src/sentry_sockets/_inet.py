"""The internet inside the sandbox: what TCP and UDP share, over loopback, in memory.

There is one interface with the addresses 127.0.0.0/8 and ::1, and no way out of it: any other destination is
unreachable. No packets exist.

Addresses are kept as 4 bytes for IPv4, mapped ones too, so that an IPv6 socket on :: takes IPv4 connections.

Sources: Linux net/ipv4/{af_inet,inet_connection_sock,ip_sockglue}.c, ip(7), ipv6(7). Differs: options of IP and TCP are
remembered and change nothing.
"""

from typing import ClassVar, Final

from sentry_abi.errors import EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENETUNREACH, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP
from sentry_abi.socket import (
    AF_INET,
    AF_INET6,
    IPV6_V6ONLY,
    SO_PEERCRED,
    SO_REUSEADDR,
    SO_REUSEPORT,
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
from sentry_sockets._address import ANY4, ANY6, LOOP4, LOOP6, NO_PLACE, Place, inet_place, pack_inet
from sentry_sockets._network import Network
from sentry_sockets._queue import NOBODY
from sentry_sockets._socket import Socket
from sentry_vfs import Inode

FIRST_EPHEMERAL: Final = 32768
LAST_EPHEMERAL: Final = 60999
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
