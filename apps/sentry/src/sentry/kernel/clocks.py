"""The kernel's clocks and the queue of everything that waits for a time.

All deadlines inside the kernel are nanoseconds of its monotonic clock, which is the host's plus an offset: the offset
is what a restore changes. A realtime deadline becomes a monotonic one where the call enters.
"""

import heapq
import time
from typing import Protocol


class KernelClock:
    """Monotonic, boot and real time, in nanoseconds."""

    __slots__ = ("boot_real_ns", "offset_ns")

    def __init__(self) -> None:
        """Start with the host's clocks."""
        self.offset_ns = 0
        self.boot_real_ns = time.time_ns() - time.monotonic_ns()

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""
        return time.monotonic_ns() + self.offset_ns

    def realtime_ns(self) -> int:
        """Return CLOCK_REALTIME."""
        return time.time_ns()

    def to_monotonic(self, real_ns: int) -> int:
        """Return when, on the monotonic clock, the real time real_ns comes if the clock is not set meanwhile."""
        return real_ns - self.realtime_ns() + self.monotonic_ns()

    def host_deadline(self, deadline_ns: int) -> int:
        """Return a deadline on the host's monotonic clock, for the platform."""
        return max(deadline_ns - self.offset_ns, 0)


class Timed(Protocol):
    """Something that the queue tells when its time has come."""

    timer_seq: int
    """Which arming counts: the queue writes it; 0 is none."""

    def expired(self, now_ns: int) -> None:
        """Be told, once per arming."""
        ...


class TimerQueue:
    """Deadlines in order. Arming is O(log n); disarming is O(1): what is stale is dropped when it comes up."""

    __slots__ = ("_clock", "_heap", "_limit", "_seq", "next_ns")

    def __init__(self, clock: KernelClock) -> None:
        """Make an empty queue."""
        self._clock = clock
        self._heap: list[tuple[int, int, Timed]] = []
        self._seq = 0
        self._limit = 64
        self.next_ns = -1
        """The host deadline to wait for, -1 for none; may be early, never late."""

    def arm(self, timed: Timed, deadline_ns: int) -> None:
        """Tell timed when deadline_ns (kernel monotonic) has come, instead of any time before."""
        self._seq += 1
        timed.timer_seq = self._seq
        heapq.heappush(self._heap, (deadline_ns, self._seq, timed))
        if self._heap[0][1] == self._seq:
            self.next_ns = self._clock.host_deadline(deadline_ns)
        if len(self._heap) > self._limit:
            self._compact()

    def disarm(self, timed: Timed) -> None:
        """Forget timed."""
        if timed.timer_seq:
            timed.timer_seq = 0
            heap = self._heap
            if heap and heap[0][2] is timed:
                self._settle()

    def expire(self) -> None:
        """Tell everyone whose time has come."""
        now = self._clock.monotonic_ns()
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, seq, timed = heapq.heappop(heap)
            if timed.timer_seq == seq:
                timed.timer_seq = 0
                timed.expired(now)
        self._settle()

    def _settle(self) -> None:
        heap = self._heap
        while heap and heap[0][2].timer_seq != heap[0][1]:
            heapq.heappop(heap)
        self.next_ns = self._clock.host_deadline(heap[0][0]) if heap else -1

    def _compact(self) -> None:
        self._heap = [item for item in self._heap if item[2].timer_seq == item[1]]
        heapq.heapify(self._heap)
        self._limit = max(64, 2 * len(self._heap))
        self._settle()
