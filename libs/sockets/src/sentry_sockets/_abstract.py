"""Names of unix sockets that are in no file system: unix(7), abstract socket addresses."""

from sentry_abi.errors import EADDRINUSE, ENOSPC
from sentry_sockets._socket import Socket


class AbstractSocketNamespace:
    """Unix sockets by abstract name. gVisor: kernel.AbstractSocketNamespace."""

    __slots__ = ("_next", "_sockets")

    def __init__(self) -> None:
        """Make an empty namespace."""
        self._sockets: dict[bytes, Socket] = {}
        self._next = 0

    def bind(self, name: bytes, socket: Socket) -> None:
        """Give a name to a socket. Raises: EADDRINUSE."""
        if name in self._sockets:
            raise EADDRINUSE
        self._sockets[name] = socket

    def find(self, name: bytes) -> Socket | None:
        """Return the socket that a name belongs to."""
        return self._sockets.get(name)

    def unbind(self, name: bytes, socket: Socket) -> None:
        """Free a name, if it is this socket's."""
        if self._sockets.get(name) is socket:
            del self._sockets[name]

    def free_name(self) -> bytes:
        """Return an unused name, a NUL and five hexadecimal digits (unix_autobind). Raises: ENOSPC."""
        for _ in range(1 << 20):
            self._next = self._next + 1 & 0xF_FFFF
            name = b"\0%05x" % self._next
            if name not in self._sockets:
                return name
        raise ENOSPC
