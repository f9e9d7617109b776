"""TCP: a connection is two sockets that refer to each other, made when connect(2) finds a listener.

Each owns a `ByteQueue` of what it has not read yet. A listener whose queue is full keeps the clients that want to
connect, and connects one for each connection that is accepted.

Sources: Linux net/ipv4/{tcp,tcp_input,af_inet}.c, tcp(7). Differs: no TIME_WAIT, no urgent data, no state between
ESTABLISHED and CLOSE.
"""

from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Final

from sentry_abi.errors import (
    BY_NUMBER,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAGAIN,
    EALREADY,
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ENOTCONN,
    EPIPE,
)
from sentry_abi.socket import (
    AF_INET,
    IPPROTO_TCP,
    MSG_PEEK,
    MSG_TRUNC,
    SO_LINGER,
    SO_REUSEPORT,
    SOCK_STREAM,
    SOL_SOCKET,
)
from sentry_sockets._address import Place
from sentry_sockets._inet import InetSocket
from sentry_sockets._network import Network
from sentry_sockets._ports import Ports, overlap
from sentry_sockets._queue import NOTHING, ByteQueue, Control, Ucred
from sentry_sockets._socket import (
    EVERYTHING,
    MAX_BACKLOG,
    READ_READY,
    SHUT_BOTH,
    SHUT_READ,
    SHUT_WRITE,
    WRITE_READY,
    Received,
    Socket,
    new_inode,
)
from sentry_sockets._states import (
    SS_CONNECTED,
    SS_CONNECTING,
    SS_DISCONNECTING,
    SS_UNCONNECTED,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    TCP_LISTEN,
    TCP_SYN_SENT,
    SocketState,
)
from sentry_vfs import Buffer, Inode
from sentry_waiter import HUP, OUT, WRNORM

WINDOW: Final = 1 << 19
"""How much a socket whose SO_SNDBUF was not set may have sent and the other end not read."""


