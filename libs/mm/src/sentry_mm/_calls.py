"""mmap, munmap, mprotect, mremap, brk: what they check, in Linux's order, and what they do.

Mapping is eager: writable anonymous memory gets one sparse range of the memory file and one host mapping at once,
whatever its length, and never faults in the kernel again. PROT_NONE memory gets neither until it becomes accessible,
so that a runtime may reserve terabytes. Sources: Linux mm/mmap.c, mm/mprotect.c, mm/mremap.c (6.1); mmap(2),
mprotect(2), mremap(2), brk(2).
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import (
    EACCES,
    EAGAIN,
    EEXIST,
    EFAULT,
    EINVAL,
    ENOMEM,
    EOVERFLOW,
    EPERM,
    LinuxError,
)
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_up
from sentry_abi.mman import (
    MAP_32BIT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_TYPE,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_SEM,
    PROT_WRITE,
)
from sentry_abi.resource import RLIM_INFINITY, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK
from sentry_mm._access import Access
from sentry_mm._areas import (
    COW,
    OWNED,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_LOCKONFAULT,
    VM_NORESERVE,
    VM_SHARED,
    Area,
    Run,
)
from sentry_mm._fault import noexec
from sentry_mm._limits import EAGER_STACK, MAX_MAP_COUNT, MMAP_MIN_ADDR
from sentry_mm._mappable import SharedMemory
from sentry_pgalloc import MemoryKind
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mappable import Mappable

_SMALL_DATA: Final = 64 << 10
"""A writable private file mapping up to here is copied when it is made: one fault costs more than the copy."""
_RESERVE: Final = 64 << 30
_SLICE: Final = 256 << 10
"""How much of what was unmapped is given back to the host at once (60 us); the rest with later calls."""
_WINDOW_32: Final = (0x40000000, 0x80000000)
_RWX: Final = PROT_READ | PROT_WRITE | PROT_EXEC


class Calls(Access):
    """Access with the system calls that make, change and remove areas."""

    __slots__ = ()

    # -- mmap ---------------------------------------------------------------------------------------------------------

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
    ) -> int:
        """Map length bytes of file, or of nothing if it is None, at addr or where there is room; return the address.

        max_prot: what the open file allows at most (a shared mapping of a file open for reading: no PROT_WRITE).
        name: the file's path, or what it is made from.
        may_lock: the caller has CAP_IPC_LOCK.
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

    # -- mprotect -----------------------------------------------------------------------------------------------------

    def mprotect(self, addr: int, length: int, prot: int) -> None:
        """Change what is allowed in the range. Raises: EINVAL, ENOMEM, EACCES; what lies before a hole is changed."""
        grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP)
        prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP)
        if grows == PROT_GROWSDOWN | PROT_GROWSUP or addr & (PAGE_SIZE - 1):
            raise EINVAL
        if not length:
            return
        end = addr + page_up(length)
        if end > 1 << 64:
            raise ENOMEM
        if prot & ~(_RWX | PROT_SEM):
            raise EINVAL
        prot &= _RWX
        if grows:
            area = self.areas.at(addr)
            if area is None:
                raise ENOMEM
            if grows == PROT_GROWSUP or not area.flags & VM_GROWSDOWN:
                raise EINVAL
            addr = area.start
        error = self._protect(addr, end, prot)
        if error is not None:
            raise error

    def _protect(self, start: int, end: int, prot: int) -> type[LinuxError] | None:
        """Change the areas of [start, end) up to a hole or one that does not allow it; return that error."""
        ops: list[Op] = []
        fresh: list[Run] = []
        at, error = self._plan_protect(start, end, prot, ops, fresh)
        if at > start:
            self._apply_for(ops, fresh)
            self._set_prot(start, at, prot)
        for run in fresh:
            self.runs.add(run)
        return error

    def _plan_protect(
        self, start: int, end: int, prot: int, ops: list[Op], fresh: list[Run]
    ) -> tuple[int, type[LinuxError] | None]:
        """Collect what it takes; return how far that goes, and why not to the end."""
        for area in self.areas.within(start, end):
            if area.start > start:
                break
            if prot & ~area.max_prot:
                return start, EACCES
            high = min(area.end, end)
            if area.prot != prot:
                try:
                    self._protect_ops(area, start, high, prot, ops, fresh)
                except LinuxError as failed:
                    return start, type(failed)
            start = high
        return start, ENOMEM if start < end else None

    def _protect_ops(self, area: Area, low: int, high: int, prot: int, ops: list[Op], fresh: list[Run]) -> None:
        """Collect what it takes to give [low, high) of an area another protection. Raises: ENOMEM."""
        if prot & PROT_WRITE and not area.prot & PROT_WRITE and not area.flags & (VM_SHARED | VM_GROWSDOWN):
            self._allowed(0, high - low)
        if prot and area.file is None:
            # The file range is for the whole reservation: what is made accessible later lies beside it and merges.
            span = (area.start, area.end) if area.end - area.start <= _RESERVE else (low, high)
            for gap, gap_end in self._gaps(*span):
                run = self._fresh(gap, gap_end, top_down=True)
                fresh.append(run)
                if gap < high and gap_end > low:
                    ops.append(self._map_op(run, prot, low, high))
        elif prot & PROT_WRITE and area.flags & VM_SHARED:
            self._make_writable(area, low, high)
        elif prot & ~area.prot & PROT_EXEC:
            self._make_executable(area, low, high)
        for run in self.runs.within(low, high):
            old = run.host_prot(area.prot)
            new_prot = run.host_prot(prot)
            first, last = max(low, run.start), min(high, run.end)
            if not prot:
                ops.append(Op("unmap", first, last - first))
            elif not area.prot:
                ops.append(self._map_op(run, prot, first, last))
            elif old != new_prot:
                ops.append(Op("protect", first, last - first, new_prot))

    def _make_writable(self, area: Area, low: int, high: int) -> None:
        """Replace read-only backings of a shared file mapping by ones that may be written. Raises: LinuxError."""
        if area.file is None or all(run.backing.kind in {"memory", "shared"} for run in self.runs.within(low, high)):
            return
        wanted = Area(
            low, high, area.prot | PROT_WRITE, area.max_prot, area.flags, area.file, area.offset + low - area.start, b""
        )
        runs = self._file_runs(wanted, low, high)
        if area.prot:
            self._apply_for([self._map_op(run, area.prot, low, high) for run in runs], runs)
        for old in self.runs.take(low, high):
            self._drop(old)
        for run in runs:
            self.runs.add(run)
        self._forget()

    def _make_executable(self, area: Area, low: int, high: int) -> None:
        """Replace pages of a file that the host does not let anybody execute by copies. Raises: LinuxError."""
        runs = [r for r in self.runs.within(low, high) if r.backing.kind == "host"]
        if not noexec(runs):
            return
        for run in runs:
            first, last = max(run.start, low), min(run.end, high)
            copies = self._copied([Run(first, last, run.backing, run.offset + first - run.start, COW)])
            if area.prot:
                self._apply_for([self._map_op(copy, area.prot, first, last) for copy in copies], copies)
            for old in self.runs.take(first, last):
                self._drop(old)
            for copy in copies:
                self.runs.add(copy)
        self._forget()

    def _set_prot(self, start: int, end: int, prot: int) -> None:
        first, last = self.areas.cut(start, end)
        for area in self.areas.items[first:last]:
            self._account(area, -1)
            area.prot = prot
            self._account(area, 1)
        self.areas.join_range(start, end)
        self._forget()

    # -- mremap -------------------------------------------------------------------------------------------------------

    def mremap(
        self, old: int, old_length: int, new_length: int, flags: int, new: int = 0, *, may_lock: bool = False
    ) -> int:
        """Resize or move a mapping; return where it is. Raises: EINVAL, EFAULT, ENOMEM, EAGAIN, EPERM."""
        if flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) or (
            flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) and not flags & MREMAP_MAYMOVE
        ):
            raise EINVAL
        old_length, new_length = page_up(old_length), page_up(new_length)
        if old & (PAGE_SIZE - 1) or not new_length or (flags & MREMAP_DONTUNMAP and old_length != new_length):
            raise EINVAL
        area = self.areas.at(old)
        if area is None:
            raise EFAULT
        if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
            return self._remap_to(area, old, old_length, new_length, flags, new, may_lock=may_lock)
        if old_length >= new_length:
            if old_length > new_length:
                self._unmap(old + new_length, min(old + old_length, TASK_SIZE))
            return old
        self._check_resize(area, old, old_length, new_length, privileged=may_lock)
        end = old + old_length
        if (
            old_length
            and area.end == end
            and end + new_length - old_length <= TASK_SIZE
            and self._is_free(end, old + new_length)
        ):
            self._extend(area, new_length - old_length)
            return old
        if not flags & MREMAP_MAYMOVE:
            raise ENOMEM
        return self._move(area, old, old_length, new_length, self.find_free(new_length), keep=old_length == 0)

    def _check_resize(self, area: Area, old: int, old_length: int, new_length: int, *, privileged: bool) -> None:
        """Linux: mm/mremap.c vma_to_resize. Raises: EINVAL, EFAULT, EAGAIN, EPERM, ENOMEM."""
        if old_length == 0 and not area.flags & VM_SHARED:
            raise EINVAL
        if old_length > area.end - old:
            raise EFAULT
        grow = new_length - old_length
        if grow > 0:
            if area.file is not None and area.offset + (old - area.start) + new_length > 1 << 63:
                raise EINVAL
            self._may_lock(area.flags, grow, privileged=privileged)
            self._allowed(grow, grow if area.prot & PROT_WRITE and not area.flags & (VM_SHARED | VM_GROWSDOWN) else 0)

    def _remap_to(
        self, area: Area, old: int, old_length: int, new_length: int, flags: int, new: int, *, may_lock: bool
    ) -> int:
        if flags & MREMAP_FIXED:
            if new & (PAGE_SIZE - 1) or new_length > TASK_SIZE or new > TASK_SIZE - new_length:
                raise EINVAL
            if old + old_length > new and new + new_length > old:
                raise EINVAL
            if new < MMAP_MIN_ADDR:
                raise EPERM
        if flags & MREMAP_DONTUNMAP and (area.flags & VM_SHARED and old_length == 0):
            raise EINVAL
        if flags & MREMAP_FIXED:
            self._unmap(new, new + new_length)
        if old_length > new_length:
            self._unmap(old + new_length, old + old_length)
            old_length = new_length
        found = self.areas.at(old)
        if found is None:
            raise EFAULT
        self._check_resize(found, old, old_length, new_length, privileged=may_lock)
        if not flags & MREMAP_FIXED:
            new = (
                new
                if new and not new & (PAGE_SIZE - 1) and self._is_free(new, new + new_length)
                else self.find_free(new_length)
            )
        return self._move(
            found, old, old_length, new_length, new, keep=old_length == 0, refill=bool(flags & MREMAP_DONTUNMAP)
        )

    def _extend(self, area: Area, grow: int) -> None:
        """Add grow bytes at the end of an area. Raises: LinuxError."""
        more = Area(
            area.end,
            area.end + grow,
            area.prot,
            area.max_prot,
            area.flags,
            area.file,
            area.offset + area.end - area.start,
            area.name,
        )
        if more.file is None and more.prot:
            runs = [self._fresh(more.start, more.end, top_down=False)]
        else:
            runs = self._file_runs(more, more.start, more.end)
        self._install(more, runs)

    def _move(
        self, area: Area, old: int, old_length: int, new_length: int, new: int, *, keep: bool, refill: bool = False
    ) -> int:
        """Show [old, old + old_length) at new, extended to new_length. keep: leave the old one too (a second view).

        refill: leave an empty area behind (MREMAP_DONTUNMAP). No page is copied.
        """
        length = new_length if keep else old_length
        shift = new - old
        moved = Area(
            new,
            new + new_length,
            area.prot,
            area.max_prot,
            area.flags,
            area.file,
            area.offset + old - area.start,
            area.name,
        )
        runs = []
        for run in self.runs.within(old, old + length) if not keep else ():
            low, high = max(run.start, old), min(run.end, old + length)
            skip = low - run.start
            shadow = run.shadow + skip if run.shadow >= 0 else -1
            piece = Run(low + shift, high + shift, run.backing, run.offset + skip, run.mode, shadow)
            self._hold(piece)
            if shadow >= 0:
                self.memory.incref(shadow, high - low)
            runs.append(piece)
        if keep:
            runs = self._file_runs(moved, new, new + new_length)
        elif new_length > old_length:
            try:
                if area.file is not None:
                    runs += self._file_runs(
                        Area(new, new + new_length, area.prot, area.max_prot, area.flags, area.file, moved.offset, b""),
                        new + old_length,
                        new + new_length,
                    )
                elif area.prot:
                    runs.append(self._tail(runs, new + old_length, new + new_length))
            except LinuxError:
                for run in runs:
                    self._drop(run)
                raise
        self._install(moved, runs)
        if not keep:
            self._leave(area, old, old + old_length, refill=refill)
        return new

    def _tail(self, runs: list[Run], start: int, end: int) -> Run:
        """Return fresh pages for what a moved area grows by, beside its last run in the file if that can be."""
        length = end - start
        if runs and runs[-1].mode == OWNED:
            offset = runs[-1].offset + runs[-1].end - runs[-1].start
            if self.memory.allocate_at(offset, length, MemoryKind.ANONYMOUS):
                return Run(start, end, self.memory, offset, OWNED)
        return Run(start, end, self.memory, self.memory.allocate(length, MemoryKind.ANONYMOUS), OWNED)

    def _leave(self, area: Area, start: int, end: int, *, refill: bool) -> None:
        """Empty [start, end), whose pages have moved away."""
        if not refill:
            self._unmap(start, end)
            return
        left = Area(
            start, end, area.prot, area.max_prot, area.flags, area.file, area.offset + start - area.start, area.name
        )
        self._install(left, self._runs_for(left, top_down=True))

    # -- brk and stack ------------------------------------------------------------------------------------------------

    def brk(self, addr: int) -> int:
        """Move the end of the heap to addr if that can be; return where it is. Never raises."""
        start = self.brk_start
        if addr < start:
            return self.brk_end
        limit = self.limits.soft(RLIMIT_DATA)
        if limit != RLIM_INFINITY and (addr - start) + (self.data_end - self.data_start) > limit:
            return self.brk_end
        old, new = page_up(self.brk_end), page_up(addr)
        try:
            if new < old:
                self._unmap(new, old)
            elif new > old:
                self._grow_heap(old, new)
        except LinuxError:
            return self.brk_end
        self.brk_end = addr
        return addr

    def _grow_heap(self, old: int, new: int) -> None:
        if new > TASK_SIZE or not self._is_free(old, new + PAGE_SIZE):
            raise ENOMEM
        flags = self.lock_flags
        self._may_lock(flags, new - old, privileged=False)
        self._allowed(new - old, new - old)
        if len(self.areas) >= MAX_MAP_COUNT:
            raise ENOMEM
        area = Area(old, new, PROT_READ | PROT_WRITE, _RWX, flags, None, 0, b"")
        self._install(area, [self._fresh(old, new, top_down=False)])

    def map_stack(self, top: int, *, executable: bool = False) -> int:
        """Map the initial stack below top: its limit, at most 8 MiB; faults let it grow. Return its low end.

        Raises: ENOMEM if the limit leaves no page.
        """
        limit = self.limits.soft(RLIMIT_STACK) & -PAGE_SIZE
        if not limit:
            raise ENOMEM
        size = min(limit, EAGER_STACK)
        prot = PROT_READ | PROT_WRITE | (PROT_EXEC if executable else 0)
        self.mmap(
            top - size,
            size,
            prot,
            2 | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
        )
        return top - size
