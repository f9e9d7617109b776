"""Ten thousand timers: arming, disarming, expiring, in a loop's queue and with one driver thread."""

import random
import time
from collections.abc import Callable

from sentry_host import real_host
from sentry_ktime import MonotonicClock, Setting, SyntheticClock, ThreadDriver, Timer, TimerQueue

HOST = real_host()
COUNT = 10_000
SECOND = 10**9


class Quiet:
    """A listener and something timed, that does nothing."""

    __slots__ = ("timer_seq",)

    def __init__(self) -> None:
        """Be armed nowhere."""
        self.timer_seq = 0

    def expired(self, now_ns: int) -> None:
        """See Timed."""

    def notify(self, expirations: int, setting: Setting) -> None:
        """See Listener."""

    def destroyed(self) -> None:
        """See Listener."""


def measure(name: str, body: Callable[[], None]) -> None:
    """Print the time of each of COUNT operations."""
    start = time.perf_counter_ns()
    body()
    print(f"{name:36} {(time.perf_counter_ns() - start) / COUNT / 1000:.2f} us")


clock = MonotonicClock(HOST)
deadlines = [clock.now() + 100 * SECOND + i for i in range(COUNT)]
random.Random(1).shuffle(deadlines)  # noqa: S311  (any order will do)
queue = TimerQueue(clock)
timed = [Quiet() for _ in range(COUNT)]


def arm() -> None:
    """Arm all."""
    for item, deadline in zip(timed, deadlines, strict=True):
        queue.arm(item, deadline)


def disarm() -> None:
    """Disarm all."""
    for item in timed:
        queue.disarm(item)


def due() -> None:
    """Expire all."""
    queue.expire()


measure("queue: arm", arm)
measure("queue: arm anew", arm)
measure("queue: disarm", disarm)
deadlines = [1] * COUNT
arm()
measure("queue: expire", due)

synthetic = SyntheticClock()
timers = [Timer(synthetic, Quiet(), synthetic) for _ in range(COUNT)]


def swap() -> None:
    """Set all."""
    for number, timer in enumerate(timers):
        timer.swap(Setting(enabled=True, next_ns=1000 + number, period_ns=100_000))


measure("timer on a synthetic clock: swap", swap)
measure("timer on a synthetic clock: expire", lambda: synthetic.store(50_000))
with ThreadDriver(HOST) as driver:
    timers = [Timer(clock, Quiet(), driver) for _ in range(COUNT)]
    far = clock.now() + 1000 * SECOND

    def swap_far() -> None:
        """Set all, far away."""
        for timer in timers:
            timer.swap(Setting(enabled=True, next_ns=far))

    measure("timer with a driver thread: swap", swap_far)
