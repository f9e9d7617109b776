"""The memory file: every anonymous page of every guest and of tmpfs is an offset in one sparse host file.

Interface: `allocate`, `incref`, `decref` (reference counts per page range), `view` and `base` (the sentry's own
mapping), `fd` (what a platform maps into guests), `reclaim`.

The file is truncated once to `WINDOW` bytes, sealed against shrinking, and mapped once, whole, into the sentry.
Memory never moves, translation is an addition, and no page of the window ever gives SIGBUS. Weighed: mapping in
chunks of 1 GiB on first use; a mapping costs one host VMA and nothing else, whatever its length, so chunks buy
nothing and cost a lookup per access.

Life of a page: free -> used (one reference or more) -> waste (no reference, content not yet punched out) -> free. Only
`reclaim` turns waste into free pages: punching 2 MiB that are in use takes 437 us, so the kernel does it in slices
between events. A free page always reads as zeros.

Reference counts and kinds are in one map of ranges that is kept maximally merged: a million pages that were allocated
side by side are one entry.

Locks: one, innermost everywhere; `Evictable.evict` is called without it.
"""

import fcntl
import os
from _thread import allocate_lock
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol, Self

from sentry_abi.errors import EACCES, ENOMEM
from sentry_abi.memory import PAGE_SHIFT, PAGE_SIZE
from sentry_pgalloc import _host
from sentry_pgalloc._free import FreeSpace
from sentry_pgalloc._image import Reader, Tables, Writer, copy_pages, holes, read_tables, write_all
from sentry_pgalloc._ranges import Ranges

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

WINDOW: Final = 1 << 45
_MFD_EXEC: Final = 0x10
_SMALLEST_WINDOW: Final = 1 << 36
_ONE: Final = 8  # a value in the map is references * 8 + kind
_KIND: Final = 7
_WASTE_LIMIT: Final = 1 << 30  # a caller that never reclaims is made to


class MemoryKind:
    """What memory is used for; the numbers are part of the save format."""

    SYSTEM: Final = 0
    ANONYMOUS: Final = 1
    PAGE_CACHE: Final = 2
    TMPFS: Final = 3
    RAMDISK: Final = 4
    MAPPED: Final = 5  # memory outside of the file: counted by others, never allocated here
    COUNT: Final = 6


class Evictable(Protocol):
    """A cache that can give memory back."""

    def evict(self, start: int, end: int) -> None:
        """Drop what is cached for [start, end) of the user's own key space; may come late and must then do nothing."""
        ...


