"""The internet inside the sandbox: what TCP and UDP share, over loopback, in memory.

There is one interface with the addresses 127.0.0.0/8 and ::1, and no way out of it: any other destination is
unreachable. No packets exist.

Addresses are kept as 4 bytes for IPv4, mapped ones too, so that an IPv6 socket on :: takes IPv4 connections.

Sources: Linux net/ipv4/{af_inet,inet_connection_sock,ip_sockglue}.c, ip(7), ipv6(7). Differs: options of IP and TCP are
kept and have no effect.
"""

from typing import ClassVar, Final

from sentry_abi.errors import EADDRNOTAVAIL, EINVAL, ENETUNREACH, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP
from sentry_abi.socket import (
    AF_INET,
    AF_INET6,
    IPV6_V6ONLY,
    SO_PEERCRED,
    SOCK_STREAM,
    SOL_IP,
    SOL_IPV6,
    SOL_SOCKET,
    SOL_TCP,
    SOL_UDP,
    TCP_CONGESTION,
    TCP_CORK,
    TCP_INFO,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_LINGER2,
    TCP_MAXSEG,
    TCP_NODELAY,
    TCP_QUICKACK,
    TCP_SYNCNT,
)
from sentry_sockets._address import ANY4, ANY6, LOOP4, LOOP6, NO_PLACE, Place, inet_place, pack_inet
from sentry_sockets._network import Network
from sentry_sockets._ports import Ports
from sentry_sockets._queue import NO_CREDS
from sentry_sockets._socket import Socket
from sentry_sockets._states import TCP_CLOSE, TCP_ESTABLISHED, TcpState
from sentry_vfs import Inode

_DEFAULTS: Final = {
    (SOL_IP, 2): 64,  # IP_TTL
    (SOL_IP, 10): 1,  # IP_MTU_DISCOVER
    (SOL_IP, 33): 1,  # IP_MULTICAST_TTL
    (SOL_IP, 34): 1,  # IP_MULTICAST_LOOP
    (SOL_IPV6, 16): 64,  # IPV6_UNICAST_HOPS
    (SOL_IPV6, 18): 1,  # IPV6_MULTICAST_HOPS
    (SOL_IPV6, 19): 1,  # IPV6_MULTICAST_LOOP
    (SOL_TCP, TCP_MAXSEG): 536,
    (SOL_TCP, TCP_KEEPIDLE): 7200,
    (SOL_TCP, TCP_KEEPINTVL): 75,
    (SOL_TCP, TCP_KEEPCNT): 9,
    (SOL_TCP, TCP_SYNCNT): 6,
    (SOL_TCP, TCP_LINGER2): 60,
    (SOL_TCP, TCP_QUICKACK): 1,
}

IP_TTL: Final = 2
_KNOWN: Final = {
    SOL_IP: frozenset({*range(1, 27), *range(32, 52)}),
    SOL_TCP: frozenset({*range(1, 38)}),
}
"""The options that Linux 6.17 has."""
_RANGES: Final = {
    (SOL_IP, IP_TTL): (-1, 255),
    (SOL_TCP, TCP_KEEPIDLE): (1, 32767),
    (SOL_TCP, TCP_KEEPINTVL): (1, 32767),
    (SOL_TCP, TCP_KEEPCNT): (1, 127),
    (SOL_TCP, TCP_SYNCNT): (1, 127),
}
_SWITCHES: Final = frozenset({(SOL_TCP, TCP_NODELAY), (SOL_TCP, TCP_CORK), (SOL_IPV6, IPV6_V6ONLY)})
"""Options of which only counts whether they are zero."""


def is_local(address: bytes) -> bool:
    """Return whether an address is one of the interface, or means all of them."""
    return address[:1] == b"\x7f" if len(address) == 4 and address != ANY4 else address in {ANY4, ANY6, LOOP6}


