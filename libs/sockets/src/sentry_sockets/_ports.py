"""The ports of the loopback interface: which socket is bound where. Source: Linux net/ipv4/inet_hashtables.c."""

from typing import Final, Protocol

from sentry_abi.errors import EADDRINUSE
from sentry_abi.socket import SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET
from sentry_sockets._address import ANY4, ANY6, Place

FIRST_EPHEMERAL: Final = 32768
LAST_EPHEMERAL: Final = 60999


class Bindable(Protocol):
    """A socket that may have a port."""

    place: Place
    has_port: bool
    """Whether the port is taken (inet_num)."""

    def is_listening(self) -> bool:
        """Return whether it accepts connections."""
        ...

    def v6_only(self) -> bool:
        """Return whether an IPv6 socket takes no IPv4."""
        ...

    def remembered(self, level: int, name: int, default: int = 0) -> int:
        """Return an option."""
        ...


class Ports:
    """The ports of one protocol."""

    __slots__ = ("_last", "by_port")

    def __init__(self, last: int) -> None:
        """Begin with none; last counts as the ephemeral port that was given out before."""
        self.by_port: dict[int, list[Bindable]] = {}
        self._last = last

    def bind(self, socket: Bindable, place: Place) -> None:
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

    def enter(self, socket: Bindable) -> None:
        """Give a socket the port of its place, as a connection has that of its listener."""
        self.by_port.setdefault(socket.place[1], []).append(socket)
        socket.has_port = True

    def free(self, socket: Bindable) -> None:
        """Unbind; getsockname(2) still gives the place."""
        if not socket.has_port:
            return
        socket.has_port = False
        port = socket.place[1]
        sockets = self.by_port[port]
        sockets.remove(socket)
        if not sockets:
            del self.by_port[port]

    def find_listener(self, place: Place) -> Bindable | None:
        """Return the listener for a place: the exact address first, then one on all addresses."""
        address, port = place
        best: Bindable | None = None
        for socket in self.by_port.get(port, ()):
            if not socket.is_listening():
                continue
            own = socket.place[0]
            if own == address:
                return socket
            if (own == ANY4 and len(address) == 4) or (own == ANY6 and (len(address) == 16 or not socket.v6_only())):
                best = best or socket
        return best


def overlap(socket: Bindable, address: bytes, other: Bindable) -> bool:
    """Return whether an address of socket's and the address of other have one in common."""
    theirs = other.place[0]
    if address == theirs:
        return True
    if len(address) == len(theirs):
        return ANY4 in {address, theirs} or ANY6 in {address, theirs}
    wide, narrow, owner = (address, theirs, socket) if len(address) == 16 else (theirs, address, other)
    return wide == ANY6 and not owner.v6_only() and len(narrow) == 4


def both_reuse(socket: Bindable, other: Bindable) -> bool:
    """Return whether two sockets may share a port: both have SO_REUSEPORT, or SO_REUSEADDR and neither listens."""
    if socket.remembered(SOL_SOCKET, SO_REUSEPORT) and other.remembered(SOL_SOCKET, SO_REUSEPORT):
        return True
    if not (socket.remembered(SOL_SOCKET, SO_REUSEADDR) and other.remembered(SOL_SOCKET, SO_REUSEADDR)):
        return False
    return not (socket.is_listening() or other.is_listening())


class Loopback:
    """The one interface, with the ports of each protocol."""

    __slots__ = ("tcp", "udp")

    def __init__(self) -> None:
        """Make it, with all ports free."""
        self.tcp = Ports(FIRST_EPHEMERAL)
        self.udp = Ports((FIRST_EPHEMERAL + LAST_EPHEMERAL) // 2)
