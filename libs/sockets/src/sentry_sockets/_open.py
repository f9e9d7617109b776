"""The class of socket for a family and a kind."""

from typing import Final

from sentry_abi.errors import EAFNOSUPPORT
from sentry_abi.socket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM
from sentry_sockets._inet import InetSocket
from sentry_sockets._network import Network
from sentry_sockets._tcp import TcpSocket
from sentry_sockets._udp import UdpSocket
from sentry_sockets._unix import UnixSocket
from sentry_sockets._unix_dgram import UnixDatagram
from sentry_sockets._unix_seqpacket import UnixSeqpacket
from sentry_sockets._unix_stream import UnixStream
from sentry_vfs import Inode

KINDS: Final[dict[int, type[UnixSocket]]] = {
    SOCK_STREAM: UnixStream,
    SOCK_SEQPACKET: UnixSeqpacket,
    SOCK_DGRAM: UnixDatagram,
}
"""Unix sockets by kind."""


def open_inet(network: Network, inode: Inode, family: int, kind: int, flags: int, protocol: int) -> InetSocket:
    """Return a new socket; kind and protocol are already checked. Raises: EAFNOSUPPORT."""
    if family not in {AF_INET, AF_INET6} or not network.internet:
        raise EAFNOSUPPORT
    return (TcpSocket if kind == SOCK_STREAM else UdpSocket)(network, inode, flags, protocol, family)
