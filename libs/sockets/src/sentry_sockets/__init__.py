"""Unix domain sockets, and a loopback internet, in memory. Floor 9.

Nothing here waits: what would raises EAGAIN, and the socket's `queue` is notified when it is time to try again.
"""

from typing import TYPE_CHECKING

from sentry_sockets._abstract import AbstractSocketNamespace
from sentry_sockets._address import family_of, inet_place, pack_inet, pack_unix, unix_name
from sentry_sockets._kinds import KINDS
from sentry_sockets._network import Caller, Network
from sentry_sockets._ports import Loopback
from sentry_sockets._queue import NOTHING, ByteQueue, Control, Ucred
from sentry_sockets._socket import SHUT_BOTH, SHUT_READ, SHUT_WRITE, Received, Socket, new_inode
from sentry_sockets._states import SocketState, TcpState
from sentry_sockets._unix import UnixSocket
from sentry_sockets._unix_connection import UnixConnection
from sentry_sockets._unix_dgram import UnixDatagram
from sentry_sockets._unix_seqpacket import UnixSeqpacket
from sentry_sockets._unix_stream import UnixStream

if TYPE_CHECKING:
    from sentry_sockets._inet import InetSocket
    from sentry_sockets._open import open_inet
    from sentry_sockets._tcp import TcpSocket
    from sentry_sockets._udp import UdpSocket
else:

    def __getattr__(name: str) -> object:
        """Import the internet's sockets when one of them is asked for: most programs with sockets have unix ones."""
        if name not in {"InetSocket", "TcpSocket", "UdpSocket", "open_inet"}:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        from sentry_sockets._inet import InetSocket  # noqa: PLC0415  (see above)
        from sentry_sockets._open import open_inet  # noqa: PLC0415  (as above)
        from sentry_sockets._tcp import TcpSocket  # noqa: PLC0415  (as above)
        from sentry_sockets._udp import UdpSocket  # noqa: PLC0415  (as above)

        globals().update(InetSocket=InetSocket, TcpSocket=TcpSocket, UdpSocket=UdpSocket, open_inet=open_inet)
        return globals()[name]


__all__ = [
    "KINDS",
    "NOTHING",
    "SHUT_BOTH",
    "SHUT_READ",
    "SHUT_WRITE",
    "AbstractSocketNamespace",
    "ByteQueue",
    "Caller",
    "Control",
    "InetSocket",
    "Loopback",
    "Network",
    "Received",
    "Socket",
    "SocketState",
    "TcpSocket",
    "TcpState",
    "Ucred",
    "UdpSocket",
    "UnixConnection",
    "UnixDatagram",
    "UnixSeqpacket",
    "UnixSocket",
    "UnixStream",
    "family_of",
    "inet_place",
    "new_inode",
    "open_inet",
    "pack_inet",
    "pack_unix",
    "unix_name",
]
