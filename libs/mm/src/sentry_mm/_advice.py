"""madvise, msync, mincore, mlock: calls that look at areas without changing their shape.

All of them report a hole only after doing the rest of the range (facts, appendix C 21). Sources: Linux mm/madvise.c,
mm/msync.c, mm/mincore.c, mm/mlock.c (6.1).
"""

import os
from typing import Final

from sentry_abi import mman as c
from sentry_abi.errors import EACCES, EBUSY, EINVAL, EIO, ENOMEM, EPERM
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_up
from sentry_abi.mman import PROT_WRITE
from sentry_abi.resource import RLIM_INFINITY, RLIMIT_MEMLOCK
from sentry_mm._areas import (
    COW,
    OWNED,
    VM_DONTDUMP,
    VM_DONTFORK,
    VM_LOCKED,
    VM_LOCKONFAULT,
    VM_SHARED,
    VM_WIPEONFORK,
    Area,
    Run,
)
from sentry_mm._heap import Heap

_PUNCH: Final = 2 << 20
"""Private memory up to here is punched in place (437 us if all of it is in use), above it gets a new range."""
_FLAGS: Final = {
    c.MADV_DONTFORK: (VM_DONTFORK, 0),
    c.MADV_DOFORK: (0, VM_DONTFORK),
    c.MADV_WIPEONFORK: (VM_WIPEONFORK, 0),
    c.MADV_KEEPONFORK: (0, VM_WIPEONFORK),
    c.MADV_DONTDUMP: (VM_DONTDUMP, 0),
    c.MADV_DODUMP: (0, VM_DONTDUMP),
}
_NOTHING: Final = frozenset({
    c.MADV_NORMAL, c.MADV_RANDOM, c.MADV_SEQUENTIAL, c.MADV_WILLNEED, c.MADV_FREE, c.MADV_MERGEABLE, c.MADV_UNMERGEABLE,
    c.MADV_HUGEPAGE, c.MADV_NOHUGEPAGE, c.MADV_COLD, c.MADV_PAGEOUT, c.MADV_COLLAPSE,
})  # fmt: skip
_LOCKS: Final = VM_LOCKED | VM_LOCKONFAULT


