"""What a timer is set to, and the arithmetic of expirations.

Expirations are computed from the period, never counted by firing: however late the check, the number is right.

Sources: timer_settime(2), timerfd_settime(2); Linux kernel/time/hrtimer.c hrtimer_forward.
"""

from typing import NamedTuple

from sentry_abi.errors import EINVAL
from sentry_ktime._time import add, saturate


def due(next_ns: int, period_ns: int, now_ns: int) -> tuple[int, int]:
    """Return how often a timer that is due has expired by now, and when it is next (0: never, for it has no period)."""
    if not period_ns:
        return 1, 0
    count = 1 + (now_ns - next_ns) // period_ns
    return count, next_ns + count * period_ns


class Setting(NamedTuple):
    """Whether a timer runs, when it expires next, and after how long again (0: once)."""

    enabled: bool = False
    next_ns: int = 0
    period_ns: int = 0

    @classmethod
    def relative(cls, value_ns: int, period_ns: int, now_ns: int) -> "Setting":
        """Return what expires value_ns from now; 0 stops the timer and keeps the period. Raises: EINVAL if negative."""
        _check(value_ns, period_ns)
        return cls(value_ns > 0, add(now_ns, value_ns) if value_ns else 0, saturate(period_ns))

    @classmethod
    def absolute(cls, value_ns: int, period_ns: int) -> "Setting":
        """Return what expires at value_ns; 0 stops the timer and keeps the period. Raises: EINVAL if negative."""
        _check(value_ns, period_ns)
        return cls(value_ns > 0, saturate(value_ns), saturate(period_ns))

    def at(self, now_ns: int) -> "tuple[Setting, int]":
        """Return the setting as it is at now, and how often it has expired since it was made.

        A timer whose time is now is due. An earlier now than before is no mistake: clocks are set back.
        """
        enabled, next_ns, period_ns = self
        if not enabled or next_ns > now_ns:
            return self, 0
        count, after = due(next_ns, period_ns, now_ns)
        return Setting(period_ns > 0, saturate(after), period_ns), count

    def remaining(self, now_ns: int) -> tuple[int, int]:
        """Return what is left until the next expiration, and the period; 0 is left of a stopped timer.

        Not positive if the timer is due: `at` settles it first.
        """
        return saturate(self.next_ns - now_ns) if self.enabled else 0, self.period_ns


def _check(value_ns: int, period_ns: int) -> None:
    if value_ns < 0 or period_ns < 0:
        raise EINVAL
