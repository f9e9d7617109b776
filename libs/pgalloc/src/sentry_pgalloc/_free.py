"""The unused parts of the memory file.

Two frontiers: everything between `low` and `high` was never handed out or has come back. `low` rises for bottom-up
requests, `high` falls for top-down ones, so that memory which grows up (heaps) and memory which grows down (mappings,
placed below each other) both stay contiguous in the file and their host mappings merge. Holes below `low` and above
`high` are kept by size class and by both ends; neighbours are joined. A class holds sizes with the same bit length in
pages: every hole of a higher class fits, of the own class at most eight are tried. All operations are O(1) in the
number of holes.

Weighed: first fit upward from the lowest hole, as gVisor does. It needs an augmented tree to be fast among a million
holes, and what it buys (a short file) a sparse file does not need.
"""

from typing import Final

from sentry_abi.memory import HUGE_PAGE_SIZE, PAGE_SHIFT, PAGE_SIZE

_TRIES: Final = 8


class FreeSpace:
    """Free ranges of [0, size), in bytes, page-aligned."""

    __slots__ = ("_bins", "_by_end", "_by_start", "_used_bins", "high", "low", "size")

    def __init__(self, size: int) -> None:
        """Begin with everything free."""
        self.size = size
        self.low = 0
        self.high = size
        self._by_start: dict[int, int] = {}
        self._by_end: dict[int, int] = {}
        self._bins: list[dict[int, int]] = [{} for _ in range(64)]  # start -> end, by bit length in pages
        self._used_bins = 0

    def holes(self) -> list[tuple[int, int]]:
        """Return the holes outside the two frontiers in rising order; for saving and for tests."""
        return sorted(self._by_start.items())

    def _add_hole(self, start: int, end: int) -> None:
        self._by_start[start] = end
        self._by_end[end] = start
        size_class = ((end - start) >> PAGE_SHIFT).bit_length()
        self._bins[size_class][start] = end
        self._used_bins |= 1 << size_class

    def _drop_hole(self, start: int, end: int) -> None:
        del self._by_start[start]
        del self._by_end[end]
        size_class = ((end - start) >> PAGE_SHIFT).bit_length()
        holes = self._bins[size_class]
        del holes[start]
        if not holes:
            self._used_bins &= ~(1 << size_class)

    def take(self, length: int, *, top_down: bool) -> int:
        """Return the offset of length free bytes, 2 MiB aligned from 2 MiB on; -1 if there is no such range."""
        align = HUGE_PAGE_SIZE if length >= HUGE_PAGE_SIZE else PAGE_SIZE
        if self._used_bins:
            start = self._take_hole(length, align, top_down=top_down)
            if start >= 0:
                return start
        if top_down:
            start = (self.high - length) & -align
            if start < self.low:
                return -1
            gap, self.high = self.high, start
            if start + length < gap:
                self._add_hole(start + length, gap)
            return start
        start = (self.low + align - 1) & -align
        if start + length > self.high:
            return -1
        gap, self.low = self.low, start + length
        if gap < start:
            self._add_hole(gap, start)
        return start

    def _take_hole(self, length: int, align: int, *, top_down: bool) -> int:
        own = (length >> PAGE_SHIFT).bit_length()
        sure = (
            (length + align - PAGE_SIZE) >> PAGE_SHIFT
        ).bit_length() + 1  # any hole of this class or a higher one fits
        candidates = self._used_bins >> own << own
        while candidates:
            size_class = (candidates & -candidates).bit_length() - 1
            candidates &= candidates - 1
            tries = _TRIES if size_class < sure else 1
            for hole, hole_end in reversed(self._bins[size_class].items()):
                start = (hole_end - length) & -align if top_down else (hole + align - 1) & -align
                if start >= hole and start + length <= hole_end:
                    self._carve(hole, hole_end, start, start + length)
                    return start
                tries -= 1
                if not tries:
                    break
        return -1

    def take_at(self, start: int, length: int) -> bool:
        """Take exactly [start, start + length) if it is free at a frontier or begins or ends a hole."""
        end = start + length
        if start == self.low and end <= self.high:
            self.low = end
            return True
        if end == self.high and start >= self.low:
            self.high = start
            return True
        hole_end = self._by_start.get(start, -1)
        if hole_end >= end:
            self._carve(start, hole_end, start, end)
            return True
        hole = self._by_end.get(end, end)
        if hole <= start:
            self._carve(hole, end, start, end)
            return True
        return False

    def _carve(self, hole: int, hole_end: int, start: int, end: int) -> None:
        self._drop_hole(hole, hole_end)
        if hole < start:
            self._add_hole(hole, start)
        if end < hole_end:
            self._add_hole(end, hole_end)

    def give(self, start: int, end: int) -> None:
        """Free [start, end)."""
        before = self._by_end.get(start, -1)
        if before >= 0:
            self._drop_hole(before, start)
            start = before
        after = self._by_start.get(end, -1)
        if after >= 0:
            self._drop_hole(end, after)
            end = after
        if end == self.low:
            self.low = start
        elif start == self.high:
            self.high = end
        else:
            self._add_hole(start, end)
