"""A clock whose owner moves it, and which finds what is due by itself.

It is a clock and the driver of its timers in one: moving it calls those whose deadline has passed, the oldest first, in
the thread that moves it. Ten thousand timers that are not due cost nothing.

Thread-safe. Lock order: a timer's lock, then the clock's; nothing is called with the clock's lock held.
"""

from threading import Lock

from sentry_ktime._queue import Timed, TimerQueue
from sentry_ktime._time import add, saturate
from sentry_waiter import Queue


class SyntheticClock:
    """Time as a counter of its owner's: CPU time used, ticks of a simulation."""

    __slots__ = ("_mu", "_now_ns", "_queue")

    def __init__(self, now_ns: int = 0) -> None:
        """Make a clock that shows now_ns."""
        self._mu = Lock()
        self._now_ns = now_ns  # guarded by _mu
        self._queue = TimerQueue(self)  # guarded by _mu

    def now(self) -> int:
        """Return the time."""
        return self._now_ns

    def wall_time_until(self, time_ns: int, now_ns: int) -> int:
        """Return the difference: it is its own driver."""
        return time_ns - now_ns

    @property
    def events(self) -> Queue | None:
        """Return None: its timers are in its own queue. Setting it back delays them."""
        return None

    def host_deadline(self, deadline_ns: int) -> int:
        """Return the deadline: nothing sleeps for it."""
        return max(deadline_ns, 0)

    def store(self, now_ns: int) -> None:
        """Set the time; call those whose deadline has passed."""
        with self._mu:
            self._now_ns = saturate(now_ns)
        self._expire()

    def advance(self, duration_ns: int) -> None:
        """Move the clock forward, or back; call those whose deadline has passed."""
        with self._mu:
            self._now_ns = add(self._now_ns, duration_ns)
        self._expire()

    def _expire(self) -> None:
        while True:
            with self._mu:
                now = self._now_ns
                timed = self._queue.take(now)
            if timed is None:
                return
            timed.expired(now)

    # As a driver.

    def arm(self, timed: Timed, deadline_ns: int) -> None:
        """Call timed.expired when the clock reaches deadline_ns; at the next change, if it has already."""
        with self._mu:
            self._queue.arm(timed, deadline_ns)

    def disarm(self, timed: Timed) -> None:
        """Forget timed."""
        with self._mu:
            self._queue.disarm(timed)
