"""Record locks (fcntl) and whole-file locks (flock) of an inode.

Record locks belong to a descriptor table (POSIX) or to a description (OFD); any close of the file in the table drops
the table's. Whole-file locks belong to a description. Waiting, and deadlocks between waiters, are the caller's.

Sources: Linux fs/locks.c, fcntl(2), flock(2).
"""

from typing import Final, NamedTuple

from sentry_abi.errors import EAGAIN
from sentry_abi.fcntl import F_UNLCK, F_WRLCK, LOCK_EX, LOCK_UN
from sentry_waiter import OUT, Queue

EOF: Final = 1 << 63
"""End of a lock that extends to the end of the file, however large it grows (OFFSET_MAX)."""


class Lock(NamedTuple):
    """A locked range [start, end) of an owner; pid is what F_GETLK shows."""

    start: int
    end: int
    kind: int
    owner: object
    pid: int


class LockTable:
    """The locks of one inode."""

    __slots__ = ("_flocks", "_records", "queue")

    def __init__(self) -> None:
        """Make an empty table."""
        self._records: list[Lock] = []
        self._flocks: dict[object, int] = {}
        self.queue = Queue()

    def conflict(self, wanted: Lock) -> Lock | None:
        """Return the first lock of another owner that conflicts with wanted (posix_test_lock)."""
        for lock in self._records:
            if (
                lock.owner is not wanted.owner
                and lock.start < wanted.end
                and wanted.start < lock.end
                and F_WRLCK in {lock.kind, wanted.kind}
            ):
                return lock
        return None

    def held(self, wanted: Lock) -> Lock | None:
        """Return the owner's own first lock in a range."""
        for lock in self._records:
            if lock.owner is wanted.owner and lock.start < wanted.end and wanted.start < lock.end:
                return lock
        return None

    def set(self, wanted: Lock) -> None:
        """Set or drop (F_UNLCK) a record lock; parts of the owner's older locks in the range are replaced.

        Raises: EAGAIN.
        """
        if wanted.kind != F_UNLCK and self.conflict(wanted) is not None:
            raise EAGAIN
        kept: list[Lock] = []
        start, end = wanted.start, wanted.end
        for lock in self._records:  # of one owner and kind no two touch
            if lock.owner is not wanted.owner or lock.end < wanted.start or wanted.end < lock.start:
                kept.append(lock)
            elif lock.kind == wanted.kind:
                start, end = min(start, lock.start), max(end, lock.end)
            else:
                if lock.start < wanted.start:
                    kept.append(lock._replace(end=wanted.start))
                if wanted.end < lock.end:
                    kept.append(lock._replace(start=wanted.end))
        if wanted.kind != F_UNLCK:
            kept.append(wanted._replace(start=start, end=end))
        kept.sort(key=lambda lock: lock.start)
        self._records = kept
        self.queue.notify(OUT)

    def flock(self, owner: object, operation: int) -> None:
        """Set or drop a whole-file lock. Raises: EAGAIN."""
        if operation == LOCK_UN:
            self._flocks.pop(owner, None)
            self.queue.notify(OUT)
            return
        for other, kind in self._flocks.items():
            if other is not owner and LOCK_EX in {kind, operation}:
                raise EAGAIN
        self._flocks[owner] = operation
        self.queue.notify(OUT)

    def drop(self, owner: object) -> None:
        """Drop all locks of an owner."""
        held = len(self._records)
        self._records = [lock for lock in self._records if lock.owner is not owner]
        if self._flocks.pop(owner, None) is not None or len(self._records) != held:
            self.queue.notify(OUT)

    def __bool__(self) -> bool:
        """Return whether there are any locks."""
        return bool(self._records or self._flocks)
