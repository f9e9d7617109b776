"""Clocks, timers that sample them, and the queue of what waits for a time. Floor 4."""

from sentry_ktime._channel import Channel, after
from sentry_ktime._clock import (
    DISCONTINUITY,
    RATE_INCREASE,
    Clock,
    ManualClock,
    MonotonicClock,
    RealClock,
)
from sentry_ktime._driver import Driver, DriverError, ThreadDriver
from sentry_ktime._queue import QueueClock, Timed, TimerQueue
from sentry_ktime._setting import Setting, due
from sentry_ktime._synthetic import SyntheticClock
from sentry_ktime._time import MAX_NS, MIN_NS, SECOND_NS, add, from_seconds, from_unix, saturate, sub, to_unix
from sentry_ktime._timer import Listener, Timer, TimerError

__all__ = [
    "DISCONTINUITY",
    "MAX_NS",
    "MIN_NS",
    "RATE_INCREASE",
    "SECOND_NS",
    "Channel",
    "Clock",
    "Driver",
    "DriverError",
    "Listener",
    "ManualClock",
    "MonotonicClock",
    "QueueClock",
    "RealClock",
    "Setting",
    "SyntheticClock",
    "ThreadDriver",
    "Timed",
    "Timer",
    "TimerError",
    "TimerQueue",
    "add",
    "after",
    "due",
    "from_seconds",
    "from_unix",
    "saturate",
    "sub",
    "to_unix",
]
