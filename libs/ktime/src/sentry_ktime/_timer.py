"""Timers: they sample a clock, compute how often they have expired, and notify a listener.

A timer's setting changes only under its lock, and its listener is notified under that lock too. So nothing expires
inside `atomically` or between the two halves of a `swap`; and a listener may take only locks that come after a timer's,
and must not call the timer that notifies it (TimerError).

Restore: a loaded timer is inert until `resume`, because clocks may not have the time before that; what expired
meanwhile is reported then.

Lock order: Timer._mu, then what listeners take; the driver's and the clock's locks are leaves.

Sources: gVisor `pkg/sentry/ktime` (SampledTimer), of 2019 where a listener may change the setting.
"""

from collections.abc import Callable
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Protocol, cast

from sentry_ktime._clock import EVENTS, Clock
from sentry_ktime._setting import Setting
from sentry_ktime._time import add
from sentry_waiter import Entry, Queue

if TYPE_CHECKING:
    from sentry_ktime._driver import Driver

STOPPED = Setting()


class TimerError(RuntimeError):
    """A timer is used in a way that its state forbids; the text says what was done."""


class Listener(Protocol):
    """The receiver of expirations."""

    def notify(self, expirations: int, setting: Setting) -> Setting | None:
        """Take the number of expirations since the last time, at least one, and the setting; return another or None.

        Called with the timer's lock held.
        """
        ...

    def destroyed(self) -> None:
        """Take note that the timer was destroyed: no call will follow."""
        ...


class Timer(Entry):
    """A timer on one clock, woken by one driver. Thread-safe if its driver is.

    Method names are gVisor's: Swap and SwapAnd are `swap`, Get is `get`.
    """

    __slots__ = ("_clock", "_driver", "_listener", "_mu", "_owner", "_setting", "destroyed", "paused", "timer_seq")

    _driver: "Driver | None"

    def __init__(self, clock: Clock, listener: Listener, driver: "Driver") -> None:
        """Make a stopped timer."""
        self._clock = clock
        self._listener = listener
        self._setting = STOPPED  # guarded by _mu
        self.paused = False
        self.destroyed = False
        self.after_load()
        self._driver = driver
        self._subscribe()

    def after_load(self) -> None:
        """Complete a loaded timer: it is paused, without a driver."""
        self._mu = Lock()
        self._owner = 0
        """The thread that holds the lock."""
        self._driver = None
        self.timer_seq = 0
        """The driver's."""

    def swap(self, setting: Setting, then: Callable[[], object] | None = None) -> tuple[int, Setting]:
        """Replace the setting; return the clock's time and the old setting as it is then.

        One critical section: the old setting's expirations are reported (what the listener returns is ignored), `then`
        is called, and those that the new one has already are reported. So a listener may be called twice.

        Raises: TimerError.
        """
        driver = self._check("swap")
        started = driver.now()
        now = self._clock.now()
        self._lock()
        try:
            old, expirations = self._setting.at(now)
            if expirations:
                self._listener.notify(expirations, old)
            if then is not None:
                then()
            self._apply_locked(setting, now, driver, started)
        finally:
            self._unlock()
        return now, old

    def get(self) -> tuple[int, Setting]:
        """Return the clock's time and the setting as it is then; expirations are reported first.

        Raises: TimerError.
        """
        driver = self._check("get")
        started = driver.now()
        now = self._clock.now()
        self._lock()
        try:
            return now, self._apply_locked(self._setting, now, driver, started)
        finally:
            self._unlock()

    def tick(self) -> None:
        """Check the clock and report expirations. Nothing happens to a paused or destroyed timer."""
        driver = self._driver
        if driver is None:
            return
        started = driver.now()
        now = self._clock.now()
        self._lock()
        try:
            if not self.paused and not self.destroyed:
                self._apply_locked(self._setting, now, driver, started)
        finally:
            self._unlock()

    def pause(self) -> None:
        """Expire no longer until `resume`; nothing happens to a timer that is paused or was loaded."""
        self._lock()
        try:
            if not self.paused and not self.destroyed:
                self.paused = True
                if self._driver is not None:
                    self._driver.disarm(self)
        finally:
            self._unlock()

    def resume(self, driver: "Driver | None" = None) -> None:
        """Go on after `pause`, or after a load, which needs a driver; report what has expired meanwhile.

        Raises: TimerError for a loaded timer without a driver.
        """
        if self.destroyed or (self._driver is not None and not self.paused):
            return
        if driver is None and self._driver is None:
            message = "resume of a loaded timer: give it a driver"
            raise TimerError(message)
        self._lock()
        try:
            self.paused = False
            if driver is not None:
                self._driver = driver
        finally:
            self._unlock()
        self._subscribe()
        self.tick()

    def atomically(self, function: Callable[[], object]) -> None:
        """Call function while nothing can expire; the setting, if expirations are due, is not settled before."""
        self._lock()
        try:
            function()
        finally:
            self._unlock()

    def destroy(self) -> None:
        """Stop for ever and notify the listener. A destroyed timer may be destroyed again, but not used."""
        self._lock()
        try:
            if self.destroyed:
                return
            self.destroyed = True
            self._setting = STOPPED
            if self._driver is not None:
                self._driver.disarm(self)
        finally:
            self._unlock()
        events = self._clock.events
        if events is not None:
            events.unregister(self)
        self._listener.destroyed()

    # -- what drivers and clocks call

    def expired(self, now_ns: int) -> None:
        """Driver callback: the deadline has passed."""
        self.tick()

    def notify(self, queue: Queue, mask: int) -> None:
        """Clock callback: it has jumped or runs faster."""
        self.tick()

    # -- inside

    def _subscribe(self) -> None:
        events = self._clock.events
        if events is not None:
            events.register(self, EVENTS)

    def _apply_locked(self, setting: Setting, now: int, driver: "Driver", started: int) -> Setting:
        """Apply a setting, as it is at now, and report; return it as it was before the listener's answer.

        The driver's time was read before the clock's: the wait errs low. A clock that is its own driver may have been
        moved past the deadline before that was armed, and no callback would follow: check again.
        """
        clock = self._clock
        own_driver = cast("object", clock) is driver
        result, expirations = setting.at(now)
        settled = result
        while True:
            self._setting = settled
            if expirations:
                other = self._listener.notify(expirations, settled)
                if other is not None:
                    self._setting = other
            enabled, next_ns, _ = self._setting
            if not enabled:
                if self.timer_seq:
                    driver.disarm(self)
                return result
            driver.arm(self, add(started, clock.wall_time_until(next_ns, now)))
            if not own_driver or (later := clock.now()) <= now or later < next_ns:
                return result
            started = now = later
            settled, expirations = self._setting.at(now)

    def _check(self, action: str) -> "Driver":
        if self.destroyed:
            message = f"{action} of a destroyed timer"
            raise TimerError(message)
        driver = self._driver
        if self.paused or driver is None:
            message = f"{action} of a paused timer: resume it first"
            raise TimerError(message)
        return driver

    def _lock(self) -> None:
        me = get_ident()
        if self._owner == me:
            message = "a timer is used by its own listener, or within atomically"
            raise TimerError(message)
        self._mu.acquire()
        self._owner = me

    def _unlock(self) -> None:
        self._owner = 0
        self._mu.release()
