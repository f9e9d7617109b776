"""mprotect: other permissions for what is mapped.

Areas are cut, runs are not. Memory that was PROT_NONE gets its range of the memory file when it first becomes
accessible, and then for the whole reservation, so that what follows lies beside it and is one host mapping with it.
Sources: Linux mm/mprotect.c (6.1); mprotect(2).
"""

from typing import Final

from sentry_abi.errors import (
    EACCES,
    EINVAL,
    ENOMEM,
    LinuxError,
)
from sentry_abi.memory import PAGE_SIZE, page_up
from sentry_abi.mman import (
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_SEM,
    PROT_WRITE,
)
from sentry_mm._areas import (
    COW,
    VM_GROWSDOWN,
    VM_SHARED,
    Area,
    Run,
)
from sentry_mm._fault import noexec
from sentry_mm._map import Map
from sentry_platform import Op

_RESERVE: Final = 64 << 30
_RWX: Final = PROT_READ | PROT_WRITE | PROT_EXEC


class Protect(Map):
    """Map with mprotect."""

    __slots__ = ()

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
