"""Clocks: the host's, one that is set by hand, and the protocol that timers need.

A clock that can jump, or begin to run faster, notifies its listeners, because a sleep until a time of that clock has to
be computed again. Clocks that run at the rate of the host's never notify.

Thread-safe: reading needs no lock; changes of one clock are serialised by its own lock, and listeners are notified
without it, in the thread that made the change.
"""

from threading import Lock
from typing import Final, Protocol

from sentry_host import Host
from sentry_ktime._time import MAX_NS, add, saturate
from sentry_waiter import Queue

DISCONTINUITY: Final = 1
"""Event: the clock has been set."""

RATE_INCREASE: Final = 2
"""Event: the clock runs faster, so that earlier estimates of a wait may be too long."""

EVENTS: Final = DISCONTINUITY | RATE_INCREASE


class Clock(Protocol):
    """What a timer samples."""

    def now(self) -> int:
        """Return the time, in nanoseconds."""
        ...

    def wall_time_until(self, time_ns: int, now_ns: int) -> int:
        """Return an estimate of how long, in nanoseconds of the driver, it takes from now_ns to time_ns.

        Too small costs an early check, too large makes expirations late: err low. Not positive means now.
        """
        ...

    @property
    def events(self) -> Queue | None:
        """Return the queue for `DISCONTINUITY` and `RATE_INCREASE`; None if there are never any."""
        ...


class MonotonicClock:
    """The host's CLOCK_MONOTONIC and a constant: the offset is what a restore changes."""

    __slots__ = ("_host_ns", "host", "offset_ns")

    def __init__(self, host: Host, offset_ns: int = 0) -> None:
        """Make a clock that is ahead of the host's."""
        self.host = host
        self.offset_ns = offset_ns
        self.after_load()

    def after_load(self) -> None:
        """Cache the host's function in an attribute."""
        self._host_ns = self.host.monotonic_ns

    def now(self) -> int:
        """Return the time."""
        return self._host_ns() + self.offset_ns

    def wall_time_until(self, time_ns: int, now_ns: int) -> int:
        """Return the difference: this clock runs as the wall does."""
        return time_ns - now_ns

    @property
    def events(self) -> None:
        """Return None: it never jumps."""
        return

    def host_deadline(self, deadline_ns: int) -> int:
        """Return a time of this clock on the host's monotonic clock; what is past for the host is 0."""
        return max(deadline_ns - self.offset_ns, 0)


class RealClock:
    """The host's CLOCK_REALTIME and an offset that may be changed."""

    __slots__ = ("_events", "_host_ns", "_mu", "_offset_ns", "host")

    def __init__(self, host: Host, offset_ns: int = 0) -> None:
        """Make a clock that is ahead of the host's."""
        self.host = host
        self._mu = Lock()
        self._offset_ns = offset_ns  # guarded by _mu
        self._events = Queue()
        self.after_load()

    def after_load(self) -> None:
        """Cache the host's function in an attribute."""
        self._host_ns = self.host.realtime_ns

    def now(self) -> int:
        """Return the time since 1970."""
        return self._host_ns() + self._offset_ns

    def wall_time_until(self, time_ns: int, now_ns: int) -> int:
        """Return the difference."""
        return time_ns - now_ns

    @property
    def events(self) -> Queue:
        """Return the queue that `step` notifies. Differs: a step of the host's own clock is not noticed."""
        return self._events

    def step(self, delta_ns: int) -> None:
        """Set the clock forward, or back; notify all listeners."""
        with self._mu:
            self._offset_ns += delta_ns
        self._events.notify(DISCONTINUITY)


class ManualClock:
    """A clock that moves only when it is set; every listener is notified of every change.

    For few timers. `SyntheticClock` finds those that are due by itself.
    """

    __slots__ = ("_events", "_mu", "_now_ns")

    def __init__(self, now_ns: int = 0) -> None:
        """Make a clock that shows now_ns."""
        self._mu = Lock()
        self._now_ns = now_ns  # guarded by _mu
        self._events = Queue()

    def now(self) -> int:
        """Return the time."""
        return self._now_ns

    def wall_time_until(self, time_ns: int, now_ns: int) -> int:
        """Return 0 for a time that has come, else never: a change notifies."""
        return 0 if time_ns <= now_ns else MAX_NS

    @property
    def events(self) -> Queue:
        """Return the queue that changes notify."""
        return self._events

    def set(self, now_ns: int) -> None:
        """Set the time, later or earlier; notify all listeners."""
        with self._mu:
            self._now_ns = saturate(now_ns)
        self._events.notify(DISCONTINUITY)

    def advance(self, duration_ns: int) -> None:
        """Advance the clock; notify all listeners. Raises: ValueError for a negative duration."""
        if duration_ns < 0:
            message = f"a clock cannot advance by {duration_ns} ns; set() sets it back"
            raise ValueError(message)
        with self._mu:
            self._now_ns = add(self._now_ns, duration_ns)
        self._events.notify(DISCONTINUITY)
