"""/proc/PID/net: the network namespace of a task. Source: proc_pid_net(5)."""

from typing import TYPE_CHECKING, Final

from sentry_abi.stat import DT_REG
from sentry_fs import Fixed, Generated, GeneratedDirectory
from sentry_host import KeptDescriptors
from sentry_vfs import Filesystem, Inode

if TYPE_CHECKING:
    from sentry.kernel.state import Task

_INET: Final = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
_INET6: Final = (
    b"  sl  local_address                         remote_address                        st tx_queue rx_queue"
    b" tr tm->when retrnsmt   uid  timeout inode"
)
TABLES: Final = {
    b"tcp": _INET.ljust(149),
    b"udp": (b" " + _INET + b" ref pointer drops").ljust(127),
    b"tcp6": _INET6,
    b"udp6": _INET6 + b" ref pointer drops",
    b"unix": b"Num       RefCount Protocol Flags    Type St Inode Path",
}
"""The tables of sockets: the first line of each."""
_FIXED: Final = {
    b"dev": b"Inter-|   Receive                                                |  Transmit\n"
    b" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier"
    b" compressed\n    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0"
    b"     0       0          0\n",
    b"route": b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n",
    b"if_inet6": b"00000000000000000000000000000001 01 80 10 80       lo\n",
    b"protocols": b"protocol  size sockets  memory press maxhdr  slab module\n",
    b"packet": b"sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n",
}


class NetDirectory(GeneratedDirectory):
    """/proc/PID/net."""

    __slots__ = ("task",)

    def __init__(self, fs: Filesystem, task: "Task") -> None:
        """Make the directory."""
        super().__init__(fs)
        self.task = task

    def find(self, name: bytes) -> Inode | None:
        """Return a file."""
        if name in TABLES:
            return SocketTable(self.fs, self.task, name)
        text = _FIXED.get(name)
        return None if text is None else Fixed(self.fs, text)

    def names(self) -> list[tuple[bytes, int]]:
        """Return all files."""
        return [(name, DT_REG) for name in (*TABLES, *_FIXED)]


class SocketTable(Generated):
    """A table of the open sockets of one kind in a task's network namespace."""

    __slots__ = ("name", "task")

    def __init__(self, fs: Filesystem, task: "Task", name: bytes) -> None:
        """Make the file."""
        super().__init__(fs)
        self.task = task
        self.name = name

    def generate(self) -> bytes:
        """Return the rows; without a socket nothing of the sockets is imported."""
        rows: list[bytes] = []
        if self.task.kernel.open_sockets():
            with KeptDescriptors():
                from sentry.procfs._netrows import ROWS  # noqa: PLC0415  (most programs open no socket)

            rows = ROWS[self.name](self.task)
        return b"\n".join((TABLES[self.name], *rows, b""))
