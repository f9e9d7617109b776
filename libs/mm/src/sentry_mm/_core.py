"""The state of an address space and the ways in which it changes.

`Core` owns the two lists, the platform's space, the accounts and the translation cache. Every change goes the same
way: work out the operations, let the platform do them in one `apply`, then change the lists. When the platform
refuses, the lists are untouched and what it had done already is put back from them.

Between `begin` and `commit` operations are collected instead, for exec: a dozen mappings are one apply. References
that are dropped meanwhile are kept until the host no longer maps what they count.
"""

import os
from typing import TYPE_CHECKING, Any, Final

from sentry_abi.errors import BY_NUMBER, ENOMEM, LinuxError
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE
from sentry_abi.mman import PROT_WRITE
from sentry_abi.resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK
from sentry_futex import Manager
from sentry_mm._areas import OWNED, VM_GROWSDOWN, VM_LOCKED, VM_SHARED, Area, Run, Sorted
from sentry_mm._limits import MMAP_MIN_ADDR, STACK_GUARD_GAP
from sentry_pgalloc import MemoryFile, MemoryKind
from sentry_platform import MapError, Op

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_mm._mappable import Limits
    from sentry_platform import AddressSpace

_UNMAP: Final = "unmap"


def coalesce(ops: "Sequence[Op]") -> list[Op]:
    """Join neighbouring operations that one host call can do."""
    joined: list[Op] = []
    for op in ops:
        if joined:
            last = joined[-1]
            if (
                last.addr + last.length == op.addr
                and last.kind == op.kind
                and last.prot == op.prot
                and last.backing is op.backing
                and last.populate == op.populate
                and (op.kind != "map" or last.offset + last.length == op.offset)
            ):
                joined[-1] = last._replace(length=last.length + op.length)
                continue
        joined.append(op)
    return joined


