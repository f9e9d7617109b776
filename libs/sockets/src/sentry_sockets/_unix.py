"""Unix domain sockets: names, credentials and descriptions, which the three kinds share.

A connection is two sockets that refer to each other; each owns the queue of what it has not read yet, which is limited
by the sender's SO_SNDBUF, as in Linux. A connection exists from connect(2) on: what the client sends before accept(2)
is in the socket in the listener's queue.

Finding the socket behind a path is the caller's part: it walks the path, checks the rights and asks `Network.bound`.

Sources: Linux net/unix/af_unix.c, unix(7). Differs: a stream's buffer is counted in bytes of data, Linux counts the
memory behind it, so that many small writes fill a socket later here; a message counts 576 bytes more than it has.
"""

from typing import ClassVar

from sentry_abi.errors import EINVAL, ENOPROTOOPT, ENOTCONN, EOPNOTSUPP
from sentry_abi.socket import AF_UNIX, MSG_PEEK, SO_PASSCRED, SO_PEERCRED, SO_PEERGROUPS, SO_PEERSEC, SOL_SOCKET
from sentry_sockets._address import pack_unix
from sentry_sockets._network import Network
from sentry_sockets._queue import NO_CREDS, UNKNOWN, Control, Ucred
from sentry_sockets._rights import Holder
from sentry_sockets._socket import EVERYTHING, Socket
from sentry_sockets._states import TCP_CLOSE, TCP_ESTABLISHED, TcpState
from sentry_vfs import Inode


class UnixSocket(Socket, Holder):
    """A unix socket of any kind."""

    __slots__ = ("bound_inode", "gone", "name", "network", "pass_creds", "peer", "peer_creds", "state")

    family: ClassVar[int] = AF_UNIX

    def __init__(self, network: Network, inode: Inode, flags: int = 0, protocol: int = 0) -> None:
        """Make a socket that is neither bound nor connected."""
        super().__init__(inode, flags, protocol)
        self.network = network
        self.name = b""
        self.bound_inode: Inode | None = None
        self.peer: UnixSocket | None = None
        self.peer_creds = NO_CREDS
        self.pass_creds = False
        self.state: TcpState = TCP_CLOSE
        self.gone = False
        """Whether it was released (SOCK_DEAD); a peer may refer to it still."""

    # names

    def bind_abstract(self, name: bytes) -> None:
        """Take an abstract name, any unused one if it is empty (unix_bind_abstract). Raises: EINVAL, EADDRINUSE."""
        if self.name:
            if not name:
                return
            raise EINVAL
        name = name or self.network.abstract.free_name()
        self.network.abstract.bind(name, self)
        self.name = name

    def autobind(self) -> None:
        """Take a name if messages from here carry credentials (unix_autobind)."""
        if self.pass_creds and not self.name:
            self.bind_abstract(b"")

    def bind_bsd(self, name: bytes, inode: Inode) -> None:
        """Become the socket behind a path that was just made (unix_bind_bsd)."""
        self.network.bound[inode] = self
        self.bound_inode = inode
        self.name = name

    def source(self) -> bytes:
        """Return the sender's name in a message: the one that the socket has now, nothing for none."""
        return pack_unix(self.name) if self.name else b""

    def getsockname(self) -> bytes:
        """Return the name of this end."""
        return pack_unix(self.name)

    def getpeername(self) -> bytes:
        """Return the name of the other end. Raises: ENOTCONN."""
        if self.peer is None:
            raise ENOTCONN
        return pack_unix(self.peer.name)

    # connections

    def socketpair(self, other: "UnixSocket", creds: Ucred) -> None:
        """Connect both ends."""
        self.peer, other.peer = other, self
        self.peer_creds = other.peer_creds = creds
        self.state = other.state = TCP_ESTABLISHED

    def connect(self, target: "UnixSocket", creds: Ucred) -> None:
        """Connect to the socket behind a name. Raises: EPROTOTYPE, ECONNREFUSED, EISCONN, EINVAL, EAGAIN, EPERM."""
        raise EOPNOTSUPP

    def shutdown(self, how: int) -> None:
        """Shut down one direction or both."""
        self.shut |= how
        self.queue.notify(EVERYTHING)

    def release(self) -> None:
        """Free the name and leave the peer."""
        self.gone = True
        network = self.network
        if self.bound_inode is not None:
            network.bound.pop(self.bound_inode, None)
        elif self.name:
            network.abstract.unbind(self.name, self)
        self.leave_peer()
        if network.flight:
            network.flight.gc()

    def leave_peer(self) -> None:
        """Disconnect from the other end, for release."""
        raise NotImplementedError

    # what comes with messages

    def scm_send(self, control: Control, receiver: "UnixSocket") -> Control:
        """Return control with the credentials that the receiver wants (maybe_add_creds)."""
        if control.creds is None and (receiver.pass_creds or self.pass_creds):
            return control._replace(creds=self.network.ucred())
        return control

    def scm_recv(self, control: Control, flags: int) -> Control:
        """Return what the receiver of a message gets, with references of its own where it only peeks."""
        if control.files:
            if flags & MSG_PEEK:
                for file in control.files:
                    file.incref()
            else:
                self.network.flight.detach_fds(control.files)
        if not self.pass_creds:
            return control._replace(creds=None)
        return control if control.creds is not None else control._replace(creds=UNKNOWN)

    # options

    def setsockopt(self, level: int, name: int, value: bytes) -> None:
        """Set SO_PASSCRED; others as any socket."""
        if level == SOL_SOCKET and name == SO_PASSCRED:
            if len(value) < 4:
                raise EINVAL
            self.pass_creds = any(value[:4])
            return
        super().setsockopt(level, name, value)

    def getsockopt(self, level: int, name: int) -> bytes:
        """Return SO_PASSCRED or SO_PEERCRED; others as any socket."""
        if level == SOL_SOCKET:
            if name == SO_PASSCRED:
                return int(self.pass_creds).to_bytes(4, "little")
            if name == SO_PEERCRED:
                return b"".join((number & 0xFFFF_FFFF).to_bytes(4, "little") for number in self.peer_creds)
            if name in {SO_PEERSEC, SO_PEERGROUPS}:
                raise ENOPROTOOPT
        return super().getsockopt(level, name)
