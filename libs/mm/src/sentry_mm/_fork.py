"""Fork: a second address space with the same contents.

Two ways, chosen run by run. What is large is shared until one side writes: the host's mapping loses its write
permission, and the page counts two references (9.6 ms of write protection for 512 MiB in use). What is small is
copied at once: the stack, the data of libraries and a young heap are written by both sides within microseconds, and
each first write is a fault of 80 us, while copying the few pages that are in use costs one. A shell's child that only
executes another program then never faults, nor does the shell. Only a space with one user copies eagerly: with other
threads running the copies would not be of one moment.

Linux: kernel/fork.c dup_mmap (6.1). Differs: what Linux copies by faults is copied a moment earlier; nobody can tell.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Self

from sentry_abi.errors import LinuxError
from sentry_abi.mman import PROT_WRITE
from sentry_mm._areas import (
    COW,
    OWNED,
    VM_DONTFORK,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_LOCKONFAULT,
    VM_WIPEONFORK,
    Area,
    Run,
)
from sentry_mm._life import Life
from sentry_pgalloc import MemoryKind
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mappable import Limits

_COPY_RUN: Final = 64 << 10
"""Bytes in use up to which a run is copied."""
_COPY_ALL: Final = 512 << 10
_LOOK: Final = 1 << 20
"""Runs up to this length are looked at: asking the host for holes costs 0.03 us a page. Stacks always are."""
_LOCKED: Final = VM_LOCKED | VM_LOCKONFAULT
_SPECIAL: Final = VM_DONTFORK | VM_WIPEONFORK
_INHERITED: Final = (
    "mmap_base", "total_bytes", "data_bytes", "stack_bytes", "_search_from", "_skipped_hole", "brk_start",
    "brk_end", "stack_start", "code_start", "code_end", "data_start", "data_end", "arg_start", "arg_end",
    "env_start", "env_end", "auxv", "exe",
)  # fmt: skip

_Extents = list[tuple[int, int]]


class Fork(Life):
    """Life with fork."""

    __slots__ = ()

    def fork(self, limits: "Limits | None" = None) -> Self:
        """Return another address space with these contents; it shares no private page that either side can write.

        Raises: EAGAIN, ENOMEM; this space is then as good as before.
        """
        copied = self._small_runs() if self.users == 1 else {}
        self._apply(self._protect_for_fork(copied))
        for run in self.runs.items:
            if run.mode == OWNED and run.start not in copied:
                run.mode = COW
        self._write_pages.clear()
        space = self.space.fork()
        child = self.__class__(space, self.memory, limits or self.limits, self.futexes.fork())
        try:
            self._copy_to(child, copied)
        except LinuxError:
            child.release()
            raise
        return child

    def _writable_areas(self, run: Run) -> list[Area]:
        return [area for area in self.areas.within(run.start, run.end) if area.prot & PROT_WRITE]

    def _small_runs(self) -> dict[int, _Extents]:
        """Return the start of each run that is worth copying, and what of it is in use, as offsets in the file."""
        self._part_by_permission()
        found = {}
        left = _COPY_ALL
        for run in self.runs.items:
            if run.mode != OWNED:
                continue
            areas = self._writable_areas(run)
            if not areas or (run.end - run.start > _LOOK and not areas[-1].flags & VM_GROWSDOWN):
                continue
            extents = self.memory.committed(run.offset, run.offset + run.end - run.start)
            used = sum(end - start for start, end in extents)
            if used <= min(_COPY_RUN, left):
                left -= used
                found[run.start] = extents
        return found

    def _part_by_permission(self) -> None:
        """Cut runs where what can be written ends: that is copied, what was made read-only (RELRO) stays shared."""
        end = could = 0
        for area in self.areas.items:
            can = area.prot & PROT_WRITE
            if area.start == end and can != could:
                self.runs.cut(end, end)
            end, could = area.end, can

    def _protect_for_fork(self, copied: dict[int, _Extents]) -> list[Op]:
        ops = []
        for run in self.runs.items:
            if run.mode == OWNED and run.start not in copied:
                for area in self._writable_areas(run):
                    low, high = max(run.start, area.start), min(run.end, area.end)
                    ops.append(Op("protect", low, high - low, area.prot & ~PROT_WRITE))
        return ops

    def _copy_to(self, child: Self, copied: dict[int, _Extents]) -> None:
        """Fill a child whose space already maps what this one maps. Raises: LinuxError."""
        for name in _INHERITED:
            setattr(child, name, getattr(self, name))
        self._share_runs(child, copied)
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
                mapped = getattr(area.file, "mapped", None)
                if mapped is not None:
                    mapped(child)
        child.areas.starts = self.areas.starts.copy()
        child._map_runs(copied)
        if special:
            child._treat_specially(special)

    def _map_runs(self, starts: Iterable[int]) -> None:
        """Let the platform map the runs that begin at these addresses. Raises: LinuxError."""
        ops: list[Op] = []
        for start in starts:
            run = self.runs.at(start)
            if run is not None:
                ops += self._map_ops(start, run.end)
        self._apply(ops)

    def _share_runs(self, child: Self, copied: dict[int, _Extents]) -> None:
        """Give a child its runs: copies of the small ones, references of the others. Raises: ENOMEM."""
        memory = self.memory
        shared = []
        runs = child.runs
        for run in self.runs.items:
            start, end = run.start, run.end
            extents = copied.get(start)
            if extents is None:
                if run.backing is memory:
                    shared.append((run.offset, end - start))
                continue
            offset = memory.allocate(end - start, MemoryKind.ANONYMOUS, top_down=True)
            runs.items.append(Run(start, end, memory, offset, OWNED))
            runs.starts.append(start)
            shift = offset - run.offset
            view = self._view
            for low, high in extents:
                view[low + shift : high + shift] = view[low:high]
        memory.incref_many(shared)
        for run in self.runs.items:
            if run.start not in copied:
                runs.items.append(Run(run.start, run.end, run.backing, run.offset, run.mode))
        runs.items.sort(key=_by_start)
        runs.starts = [run.start for run in runs.items]

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


def _by_start(run: Run) -> int:
    return run.start
