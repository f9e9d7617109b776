"""mmap and munmap: what they check, in Linux's order, and what they do.

Mapping is eager: writable anonymous memory gets one sparse range of the memory file and one host mapping at once,
whatever its length, and never faults in the kernel again. PROT_NONE memory gets neither until it becomes accessible, so
that a runtime may reserve terabytes. Sources: Linux mm/mmap.c (6.1); mmap(2), munmap(2).
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import (
    EACCES,
    EAGAIN,
    EEXIST,
    EINVAL,
    ENOMEM,
    EOVERFLOW,
    EPERM,
    LinuxError,
)
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE
from sentry_abi.mman import (
    MAP_32BIT,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_TYPE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
)
from sentry_abi.resource import RLIMIT_MEMLOCK
from sentry_mm._access import Access
from sentry_mm._areas import (
    OWNED,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_LOCKONFAULT,
    VM_NORESERVE,
    VM_SHARED,
    Area,
    Run,
)
from sentry_mm._limits import MAX_MAP_COUNT, MMAP_MIN_ADDR
from sentry_mm._mappable import SharedMemory
from sentry_pgalloc import MemoryKind
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mappable import Mappable

_SMALL_DATA: Final = 64 << 10
"""A writable private file mapping up to here is copied when it is made: one fault costs more than the copy."""
_SLICE: Final = 256 << 10
"""How much of what was unmapped is given back to the host at once (60 us); the rest with later calls."""
_WINDOW_32: Final = (0x40000000, 0x80000000)
_RWX: Final = PROT_READ | PROT_WRITE | PROT_EXEC


class Map(Access):
    """Access with mmap and munmap."""

    __slots__ = ()

    def mmap(
        self,
        addr: int,
        length: int,
        prot: int,
        flags: int,
        file: "Mappable | None" = None,
        offset: int = 0,
        *,
        max_prot: int = _RWX,
        name: object = b"",
        may_lock: bool = False,
        refusal: LinuxError | None = None,
    ) -> int:
        """Map length bytes of file, or of nothing if it is None, at addr or where there is room; return the address.

        max_prot: what the open file allows at most (a shared mapping of a file open for reading: no PROT_WRITE).
        name: the file's path, or what it is made from.
        may_lock: the caller has CAP_IPC_LOCK.
        refusal: why the file may not be mapped this way, raised when everything else about the place is right.
        Raises: EINVAL, ENOMEM, EOVERFLOW, EPERM, EEXIST, EAGAIN, EACCES.
        """
        if offset & (PAGE_SIZE - 1) or not length:
            raise EINVAL
        length = (length + PAGE_SIZE - 1) & -PAGE_SIZE
        if length > TASK_SIZE:
            raise ENOMEM
        if offset + length > 1 << 63:
            raise EOVERFLOW
        if len(self.areas) >= MAX_MAP_COUNT:
            raise ENOMEM
        fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)
        addr = self._place(addr, length, flags)
        if refusal is not None:
            raise refusal
        area_flags = self._flags(flags, file)
        self._may_lock(area_flags, length, privileged=may_lock)
        prot &= _RWX
        if prot & ~max_prot:
            raise EACCES
        end = addr + length
        if fixed:
            self._check_expand(addr, end, prot, area_flags)
        else:
            self._allowed(length, length if prot & PROT_WRITE and not area_flags & (VM_SHARED | VM_GROWSDOWN) else 0)
        if area_flags & VM_SHARED and file is None:
            file = SharedMemory(self.memory, length, top_down=not fixed)
        area = Area(addr, end, prot, max_prot, area_flags, file, offset, name)
        runs = self._runs_for(area, top_down=not fixed)
        self._install(
            area,
            runs,
            populate=bool(flags & MAP_POPULATE or (area_flags & VM_LOCKED and not area_flags & VM_LOCKONFAULT)),
        )
        return addr

    def _place(self, addr: int, length: int, flags: int) -> int:
        """Return where a mapping goes. Raises: EINVAL, ENOMEM, EPERM, EEXIST."""
        if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE):
            if addr & (PAGE_SIZE - 1):
                raise EINVAL
            if addr + length > TASK_SIZE:
                raise ENOMEM
            if addr < MMAP_MIN_ADDR:
                raise EPERM
            if flags & MAP_FIXED_NOREPLACE and self.areas.within(addr, addr + length):
                raise EEXIST
            return addr
        if addr:
            addr = max((addr + PAGE_SIZE - 1) & -PAGE_SIZE, MMAP_MIN_ADDR)
            if addr + length <= TASK_SIZE and self._is_free(addr, addr + length):
                return addr
        if flags & MAP_32BIT:
            return self._search_up(length, *_WINDOW_32)
        return self.find_free(length)

    def _flags(self, flags: int, file: "Mappable | None") -> int:
        """Return the area flags of mmap flags. Raises: EINVAL."""
        kind = flags & MAP_TYPE
        if kind == MAP_SHARED or (kind == MAP_SHARED_VALIDATE and file is not None):
            if flags & MAP_GROWSDOWN:
                raise EINVAL
            area_flags = VM_SHARED
        elif kind == 2:
            area_flags = 0
            if flags & MAP_GROWSDOWN:
                if file is not None:
                    raise EINVAL
                area_flags = VM_GROWSDOWN
        else:
            raise EINVAL
        if flags & MAP_LOCKED:
            area_flags |= VM_LOCKED
        if flags & MAP_NORESERVE:
            area_flags |= VM_NORESERVE
        return area_flags | self.lock_flags

    def _may_lock(self, area_flags: int, length: int, *, privileged: bool) -> None:
        """Check RLIMIT_MEMLOCK. Raises: EPERM if it is 0, EAGAIN if not this much more may be locked."""
        if not area_flags & VM_LOCKED or privileged:
            return
        limit = self.limits.soft(RLIMIT_MEMLOCK)
        if limit == 0:
            raise EPERM
        if self.locked_bytes + length > limit:
            raise EAGAIN

    def _check_expand(self, start: int, end: int, prot: int, area_flags: int) -> None:
        """Check the limits for a mapping that replaces [start, end). Raises: ENOMEM."""
        grow = end - start
        data = grow if prot & PROT_WRITE and not area_flags & (VM_SHARED | VM_GROWSDOWN) else 0
        for area in self.areas.within(start, end):
            covered = min(area.end, end) - max(area.start, start)
            grow -= covered
            if area.prot & PROT_WRITE and not area.flags & (VM_SHARED | VM_GROWSDOWN):
                data -= covered
        self._allowed(grow, data)

    def _runs_for(self, area: Area, *, top_down: bool) -> list[Run]:
        """Return the runs of a new area, references held. Raises: LinuxError."""
        if area.file is None:
            if not area.prot:
                return []
            if area.flags & VM_GROWSDOWN or not top_down:
                return [self._fresh(area.start, area.end, top_down=top_down)]
            offset = self.memory.allocate(area.end - area.start, MemoryKind.ANONYMOUS, top_down=True)
            return [Run(area.start, area.end, self.memory, offset, OWNED)]
        runs = self._file_runs(area, area.start, area.end)
        if area.prot & PROT_WRITE and not area.flags & VM_SHARED and area.end - area.start <= _SMALL_DATA:
            return self._copied(runs)
        return runs

    def _install(self, area: Area, runs: list[Run], *, populate: bool = False) -> None:
        """Put a new area and its runs in place of whatever is there. Raises: LinuxError; then the runs are dropped."""
        start, end = area.start, area.end
        replaces = bool(self.areas.within(start, end))
        ops: list[Op] = []
        at = start
        unmap = replaces and self._host_maps(start, end)
        if area.prot:
            for run in runs:
                if unmap and at < run.start:
                    ops.append(Op("unmap", at, run.start - at))
                ops.append(
                    Op(
                        "map",
                        run.start,
                        run.end - run.start,
                        run.host_prot(area.prot),
                        run.backing,
                        run.offset,
                        populate,
                    )
                )
                at = run.end
        if unmap and at < end:
            ops.append(Op("unmap", at, end - at))
        self._apply_for(ops, runs)
        if replaces:
            self._remove(start, end)
        self._add_area(area)
        for run in runs:
            self.runs.add(run)

    # -- munmap -------------------------------------------------------------------------------------------------------

    def munmap(self, addr: int, length: int) -> None:
        """Remove whatever is in the range; holes are fine. Raises: EINVAL, ENOMEM."""
        if addr & (PAGE_SIZE - 1) or not length:
            raise EINVAL
        end = addr + ((length + PAGE_SIZE - 1) & -PAGE_SIZE)
        if end > TASK_SIZE:
            raise EINVAL
        self._unmap(addr, end)

    def _unmap(self, start: int, end: int) -> None:
        areas = self.areas.within(start, end)
        if not areas:
            return
        if len(areas) == 1 and areas[0].start < start and areas[0].end > end and len(self.areas) >= MAX_MAP_COUNT:
            raise ENOMEM
        if self._host_maps(start, end):
            self._apply([Op("unmap", start, end - start)])
        self._remove(start, end)
        self.memory.reclaim(_SLICE)
