"""Shared memory: segments are files without a name that mm maps.

How often a segment is attached is counted in the address spaces that map it. Source: Linux ipc/shm.c (6.1).
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import EINVAL, ENOMEM, ENOSPC
from sentry_abi.ipc import SHM_DEST, SHM_HUGETLB, SHMMIN, SHMMNI
from sentry_abi.memory import PAGE_SIZE
from sentry_mm import Extent, Mapper, Mappers, SharedMemory
from sentry_sysvipc._objects import Object, Registry, Surroundings

if TYPE_CHECKING:
    from typing import TypeGuard

    from sentry_auth import Credentials
    from sentry_pgalloc import MemoryFile

SHMMAX: Final = (1 << 64) - 1 - (1 << 24)
SHMALL: Final = SHMMAX
"""Pages of all segments together."""
_LARGEST: Final = 1 << 45
"""No memory file is larger."""


class Segment(Object):
    """One segment, a `sentry_mm.Mappable`; its pages live until it is removed and no VMA maps it."""

    counts_vmas = True

    __slots__ = ("_pages", "_segments", "atime", "cpid", "dtime", "lpid", "mappers", "size")

    def __init__(self, segments: "Segments", key: int, size: int, mode: int, creds: "Credentials") -> None:
        """Allocate the pages, which read as zeros. Raises: ENOMEM."""
        around = segments.around
        super().__init__(key, mode, creds, around.now())
        if size > _LARGEST:
            raise ENOMEM
        self.size = size
        """Bytes, as requested."""
        self.atime = self.dtime = 0
        self.cpid = around.pid()
        self.lpid = 0
        self.mappers = Mappers()
        self._segments = segments
        self._pages = SharedMemory(segments.memory, (size + PAGE_SIZE - 1) & -PAGE_SIZE)

    # as a Mappable

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """See `sentry_mm.Mappable`."""
        return self._pages.extents(offset, length, shared=shared, write=write)

    def mapped_size(self) -> int:
        """See `sentry_mm.Mappable`."""
        return self._pages.length

    def mapping_identity(self) -> object:
        """See `sentry_mm.Mappable`."""
        return self

    def mapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count one VMA more. Linux: shm_open."""
        self.mappers.add(mm, length, writable=writable)
        around = self._segments.around
        self.atime = around.now()
        self.lpid = around.pid()

    def unmapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count one VMA less; the last one destroys a removed segment. Linux: shm_close."""
        self.mappers.remove(mm, length, writable=writable)
        around = self._segments.around
        self.dtime = around.now()
        self.lpid = around.pid()
        if self.mode & SHM_DEST and not self.removed and not self.mappers:
            self._segments.drop(self)

    @property
    def attached(self) -> int:
        """How many VMAs map it: shm_nattch."""
        return sum(mm.vmas_of(self) for mm in self.mappers.lengths)

    @property
    def pages(self) -> int:
        """How many pages it has."""
        return self._pages.length // PAGE_SIZE

    @property
    def resident(self) -> int:
        """How many pages of it have ever been touched."""
        pages = self._pages
        held = pages.memory.committed(pages.offset, pages.offset + pages.length)
        return sum(end - start for start, end in held) // PAGE_SIZE

    def destroy(self) -> None:
        """Free the pages. Linux: shm_destroy."""
        self._pages.release()


class Segments(Registry[Segment]):
    """The segments of a namespace."""

    __slots__ = ("memory",)

    largest = SHMMAX
    """Bytes of one segment at most: shmmax."""

    def __init__(self, memory: "MemoryFile", around: Surroundings) -> None:
        """Begin with none; pages come from memory."""
        super().__init__(SHMMNI, around)
        self.memory = memory

    def get(self, key: int, size: int, flags: int, creds: "Credentials") -> Segment:
        """Return the segment of a key, or a new one: shmget(2).

        Raises: ENOENT, EEXIST, EINVAL (size), EACCES, ENOSPC, ENOMEM (also for huge pages: there are none).
        """
        found = self.existing(key, flags)
        if found is not None:
            if found.size < size:
                raise EINVAL
            found.check(creds, flags & 0o777)
            return found
        if not SHMMIN <= size <= SHMMAX:
            raise EINVAL
        if self.total_pages + (size + PAGE_SIZE - 1) // PAGE_SIZE > SHMALL or len(self) >= self.limit:
            raise ENOSPC
        if flags & SHM_HUGETLB:
            raise ENOMEM
        return self.add(Segment(self, key, size, flags, creds))

    def remove(self, segment: Segment) -> None:
        """Destroy a segment, or mark it to be destroyed with its last mapping: IPC_RMID. Linux: do_shm_rmid."""
        if segment.mappers:
            segment.mode |= SHM_DEST
            self.hide(segment)
        else:
            self.drop(segment)

    def drop(self, gone: Segment) -> None:
        """Remove a segment from the tables and free its pages."""
        super().drop(gone)
        gone.destroy()

    def owns(self, file: object) -> "TypeGuard[Segment]":
        """Return whether the file of a VMA is a segment, removed or not."""
        return isinstance(file, Segment)

    @property
    def total_pages(self) -> int:
        """Pages of all segments."""
        return sum(segment.pages for segment in self.objects.values())
