"""The address space as the kernel sees it: life, fork, exec, truncation, and what /proc shows."""

from typing import TYPE_CHECKING

from sentry_abi.memory import page_up
from sentry_abi.mman import PROT_WRITE
from sentry_futex import Manager
from sentry_mm._areas import Area
from sentry_mm._fork import Fork
from sentry_mm._mappable import NoLimits, SharedMemory
from sentry_pgalloc import MemoryFile
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mappable import Limits, Mappable
    from sentry_platform import AddressSpace


class MemoryManager(Fork):
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
        if isinstance(area.file, SharedMemory):
            return b"/dev/zero (deleted)"
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


def may_be_written(file: "Mappable") -> bool:
    """Return whether a shared mapping lets somebody write to file, now or after mprotect (mapping_writably_mapped)."""
    return any(
        area.file is file and area.shared and area.max_prot & PROT_WRITE
        for manager in getattr(file, "mappers", ())
        for area in manager.vmas
    )
