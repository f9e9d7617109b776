"""What mm needs from above: files that can be mapped, and limits; and the one mappable thing that is mm's own."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from sentry_pgalloc import MemoryFile, MemoryKind

if TYPE_CHECKING:
    from sentry_platform import Backing


class Extent(NamedTuple):
    """A page-aligned piece of a file: length bytes of backing from offset on."""

    backing: "Backing"
    offset: int
    length: int


class Mappable(Protocol):
    """A file as something to be mapped.

    It may have an attribute `mappers: set[MemoryManager]`; mm then puts itself in, and whoever truncates the file calls
    `invalidate(file, from_offset)` on each member (`sentry_mm.truncated` does that for all).

    With `mappers` it may have methods `mapped(manager)` and `unmapped(manager)`: an area of it has been added to an
    address space (also by fork, after which the child is filled further), or has just been removed from its list.
    """

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return what lies behind [offset, offset + length), in order, up to the last page of the file.

        A shorter list means end of file. An extent in the memory file carries no reference of its own: mm takes one.
        """
        ...

    def mapped_size(self) -> int:
        """Return the size of the file in bytes now."""
        ...

    def mapping_identity(self) -> object:
        """Return what is equal for two mappings of the same file, and hashable: futex key and reverse map."""
        ...


class Limits(Protocol):
    """Resource limits of a thread group."""

    def soft(self, resource: int, /) -> int:
        """Return the soft limit; 2^64 - 1 for none."""
        ...


class NoLimits:
    """Limits that never bite."""

    __slots__ = ()

    def soft(self, resource: int, /) -> int:
        """Return no limit."""
        return (1 << 64) - 1


class SharedMemory:
    """MAP_SHARED | MAP_ANONYMOUS: a nameless file. Holds one reference of its pages while an area names it."""

    __slots__ = ("length", "memory", "offset")

    def __init__(self, memory: MemoryFile, length: int, *, top_down: bool = False) -> None:
        """Allocate length bytes.

        Raises: ENOMEM.
        """
        self.memory = memory
        self.length = length
        self.offset = memory.allocate(length, MemoryKind.ANONYMOUS, top_down=top_down)

    def __del__(self) -> None:
        """Give the pages back: areas in several address spaces share this object, and nothing else counts them."""
        if hasattr(self, "offset") and self.memory.fd >= 0:
            self.memory.decref(self.offset, self.length)

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """See Mappable."""
        length = min(length, self.length - offset)
        return [Extent(self.memory, self.offset + offset, length)] if length > 0 else []

    def mapped_size(self) -> int:
        """See Mappable."""
        return self.length

    def mapping_identity(self) -> object:
        """See Mappable."""
        return self
