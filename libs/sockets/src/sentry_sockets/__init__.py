"""Unix domain sockets, and a loopback internet, in memory. Floor 9.

Nothing here waits: what would wait raises EAGAIN, and the socket's `queue` tells when to try again.
"""

from sentry_sockets._address import family_of, inet_place, pack_inet, pack_unix, unix_name
from sentry_sockets._inet import InetSocket, Loopback
from sentry_sockets._network import Network
from sentry_sockets._open import open_inet
from sentry_sockets._queue import NOTHING, ByteQueue, Control, Ucred
from sentry_sockets._socket import SHUT_BOTH, SHUT_READ, SHUT_WRITE, Caller, Received, Socket, new_inode
from sentry_sockets._tcp import TcpSocket
from sentry_sockets._udp import UdpSocket
from sentry_sockets._unix import KINDS, UnixConnection, UnixDatagram, UnixSeqpacket, UnixSocket, UnixStream

__all__ = [
    "KINDS",
    "NOTHING",
    "SHUT_BOTH",
    "SHUT_READ",
    "SHUT_WRITE",
    "ByteQueue",
    "Caller",
    "Control",
    "InetSocket",
    "Loopback",
    "Network",
    "Received",
    "Socket",
    "TcpSocket",
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
