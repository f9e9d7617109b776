"""The class of an internet socket for its kind."""

from sentry_abi.errors import EAFNOSUPPORT
from sentry_abi.socket import AF_INET, AF_INET6, SOCK_STREAM
from sentry_sockets._inet import InetSocket
from sentry_sockets._network import Network
from sentry_sockets._tcp import TcpSocket
from sentry_sockets._udp import UdpSocket
from sentry_vfs import Inode


def open_inet(network: Network, inode: Inode, family: int, kind: int, flags: int, protocol: int) -> InetSocket:
    """Return a new socket; kind and protocol are already checked. Raises: EAFNOSUPPORT."""
    if family not in {AF_INET, AF_INET6} or not network.internet:
        raise EAFNOSUPPORT
    return (TcpSocket if kind == SOCK_STREAM else UdpSocket)(network, inode, flags, protocol, family)
