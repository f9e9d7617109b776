"""Unix domain sockets, and a loopback internet, in memory. Floor 9.

Nothing here waits: what would raises EAGAIN, and the socket's `queue` is notified when it is time to try again.
"""

from sentry_sockets._abstract import AbstractSocketNamespace
from sentry_sockets._address import family_of, inet_place, pack_inet, pack_unix, unix_name
from sentry_sockets._inet import InetSocket
from sentry_sockets._network import Caller, Network
from sentry_sockets._open import KINDS, open_inet
from sentry_sockets._ports import Loopback
from sentry_sockets._queue import NOTHING, ByteQueue, Control, Ucred
from sentry_sockets._socket import SHUT_BOTH, SHUT_READ, SHUT_WRITE, Received, Socket, new_inode
from sentry_sockets._states import SocketState, TcpState
from sentry_sockets._tcp import TcpSocket
from sentry_sockets._udp import UdpSocket
from sentry_sockets._unix import UnixSocket
from sentry_sockets._unix_connection import UnixConnection
from sentry_sockets._unix_dgram import UnixDatagram
from sentry_sockets._unix_seqpacket import UnixSeqpacket
from sentry_sockets._unix_stream import UnixStream

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
