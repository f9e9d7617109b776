"""What wakes timers: the protocol, and one thread for users without a loop.

Lock order: a timer's lock, then the driver's. Timers are called without the driver's lock.
"""

from threading import Condition, Thread, current_thread
from typing import TYPE_CHECKING, Protocol, Self

from sentry_host import Host
from sentry_ktime._clock import MonotonicClock
from sentry_ktime._queue import Timed, TimerQueue
from sentry_ktime._time import SECOND_NS

if TYPE_CHECKING:
    from types import TracebackType

_LONGEST_NS = 3600 * SECOND_NS


class Driver(Protocol):
    """What a `Timer` needs: `TimerQueue`, `ThreadDriver` and `SyntheticClock` have it."""

    def now(self) -> int:
        """Return the driver's time."""
        ...

    def arm(self, timed: Timed, deadline_ns: int) -> None:
        """Call timed.expired once at a driver's time, instead of any time before; possibly earlier."""
        ...

    def disarm(self, timed: Timed) -> None:
        """Do not call it; a call that is under way may still come."""
        ...


class DriverError(RuntimeError):
    """A driver is used that has been closed, or whose thread has died of a listener."""


class ThreadDriver:
    """One thread, made when first needed, that sleeps until the earliest of all deadlines.

    A context manager. What a listener raises ends the driver: the next use says so, and `close` too.
    """

    __slots__ = ("_changed", "_closed", "_error", "_queue", "_thread")

    def __init__(self, host: Host) -> None:
        """Make a driver without a thread yet; deadlines are times of the host's monotonic clock."""
        self._changed = Condition()
        self._queue = TimerQueue(MonotonicClock(host))  # guarded by _changed, as all below
        self._thread: Thread | None = None
        self._closed = False
        self._error: BaseException | None = None

    def now(self) -> int:
        """Return the host's monotonic time."""
        return self._queue.now()

    def arm(self, timed: Timed, deadline_ns: int) -> None:
        """Call timed.expired in the driver's thread at a monotonic time. Raises: DriverError."""
        with self._changed:
            self._check_locked()
            before = self._queue.next_ns
            self._queue.arm(timed, deadline_ns)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="ktime", daemon=True)
                self._thread.start()
            elif self._queue.next_ns != before:
                self._changed.notify()

    def disarm(self, timed: Timed) -> None:
        """Forget timed."""
        with self._changed:
            self._queue.disarm(timed)

    def close(self) -> None:
        """End the thread, or let it end if it calls this itself; armed timers stay silent.

        Raises: DriverError, once, if it has died.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not current_thread():
            thread.join()
        if self._error is not None:
            error, self._error = self._error, None
            message = "a listener raised an exception in the driver's thread"
            raise DriverError(message) from error

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Close."""
        self.close()

    def _check_locked(self) -> None:
        if self._error is not None:
            message = "the driver has died of an exception of a listener"
            raise DriverError(message) from self._error
        if self._closed:
            message = "the driver has been closed"
            raise DriverError(message)

    def _run(self) -> None:
        try:
            while (timed := self._next()) is not None:
                timed.expired(self.now())
        except BaseException as error:  # noqa: BLE001  (it is raised again where the driver is used)
            with self._changed:
                self._error = error

    def _next(self) -> Timed | None:
        """Sleep until a deadline has passed; None when closed."""
        with self._changed:
            while not self._closed:
                now = self._queue.now()
                timed = self._queue.take(now)
                if timed is not None:
                    return timed
                next_ns = self._queue.next_ns
                wait_ns = _LONGEST_NS if next_ns < 0 else min(next_ns - now, _LONGEST_NS)
                self._changed.wait(max(wait_ns, 0) / SECOND_NS)
        return None
