"""Giving freed memory back to the host, a slice at a time between events.

Punching 2 MiB that were in use takes half a millisecond, and a process that ends may leave gigabytes. What ends or
unmaps does one slice itself; the rest follows by a timer, so that no other guest waits longer than a slice.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sentry_ktime import TimerQueue
    from sentry_pgalloc import MemoryFile

PAUSE_NS: Final = 1_000_000


class Reclaimer:
    """The timer that reclaims free pages of one memory file."""

    __slots__ = ("memory", "timer_seq", "timers")

    def __init__(self, memory: "MemoryFile", timers: "TimerQueue") -> None:
        """Begin with nothing to do."""
        self.memory = memory
        self.timers = timers
        self.timer_seq = 0

    def wake(self) -> None:
        """Schedule reclaim if free pages are pending."""
        if not self.timer_seq and self.memory.waste_bytes:
            self.timers.arm(self, self.timers.now() + PAUSE_NS)

    def expired(self, now_ns: int) -> None:
        """Timer callback: punch a slice."""
        if self.memory.reclaim():
            self.timers.arm(self, now_ns + PAUSE_NS)