class TcpSocket(InetSocket):
    """SOCK_STREAM."""

    __slots__ = ("backlog", "inbox", "peer", "pending", "sock_state", "target", "waiting")

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
        """A listener's connections that were not accepted yet."""
        self.waiting: deque[TcpSocket] | None = None
        """Clients that found a listener's queue full."""
        self.backlog = 0
        self.sock_state: SocketState = SS_UNCONNECTED
        self.target: TcpSocket | None = None
        """The listener in whose `waiting` this socket is."""
        self.sndbuf = 16384
        self.rcvbuf = 131072

    def ports(self) -> Ports:
        """Return the ports of TCP."""
        return self.network.loopback.tcp

    def is_listening(self) -> bool:
        """Return whether it accepts connections."""
        return self.state == TCP_LISTEN

    # connections

    def listen(self, backlog: int, creds: Ucred) -> None:
        """Accept connections from now on. Raises: EINVAL, EADDRINUSE."""
        del creds
        if self.sock_state != SS_UNCONNECTED or self.state not in {TCP_CLOSE, TCP_LISTEN}:
            raise EINVAL
        self.autobind()
        if self.state == TCP_CLOSE:
            for other in self.ports().by_port[self.place[1]]:
                if other is not self and other.is_listening() and overlap(self, self.place[0], other):
                    if self.remembered(SOL_SOCKET, SO_REUSEPORT) and other.remembered(SOL_SOCKET, SO_REUSEPORT):
                        continue
                    raise EADDRINUSE
        self.state = TCP_LISTEN
        self.backlog = min(backlog & 0xFFFF_FFFF, MAX_BACKLOG)
        if self.pending is None:
            self.pending, self.waiting = deque(), deque()

    def connect(self, raw: bytes, *, wait: bool) -> None:
        """Connect to a sockaddr (__inet_stream_connect).

        With wait, EAGAIN means that the listener's queue is full: the caller waits until `target` is None, and calls
        `finish_connect`. Without, EINPROGRESS is raised whatever the outcome, which poll(2), SO_ERROR or the next
        connect then gives.

        Raises: EISCONN, EALREADY, EINVAL, ENETUNREACH, ECONNREFUSED, EADDRNOTAVAIL.
        """
        if self.state == TCP_SYN_SENT:
            raise EAGAIN if wait else EALREADY
        if self.sock_state == SS_CONNECTING:
            if self.state == TCP_ESTABLISHED:
                self.sock_state = SS_CONNECTED
                return
            error = self.sock_error() or ECONNABORTED.errno
            self.disconnect()
            raise BY_NUMBER[error]
        if self.sock_state == SS_DISCONNECTING:
            raise EINVAL
        if self.sock_state == SS_CONNECTED or self.state != TCP_CLOSE:
            raise EISCONN
        self._begin_connect(raw, wait=wait)
        if not wait:
            self.sock_state = SS_CONNECTING
            raise EINPROGRESS
        self.sock_state = SS_CONNECTED

    def _begin_connect(self, raw: bytes, *, wait: bool) -> None:
        place = self.destination(raw)
        self.autobind(place[0])
        for other in self.ports().by_port[self.place[1]]:
            assert isinstance(other, TcpSocket)
            if other.remote == place and other.state == TCP_ESTABLISHED and other.place == self.place:
                raise EADDRNOTAVAIL
        target = self.ports().find_listener(place)
        if target is None and place == self.place:
            self._connect_to_itself(place)
            return
        if not isinstance(target, TcpSocket) or target.pending is None:
            if wait:
                raise ECONNREFUSED
            self.refuse()
            return
        self.remote = place
        if len(target.pending) <= target.backlog:
            self.establish(target)
            return
        assert target.waiting is not None
        self.state = TCP_SYN_SENT
        self.sock_state = SS_CONNECTING
        self.target = target
        target.waiting.append(self)
        if wait:
            raise EAGAIN

    def finish_connect(self) -> None:
        """Take the outcome of a connect that waited. Raises: the pending error."""
        self.sock_state = SS_CONNECTED if self.state == TCP_ESTABLISHED else SS_UNCONNECTED
        self.raise_error()

    def refuse(self) -> None:
        """Fail to connect, because no socket listens."""
        self.state = TCP_CLOSE
        self.sock_state = SS_CONNECTING
        self.target = None
        self.error = ECONNREFUSED.errno
        self.shut = SHUT_BOTH
        self.unbind()
        self.queue.notify(EVERYTHING)

    def establish(self, target: "TcpSocket") -> None:
        """Become connected to a new socket in target's queue."""
        assert target.pending is not None
        assert target.inode is not None
        assert self.remote is not None
        inode = new_inode(self.network.fs, target.inode.uid, target.inode.gid)
        other = TcpSocket(self.network, inode, 0, target.protocol, target.family)
        other.inherit(target)
        other.place = self.remote
        other.remote = self.place
        other.state = self.state = TCP_ESTABLISHED
        other.sock_state = SS_CONNECTED
        other.peer, self.peer = self, other
        self.target = None
        self.ports().enter(other)
        target.pending.append(other)
        target.queue.notify(READ_READY)
        self.queue.notify(EVERYTHING)

    def _connect_to_itself(self, place: Place) -> None:
        """Become both ends: a socket that connects to its own port meets its own request (simultaneous open)."""
        self.remote = place
        self.peer = self
        self.state = TCP_ESTABLISHED
        self.queue.notify(EVERYTHING)

    def accept(self) -> "TcpSocket":
        """Return the next connection. Raises: EINVAL unless listening, EAGAIN."""
        pending = self.pending
        if self.state != TCP_LISTEN or pending is None:
            raise EINVAL
        if not pending:
            raise EAGAIN
        found = pending.popleft()
        if self.waiting:
            self.waiting.popleft().establish(self)
        return found

    def disconnect(self) -> None:
        """Break the connection, or stop listening (connect to AF_UNSPEC, tcp_disconnect)."""
        self._leave_others(reset=True)
        if self.state in {TCP_SYN_SENT, TCP_ESTABLISHED}:
            self.error = ECONNRESET.errno
        if self.state != TCP_CLOSE:
            self.unbind()
        self.state = TCP_CLOSE
        self.sock_state = SS_UNCONNECTED
        self.peer = self.remote = self.target = None
        self.shut = 0
        self.inbox.clear()
        self.pending = self.waiting = None
        self.forget_address()

    def shutdown(self, how: int) -> None:
        """Shut down one direction or both (inet_shutdown). Raises: ENOTCONN."""
        if self.sock_state == SS_CONNECTING:
            self.sock_state = SS_CONNECTED if self.state == TCP_ESTABLISHED else SS_DISCONNECTING
        if self.state == TCP_SYN_SENT or (self.state == TCP_LISTEN and how & SHUT_READ):
            self.disconnect()
            self.queue.notify(EVERYTHING)
        elif self.state != TCP_LISTEN:
            self.shut |= how
            peer = self.peer
            if peer is None or self.state != TCP_ESTABLISHED:
                raise ENOTCONN
            if how & SHUT_WRITE and not peer.gone:
                peer.shut |= SHUT_READ
                peer.queue.notify(EVERYTHING)
            self._close_if_done()
            self.queue.notify(EVERYTHING)

    def _close_if_done(self) -> None:
        """End the connection for both ends, if both have shut down their direction."""
        peer = self.peer
        if peer is not None and self.shut & SHUT_WRITE and (peer.gone or peer.shut & SHUT_WRITE):
            for end in (self, peer):
                if end.state == TCP_ESTABLISHED:
                    end.done()

    def done(self) -> None:
        """Have no connection any more (tcp_done)."""
        self.state = TCP_CLOSE
        self.shut = SHUT_BOTH
        self.unbind()

    def _leave_others(self, *, reset: bool) -> None:
        """Leave the peer, the queue of a listener and, as a listener, the clients."""
        for client in self.waiting or ():
            client.refuse()
        for embryo in self.pending or ():
            embryo.gone = True
            embryo._leave_others(reset=True)  # noqa: SLF001  (of the same class)
            self.ports().free(embryo)
        if self.target is not None and self.target.waiting is not None and self in self.target.waiting:
            self.target.waiting.remove(self)
        peer = self.peer
        if peer is None or peer.gone:
            return
        if reset or self.inbox.size:
            if peer.state == TCP_ESTABLISHED:
                peer.error = EPIPE.errno if peer.shut & SHUT_READ else ECONNRESET.errno
                peer.done()
            peer.peer = None
        else:
            peer.shut |= SHUT_READ
            peer._close_if_done()  # noqa: SLF001  (of the same class)
        peer.queue.notify(EVERYTHING)

    def release(self) -> None:
        """Close this end and free the port."""
        self.gone = True
        linger = self.remembered(SOL_SOCKET, SO_LINGER)
        self._leave_others(reset=linger & 0xFFFF_FFFF != 0 and linger >> 32 == 0)
        self.ports().free(self)
        self.inbox.clear()

    # data

    def window(self) -> int:
        """Return how much may be sent and not read."""
        return WINDOW if self.sndbuf == 16384 else self.sndbuf

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.inbox.size)

    def sendmsg(self, bufs: Sequence[Buffer], control: Control = NOTHING, to: Socket | bytes | None = None) -> int:
        """Send as much as there is space for; an address is ignored."""
        del control, to
        peer = self.peer
        if self.shut & SHUT_WRITE or peer is None or self.error:
            if self.state == TCP_SYN_SENT:
                raise EAGAIN
            self.raise_error()
            raise EPIPE
        total = sum(map(len, bufs))
        if not total:
            return 0
        if peer.gone:
            # data for a closed socket is answered by a reset: a pending error for the next call
            self.error = EPIPE.errno
            self.done()
            self.queue.notify(EVERYTHING)
            return total
        inbox = peer.inbox
        space = self.window() - inbox.size
        if space <= 0:
            raise EAGAIN
        done = inbox.append(bufs, space)
        peer.queue.notify(READ_READY)
        return done

    write = sendmsg

    def read(self, bufs: list[memoryview]) -> int:
        """Receive bytes."""
        inbox = self.inbox
        if inbox.size and bufs:
            done = inbox.take(bufs, inbox.size)
            if self.peer is not None:
                self.peer.queue.notify(WRITE_READY)
            return done
        return self.recvmsg(bufs, 0).length

    def recvmsg(self, bufs: list[memoryview], flags: int) -> Received:
        """Receive bytes."""
        inbox = self.inbox
        if not inbox.size:
            if self.state == TCP_LISTEN:
                raise ENOTCONN
            self.raise_error()
            if self.shut & SHUT_READ:
                return Received(0)
            if self.state == TCP_CLOSE:
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
        """Return the poll(2) bits (tcp_poll)."""
        state = self.state
        if state == TCP_LISTEN:
            return READ_READY if self.pending else 0
        mask = self.conditions()
        if state == TCP_SYN_SENT:
            return mask
        if state == TCP_CLOSE:
            mask |= HUP
        if self.inbox.size:
            mask |= READ_READY
        peer = self.peer
        if self.shut & SHUT_WRITE or peer is None or peer.inbox.size * 3 <= self.window() * 2:
            mask |= OUT | WRNORM
        return mask

    def inq_len(self) -> int:
        """Return how many bytes can be read. Raises: EINVAL on a listener."""
        if self.state == TCP_LISTEN:
            raise EINVAL
        return self.inbox.size

    def outq_len(self) -> int:
        """Return 0: what was sent has arrived."""
        return 0
