"""Giving memory that nobody refers to back to the host, a slice at a time between events.

Punching 2 MiB that were in use takes half a millisecond, and a process that ends may leave gigabytes. What ends or
unmaps does one slice itself; the rest follows by a timer, so that no other guest waits longer than a slice.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sentry.kernel.kernel import Kernel

PAUSE_NS: Final = 1_000_000


class Reclaimer:
    """The timer of one kernel."""

    __slots__ = ("kernel", "timer_seq")

    def __init__(self, kernel: "Kernel") -> None:
        """Begin with nothing to do."""
        self.kernel = kernel
        self.timer_seq = 0

    def wake(self) -> None:
        """See to it that waste goes soon, if there is any."""
        if not self.timer_seq and self.kernel.memory.waste_bytes:
            self.kernel.timers.arm(self, self.kernel.clock.monotonic_ns() + PAUSE_NS)

    def expired(self, now_ns: int) -> None:
        """Do a slice."""
        if self.kernel.memory.reclaim():
            self.kernel.timers.arm(self, now_ns + PAUSE_NS)
