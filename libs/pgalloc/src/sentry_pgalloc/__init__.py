"""Page allocator over one sparse memory file: zeroed ranges, reference counts, reclaim, accounting. Floor 4."""

from sentry_pgalloc._file import WINDOW, Evictable, MemoryFile, MemoryKind
from sentry_pgalloc._image import ImageError, Reader, Writer

__all__ = ["WINDOW", "Evictable", "ImageError", "MemoryFile", "MemoryKind", "Reader", "Writer"]
