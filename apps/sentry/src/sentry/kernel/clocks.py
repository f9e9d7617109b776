"""The kernel's clocks.

All deadlines inside the kernel are nanoseconds of its monotonic clock, which is the host's plus an offset: the offset
is what a restore changes. A realtime deadline becomes a monotonic one where the call enters. `kernel.timers`, a
`sentry_ktime.TimerQueue`, has all of them.
"""

from typing import TYPE_CHECKING

from sentry_ktime import MonotonicClock

if TYPE_CHECKING:
    from sentry_host import Host


class KernelClock(MonotonicClock):
    """Monotonic, boot and real time, in nanoseconds."""

    __slots__ = ("realtime_ns",)

    monotonic_ns = MonotonicClock.now
    """CLOCK_MONOTONIC."""

    def __init__(self, host: "Host") -> None:
        """Start with the host's clocks."""
        super().__init__(host)
        self.realtime_ns = host.realtime_ns
        """CLOCK_REALTIME: the host's own function."""

    def to_monotonic(self, real_ns: int) -> int:
        """Return when, on the monotonic clock, the real time real_ns comes if the clock is not set meanwhile."""
        return real_ns - self.realtime_ns() + self.monotonic_ns()
