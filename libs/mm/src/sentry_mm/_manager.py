"""The address space as the kernel sees it: life, fork, exec, truncation, and what /proc shows."""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import LinuxError
from sentry_abi.memory import TASK_SIZE, page_up
from sentry_abi.mman import PROT_WRITE
from sentry_futex import Manager
from sentry_mm._advice import Advice
from sentry_mm._areas import COW, OWNED, VM_DONTFORK, VM_LOCKED, VM_LOCKONFAULT, VM_WIPEONFORK, Area, Run
from sentry_mm._limits import MMAP_MIN_ADDR
from sentry_mm._mappable import NoLimits
from sentry_pgalloc import MemoryFile
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mappable import Limits, Mappable
    from sentry_platform import AddressSpace

_LOCKED: Final = VM_LOCKED | VM_LOCKONFAULT
_SPECIAL: Final = VM_DONTFORK | VM_WIPEONFORK
_INHERITED: Final = (
    "mmap_base", "total_bytes", "data_bytes", "stack_bytes", "_search_from", "_skipped_hole", "brk_start",
    "brk_end", "stack_start", "code_start", "code_end", "data_start", "data_end", "arg_start", "arg_end",
    "env_start", "env_end", "auxv", "exe",
)  # fmt: skip


class MemoryManager(Advice):
    """One address space: areas, the memory behind them, and the platform's space that shows it.

    users: how many tasks, and others that look at it, share it; made with 1.
    """

    __slots__ = ()

    def __init__(
        self,
        space: "AddressSpace",
        memory: MemoryFile,
        limits: "Limits | None" = None,
        futexes: Manager | None = None,
    ) -> None:
        """Begin empty.

        futexes: a fork of the manager that all spaces of a kernel share; without it, one of its own.
        """
        super().__init__(space, memory, limits or NoLimits(), futexes or Manager())

    # -- life ---------------------------------------------------------------------------------------------------------

    def retain(self) -> "MemoryManager":
        """Count one more user (CLONE_VM); return self."""
        self.users += 1
        return self

    def release(self) -> None:
        """Count one user less; the last one gives everything back."""
        self.users -= 1
        if self.users:
            return
        self.space.release()
        self._batch = None
        self._empty()
        self.memory.reclaim()

    def _empty(self) -> None:
        for area in self.areas.items:
            mappers = getattr(area.file, "mappers", None)
            if mappers is not None:
                mappers.discard(self)
        runs = self.runs.items
        for owned in (self.runs, self.areas):
            owned.starts = []
        self.runs.items, self.areas.items = [], []
        self._forget()
        for run in runs:
            self._drop(run)
        if self._batch is None:
            for offset, length in self._dropped:
                self.memory.decref(offset, length)
            self._dropped.clear()

    def reset(self) -> None:
        """Unmap everything, for exec in place. Begins a batch: with the new program's mappings it is one apply."""
        if self._batch is None:
            self._batch = []
        self._batch.append(Op("unmap", MMAP_MIN_ADDR, TASK_SIZE - MMAP_MIN_ADDR))
        self._empty()
        self._clear_accounts()

    # -- fork ---------------------------------------------------------------------------------------------------------

    def fork(self, limits: "Limits | None" = None) -> "MemoryManager":
        """Return a copy that shares all pages until one side writes.

        Only runs of private memory that the host lets the guest write are protected (9.6 ms for 512 MiB in use), then
        the platform copies its space.
        Raises: EAGAIN, ENOMEM; this space is then as good as before.
        """
        self._apply(self._protect_for_fork())
        for run in self.runs.items:
            if run.mode == OWNED:
                run.mode = COW
        self._write_pages.clear()
        space = self.space.fork()
        child = MemoryManager(space, self.memory, limits or self.limits, self.futexes.fork())
        try:
            self._copy_to(child)
        except LinuxError:
            child.release()
            raise
        return child

    def _protect_for_fork(self) -> list[Op]:
        ops = []
        for run in self.runs.items:
            if run.mode != OWNED:
                continue
            for area in self.areas.within(run.start, run.end):
                if area.prot & PROT_WRITE:
                    low, high = max(run.start, area.start), min(run.end, area.end)
                    ops.append(Op("protect", low, high - low, area.prot & ~PROT_WRITE))
        return ops

    def _copy_to(self, child: "MemoryManager") -> None:
        """Fill a child whose space already maps what this one maps. Raises: LinuxError."""
        for name in _INHERITED:
            setattr(child, name, getattr(self, name))
        memory = self.memory
        memory.incref_many([(run.offset, run.end - run.start) for run in self.runs.items if run.backing is memory])
        child.runs.items = [Run(r.start, r.end, r.backing, r.offset, r.mode) for r in self.runs.items]
        child.runs.starts = self.runs.starts.copy()
        special = []
        copies = child.areas.items
        for area in self.areas.items:
            flags = area.flags & ~_LOCKED
            copy = Area(area.start, area.end, area.prot, area.max_prot, flags, area.file, area.offset, area.name)
            copies.append(copy)
            if flags & _SPECIAL:
                special.append(copy)
            mappers = getattr(area.file, "mappers", None)
            if mappers is not None:
                mappers.add(child)
        child.areas.starts = self.areas.starts.copy()
        if special:
            child._treat_specially(special)  # noqa: SLF001  (the same class)

    def _treat_specially(self, areas: list[Area]) -> None:
        """Remove, in a child, what the parent keeps for itself, and empty what is to be empty. Raises: LinuxError."""
        ops: list[Op] = []
        for area in areas:
            ops.append(Op("unmap", area.start, area.end - area.start))
            self._remove(area.start, area.end)
            if area.flags & VM_WIPEONFORK and not area.flags & VM_DONTFORK:
                self._add_area(area)
                for run in self._runs_for(area, top_down=True):
                    self.runs.add(run)
                    ops.append(self._map_op(run, area.prot, area.start, area.end))
        self._apply(ops)

    # -- truncation ---------------------------------------------------------------------------------------------------

    def invalidate(self, file: "Mappable", from_offset: int) -> None:
        """Unmap the pages of file from from_offset (bytes, rounded up to a page) on: they are beyond its end now.

        Shared and private views alike, as Linux does; private copies of such pages go too. An access is then SIGBUS,
        or maps the pages again if the file has grown meanwhile. Linux: mm/truncate.c truncate_pagecache,
        unmap_mapping_range(even_cows).
        """
        edge = page_up(from_offset)
        identity = file.mapping_identity()
        ops = []
        gone = []
        for area in self.areas.items:
            if area.file is None or area.file.mapping_identity() != identity:
                continue
            low = max(area.start, area.start + edge - area.offset)
            if low < area.end and self.runs.within(low, area.end):
                gone.append((low, area.end))
                if area.prot:
                    ops.append(Op("unmap", low, area.end - low))
        self._apply(ops)
        for low, high in gone:
            for run in self.runs.take(low, high):
                self._drop(run)
        if gone:
            self._forget()

    # -- what /proc shows ---------------------------------------------------------------------------------------------

    def resident_bytes(self) -> int:
        """Return how much of it is present, as the platform sees it."""
        return self.space.resident_bytes()

    def name_of(self, area: Area) -> object:
        """Return what /proc/PID/maps shows behind an area: its file's path, [heap], [stack] or nothing."""
        if area.name:
            return area.name
        if area.file is None:
            if area.start < self.brk_end and area.end > self.brk_start:
                return b"[heap]"
            if area.start <= self.stack_start < area.end:
                return b"[stack]"
        return b""

    @property
    def vmas(self) -> list[Area]:
        """The areas in rising order; look only."""
        return self.areas.items


def truncated(file: "Mappable", size: int) -> None:
    """Tell every address space that maps file, by its attribute `mappers`, that it is size bytes long now."""
    for manager in list(getattr(file, "mappers", ())):
        manager.invalidate(file, size)
