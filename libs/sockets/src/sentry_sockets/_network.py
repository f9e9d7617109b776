"""The sockets of one network namespace: bound names, and descriptions in messages."""

from typing import TYPE_CHECKING, Protocol

from sentry_sockets._abstract import AbstractSocketNamespace
from sentry_sockets._ports import Loopback
from sentry_sockets._queue import UNKNOWN, Ucred
from sentry_sockets._rights import Flight
from sentry_sockets._socket import Socket, SocketFilesystem
from sentry_vfs import KernelWide

if TYPE_CHECKING:
    from sentry_vfs import Inode


class Caller(Protocol):
    """The caller of the call under way, for a receiver that wants credentials where the sender named none."""

    def current_ids(self) -> tuple[int, int, int]:
        """Return process, real user and real group."""
        ...


class Network:
    """A network namespace."""

    __slots__ = ("abstract", "bound", "caller", "flight", "fs", "internet", "loopback")

    def __init__(
        self,
        vfs: KernelWide,
        caller: Caller | None = None,
        *,
        abstract: AbstractSocketNamespace | None = None,
        internet: bool = True,
    ) -> None:
        """Make a namespace without sockets.

        Without a caller, credentials are UNKNOWN where a sender names none. `internet` False: there are no internet
        sockets (EAFNOSUPPORT), only unix ones.
        """
        self.fs = SocketFilesystem(vfs, b"sockfs")
        self.caller = caller
        self.flight = Flight()
        self.abstract = abstract or AbstractSocketNamespace()
        self.bound: dict[Inode, Socket] = {}
        """Unix sockets by the inode of their path."""
        self.internet = internet
        self.loopback = Loopback()

    def sharing(self, abstract: AbstractSocketNamespace) -> "Network":
        """Return this network with other abstract names; everything else is shared."""
        other = Network.__new__(Network)
        other.fs, other.caller, other.flight = self.fs, self.caller, self.flight
        other.bound, other.internet, other.loopback = self.bound, self.internet, self.loopback
        other.abstract = abstract
        return other

    def ucred(self) -> Ucred:
        """Return the credentials of the maker of the call under way."""
        return UNKNOWN if self.caller is None else Ucred(*self.caller.current_ids())
