"""The class of a unix socket for its kind."""

from typing import Final

from sentry_abi.socket import SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM
from sentry_sockets._unix import UnixSocket
from sentry_sockets._unix_dgram import UnixDatagram
from sentry_sockets._unix_seqpacket import UnixSeqpacket
from sentry_sockets._unix_stream import UnixStream

KINDS: Final[dict[int, type[UnixSocket]]] = {
    SOCK_STREAM: UnixStream,
    SOCK_SEQPACKET: UnixSeqpacket,
    SOCK_DGRAM: UnixDatagram,
}
"""Unix sockets by kind."""
