"""signalfd: pending signals as a file.

What is read, and whether anything can be, depends on the caller: the pending signals of the task whose call is under
way. `KernelState.signalfds` holds the open ones; a signal of its set that is queued anywhere notifies each.

Source: Linux fs/signalfd.c; signalfd(2).
"""

from struct import Struct
from typing import TYPE_CHECKING, Final

from sentry.kernel.signal import dequeue_signal, recalc_sigpending
from sentry_abi.errors import EAGAIN, EINVAL
from sentry_abi.fcntl import O_RDWR
from sentry_abi.signal import SI_KERNEL, SI_TIMER, SIGCHLD
from sentry_vfs import FileDescription, scatter
from sentry_waiter import IN, RDNORM, Queue

if TYPE_CHECKING:
    from sentry.kernel.siginfo import SigInfo
    from sentry.kernel.state import KernelState, Task

SIZE: Final = 128
_RECORD: Final = Struct("<IiiIIiIIIIiiQQQQ48x")
"""struct signalfd_siginfo: signo errno code pid uid fd tid band overrun trapno status int ptr utime stime addr."""


def record_of(info: "SigInfo") -> bytes:
    """Return struct signalfd_siginfo of a signal."""
    pid, uid, value = info.pid, info.uid, info.value & 0xFFFF_FFFF_FFFF_FFFF
    if info.raw:
        value = int.from_bytes(info.raw[24:32], "little")
    tid = overrun = status = number = utime = stime = addr = 0
    pointer = 0
    if 0 < info.code < SI_KERNEL:
        if info.signo == SIGCHLD:
            status, utime, stime = info.value, info.utime, info.stime
        else:
            addr, pid, uid = info.addr, 0, 0
    elif info.code == SI_TIMER:
        pid = uid = 0
        tid, overrun, pointer = info.timer, info.overrun, value
    elif info.code < 0:
        pointer = value
    number = (pointer & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
    return _RECORD.pack(
        info.signo, info.errno, info.code, pid, uid, 0, tid, 0, overrun, 0, status, number, pointer, utime, stime, addr
    )


class SignalFile(FileDescription):
    """A set of signals; a read takes those of them that are pending for the reader."""

    __slots__ = ("kernel", "mask")

    reads_nothing = False

    queue: Queue

    def __init__(self, kernel: "KernelState", mask: int, flags: int) -> None:
        """Make one; it is notified of signals until its release."""
        super().__init__(flags | O_RDWR, None, kernel.vfs.anonymous.inode, Queue())
        self.kernel = kernel
        self.mask = mask
        kernel.signalfds.append(self)

    def _reader(self) -> "Task":
        task = self.kernel.current
        assert task is not None
        return task

    def clamp(self, count: int) -> int:
        """Return the size of the records of pending signals, count at most."""
        task = self._reader()
        waiting = (task.pending.mask | task.group.pending.mask) & self.mask
        return min(count, SIZE * 64 if waiting else SIZE)

    def read(self, bufs: list[memoryview]) -> int:
        """Take pending signals. Raises: EINVAL (no space for a record), EAGAIN (none)."""
        most = sum(map(len, bufs)) // SIZE
        if not most:
            raise EINVAL
        task = self._reader()
        records: list[bytes] = []
        while len(records) < most:
            info = dequeue_signal(task, self.mask)
            if info is None:
                break
            records.append(record_of(info))
        if not records:
            raise EAGAIN
        recalc_sigpending(task)
        return scatter(bufs, b"".join(records))

    def readiness(self) -> int:
        """Readable when a signal of the set is pending for the caller."""
        task = self._reader()
        return IN | RDNORM if (task.pending.mask | task.group.pending.mask) & self.mask else 0

    def release(self) -> None:
        """Leave the kernel's list."""
        self.kernel.signalfds.remove(self)

    def seek(self, offset: int, whence: int) -> int:
        """Do nothing, as lseek(2) does here."""
        del offset, whence
        return 0

    def path(self) -> bytes:
        """Return the link text."""
        return b"anon_inode:[signalfd]"
