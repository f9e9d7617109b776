"""Faults and copy-on-write.

The guest faults for four reasons: the address is bad (a signal), a stack grows, a file has grown since it was mapped,
or a private page that others see too is written. The last is the common one, 35 us each with the trap, so it does as
much as is sure to be useful: pages that nobody else refers to any more become writable without a copy, the whole run
at once and every other such run of the space with it (after a forked child has gone, all of them); where a copy is
needed it begins with 16 KiB and doubles while faults follow each other.

Copies go to shadow ranges: a run that is copied for the first time gets a sparse range of its own length, and page k
of it goes to page k of that. Copied neighbours are then contiguous in the file and one host mapping again, which is
what keeps a space below the host's limit of mappings (65,530): alternate pages are the worst case, and from 32 pieces
in one 2 MiB block on the block is copied whole.
"""

import os
from typing import Final, Literal

from sentry_abi.errors import LinuxError
from sentry_abi.memory import HUGE_PAGE_SIZE, PAGE_SIZE
from sentry_abi.mman import PROT_EXEC, PROT_WRITE
from sentry_abi.resource import RLIMIT_STACK
from sentry_abi.signal import BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGKILL, SIGSEGV
from sentry_mm._areas import COW, OWNED, SHARED, VM_GROWSDOWN, Area, Run
from sentry_mm._core import Core
from sentry_mm._limits import MMAP_MIN_ADDR, STACK_GUARD_GAP
from sentry_pgalloc import MemoryKind
from sentry_platform import FAULT_EXEC, FAULT_WRITE, Op

Outcome = Literal[0] | tuple[int, int]
"""0: go on; else (signal number, si_code). SIGKILL stands for "out of memory"."""

_FIRST_COPY: Final = 16 << 10
_BLOCK_PIECES: Final = 32
_MAX_RUNS: Final = 8192
_SHADOW_SPAN: Final = 1 << 30
_REENABLE: Final = 16
_LOOK_AT: Final = 256
_GROW_STEP: Final = 128 << 10
_SPURIOUS_LIMIT: Final = 64


def noexec(runs: list[Run]) -> bool:
    """Tell whether the host forbids execution of a run's file: one that lies on a mount with noexec."""
    return any(run.backing.kind == "host" and os.fstatvfs(run.backing.fd).f_flag & os.ST_NOEXEC for run in runs)