def _memfd() -> int:
    """Make a memfd that guests may execute from: JITs do. Since Linux 6.3 a host can forbid it (vm.memfd_noexec)."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("sentry-memory", flags | _MFD_EXEC)
    except OSError as error:
        if error.errno == EACCES.errno:
            message = "the host allows no executable memory file (sysctl vm.memfd_noexec)"
            raise OSError(error.errno, message) from error
    return os.memfd_create("sentry-memory", flags)


def _create(size: int) -> tuple[int, int]:
    """Make the memory file; return fd and size. A limit of the host (RLIMIT_FSIZE) halves the size."""
    fd = _memfd()
    while True:
        try:
            os.ftruncate(fd, size)
        except OSError as error:
            if size <= _SMALLEST_WINDOW:
                os.close(fd)
                message = f"the host allows no memory file of {size >> 30} GiB (ulimit -f, ulimit -v)"
                raise OSError(error.errno, message) from error
            size >>= 1
        else:
            return fd, size


class _Closed:
    """The lock of a closed file: so the check costs nothing while the file is open."""

    def __enter__(self) -> bool:
        message = "the memory file is closed"
        raise ValueError(message)

    def __exit__(self, *_: object) -> None:
        """Never come here."""


def _no_kind(kind: int) -> ValueError:
    return ValueError(f"kind {kind}: a memory file holds kinds 0 to {MemoryKind.MAPPED - 1}")


def _check_key_range(what: str, start: int, end: int) -> None:
    if not 0 <= start < end:
        message = f"{what}({start:#x}, {end:#x}): not a range"
        raise ValueError(message)


class MemoryFile:
    """Page allocator over one sparse host file; thread-safe."""

    kind: Final = "memory"

    def __init__(self, size: int = WINDOW) -> None:
        """Create and map the file.

        Raises: OSError with a message that names the limit, if the host refuses even 64 GiB.
        """
        fd, size = _create(size)
        while True:
            try:
                base, view = _host.map_window(fd, size)
            except OSError as error:
                if size <= _SMALLEST_WINDOW:
                    os.close(fd)
                    message = f"the host allows no mapping of {size >> 30} GiB (ulimit -v)"
                    raise OSError(error.errno, message) from error
                size >>= 1
                os.ftruncate(fd, size)
            else:
                break
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.fd = fd
        self.base = base
        self.view = view
        self.size = size
        self._mu: AbstractContextManager[bool | None] = allocate_lock()
        self._used = Ranges()  # guarded by _mu
        self._free = FreeSpace(size)  # guarded by _mu
        self._waste: deque[tuple[int, int]] = deque()  # guarded by _mu
        self._waste_bytes = 0  # guarded by _mu
        self._bytes = [0] * MemoryKind.COUNT  # guarded by _mu: allocated, by kind
        self._evictable: dict[Evictable, Ranges] = {}  # guarded by _mu

    # -- allocation ---------------------------------------------------------------------------------------------------

    def allocate(self, length: int, kind: int, *, top_down: bool = False) -> int:
        """Return the offset of length zeroed bytes with one reference; 2 MiB aligned from 2 MiB on.

        Neighbouring requests in one direction lie side by side where they can: bottom-up at rising, top-down at
        falling offsets.
        Raises: ENOMEM; ValueError for a length that is no whole pages or a kind that the file does not hold.
        """
        if length <= 0 or length & (PAGE_SIZE - 1):
            message = f"allocate({length}): not a positive multiple of the page size"
            raise ValueError(message)
        if not 0 <= kind < MemoryKind.MAPPED:
            raise _no_kind(kind)
        with self._mu:
            start = self._free.take(length, top_down=top_down)
            if start < 0:
                self._reclaim_locked(self.size)
                start = self._free.take(length, top_down=top_down)
                if start < 0:
                    raise ENOMEM
            self._used.add(start, start + length, _ONE | kind)
            self._bytes[kind] += length
        return start

    def allocate_at(self, offset: int, length: int, kind: int) -> bool:
        """Allocate exactly [offset, offset + length) if that is free and easy to see; for growing a range in place."""
        if offset + length > self.size:
            return False
        self._check_range("allocate_at", offset, length)
        if not 0 <= kind < MemoryKind.MAPPED:
            raise _no_kind(kind)
        with self._mu:
            if not self._free.take_at(offset, length):
                return False
            self._used.add(offset, offset + length, _ONE | kind)
            self._bytes[kind] += length
        return True

    def incref(self, offset: int, length: int) -> None:
        """Add a reference to every page of the range."""
        self._check_range("incref", offset, length)
        with self._mu:
            used = self._used
            self._check_whole("incref", offset, length, used.within(offset, offset + length))
            used.shift(offset, offset + length, _ONE)

    def incref_many(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Add a reference to every page of many ranges (offset, length); neighbours are done as one."""
        start = end = -1
        for offset, length in sorted(ranges):
            if offset == end:
                end += length
                continue
            if start >= 0:
                self.incref(start, end - start)
            start, end = offset, offset + length
        if start >= 0:
            self.incref(start, end - start)

    def decref(self, offset: int, length: int) -> None:
        """Drop a reference of every page of the range; pages without one become waste."""
        self._check_range("decref", offset, length)
        with self._mu:
            used = self._used
            parts = used.within(offset, offset + length)
            self._check_whole("decref", offset, length, parts)
            for start, end, value in parts:
                if value >= _ONE + _ONE:
                    used.shift(start, end, -_ONE)
                else:
                    used.clear(start, end)
                    self._bytes[value & _KIND] -= end - start
                    self._discard_locked(start, end)
            if self._waste_bytes > _WASTE_LIMIT:
                self._reclaim_locked(_WASTE_LIMIT)

    def _discard_locked(self, start: int, end: int) -> None:
        waste = self._waste
        self._waste_bytes += end - start
        if waste:
            first, last = waste[-1]
            if last == start:
                waste[-1] = (first, end)
                return
            if end == first:
                waste[-1] = (start, last)
                return
        waste.append((start, end))

    def _check_range(self, what: str, offset: int, length: int) -> None:
        if length <= 0 or (offset | length) & (PAGE_SIZE - 1) or offset < 0 or offset + length > self.size:
            message = f"{what}({offset:#x}, {length:#x}): not a page-aligned, non-empty range of the file"
            raise ValueError(message)

    @staticmethod
    def _check_whole(what: str, offset: int, length: int, parts: list[tuple[int, int, int]]) -> None:
        covered = parts[0][1] - parts[0][0] if len(parts) == 1 else sum(end - start for start, end, _ in parts)
        if covered != length:
            message = f"{what}({offset:#x}, {length:#x}): not all of it is allocated"
            raise ValueError(message)

    # -- looking ------------------------------------------------------------------------------------------------------

    def exclusive(self, offset: int, length: int) -> bool:
        """Return whether every page of the range has exactly one reference. Raises: ValueError for no page."""
        if length <= 0:
            message = f"exclusive({offset:#x}, {length:#x}): not a range"
            raise ValueError(message)
        with self._mu:
            parts = self._used.within(offset, offset + length)
        return all(value < _ONE + _ONE for _, _, value in parts) and sum(p[1] - p[0] for p in parts) == length

    def exclusive_around(self, offset: int, low: int, high: int) -> tuple[int, int] | None:
        """Return the longest range of pages with exactly one reference that holds offset, clipped to [low, high).

        None when the page at offset is not alone. Raises: ValueError for an offset outside of [low, high).
        """
        if not low <= offset < high:
            message = f"exclusive_around({offset:#x}): not in [{low:#x}, {high:#x})"
            raise ValueError(message)
        with self._mu:
            found = self._used.at(offset)
        if found is None or found[2] >= _ONE + _ONE:
            return None
        return max(found[0], low), min(found[1], high)

    def references(self, offset: int) -> int:
        """Return how many references the page at offset has; 0 for one that is not allocated."""
        with self._mu:
            found = self._used.at(offset)
        return 0 if found is None else found[2] >> 3

    def ranges(self) -> list[tuple[int, int, int, int]]:
        """Return (start, end, kind, references) of all allocated ranges, maximally merged, in rising order."""
        with self._mu:
            return [(start, end, value & _KIND, value >> 3) for start, end, value in self._used]

    # -- freeing --------------------------------------------------------------------------------------------------

    def decommit(self, offset: int, length: int) -> None:
        """Make the range read as zeros and cost nothing; references stay.

        Raises: OSError of the host; ValueError over pages that are not allocated.
        """
        self._check_range("decommit", offset, length)
        with self._mu:
            self._check_whole("decommit", offset, length, self._used.within(offset, offset + length))
        _host.punch(self.fd, offset, length)

    @property
    def waste_bytes(self) -> int:
        """How many bytes wait for reclaim."""
        return self._waste_bytes

    def reclaim(self, budget: int = 2 << 20) -> bool:
        """Turn waste into free pages, punching about budget bytes that were in use; return whether something is left.

        The default takes half a millisecond. Ranges that were never touched cost nothing, however long.
        """
        if not self._waste:
            return False
        with self._mu:
            self._reclaim_locked(budget)
            return bool(self._waste)

    def _reclaim_locked(self, budget: int) -> None:
        waste = self._waste
        while waste and budget > 0:
            start, end = waste.popleft()
            first = self._next_data(start, end)
            last = min(end, first + (budget + PAGE_SIZE - 1 & -PAGE_SIZE))
            if first < last:
                self._zero(first, last)
                budget -= last - first
            budget -= PAGE_SIZE
            if last < end:
                waste.appendleft((last, end))
            self._waste_bytes -= last - start
            self._free.give(start, last)

    def _next_data(self, start: int, end: int) -> int:
        try:
            return min(os.lseek(self.fd, start, os.SEEK_DATA), end)
        except OSError:  # ENXIO: only a hole up to the end of the file
            return end

    def _zero(self, start: int, end: int) -> None:
        try:
            _host.punch(self.fd, start, end - start)
        except OSError:  # the host has no memory for splitting a huge page: clear by hand, the pages stay
            for at in range(start, end, 1 << 20):
                stop = min(at + (1 << 20), end)
                self.view[at:stop] = bytes(stop - at)

    # -- accounting ---------------------------------------------------------------------------------------------------

    def allocated(self) -> list[int]:
        """Return allocated bytes by kind, touched or not."""
        with self._mu:
            return list(self._bytes)

    def total_usage(self) -> int:
        """Return how much memory the file takes from the host now, in bytes. Raises: OSError when it is closed."""
        return os.fstat(self.fd).st_blocks * 512

    def update_usage(self) -> list[int]:
        """Return bytes that really take the host's memory or swap, by kind; waste counts as SYSTEM.

        Walks the host's own map of the file (SEEK_DATA); commits nothing.
        """
        usage = [0] * MemoryKind.COUNT
        with self._mu:
            total = self.total_usage()
            for first, last in self._data_within(0, self.size):
                for start, end, value in self._used.within(first, last):
                    usage[value & _KIND] += end - start
        usage[MemoryKind.SYSTEM] += max(0, total - sum(usage))
        return usage

    def committed(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parts of [start, end) that take memory now, in rising order."""
        return self._data_within(start, end)

    def _data_within(self, start: int, end: int) -> list[tuple[int, int]]:
        found = []
        at = self._next_data(start, end)
        while at < end:
            stop = min(os.lseek(self.fd, at, os.SEEK_HOLE), end)
            found.append((at, stop))
            at = self._next_data(stop, end) if stop < end else end
        return found

    # -- eviction -----------------------------------------------------------------------------------------------------

    def mark_evictable(self, user: Evictable, start: int, end: int) -> None:
        """Record that user can free [start, end) of its own key space. Raises: ValueError for an empty range."""
        _check_key_range("mark_evictable", start, end)
        with self._mu:
            ranges = self._evictable.get(user)
            if ranges is None:
                ranges = self._evictable[user] = Ranges()
            ranges.set(start, end, 0)

    def mark_unevictable(self, user: Evictable, start: int, end: int) -> None:
        """Take the record back; an eviction under way may still come.

        Raises: ValueError for an empty range.
        """
        _check_key_range("mark_unevictable", start, end)
        with self._mu:
            ranges = self._evictable.get(user)
            if ranges is not None:
                ranges.clear(start, end)
                if not len(ranges):
                    del self._evictable[user]

    def evict(self, limit: int = 1 << 62) -> int:
        """Ask users to free ranges, the last ones first, until limit units are done; return how many were.

        Differs from gVisor: no worker thread per user; the caller decides when and how much.
        """
        done = 0
        while done < limit:
            with self._mu:
                user = next(iter(self._evictable), None)
                if user is None:
                    break
                ranges = self._evictable[user]
                start, end = ranges.last()
                start = max(start, end - (limit - done))
                ranges.clear(start, end)
                if not len(ranges):
                    del self._evictable[user]
            user.evict(start, end)
            done += end - start
        return done

    # -- saving -------------------------------------------------------------------------------------------------------

    def save_to(self, writer: Writer) -> None:
        """Write everything that is allocated, zero pages left out (gVisor: SaveTo).

        Requires: the memory does not change meanwhile; nothing waits to be evicted.
        Ensures: nothing waits for reclaim, and pages that turned out to be all zeros take no memory any more.
        Raises: RuntimeError while something is marked evictable; OSError if the writer takes no more.
        """
        with self._mu:
            if self._evictable:
                message = "save_to with evictable memory: evict() or mark_unevictable() first"
                raise RuntimeError(message)
            self._reclaim_locked(self.size)
            runs: list[tuple[int, int]] = []
            for start, end, _ in self._used:
                runs += self._kept_runs(start, end)
            Tables(self.size, self._free.low, self._free.high, list(self._used), runs).write(writer)
            for start, end in runs:
                for at in range(start, end, 1 << 20):
                    write_all(writer, self.view[at : min(at + (1 << 20), end)])

    def _kept_runs(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the runs of pages with data in [start, end); give the committed zero pages back."""
        runs = self.data_runs(start, end)
        for first, last in self._data_within(start, end):
            at = first
            for run_start, run_end in runs:
                if first <= run_start < last:
                    if at < run_start:
                        self._zero(at, run_start)
                    at = run_end
            if at < last:
                self._zero(at, last)
        return runs

    def load_from(self, reader: Reader) -> None:
        """Fill this empty file from what `save_to` wrote (gVisor: LoadFrom).

        Raises: ImageError, and the file can then only be closed; ValueError if it is not empty.
        """
        with self._mu:
            if len(self._used) or self._waste:
                message = "load_from into a memory file that is in use"
                raise ValueError(message)
            tables = read_tables(reader, self.size)
            for start, end, value in tables.ranges:
                self._used.set(start, end, value)
                self._bytes[value & _KIND] += end - start
            self._free.low = tables.low
            self._free.high = min(tables.high, self.size)
            for start, end in (*holes(self._used, 0, tables.low), *holes(self._used, self._free.high, self.size)):
                self._free.give(start, end)
            for start, end in tables.runs:
                copy_pages(reader, self.view, start, end)

    # -- life ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Unmap and close; views handed out must not be touched any more. Idempotent.

        Ensures: using the file from then on is a ValueError.
        """
        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        self._mu = _Closed()
        self.view = memoryview(bytearray())
        _host.unmap_window(self.base, self.size)
        os.close(fd)

    def __enter__(self) -> Self:
        """Return itself; leaving the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def data_runs(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parts of [start, end) that hold anything but zeros, page by page; commits nothing."""
        found: list[tuple[int, int]] = []
        for first, last in self._data_within(start, end):
            at = first
            while at < last:
                at += _host.zero_pages(self.base + at, (last - at) >> PAGE_SHIFT) << PAGE_SHIFT
                if at >= last:
                    break
                stop = at + (_host.data_pages(self.base + at, (last - at) >> PAGE_SHIFT) << PAGE_SHIFT)
                found.append((at, stop))
                at = stop
        return found
