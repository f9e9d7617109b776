"""eventfd(2): a counter as a file. Source: Linux fs/eventfd.c."""

from collections.abc import Sequence
from typing import Final

from sentry_abi.errors import EAGAIN, EINVAL
from sentry_abi.fcntl import O_RDWR
from sentry_vfs._anon_inodes import AnonymousFilesystem
from sentry_vfs._buffers import Buffer, scatter
from sentry_vfs._file import FileDescription
from sentry_waiter import IN, OUT, RDNORM, WRNORM, Queue

MAX_COUNT: Final = (1 << 64) - 2


class EventFile(FileDescription):
    """A counter: a write adds, a read takes all, or 1 in semaphore mode."""

    __slots__ = ("count", "semaphore")

    reads_nothing = False

    def __init__(self, fs: AnonymousFilesystem, count: int, flags: int, *, semaphore: bool) -> None:
        """Make an eventfd with an initial count."""
        super().__init__(flags | O_RDWR, None, fs.inode, Queue())
        self.count = count
        self.semaphore = semaphore

    def clamp(self, count: int) -> int:
        """Return the size of the record."""
        return min(count, 8)

    def read(self, bufs: list[memoryview]) -> int:
        """Take the count. Raises: EINVAL (fewer than 8 bytes of buffer), EAGAIN (zero)."""
        if sum(map(len, bufs)) < 8:
            raise EINVAL
        if not self.count:
            raise EAGAIN
        value = 1 if self.semaphore else self.count
        self.count -= value
        scatter(bufs, value.to_bytes(8, "little"))
        assert self.queue is not None
        self.queue.notify(OUT | WRNORM)
        return 8

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Add to the count. Raises: EINVAL (not 8 bytes, or 2^64 - 1), EAGAIN (it would overflow)."""
        if sum(map(len, bufs)) != 8:
            raise EINVAL
        self.add(int.from_bytes(b"".join(bufs), "little"))
        return 8

    def add(self, value: int) -> None:
        """Add value, as a write does. Raises: EINVAL, EAGAIN."""
        if value > MAX_COUNT:
            raise EINVAL
        if self.count + value > MAX_COUNT:
            raise EAGAIN
        self.count += value
        if value:
            assert self.queue is not None
            self.queue.notify(IN | RDNORM)

    def readiness(self) -> int:
        """Return IN when the count is not 0, OUT when 1 can be added."""
        return (IN | RDNORM if self.count else 0) | (OUT | WRNORM if self.count < MAX_COUNT else 0)

    def path(self) -> bytes:
        """Return the link text."""
        return b"anon_inode:[eventfd]"