class Advice(Heap):
    """Heap with advice, synchronisation and locking."""

    __slots__ = ()

    def madvise(self, addr: int, length: int, advice: int) -> None:
        """Take advice about a range. Raises: EINVAL, ENOMEM (a hole, after the rest is done), EFAULT, EBUSY.

        Differs: MADV_FREE keeps the pages, as Linux does while memory is plenty.
        """
        known = advice in _FLAGS or advice in _NOTHING or advice in {
            c.MADV_DONTNEED, c.MADV_DONTNEED_LOCKED, c.MADV_REMOVE, c.MADV_POPULATE_READ, c.MADV_POPULATE_WRITE,
        }  # fmt: skip
        if not known or addr & (PAGE_SIZE - 1):
            raise EINVAL
        end = addr + page_up(length)
        if end > 1 << 64 or (length and end == addr):
            raise EINVAL
        if end == addr:
            return
        hole = self._gap_in_areas(addr, end)
        if advice in {c.MADV_POPULATE_READ, c.MADV_POPULATE_WRITE}:
            self._populate(addr, end, write=advice == c.MADV_POPULATE_WRITE)
        elif advice not in _NOTHING:
            for area in list(self.areas.within(addr, end)):
                self._advise(area, max(area.start, addr), min(area.end, end), advice)
        elif advice == c.MADV_FREE and any(a.file is not None or a.shared for a in self.areas.within(addr, end)):
            raise EINVAL
        if hole:
            raise ENOMEM

    def _gap_in_areas(self, start: int, end: int) -> bool:
        for area in self.areas.within(start, end):
            if area.start > start:
                return True
            start = area.end
        return start < end

    def _advise(self, area: Area, low: int, high: int, advice: int) -> None:
        if advice in _FLAGS:
            self._advise_flag(area, low, high, advice)
        elif advice == c.MADV_REMOVE:
            self._remove_pages(area, low, high)
        elif area.flags & VM_LOCKED and advice == c.MADV_DONTNEED:
            raise EINVAL
        elif not area.flags & VM_SHARED:
            self._discard(area, low, high)

    def _advise_flag(self, area: Area, low: int, high: int, advice: int) -> None:
        plus, minus = _FLAGS[advice]
        if plus & VM_WIPEONFORK and (area.file is not None or area.flags & VM_SHARED):
            raise EINVAL
        self._set_flags(low, high, plus, minus)

    def _set_flags(self, low: int, high: int, plus: int, minus: int) -> None:
        first, last = self.areas.cut(low, high)
        for area in self.areas.items[first:last]:
            self._account(area, -1)
            area.flags = (area.flags | plus) & ~minus
            self._account(area, 1)
        self.areas.join_range(low, high)

    def _remove_pages(self, area: Area, low: int, high: int) -> None:
        """MADV_REMOVE: punch the file under a shared writable mapping. Raises: EINVAL, EACCES."""
        if area.flags & VM_LOCKED or area.file is None:
            raise EINVAL
        if not area.flags & VM_SHARED or not area.max_prot & PROT_WRITE:
            raise EACCES
        for run in self.runs.within(low, high):
            if run.backing is self.memory:
                first, last = max(run.start, low), min(run.end, high)
                self.memory.decommit(run.offset + first - run.start, last - first)

    def _discard(self, area: Area, low: int, high: int) -> None:
        """MADV_DONTNEED on private memory: zeros again, or what the file has. Raises: LinuxError."""
        replace: list[tuple[int, int]] = []
        for run in self.runs.within(low, high):
            first, last = max(run.start, low), min(run.end, high)
            if area.file is None and run.mode == OWNED and last - first <= _PUNCH:
                self.memory.decommit(run.offset + first - run.start, last - first)
            elif area.file is None or run.backing is self.memory:
                if replace and replace[-1][1] == first:
                    first = replace.pop()[0]
                replace.append((first, last))
        for first, last in replace:
            self._replace(area, first, last)

    def _replace(self, area: Area, low: int, high: int) -> None:
        """Give [low, high) of a private area the content it had when it was made."""
        if area.file is None:
            runs = [Run(low, high, self.memory, self._clean(low, high), OWNED)]
        else:
            runs = self._file_runs(area, low, high)
        ops = [self._map_op(run, area.prot, low, high) for run in runs] if area.prot else []
        self._apply_for(ops, runs)
        for old in self.runs.take(low, high):
            self._drop(old)
        for run in runs:
            self.runs.add(run)
        self._forget()

    def _clean(self, low: int, high: int) -> int:
        """Return zeroed pages: the shadow range that waits for copies if there is one, else new ones."""
        run = self.runs.at(low)
        if run is not None and run.mode == COW and run.shadow >= 0 and run.end >= high:
            self.memory.incref(run.shadow + low - run.start, high - low)
            return run.shadow + low - run.start
        return self.memory.allocate(high - low, 1)

    def _populate(self, start: int, end: int, *, write: bool) -> None:
        """Make sure that an access works now. Raises: EINVAL for a permission, EFAULT beyond a file's end."""
        for area in list(self.areas.within(start, end)):
            if not area.prot or (write and not area.prot & PROT_WRITE):
                raise EINVAL
            at = max(area.start, start)
            stop = min(area.end, end)
            while at < stop:
                found, run = self._locate(at, write=write)
                if write and run.mode == COW:
                    self.break_cow(found, run, at, stop)
                    continue
                at = run.end

    # -- msync, mincore -----------------------------------------------------------------------------------------------

    def msync(self, addr: int, length: int, flags: int) -> None:
        """Write shared file pages back. Raises: EINVAL, ENOMEM (a hole, after the rest), EBUSY, EIO."""
        if flags & ~(c.MS_ASYNC | c.MS_INVALIDATE | c.MS_SYNC) or addr & (PAGE_SIZE - 1):
            raise EINVAL
        if flags & c.MS_ASYNC and flags & c.MS_SYNC:
            raise EINVAL
        end = addr + page_up(length)
        if end > 1 << 64:
            raise ENOMEM
        if end == addr:
            return
        for area in self.areas.within(addr, end):
            if flags & c.MS_INVALIDATE and area.flags & VM_LOCKED:
                raise EBUSY
            if flags & c.MS_SYNC and area.flags & VM_SHARED:
                self._write_back(max(area.start, addr), min(area.end, end))
        if self._gap_in_areas(addr, end):
            raise ENOMEM

    def _write_back(self, low: int, high: int) -> None:
        for fd in {run.backing.fd for run in self.runs.within(low, high) if run.backing.kind == "shared"}:
            try:
                os.fdatasync(fd)
            except OSError:
                raise EIO from None

    def mincore(self, addr: int, length: int) -> bytes:
        """Return one byte per page, 1 if it is present. Raises: EINVAL, ENOMEM.

        Differs: pages of host files count as present, since the sentry does not see the host's page cache.
        """
        if addr & (PAGE_SIZE - 1):
            raise EINVAL
        end = addr + page_up(length)
        if end > TASK_SIZE or self._gap_in_areas(addr, end):
            raise ENOMEM
        found = bytearray((end - addr) >> 12)
        for run in self.runs.within(addr, end):
            low, high = max(run.start, addr), min(run.end, end)
            if run.backing is not self.memory:
                found[(low - addr) >> 12 : (high - addr) >> 12] = b"\1" * ((high - low) >> 12)
                continue
            shift = run.offset - run.start
            for first, last in self.memory.committed(low + shift, high + shift):
                found[(first - shift - addr) >> 12 : (last - shift - addr) >> 12] = b"\1" * ((last - first) >> 12)
        return bytes(found)

    # -- locking ------------------------------------------------------------------------------------------------------

    def mlock(self, addr: int, length: int, flags: int = 0, *, privileged: bool = False) -> None:
        """Account a range as locked; all memory stays with the host. Raises: EINVAL, EPERM, ENOMEM, EAGAIN."""
        if flags & ~c.MLOCK_ONFAULT:
            raise EINVAL
        limit = self.limits.soft(RLIMIT_MEMLOCK)
        if limit == 0 and not privileged:
            raise EPERM
        start = addr & -PAGE_SIZE
        end = start + page_up(length + (addr - start))
        if end > 1 << 64:
            raise EINVAL
        new = sum(
            min(a.end, end) - max(a.start, start) for a in self.areas.within(start, end) if not a.flags & VM_LOCKED
        )
        if not privileged and limit != RLIM_INFINITY and self.locked_bytes + new > limit:
            raise ENOMEM
        self._lock(start, end, VM_LOCKED | (VM_LOCKONFAULT if flags & c.MLOCK_ONFAULT else 0))

    def munlock(self, addr: int, length: int) -> None:
        """Undo mlock. Raises: EINVAL, ENOMEM."""
        start = addr & -PAGE_SIZE
        end = start + page_up(length + (addr - start))
        if end > 1 << 64:
            raise EINVAL
        self._lock(start, end, 0)

    def _lock(self, start: int, end: int, plus: int) -> None:
        if start == end:
            return
        for area in list(self.areas.within(start, end)):
            self._set_flags(max(area.start, start), min(area.end, end), plus, _LOCKS & ~plus)
        if self._gap_in_areas(start, end):
            raise ENOMEM

    def mlockall(self, flags: int, *, privileged: bool = False) -> None:
        """Account everything as locked, now or from now on. Raises: EINVAL, EPERM, ENOMEM."""
        if not flags or flags & ~(c.MCL_CURRENT | c.MCL_FUTURE | c.MCL_ONFAULT) or flags == c.MCL_ONFAULT:
            raise EINVAL
        limit = self.limits.soft(RLIMIT_MEMLOCK)
        if limit == 0 and not privileged:
            raise EPERM
        if flags & c.MCL_CURRENT and not privileged and limit != RLIM_INFINITY and self.total_bytes > limit:
            raise ENOMEM
        locks = VM_LOCKED | (VM_LOCKONFAULT if flags & c.MCL_ONFAULT else 0)
        self.lock_flags = locks if flags & c.MCL_FUTURE else 0
        if flags & c.MCL_CURRENT:
            for area in list(self.areas):
                self._set_flags(area.start, area.end, locks, _LOCKS & ~locks)

    def munlockall(self) -> None:
        """Undo mlockall."""
        self.lock_flags = 0
        for area in list(self.areas):
            self._set_flags(area.start, area.end, 0, _LOCKS)
