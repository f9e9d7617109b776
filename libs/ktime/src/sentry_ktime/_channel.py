"""A listener for threads that wait: a channel that holds one token."""

from threading import Condition
from typing import TYPE_CHECKING

from sentry_ktime._setting import Setting
from sentry_ktime._time import SECOND_NS, add
from sentry_ktime._timer import Timer

if TYPE_CHECKING:
    from sentry_ktime._clock import Clock
    from sentry_ktime._driver import Driver


class Channel:
    """A listener that keeps one token, however often its timer expires. It cannot be saved."""

    __slots__ = ("_changed", "_closed", "_full")

    def __init__(self) -> None:
        """Make an empty channel."""
        self._changed = Condition()
        self._full = False  # guarded by _changed, as is _closed
        self._closed = False

    def notify(self, expirations: int, setting: Setting) -> None:
        """Put the token in; nothing happens if there is one."""
        with self._changed:
            self._full = True
            self._changed.notify()

    def destroyed(self) -> None:
        """Wake all waiting threads; no token will follow."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, timeout_ns: int | None = None) -> bool:
        """Take the token, waiting at most timeout_ns; return whether there was one. Not for a loop's thread."""
        with self._changed:
            self._changed.wait_for(self._ready, None if timeout_ns is None else timeout_ns / SECOND_NS)
            taken, self._full = self._full, False
            return taken

    def _ready(self) -> bool:
        return self._full or self._closed


def after(clock: "Clock", duration_ns: int, driver: "Driver") -> tuple[Timer, int, Channel]:
    """Make a timer that expires once, after a duration; return it, the time when it began, and where its token comes.

    The clock is read once. A duration of 0 or less has passed already.
    """
    channel = Channel()
    timer = Timer(clock, channel, driver)
    now = clock.now()
    timer.swap(Setting(enabled=True, next_ns=add(now, duration_ns)))
    return timer, now, channel
