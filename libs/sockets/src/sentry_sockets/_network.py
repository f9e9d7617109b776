"""The sockets of one network namespace: bound names, and descriptions in messages."""

from typing import TYPE_CHECKING, Protocol

from sentry_abi.errors import EADDRINUSE, ENOSPC
from sentry_sockets._ports import Loopback
from sentry_sockets._queue import UNKNOWN, Ucred
from sentry_sockets._rights import Flight
from sentry_sockets._socket import Socket, SocketFilesystem
from sentry_vfs import KernelWide

if TYPE_CHECKING:
    from sentry_vfs import Inode


class Caller(Protocol):
    """The maker of the call under way, for a receiver that wants credentials where the sender named none."""

    def ucred(self) -> Ucred:
        """Return process, effective user and group."""
        ...


class Network:
    """A network namespace."""

    __slots__ = ("_next_name", "abstract", "bound", "caller", "flight", "fs", "loopback")

    def __init__(self, vfs: KernelWide, caller: Caller | None = None) -> None:
        """Make a namespace without sockets; without a caller, credentials are UNKNOWN where a sender names none."""
        self.fs = SocketFilesystem(vfs, b"sockfs")
        self.caller = caller
        self.flight = Flight()
        self.abstract: dict[bytes, Socket] = {}
        """Unix sockets by abstract name."""
        self.bound: dict[Inode, Socket] = {}
        """Unix sockets by the inode of their path."""
        self.loopback = Loopback()
        self._next_name = 0

    def ucred(self) -> Ucred:
        """Return the credentials of the maker of the call under way."""
        return UNKNOWN if self.caller is None else self.caller.ucred()

    def bind_abstract(self, name: bytes, socket: Socket) -> None:
        """Bind socket to an abstract name. Raises: EADDRINUSE."""
        if name in self.abstract:
            raise EADDRINUSE
        self.abstract[name] = socket

    def free_name(self) -> bytes:
        """Return an unused abstract name, a NUL and five hexadecimal digits (unix_autobind). Raises: ENOSPC."""
        for _ in range(1 << 20):
            self._next_name = self._next_name + 1 & 0xF_FFFF
            name = b"\0%05x" % self._next_name
            if name not in self.abstract:
                return name
        raise ENOSPC
