"""The rows of /proc/PID/net/{tcp,tcp6,udp,udp6,unix}, from open sockets. Imported when there is one.

Sources: proc_pid_net(5); Linux net/ipv4/tcp_ipv4.c get_tcp4_sock, net/ipv4/udp.c udp4_format_sock, net/ipv6/tcp_ipv6.c
get_tcp6_sock, net/ipv6/datagram.c __ip6_dgram_sock_seq_show, net/unix/af_unix.c unix_seq_show.

Differs: kernel pointers are 0, as Linux shows them to the unprivileged; timers are never armed, and what was sent has
arrived, so tx_queue is 0. rx_queue of UDP counts 576 bytes a datagram beside its data.
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.socket import AF_INET6
from sentry_sockets import (
    SHUT_WRITE,
    InetSocket,
    Socket,
    SocketState,
    TcpSocket,
    TcpState,
    UdpSocket,
    UnixConnection,
    UnixSocket,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry.kernel.state import Task

_MAPPED: Final = bytes(10) + b"\xff\xff"
_SO_ACCEPTCON: Final = 1 << 16
"""__SO_ACCEPTCON: the flag of a listening unix socket."""
_LISTENING: Final = b"100 0 0 10 0"
_CONNECTED: Final = b"20 4 0 10 -1"
"""Timeouts, window and threshold of a TCP socket, as an idle one has them."""


def tcp(task: "Task") -> list[bytes]:
    """Return the rows of tcp, 149 characters each (TMPSZ)."""
    return [row.ljust(149) for row in _tcp(task, 4)]


def tcp6(task: "Task") -> list[bytes]:
    """Return the rows of tcp6."""
    return list(_tcp(task, 16))


def udp(task: "Task") -> list[bytes]:
    """Return the rows of udp, 127 characters each."""
    return [row.ljust(127) for row in _udp(task, 4)]


def udp6(task: "Task") -> list[bytes]:
    """Return the rows of udp6."""
    return list(_udp(task, 16))


def unix(task: "Task") -> list[bytes]:
    """Return the rows of unix."""
    rows = []
    for socket in _sockets(task):
        if isinstance(socket, UnixSocket):
            rows.append(_unix_row(socket, _ino(socket)))
            if isinstance(socket, UnixConnection):
                rows.extend(_unix_row(embryo, 0) for embryo in socket.pending or ())
    return rows


def _sockets(task: "Task") -> "Iterator[Socket]":
    """Yield the open sockets of the task's network namespace; other abstract names make no other network."""
    fs = task.ns.net.stack.fs
    for _, socket in task.kernel.open_sockets():
        if socket.inode is not None and socket.inode.fs is fs:
            yield socket


def _ino(socket: Socket) -> int:
    assert socket.inode is not None
    return socket.inode.ino


def _tcp(task: "Task", width: int) -> "Iterator[bytes]":
    """Yield the listeners, then the connections, those that were not accepted too; a closed socket is in no table."""
    found = [s for s in _sockets(task) if isinstance(s, TcpSocket) and _width(s) == width and s.state != TcpState.CLOSE]
    listeners = [socket for socket in found if socket.is_listening()]
    rows = [(listener, _ino(listener), len(listener.pending or ())) for listener in listeners]
    for listener in listeners:
        rows.extend((embryo, 0, embryo.inbox.size) for embryo in listener.pending or ())
    rows.extend((socket, _ino(socket), _unread(socket)) for socket in found if not socket.is_listening())
    for index, (socket, ino, queued) in enumerate(rows):
        tail = _LISTENING if socket.is_listening() else _CONNECTED
        yield b"%4d: %b %b" % (index, _inet_row(socket, _tcp_state(socket), queued, ino, 2 if ino else 1), tail)


def _unread(socket: TcpSocket) -> int:
    """Return the bytes that were not read; as in Linux the FIN behind them counts for one."""
    size = socket.inbox.size
    return size + 1 if size and _tcp_state(socket) == TcpState.CLOSE_WAIT else size


def _udp(task: "Task", width: int) -> "Iterator[bytes]":
    """Yield the sockets that have a port; the first column is the port, where Linux has a hash of it."""
    for socket in _sockets(task):
        if isinstance(socket, UdpSocket) and socket.has_port and _width(socket) == width:
            row = _inet_row(socket, socket.state, socket.inbox.size, _ino(socket), 2)
            yield b"%5d: %b 0" % (socket.place[1], row)


def _width(socket: InetSocket) -> int:
    return 16 if socket.family == AF_INET6 else 4


def _tcp_state(socket: TcpSocket) -> int:
    """Return the state that Linux would have: half of a connection may be closed."""
    peer = socket.peer
    if socket.state != TcpState.ESTABLISHED or peer is None or peer is socket:
        return socket.state
    if socket.shut & SHUT_WRITE:
        return TcpState.FIN_WAIT2
    if peer.gone or peer.shut & SHUT_WRITE:
        return TcpState.CLOSE_WAIT
    return socket.state


def _inet_row(socket: InetSocket, state: int, queued: int, ino: int, refs: int) -> bytes:
    """Return the columns that TCP and UDP share, from local address to pointer."""
    assert socket.inode is not None
    width = _width(socket)
    local = _address(*socket.place, width)
    remote = _address(*(socket.remote or (bytes(width), 0)), width)
    return b"%b %b %02X %08X:%08X 00:00000000 00000000 %5d %8d %d %d %016x" % (
        local, remote, state, 0, queued, socket.inode.uid, 0, ino, refs, 0,
    )  # fmt: skip


def _address(address: bytes, port: int, width: int) -> bytes:
    """Return address:port: 32-bit words of the address in the host's order, in hexadecimal."""
    if len(address) < width:
        address = _MAPPED + address
    words = (int.from_bytes(address[at : at + 4], "little") for at in range(0, width, 4))
    return b"%b:%04X" % (b"".join(b"%08X" % word for word in words), port)


def _unix_row(socket: UnixSocket, ino: int) -> bytes:
    state = SocketState.UNCONNECTED
    if socket.state == TcpState.ESTABLISHED:
        state = SocketState.CONNECTED if ino else SocketState.CONNECTING
    flags = _SO_ACCEPTCON if socket.is_listening() else 0
    refs = 2 if socket.peer is None else 3
    row = b"%016x: %08X %08X %08X %04X %02X %5d" % (0, refs, 0, flags, socket.kind, state, ino)
    return b"%b %b" % (row, _shown(socket.name)) if socket.name else row


def _shown(name: bytes) -> bytes:
    """Return a name as text: each NUL of an abstract one is an @."""
    return name if name[0] else name.replace(b"\0", b"@")


ROWS: Final = {b"tcp": tcp, b"tcp6": tcp6, b"udp": udp, b"udp6": udp6, b"unix": unix}
"""The rows of each table."""