class InetSocket(Socket):
    """A TCP or UDP socket."""

    __slots__ = ("_family", "address_locked", "gone", "has_port", "network", "place", "port_locked", "remote", "state")

    breaks_with_signal: ClassVar[bool] = False

    def __init__(self, network: Network, inode: Inode, flags: int, protocol: int, family: int) -> None:
        """Make a socket that is neither bound nor connected."""
        super().__init__(inode, flags, protocol)
        self.network = network
        self._family = family
        self.place: Place = NO_PLACE if family == AF_INET else (ANY6, 0)
        self.has_port = False
        """Whether the port is taken (inet_num)."""
        self.address_locked = self.port_locked = False
        """Whether bind(2) named them: they outlast a connection (SOCK_BINDADDR_LOCK, SOCK_BINDPORT_LOCK)."""
        self.remote: Place | None = None
        self.state: TcpState = TCP_CLOSE
        self.gone = False

    @property
    def family(self) -> int:  # type: ignore[override]  # a class variable where a class has one family
        """AF_INET or AF_INET6."""
        return self._family

    def ports(self) -> Ports:
        """Return the ports of this protocol."""
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
        if self.has_port or self.state != TCP_CLOSE:
            raise EINVAL
        self.ports().bind(self, place)
        self.address_locked = place[0] not in {ANY4, ANY6}
        self.port_locked = place[1] != 0

    def autobind(self, address: bytes | None = None) -> None:
        """Take a free port if there is none, and the address for a destination."""
        if not self.has_port:
            self.ports().bind(self, (self.place[0], 0))
        if address is not None and self.place[0] in {ANY4, ANY6}:
            self.place = (LOOP6 if len(address) == 16 else LOOP4), self.place[1]

    def unbind(self) -> None:
        """Free the port unless bind(2) named it."""
        if not self.port_locked:
            self.ports().free(self)

    def forget_address(self) -> None:
        """Go back to all addresses unless bind(2) named one."""
        if not self.address_locked:
            self.place = ANY4 if self._family == AF_INET else ANY6, self.place[1]

    def destination(self, raw: bytes) -> Place:
        """Return the place in a sockaddr; all addresses mean this host. Raises: EINVAL, ENETUNREACH."""
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

    def getsockname(self) -> bytes:
        """Return the address of this end."""
        return pack_inet(self.place, self._family)

    def accepted_from(self) -> bytes:
        """Return the address that the other end has or had."""
        return pack_inet(self.remote or self.place, self._family)

    def getpeername(self) -> bytes:
        """Return the address of the other end. Raises: ENOTCONN."""
        if self.remote is None or not self.remote[1] or self.state != TCP_ESTABLISHED:
            raise ENOTCONN
        return pack_inet(self.remote, self._family)

    def setsockopt(self, level: int, name: int, value: bytes) -> None:
        """Set an option; those of IP, TCP and UDP are kept. Raises: ENOPROTOOPT, EINVAL."""
        if level == SOL_SOCKET:
            super().setsockopt(level, name, value)
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

    def getsockopt(self, level: int, name: int) -> bytes:
        """Return an option. Raises: EOPNOTSUPP for the level, ENOPROTOOPT."""
        if level == SOL_SOCKET:
            if name == SO_PEERCRED:
                return b"".join((number & 0xFFFF_FFFF).to_bytes(4, "little") for number in NO_CREDS)
            return super().getsockopt(level, name)
        if not self._knows(level):
            raise EOPNOTSUPP
        if level in _KNOWN and name not in _KNOWN[level]:
            raise ENOPROTOOPT
        if level == SOL_TCP:
            if name == TCP_CONGESTION:
                return b"cubic".ljust(16, b"\0")
            if name == TCP_INFO:
                return self.state.to_bytes(1, "little") + bytes(231)
            if name == TCP_MAXSEG and self.state == TCP_ESTABLISHED:
                return (32768 - 40).to_bytes(4, "little")
        number = self.remembered(level, name, _DEFAULTS.get((level, name), 0))
        return (number & 0xFFFF_FFFF).to_bytes(4, "little")
