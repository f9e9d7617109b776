"""Page allocator over one sparse memory file: zeroed ranges, reference counts, reclaim, accounting. Floor 4."""

from sentry_pgalloc._file import WINDOW, Evictable, MemoryFile, MemoryKind

__all__ = ["WINDOW", "Evictable", "MemoryFile", "MemoryKind"]
