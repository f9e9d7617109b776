"""Memory that is shared without a file: MAP_SHARED | MAP_ANONYMOUS, and the pages of a System V segment."""

from typing import TYPE_CHECKING

from sentry_mm._mappable import Extent
from sentry_pgalloc import MemoryFile, MemoryKind

if TYPE_CHECKING:
    from sentry_mm._mappable import Mapper


class SharedMemory:
    """A nameless file. It holds one reference of its pages until its last VMA goes, or until `release`."""

    __slots__ = ("length", "mapped_bytes", "memory", "offset")

    counts_vmas = False

    def __init__(self, memory: MemoryFile, length: int, *, top_down: bool = False) -> None:
        """Allocate length bytes.

        Raises: ENOMEM.
        """
        self.memory = memory
        self.length = length
        self.mapped_bytes = 0
        """Bytes of all VMAs that map it."""
        self.offset = memory.allocate(length, MemoryKind.ANONYMOUS, top_down=top_down)

    def release(self) -> None:
        """Give the pages back; PMAs keep theirs. Once."""
        self.memory.decref(self.offset, self.length)

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """See Mappable."""
        del shared, write
        length = min(length, self.length - offset)
        return [Extent(self.memory, self.offset + offset, length)] if length > 0 else []

    def mapped_size(self) -> int:
        """See Mappable."""
        return self.length

    def mapping_identity(self) -> object:
        """See Mappable."""
        return self

    def mapped(self, mm: "Mapper", length: int, *, writable: bool) -> None:
        """See Mappable."""
        del mm, writable
        self.mapped_bytes += length

    def unmapped(self, mm: "Mapper", length: int, *, writable: bool) -> None:
        """See Mappable; the last VMA releases the pages."""
        del mm, writable
        self.mapped_bytes -= length
        if not self.mapped_bytes:
            self.release()
