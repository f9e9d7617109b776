"""Deadlines in order, for a loop that owns the queue: no thread, no lock.

A loop asks `next_ns`, sleeps until then in whatever call it sleeps in, and calls `expire`. Arming is O(log n) and
disarming O(1): what is stale stays in the heap until it comes up, or until it is the larger half, when the heap is made
anew. Only the thread that owns the loop may touch the queue; `ThreadDriver` is for others.
"""

import heapq
from typing import Protocol


class Timed(Protocol):
    """An object with a deadline."""

    timer_seq: int
    """Which arming counts: the queue writes it; 0 is none."""

    def expired(self, now_ns: int) -> None:
        """Deadline callback, once per arming."""
        ...


class QueueClock(Protocol):
    """The clock of a queue's deadlines: the host's monotonic clock, moved."""

    def now(self) -> int:
        """Return the time."""
        ...

    def host_deadline(self, deadline_ns: int) -> int:
        """Return a time of this clock on the host's monotonic clock, not negative."""
        ...


class TimerQueue:
    """Deadlines in order."""

    __slots__ = ("_clock", "_heap", "_limit", "_seq", "next_ns")

    def __init__(self, clock: QueueClock) -> None:
        """Make an empty queue."""
        self._clock = clock
        self._heap: list[tuple[int, int, Timed]] = []
        self._seq = 0
        self._limit = 64
        self.next_ns = -1
        """The host deadline to wait for, -1 for none; may be early, never late."""

    def before_save(self) -> None:
        """Leave out what is not armed."""
        self._compact()

    def after_load(self) -> None:
        """Compute the next deadline of the host, whose clock is another one now."""
        self._settle()

    def __len__(self) -> int:
        """Return how many are armed; O(n)."""
        return sum(timed.timer_seq == seq for _, seq, timed in self._heap)

    def now(self) -> int:
        """Return the time that deadlines are compared with."""
        return self._clock.now()

    def arm(self, timed: Timed, deadline_ns: int) -> None:
        """Call timed.expired when deadline_ns has passed, in place of any earlier arming."""
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
        """Call `expired` of all whose deadline has passed, the earliest first."""
        now = self._clock.now()
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, seq, timed = heapq.heappop(heap)
            if timed.timer_seq == seq:
                timed.timer_seq = 0
                timed.expired(now)
                heap = self._heap
        self._settle()

    def take(self, now_ns: int) -> Timed | None:
        """Return the earliest whose deadline has passed by now_ns, disarmed, without a call; None if there is none."""
        heap = self._heap
        while heap and heap[0][0] <= now_ns:
            _, seq, timed = heapq.heappop(heap)
            if timed.timer_seq == seq:
                timed.timer_seq = 0
                self._settle()
                return timed
        self._settle()
        return None

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
