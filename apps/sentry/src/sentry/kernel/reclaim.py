"""Work put off until no call is being handled: giving freed memory back to the host, trimming file systems.

Punching 2 MiB that were in use takes half a millisecond, and a process that ends may leave gigabytes. An exit or
munmap does one slice itself; the rest follows by a timer, so that no other guest waits longer than a slice.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sentry_ktime import TimerQueue
    from sentry_pgalloc import MemoryFile
    from sentry_vfs import VirtualFilesystem

PAUSE_NS: Final = 1_000_000


class Reclaimer:
    """The timer that reclaims free pages and dentries."""

    __slots__ = ("memory", "timer_seq", "timers", "vfs")

    def __init__(self, memory: "MemoryFile", vfs: "VirtualFilesystem", timers: "TimerQueue") -> None:
        """Begin with nothing to do."""
        self.memory = memory
        self.vfs = vfs
        self.timers = timers
        self.timer_seq = 0

    def wake(self) -> None:
        """Schedule reclaim if free pages or file systems are pending."""
        if not self.timer_seq and (self.memory.waste_bytes or self.vfs.untrimmed):
            self.timers.arm(self, self.timers.now() + PAUSE_NS)

    def expired(self, now_ns: int) -> None:
        """Timer callback: trim, and punch a slice."""
        self.vfs.trim()
        if self.memory.reclaim():
            self.timers.arm(self, now_ns + PAUSE_NS)
