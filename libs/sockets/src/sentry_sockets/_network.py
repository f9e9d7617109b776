"""The sockets of one network namespace: who is bound to which name, and what is on its way."""

from typing import TYPE_CHECKING, Any

from sentry_abi.errors import EADDRINUSE, ENOSPC
from sentry_sockets._queue import UNKNOWN, Ucred
from sentry_sockets._rights import Flight
from sentry_sockets._socket import Caller, Socket, SocketFilesystem
from sentry_vfs import KernelWide

if TYPE_CHECKING:
    from sentry_vfs import Inode


class Network:
    """Names and connections. `loopback` is made when the first internet socket is."""

    __slots__ = ("_next_name", "abstract", "bound", "caller", "flight", "fs", "loopback")

    def __init__(self, vfs: KernelWide, caller: Caller | None = None) -> None:
        """Make a namespace without sockets; caller says who makes the call that is under way."""
        self.fs = SocketFilesystem(vfs, b"sockfs")
        self.caller = caller
        self.flight = Flight()
        self.abstract: dict[bytes, Socket] = {}
        self.bound: dict[Inode, Socket] = {}
        """Sockets by the inode of their path."""
        self.loopback: Any = None
        self._next_name = 0

    def ucred(self) -> Ucred:
        """Return the credentials of who makes the call that is under way."""
        return UNKNOWN if self.caller is None else self.caller.ucred()

    def claim(self, name: bytes, socket: Socket) -> None:
        """Bind socket to an abstract name. Raises: EADDRINUSE."""
        if name in self.abstract:
            raise EADDRINUSE
        self.abstract[name] = socket

    def free_name(self) -> bytes:
        """Return an abstract name that nobody has (autobind): a NUL and five hexadecimal digits. Raises: ENOSPC."""
        for _ in range(1 << 20):
            self._next_name = self._next_name + 1 & 0xF_FFFF
            name = b"\0%05x" % self._next_name
            if name not in self.abstract:
                return name
        raise ENOSPC