class Fault(Core):
    """Core with the fault path."""

    __slots__ = ()

    def handle_fault(self, addr: int, access: int, cause: int = SIGSEGV) -> Outcome:
        """Deal with a fault of guest code at addr; never raises.

        access: FAULT_READ, FAULT_WRITE or FAULT_EXEC, as good as the platform knows; a "read" where only a write can
        fault is taken for one. cause: the signal that the host gave.
        """
        area = self.areas.at(addr)
        try:
            if area is None:
                area = self._grow_stack(addr)
                if area is None:
                    return SIGSEGV, SEGV_MAPERR
                return 0
            return self._handle(area, addr, access, cause)
        except LinuxError:
            return SIGKILL, 0

    def _handle(self, area: Area, addr: int, access: int, cause: int) -> Outcome:
        prot = area.prot
        if (
            not prot
            or (access == FAULT_WRITE and not prot & PROT_WRITE)
            or (access == FAULT_EXEC and not prot & PROT_EXEC)
        ):
            return SIGSEGV, SEGV_ACCERR
        run = self.runs.at(addr)
        if run is None:
            run = self._find_backing(area, addr)
            if run is None:
                return SIGBUS, BUS_ADRERR
            return 0
        if cause == SIGBUS and run.backing is not self.memory:
            return SIGBUS, BUS_ADRERR
        if run.mode == COW and prot & PROT_WRITE and access != FAULT_EXEC:
            self.break_cow(area, run, addr)
            return 0
        return self._spurious_fault(area, run, addr)

    def _spurious_fault(self, area: Area, run: Run, addr: int) -> Outcome:
        """Nothing stands against the access: another thread was first, or the host has lost the mapping."""
        last, count = self._spurious
        count = count + 1 if last == addr else 0
        self._spurious = (addr, count)
        if count == 0:
            return 0
        if count > _SPURIOUS_LIMIT:
            return SIGSEGV, SEGV_ACCERR
        self._apply([self._map_op(run, area.prot, max(area.start, run.start), min(area.end, run.end))])
        return 0

    # -- stack --------------------------------------------------------------------------------------------------------

    def _grow_stack(self, addr: int) -> Area | None:
        """Extend the stack above addr down to it, if there is one and it may; return it. Raises: ENOMEM."""
        areas = self.areas
        index = areas.index_from(addr)
        if index >= len(areas):
            return None
        area = areas.items[index]
        if not area.flags & VM_GROWSDOWN or addr < MMAP_MIN_ADDR + STACK_GUARD_GAP:
            return None
        limit = self.limits.soft(RLIMIT_STACK)
        start = addr & -PAGE_SIZE
        floor = areas.items[index - 1].end + STACK_GUARD_GAP if index and areas.items[index - 1].prot else MMAP_MIN_ADDR
        if index:
            floor = max(floor, areas.items[index - 1].end)
        if area.end - start > limit or start < floor:
            return None
        start = max(min(start, area.start - _GROW_STEP), floor, area.end - (limit & -PAGE_SIZE))
        self._allowed(area.start - start, 0)
        run = self._fresh(start, area.start, top_down=True)
        self._apply_for([self._map_op(run, area.prot, run.start, run.end)], [run])
        self.runs.add(run)
        self._add_area(Area(start, area.start, area.prot, area.max_prot, area.flags, None, 0, area.name))
        return self.areas.at(addr)

    # -- files that have grown ----------------------------------------------------------------------------------------

    def _find_backing(self, area: Area, addr: int) -> Run | None:
        """Map what the file has at addr now, from there to the next run; None beyond its end. Raises: LinuxError."""
        if area.file is None:
            start = addr & -PAGE_SIZE
            runs = [
                self._fresh(start, start + PAGE_SIZE, top_down=False)
            ]  # not reached: anonymous memory is mapped at once
        else:
            start = addr & -PAGE_SIZE
            index = self.runs.index_from(start)
            end = min(area.end, self.runs.starts[index] if index < len(self.runs) else area.end)
            runs = self._file_runs(area, start, end)
        if not runs:
            return None
        self._apply_for([self._map_op(run, area.prot, run.start, run.end) for run in runs], runs)
        for run in runs:
            self.runs.add(run)
        return self.runs.at(addr)

    def _file_runs(self, area: Area, start: int, end: int) -> list[Run]:
        """Return new runs, references held, for the part of an area's file that lies under [start, end)."""
        file = area.file
        if file is None:
            return []
        shared = area.shared
        offset = area.offset + start - area.start
        runs = []
        for extent in file.extents(offset, end - start, shared=shared, write=bool(area.prot & PROT_WRITE)):
            stop = min(start + extent.length, end)
            if stop <= start:
                break
            run = Run(start, stop, extent.backing, extent.offset, SHARED if shared else COW)
            self._hold(run)
            runs.append(run)
            start = stop
        if area.prot & PROT_EXEC and not shared and noexec(runs):
            return self._copied(runs)
        return runs

    def _copied(self, runs: list[Run]) -> list[Run]:
        """Return private copies of runs of files, side by side in the memory file if that can be."""
        copies: list[Run] = []
        for run in runs:
            if copies and copies[-1].end == run.start:
                below = copies[-1]
                offset = below.offset + below.end - below.start
                length = run.end - run.start
                if not self.memory.allocate_at(offset, length, MemoryKind.ANONYMOUS):
                    offset = self.memory.allocate(length, MemoryKind.ANONYMOUS)
                copy = Run(run.start, run.end, self.memory, offset, OWNED)
            else:
                copy = self._fresh(run.start, run.end, top_down=False)
            self._copy(run.backing.fd, run.offset, copy.offset, run.end - run.start)
            self._drop(run)
            copies.append(copy)
        return copies

    # -- copy-on-write ------------------------------------------------------------------------------------------------

    def break_cow(self, area: Area, run: Run, addr: int, stop: int = 0) -> None:
        """Make the page at addr writable for its area: by taking it over if nobody else has it, else by copying.

        stop: a kernel write goes on to here; the copy covers it at once.
        Raises: ENOMEM.
        """
        low, high = max(area.start, run.start), min(area.end, run.end)
        if run.backing is self.memory:
            shift = run.offset - run.start
            alone = self.memory.exclusive_around(addr + shift, low + shift, high + shift)
            if alone is not None:
                self._take_over(area, alone[0] - shift, alone[1] - shift)
                return
        self._copy_runs(area, self._to_copy(area, run, addr, stop))

    def _to_copy(self, area: Area, run: Run, addr: int, stop: int) -> list[tuple[Run, int, int]]:
        """Choose what a write at addr copies: the chunk around it, or the whole 2 MiB block when that is in pieces."""
        low, high = max(area.start, run.start), min(area.end, run.end)
        block = addr & -HUGE_PAGE_SIZE
        block_end = block + HUGE_PAGE_SIZE
        crowd = self.runs.within(max(block, area.start), min(block_end, area.end))
        if len(crowd) > _BLOCK_PIECES:
            first, last = max(block, area.start), min(block_end, area.end)
            return [(r, max(r.start, first), min(r.end, last)) for r in crowd if r.mode == COW]
        if len(self.runs) > _MAX_RUNS:
            return [(run, max(block, low), min(block_end, high))]
        start = addr & -_FIRST_COPY
        if self._cow_end <= addr < self._cow_end + self._cow_size:
            start = addr & -PAGE_SIZE
            self._cow_size = min(self._cow_size * 2, HUGE_PAGE_SIZE)
        else:
            self._cow_size = _FIRST_COPY
        end = max(start + self._cow_size, min((stop + PAGE_SIZE - 1) & -PAGE_SIZE, start + HUGE_PAGE_SIZE))
        self._cow_end = min(end, high)
        return [(run, max(start, low), min(end, high))]

    def _take_over(self, area: Area, low: int, high: int) -> None:
        """Make [low, high) of an area, whose pages nobody else has, ours; and other runs of which that is true."""
        ranges = [(low, high)]
        ops = [Op("protect", low, high - low, area.prot)]
        for other in self.runs.items if len(self.runs) <= _LOOK_AT else ():
            if other.mode == COW and other.backing is self.memory and not low <= other.start < high:
                owner = self.areas.at(other.start)
                if (
                    owner is not None
                    and owner.end >= other.end
                    and owner.prot & PROT_WRITE
                    and self.memory.exclusive(other.offset, other.end - other.start)
                ):
                    ranges.append((other.start, other.end))
                    ops.append(Op("protect", other.start, other.end - other.start, owner.prot))
                    if len(ops) > _REENABLE:
                        break
        self._apply(ops)
        for start, end in ranges:
            for run in self.runs.take(start, end):
                if run.shadow >= 0:
                    self._drop_range(run.shadow, run.end - run.start)
                self.runs.add(Run(run.start, run.end, run.backing, run.offset, OWNED))

    def _shadow_of(self, run: Run, start: int, end: int) -> int:
        """Return where the copy of start goes, giving run, or 1 GiB of it, a shadow range if it has none."""
        if run.shadow < 0:
            self.runs.cut(start & -_SHADOW_SPAN, (end + _SHADOW_SPAN - 1) & -_SHADOW_SPAN)
            piece = self.runs.at(start)
            assert piece is not None
            piece.shadow = self.memory.allocate(piece.end - piece.start, MemoryKind.ANONYMOUS)
            run = piece
        return run.shadow + start - run.start

    def _copy_runs(self, area: Area, parts: list[tuple[Run, int, int]]) -> None:
        """Copy [start, end) of each COW run and make the copies writable. Raises: ENOMEM."""
        ops = []
        made = []
        for run, start, end in parts:
            if start >= end:
                continue
            target = self._shadow_of(run, start, end)
            self._copy(run.backing.fd, run.offset + start - run.start, target, end - start)
            ops.append(Op("map", start, end - start, area.prot, self.memory, target))
            made.append((start, end, target))
        self._apply(ops)
        for start, end, target in made:
            for run in self.runs.take(start, end):
                if run.backing is self.memory:
                    self._drop_range(run.offset, run.end - run.start)
            self.runs.add(Run(start, end, self.memory, target, OWNED))
        self._forget()
