"""Resource limits of a thread group. Floor 2."""

from sentry_limits._limits import KINDS, NR_OPEN, UNLIMITED, Kind, Limit, LimitSet, host_limits

__all__ = ["KINDS", "NR_OPEN", "UNLIMITED", "Kind", "Limit", "LimitSet", "host_limits"]
