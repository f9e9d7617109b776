"""States of sockets under Linux's names. Sources: include/net/tcp_states.h, include/uapi/linux/net.h."""

from enum import IntEnum
from typing import Final


class TcpState(IntEnum):
    """State of a connection (sk_state); unix sockets and UDP use ESTABLISHED, LISTEN and CLOSE."""

    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11


class SocketState(IntEnum):
    """The state of connect(2) (socket_state)."""

    FREE = 0
    UNCONNECTED = 1
    CONNECTING = 2
    CONNECTED = 3
    DISCONNECTING = 4


TCP_ESTABLISHED: Final = TcpState.ESTABLISHED
TCP_SYN_SENT: Final = TcpState.SYN_SENT
TCP_CLOSE: Final = TcpState.CLOSE
TCP_LISTEN: Final = TcpState.LISTEN
SS_UNCONNECTED: Final = SocketState.UNCONNECTED
SS_CONNECTING: Final = SocketState.CONNECTING
SS_CONNECTED: Final = SocketState.CONNECTED
SS_DISCONNECTING: Final = SocketState.DISCONNECTING
