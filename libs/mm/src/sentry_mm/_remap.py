"""mremap: mappings that change their size or place. No page is copied. Sources: Linux mm/mremap.c (6.1); mremap(2)."""

from sentry_abi.errors import (
    EFAULT,
    EINVAL,
    ENOMEM,
    EPERM,
    LinuxError,
)
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_up
from sentry_abi.mman import (
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PROT_WRITE,
)
from sentry_mm._areas import (
    OWNED,
    VM_GROWSDOWN,
    VM_SHARED,
    Area,
    Run,
)
from sentry_mm._limits import MMAP_MIN_ADDR
from sentry_mm._protect import Protect
from sentry_pgalloc import MemoryKind


class Remap(Protect):
    """Protect with mremap."""

    __slots__ = ()

    def mremap(
        self, old: int, old_length: int, new_length: int, flags: int, new: int = 0, *, may_lock: bool = False
    ) -> int:
        """Resize or move a mapping; return where it is.

        The order is that of check_mremap_params (Linux 6.17 and later); before, an unmapped `old` was found first.

        Raises: EINVAL, EFAULT, ENOMEM, EAGAIN, EPERM.
        """
        if flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP):
            raise EINVAL
        old_length, new_length = page_up(old_length), page_up(new_length)
        if old & (PAGE_SIZE - 1) or not 0 < new_length <= TASK_SIZE:
            raise EINVAL
        if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) and (
            not flags & MREMAP_MAYMOVE
            or (flags & MREMAP_DONTUNMAP and old_length != new_length)
            or new > TASK_SIZE - new_length
            or new & (PAGE_SIZE - 1)
            or (old + old_length > new and new + new_length > old)
        ):
            raise EINVAL
        area = self.areas.at(old)
        if area is None:
            raise EFAULT
        if flags & MREMAP_FIXED and old_length == new_length > area.end - old:
            # several areas, moved one by one with the gaps between them (remap_move, Linux 6.17)
            stop = old + old_length
            for start, end in [(max(each.start, old), min(each.end, stop)) for each in self.areas.within(old, stop)]:
                self.mremap(start, end - start, end - start, flags, new + start - old, may_lock=may_lock)
            return new
        moves = bool(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
        if moves or new_length > old_length:
            self._check_resize(area, old, min(old_length, new_length), new_length, privileged=may_lock)
        if moves:
            return self._remap_to(area, old, old_length, new_length, flags, new)
        if old_length >= new_length:
            if old_length > new_length:
                self._unmap(old + new_length, min(old + old_length, TASK_SIZE))
            return old
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
        """Check what is to move or grow (check_prep_vma). Raises: EINVAL, EFAULT, EAGAIN, EPERM, ENOMEM."""
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

    def _remap_to(self, area: Area, old: int, old_length: int, new_length: int, flags: int, new: int) -> int:
        if flags & MREMAP_FIXED and new < MMAP_MIN_ADDR:
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
        if not flags & MREMAP_FIXED:
            new = new if new and self._is_free(new, new + new_length) else self.find_free(new_length)
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
