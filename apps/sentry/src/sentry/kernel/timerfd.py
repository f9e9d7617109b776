"""timerfd: a timer as a file.

As in Linux an interval timer is armed again by a read or settime, which computes the expirations of the meantime.
Source: Linux fs/timerfd.c; timerfd_create(2). Differs: the clock is never set, so TFD_TIMER_CANCEL_ON_SET does nothing.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.itimer import TimerSpec
from sentry_abi.errors import EAGAIN, EINVAL
from sentry_abi.fcntl import O_RDWR
from sentry_abi.time import CLOCK_REALTIME, CLOCK_REALTIME_ALARM
from sentry_ktime import due
from sentry_vfs import FileDescription, scatter
from sentry_waiter import IN, RDNORM, Queue

if TYPE_CHECKING:
    from sentry.kernel.state import KernelState

WALL: Final = frozenset({CLOCK_REALTIME, CLOCK_REALTIME_ALARM})


class TimerFile(FileDescription):
    """A timer; a read takes the number of expirations."""

    __slots__ = ("clock", "due", "interval_ns", "kernel", "next_ns", "ticks", "timer_seq")

    reads_nothing = False

    queue: Queue

    def __init__(self, kernel: "KernelState", clock: int, flags: int) -> None:
        """Make a disarmed timer on a clock."""
        super().__init__(flags | O_RDWR, None, kernel.vfs.anonymous.inode, Queue())
        self.kernel = kernel
        self.clock = clock
        self.next_ns = 0
        """The next expiration in nanoseconds of the kernel's monotonic clock, 0 when disarmed."""
        self.interval_ns = 0
        self.ticks = 0
        self.due = False
        """The timer went off and was not armed again."""
        self.timer_seq = 0

    def set(self, spec: TimerSpec, *, absolute: bool) -> TimerSpec:
        """Arm or disarm, and drop unread expirations; return the time that was left."""
        before = self.get()
        kernel = self.kernel
        self.ticks = 0
        self.due = False
        self.interval_ns = spec.interval_ns
        kernel.timers.disarm(self)
        self.next_ns = 0
        if spec.value_ns:
            now = kernel.clock.monotonic_ns()
            if not absolute:
                self.next_ns = now + spec.value_ns
            elif self.clock in WALL:
                self.next_ns = max(kernel.clock.to_monotonic(spec.value_ns), 1)
            else:
                self.next_ns = spec.value_ns
            if self.next_ns <= now:
                self.expired(now)
            else:
                kernel.timers.arm(self, self.next_ns)
        return before

    def get(self) -> TimerSpec:
        """Return what is left until the next expiration, and the interval."""
        self._catch_up()
        left = max(self.next_ns - self.kernel.clock.monotonic_ns(), 0) if self.next_ns and not self.due else 0
        return TimerSpec(left, self.interval_ns)

    def expired(self, now_ns: int) -> None:
        """Timer callback: count one expiration; later ones are computed by the next read."""
        del now_ns
        self.ticks += 1
        self.due = True
        self.queue.notify(IN | RDNORM)

    def _catch_up(self) -> None:
        """Count the periods since the timer expired, and arm it for the next."""
        if not self.due:
            return
        self.due = False
        kernel = self.kernel
        count, self.next_ns = due(self.next_ns, self.interval_ns, kernel.clock.monotonic_ns())
        self.ticks += count - 1
        if self.next_ns:
            kernel.timers.arm(self, self.next_ns)

    def clamp(self, count: int) -> int:
        """Return the size of the record."""
        return min(count, 8)

    def read(self, bufs: list[memoryview]) -> int:
        """Take the number of expirations. Raises: EINVAL (fewer than 8 bytes of buffer), EAGAIN (none)."""
        if sum(map(len, bufs)) < 8:
            raise EINVAL
        if not self.ticks:
            raise EAGAIN
        self._catch_up()
        count, self.ticks = self.ticks, 0
        return scatter(bufs, count.to_bytes(8, "little"))

    def readiness(self) -> int:
        """Readable when the timer has expired."""
        return IN | RDNORM if self.ticks else 0

    def release(self) -> None:
        """Disarm."""
        self.kernel.timers.disarm(self)

    def seek(self, offset: int, whence: int) -> int:
        """Do nothing, as lseek(2) does here."""
        del offset, whence
        return 0

    def path(self) -> bytes:
        """Return the link text."""
        return b"anon_inode:[timerfd]"
