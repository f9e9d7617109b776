"""Points and lengths of time: signed 64-bit nanoseconds that saturate.

A time is a plain int between `MIN_NS` and `MAX_NS`; MAX means "never", MIN "always". Sums that would leave the
range stop at its ends, so that a deadline computed from a guest's numbers never wraps into the past.

Differs: gVisor leaves very negative seconds unguarded; here they saturate too, as Linux's ktime_set does upwards.

Sources: Linux include/linux/ktime.h; gVisor `pkg/sentry/ktime`.
"""

from typing import Final

SECOND_NS: Final = 1_000_000_000
MAX_NS: Final = (1 << 63) - 1
MIN_NS: Final = -(1 << 63)


def saturate(ns: int) -> int:
    """Return the nearest time that fits into 64 bits."""
    return MAX_NS if ns > MAX_NS else max(ns, MIN_NS)


def add(time_ns: int, duration_ns: int) -> int:
    """Return a time so much later (earlier, if negative)."""
    return saturate(time_ns + duration_ns)


def sub(later_ns: int, earlier_ns: int) -> int:
    """Return the time from earlier to later; negative if it is the other way round."""
    return saturate(later_ns - earlier_ns)


def from_seconds(seconds: int) -> int:
    """Return so many seconds in nanoseconds."""
    return saturate(seconds * SECOND_NS)


def from_unix(seconds: int, nanoseconds: int) -> int:
    """Return the time of a struct timespec."""
    return saturate(seconds * SECOND_NS + nanoseconds)


def to_unix(ns: int) -> tuple[int, int]:
    """Return seconds and nanoseconds, both rounded towards zero: a negative time has a negative nanosecond part."""
    if ns < 0:
        seconds, rest = divmod(-ns, SECOND_NS)
        return -seconds, -rest
    return divmod(ns, SECOND_NS)