class Core:
    """Lists, accounts, and the one way to the platform."""

    __slots__ = (
        "__weakref__",
        "_batch",
        "_cow_end",
        "_cow_size",
        "_dropped",
        "_read_pages",
        "_search_from",
        "_skipped_hole",
        "_spurious",
        "_view",
        "_write_pages",
        "areas",
        "arg_end",
        "arg_start",
        "auxv",
        "brk_end",
        "brk_start",
        "code_end",
        "code_start",
        "data_bytes",
        "data_end",
        "data_start",
        "env_end",
        "env_start",
        "exe",
        "futexes",
        "limits",
        "lock_flags",
        "locked_bytes",
        "memory",
        "mmap_base",
        "runs",
        "space",
        "stack_bytes",
        "stack_start",
        "total_bytes",
        "users",
    )

    def __init__(self, space: "AddressSpace", memory: MemoryFile, limits: "Limits", futexes: Manager) -> None:
        """Begin with nothing mapped and one user."""
        self.futexes = futexes
        self.space = space
        self.memory = memory
        self.limits = limits
        self.users = 1
        self.areas: Sorted[Area] = Sorted()
        self.runs: Sorted[Run] = Sorted()
        self._view = memory.view
        self._batch: list[Op] | None = None
        self._dropped: list[tuple[int, int]] = []
        # page number -> (offset in the memory file minus address, end address of the piece)
        self._read_pages: dict[int, tuple[int, int]] = {}
        self._write_pages: dict[int, tuple[int, int]] = {}
        self._cow_end = self._cow_size = 0
        self._spurious = (0, 0)
        self._clear_accounts()

    def _clear_accounts(self) -> None:
        self.total_bytes = self.data_bytes = self.stack_bytes = self.locked_bytes = 0
        self.lock_flags = 0
        self.brk_start = self.brk_end = self.stack_start = 0
        self.code_start = self.code_end = self.data_start = self.data_end = 0
        self.arg_start = self.arg_end = self.env_start = self.env_end = 0
        self.auxv = b""
        self.exe: object = None
        self.set_layout(0, 0)

    # -- layout -------------------------------------------------------------------------------------------------------

    def set_layout(self, stack_slack: int, random_pages: int) -> None:
        """Choose where mappings are placed: downwards from below the stack.

        stack_slack: bytes that stack randomisation may take; random_pages: how many pages lower than need be.
        Linux: mm/util.c mmap_base.
        """
        limit = self.limits.soft(RLIMIT_STACK)
        gap = limit + stack_slack + STACK_GUARD_GAP
        gap = max(128 << 20, min(gap, TASK_SIZE // 6 * 5))
        self.mmap_base = (TASK_SIZE - gap - (random_pages << 12)) & -PAGE_SIZE
        self._search_from = self.mmap_base
        self._skipped_hole = 0

    def randomise_layout(self, random: bytes) -> None:
        """Choose the place of mappings by 8 random bytes."""
        value = int.from_bytes(random[:8], "little")
        self.set_layout(16 << 30, value & ((1 << 28) - 1))

    # -- the way to the platform --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Collect operations from now on. Requires: no guest thread of this space runs until `commit`."""
        self._batch = []

    @property
    def batching(self) -> bool:
        """Whether a batch is open."""
        return self._batch is not None

    def commit(self) -> None:
        """Do what was collected in one apply.

        Raises: LinuxError; the space is then in no known state and the guest must not run in it.
        """
        ops, self._batch = self._batch or [], None
        try:
            if ops:
                self.space.apply(coalesce(ops))
        except MapError as error:
            raise BY_NUMBER.get(error.errno, ENOMEM) from error
        finally:
            for offset, length in self._dropped:
                self.memory.decref(offset, length)
            self._dropped.clear()
            self.memory.reclaim()

    def _apply(self, ops: list[Op]) -> None:
        """Let the platform do ops. Raises: LinuxError; what was there before is there again."""
        if not ops:
            return
        if self._batch is not None:
            self._batch += ops
            return
        if len(ops) > 1:
            ops = coalesce(ops)
        try:
            self.space.apply(ops)
        except MapError as error:
            self._put_back(ops[: error.index + 1])
            raise BY_NUMBER.get(error.errno, ENOMEM) from error

    def _apply_for(self, ops: list[Op], runs: "Iterable[Run]") -> None:
        """Let the platform do ops for new runs, which drop their references if it refuses. Raises: LinuxError."""
        try:
            self._apply(ops)
        except LinuxError:
            for run in runs:
                self._drop(run)
            raise

    def _put_back(self, ops: list[Op]) -> None:
        """Make the host agree with the lists again where ops went; a fault heals what cannot be put back now."""
        for op in ops:
            try:
                self.space.apply([Op(_UNMAP, op.addr, op.length), *self._map_ops(op.addr, op.addr + op.length)])
            except MapError:
                continue

    def _map_ops(self, start: int, end: int) -> list[Op]:
        """Return the operations that map what the lists have in [start, end)."""
        ops = []
        for area in self.areas.within(start, end):
            if area.prot:
                low, high = max(area.start, start), min(area.end, end)
                ops += [self._map_op(run, area.prot, low, high) for run in self.runs.within(low, high)]
        return ops

    @staticmethod
    def _map_op(run: Run, prot: int, low: int, high: int) -> Op:
        low, high = max(low, run.start), min(high, run.end)
        return Op("map", low, high - low, run.host_prot(prot), run.backing, run.offset + low - run.start)

    # -- references ---------------------------------------------------------------------------------------------------

    def _hold(self, run: Run) -> None:
        if run.backing is self.memory:
            self.memory.incref(run.offset, run.end - run.start)

    def _drop_range(self, offset: int, length: int) -> None:
        if self._batch is not None:
            self._dropped.append((offset, length))
        else:
            self.memory.decref(offset, length)

    def _drop(self, run: Run) -> None:
        """Give back the references of a run that is in no list any more and not in the host's either."""
        length = run.end - run.start
        if run.backing is self.memory:
            self._drop_range(run.offset, length)
        if run.shadow >= 0:
            self._drop_range(run.shadow, length)

    # -- areas --------------------------------------------------------------------------------------------------------

    def _account(self, area: Area, sign: int) -> None:
        length = (area.end - area.start) * sign
        self.total_bytes += length
        if area.flags & VM_GROWSDOWN:
            self.stack_bytes += length
        elif area.prot & PROT_WRITE and not area.flags & VM_SHARED:
            self.data_bytes += length
        if area.flags & VM_LOCKED:
            self.locked_bytes += length

    def _add_area(self, area: Area) -> None:
        self._account(area, 1)
        mappers = getattr(area.file, "mappers", None)
        if mappers is not None:
            mappers.add(self)
        self.areas.add(area)
        mapped = getattr(area.file, "mapped", None)
        if mapped is not None:
            mapped(self)

    def _forget(self) -> None:
        """Drop cached translations."""
        self._read_pages.clear()
        self._write_pages.clear()

    def _remove(self, start: int, end: int) -> None:
        """Take [start, end) out of both lists. Requires: the host no longer maps it, or maps what replaces it."""
        told: list[Any] = []
        for area in self.areas.take(start, end):
            self._account(area, -1)
            if hasattr(area.file, "unmapped"):
                told.append(area.file)
        for run in self.runs.take(start, end):
            self._drop(run)
        self._forget()
        for file in told:
            file.unmapped(self)
        if end > self._search_from:
            self._raise_search(end)

    def _raise_search(self, end: int) -> None:
        """Look for free space from above the hole that [.., end) has just made or widened."""
        areas = self.areas
        index = areas.index_from(end)
        above = areas.starts[index] if index < len(areas) else TASK_SIZE
        self._search_from = min(max(self._search_from, above), self.mmap_base)

    def _host_maps(self, start: int, end: int) -> bool:
        """Tell whether the host may map something in [start, end)."""
        return any(area.prot for area in self.areas.within(start, end)) and bool(self.runs.within(start, end))

    def _allowed(self, grow: int, data: int) -> None:
        """Check RLIMIT_AS and RLIMIT_DATA before grow more bytes, data of them private and writable. Raises: ENOMEM."""
        if grow > 0:
            limit = self.limits.soft(RLIMIT_AS)
            if limit != RLIM_INFINITY and self.total_bytes + grow > limit:
                raise ENOMEM
        if data > 0:
            limit = self.limits.soft(RLIMIT_DATA)
            if limit != RLIM_INFINITY and self.data_bytes + data > limit:
                raise ENOMEM

    # -- placement ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _low_edge(area: Area) -> int:
        return area.start - STACK_GUARD_GAP if area.flags & VM_GROWSDOWN else area.start

    def _is_free(self, start: int, end: int) -> bool:
        """Tell whether nothing is in [start, end), guard gap of a stack above included."""
        areas = self.areas
        index = areas.index_from(start)
        return index >= len(areas) or self._low_edge(areas.items[index]) >= end

    def find_free(self, length: int) -> int:
        """Return the highest free place below mmap_base. Raises: ENOMEM."""
        if length <= self._skipped_hole:
            self._search_from = self.mmap_base
        if self._search_from >= self.mmap_base:
            self._skipped_hole = 0
        found = self._search_down(length, self._search_from, MMAP_MIN_ADDR)
        if found < 0 and self._search_from < self.mmap_base:
            self._skipped_hole = 0
            found = self._search_down(length, self.mmap_base, MMAP_MIN_ADDR)
        if found < 0:
            found = self._search_up(length, self.mmap_base, TASK_SIZE)
        else:
            self._search_from = found
        return found

    def _search_down(self, length: int, ceiling: int, floor: int) -> int:
        areas = self.areas
        index = areas.index_from(ceiling)
        if index < len(areas):
            ceiling = min(ceiling, self._low_edge(areas.items[index]))
        while index > 0:
            index -= 1
            area = areas.items[index]
            hole = ceiling - area.end
            if hole >= length:
                return ceiling - length
            self._skipped_hole = max(self._skipped_hole, hole)
            ceiling = min(ceiling, self._low_edge(area))
        return ceiling - length if ceiling - length >= floor else -1

    def _search_up(self, length: int, floor: int, ceiling: int) -> int:
        areas = self.areas
        for index in range(areas.index_from(floor), len(areas)):
            area = areas.items[index]
            if self._low_edge(area) - floor >= length:
                return floor
            floor = area.end
        if ceiling - floor < length:
            raise ENOMEM
        return floor

    # -- making runs --------------------------------------------------------------------------------------------------

    def _fresh(self, start: int, end: int, *, top_down: bool) -> Run:
        """Return a run of zeroed pages of our own for [start, end), in the file beside its neighbour if that can be.

        Raises: ENOMEM.
        """
        memory, length = self.memory, end - start
        below = self.runs.at(start - 1)
        if (
            below is not None
            and below.mode == OWNED
            and memory.allocate_at(below.offset + below.end - below.start, length, MemoryKind.ANONYMOUS)
        ):
            offset = below.offset + below.end - below.start
        else:
            offset = memory.allocate(length, MemoryKind.ANONYMOUS, top_down=top_down)
        return Run(start, end, memory, offset, OWNED)

    def _gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parts of [start, end) without a run."""
        gaps = []
        for run in self.runs.within(start, end):
            if run.start > start:
                gaps.append((start, run.start))
            start = run.end
        if start < end:
            gaps.append((start, end))
        return gaps

    def _copy(self, backing_fd: int, source: int, target: int, length: int) -> None:
        """Fill length fresh bytes of the memory file at target from a file; what is beyond its end stays zero."""
        view = self._view[target : target + length]
        done = 0
        while done < length:
            got = os.preadv(backing_fd, [view[done:]], source + done)
            if got <= 0:
                break
            done += got
