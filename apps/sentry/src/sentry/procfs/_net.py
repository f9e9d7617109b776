"""/proc/PID/net: the network that a task is in."""

from typing import Final

from sentry_abi.stat import DT_REG
from sentry_fs import Fixed, GeneratedDirectory
from sentry_vfs import Inode

_NET_FILES: Final = {
    b"dev": b"Inter-|   Receive                                                |  Transmit\n"
    b" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier"
    b" compressed\n    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0"
    b"     0       0          0\n",
    b"tcp": b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    b"udp": b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    b"tcp6": b"  sl  local_address                         remote_address                        st tx_queue rx_queue"
    b" tr tm->when retrnsmt   uid  timeout inode\n",
    b"udp6": b"  sl  local_address                         remote_address                        st tx_queue rx_queue"
    b" tr tm->when retrnsmt   uid  timeout inode\n",
    b"unix": b"Num       RefCount Protocol Flags    Type St Inode Path\n",
    b"route": b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n",
    b"if_inet6": b"00000000000000000000000000000001 01 80 10 80       lo\n",
    b"protocols": b"protocol  size sockets  memory press maxhdr  slab module\n",
    b"packet": b"sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n",
}


class NetDirectory(GeneratedDirectory):
    """/proc/PID/net: the tables of a network without sockets."""

    __slots__ = ()

    def find(self, name: bytes) -> Inode | None:
        """Return a table."""
        text = _NET_FILES.get(name)
        return None if text is None else Fixed(self.fs, text)

    def names(self) -> list[tuple[bytes, int]]:
        """Return all tables."""
        return [(name, DT_REG) for name in _NET_FILES]
