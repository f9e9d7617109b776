"""TCP: a connection is two sockets that know each other, made when connect finds a listener.

What lies between them is `ByteQueue`. A listener whose queue is full keeps the sockets that want in, and lets one in
for each that is accepted.

Sources: Linux net/ipv4/{tcp,tcp_input,af_inet}.c, tcp(7). Differs: no TIME_WAIT, no urgent data.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Final

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
from sentry_abi.socket import AF_INET, IPPROTO_TCP, MSG_PEEK, MSG_TRUNC, SO_REUSEPORT, SOCK_STREAM, SOL_SOCKET
from sentry_sockets._address import Place
from sentry_sockets._inet import CLOSED, CONNECTED, CONNECTING, LISTENING, OVER, InetSocket, Ports, overlap
from sentry_sockets._network import Network
from sentry_sockets._queue import NOTHING, ByteQueue, Control, Ucred
from sentry_sockets._socket import MAX_BACKLOG, SHUT_BOTH, SHUT_READ, SHUT_WRITE, Received, new_inode
from sentry_sockets._unix import EVERYTHING, READ_READY, WRITE_READY
from sentry_vfs import Buffer, Inode
from sentry_waiter import ERR, HUP, OUT, RDHUP, WRNORM

WINDOW: Final = 1 << 19
"""How much may lie between two TCP sockets whose SO_SNDBUF nobody has set."""


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
