"""File systems whose files are in the memory file, and how much they may hold."""

import os

from sentry_fs._data import Memory
from sentry_vfs import Filesystem, KernelWide


def half_of_memory() -> int:
    """Return half of the host's memory in bytes: what Linux lets a tmpfs take."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


class Quota:
    """How much the files of one file system may take. Differs: pages written through a mapping are not counted."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        """Allow limit bytes."""
        self.limit = limit
        self.used = 0

    def left(self) -> int:
        """Return how many bytes are left."""
        return max(self.limit - self.used, 0)


class MemoryFilesystem(Filesystem):
    """A file system with files in memory. What they hold is limited by `quota`; None is no limit."""

    __slots__ = ("memory", "quota")

    def __init__(self, vfs: KernelWide, memory: Memory, limit: int | None = None, source: bytes = b"none") -> None:
        """Allow limit bytes: half of the memory if None, any number if negative."""
        super().__init__(vfs, source)
        self.memory = memory
        limit = half_of_memory() if limit is None else limit
        self.quota = Quota(limit) if limit >= 0 else None
