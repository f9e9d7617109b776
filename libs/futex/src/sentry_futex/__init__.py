"""Futexes: wait queues on words of guest memory, PI locks, robust lists. Floor 4."""

from sentry_futex._futex import (
    MATCH_ANY,
    OWNER_DIED,
    PRIVATE,
    SHARED,
    SHARED_PRIVATE,
    TID_MASK,
    WAITERS,
    FutexError,
    Key,
    Manager,
    Target,
    Waiter,
)
from sentry_futex._robust import HEAD_SIZE, LIMIT, ListTarget, walk_robust_list

__all__ = [
    "HEAD_SIZE",
    "LIMIT",
    "MATCH_ANY",
    "OWNER_DIED",
    "PRIVATE",
    "SHARED",
    "SHARED_PRIVATE",
    "TID_MASK",
    "WAITERS",
    "FutexError",
    "Key",
    "ListTarget",
    "Manager",
    "Target",
    "Waiter",
    "walk_robust_list",
]
