"""Which objects of sockets can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_sockets._abstract import AbstractSocketNamespace
from sentry_sockets._datagram import DatagramSocket, Message, MessageQueue
from sentry_sockets._inet import InetSocket
from sentry_sockets._network import Network
from sentry_sockets._ports import Loopback, Ports
from sentry_sockets._queue import ByteQueue, Control, Mark, Ucred
from sentry_sockets._rights import Flight, Holder
from sentry_sockets._socket import Received, Socket, SocketFilesystem
from sentry_sockets._states import SocketState, TcpState
from sentry_sockets._tcp import TcpSocket
from sentry_sockets._udp import UdpSocket
from sentry_sockets._unix import UnixSocket
from sentry_sockets._unix_connection import UnixConnection
from sentry_sockets._unix_dgram import UnixDatagram
from sentry_sockets._unix_seqpacket import UnixSeqpacket
from sentry_sockets._unix_stream import UnixStream

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {Received: "lives for one call of Socket.recvmsg"}


def register(registry: "Registry") -> None:
    """Register networks and sockets. Needs the classes of sentry_vfs and sentry_waiter, and `Network.caller`'s."""
    registry.enumeration("sockets.TcpState")(TcpState)
    registry.enumeration("sockets.SocketState")(SocketState)
    registry.savable("sockets.Ucred")(Ucred)
    registry.savable("sockets.Control")(Control)
    registry.savable("sockets.Mark", fields=Mark.__slots__)(Mark)
    registry.savable("sockets.ByteQueue", fields=ByteQueue.__slots__)(ByteQueue)
    registry.savable("sockets.Message", fields=Message.__slots__)(Message)
    registry.savable("sockets.MessageQueue", fields=MessageQueue.__slots__)(MessageQueue)
    registry.savable("sockets.Ports", fields=Ports.__slots__)(Ports)
    registry.savable("sockets.Loopback", fields=Loopback.__slots__)(Loopback)
    registry.savable("sockets.Flight", fields=("_sockets",), fresh={"_busy": bool})(Flight)
    registry.savable("sockets.SocketFilesystem")(SocketFilesystem)
    registry.savable("sockets.AbstractSocketNamespace", fields=AbstractSocketNamespace.__slots__)(
        AbstractSocketNamespace
    )
    registry.savable("sockets.Network", fields=Network.__slots__)(Network)
    _register_sockets(registry)


def _register_sockets(registry: "Registry") -> None:
    registry.savable("sockets.Socket", fields=[name for name in Socket.__slots__ if name != "__weakref__"])(Socket)
    registry.savable("sockets.Holder")(Holder)
    registry.savable("sockets.UnixSocket", fields=UnixSocket.__slots__)(UnixSocket)
    registry.savable("sockets.UnixConnection", fields=UnixConnection.__slots__)(UnixConnection)
    registry.savable("sockets.UnixStream", fields=UnixStream.__slots__)(UnixStream)
    registry.savable("sockets.UnixSeqpacket", fields=UnixSeqpacket.__slots__)(UnixSeqpacket)
    registry.savable("sockets.DatagramSocket")(DatagramSocket)
    registry.savable("sockets.UnixDatagram", fields=UnixDatagram.__slots__)(UnixDatagram)
    registry.savable("sockets.InetSocket", fields=InetSocket.__slots__)(InetSocket)
    registry.savable("sockets.TcpSocket", fields=TcpSocket.__slots__)(TcpSocket)
    registry.savable("sockets.UdpSocket", fields=UdpSocket.__slots__)(UdpSocket)
