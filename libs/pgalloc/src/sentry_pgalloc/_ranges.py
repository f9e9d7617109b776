"""An ordered map from ranges of integers to small integers, always maximally merged.

Two levels of sorted lists hold the starts: a list of blocks of at most 1,024, and the first start of each block.
Finding is two bisections, inserting one memmove of at most 8 KiB: 1 us among a million ranges, and while there are
fewer than 1,024 there is one block and nothing of the second level is touched. A B-tree or a skip list in Python
loses to this by a factor of five, because bisect and list.insert are C.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

_BLOCK: Final = 1024


class Ranges:
    """Disjoint ranges [start, end) with a value each; equal neighbours are always one range."""

    __slots__ = ("_blocks", "_heads", "_items")

    def __init__(self) -> None:
        """Make an empty map."""
        self._items: dict[int, tuple[int, int]] = {}  # start -> (end, value)
        self._blocks: list[list[int]] = [[]]
        self._heads: list[int] = [-1]  # a lower bound of each block; the first is below everything

    def __len__(self) -> int:
        """Return how many ranges there are."""
        return len(self._items)

    def last(self) -> tuple[int, int]:
        """Return start and end of the last range. Requires: there is one."""
        start = self._floor(1 << 64)
        return start, self._items[start][0]

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, value) in rising order."""
        items = self._items
        for block in self._blocks:
            for start in block:
                end, value = items[start]
                yield start, end, value

    def _block(self, key: int) -> int:
        return 0 if len(self._heads) == 1 else bisect_right(self._heads, key) - 1

    def _insert(self, start: int, end: int, value: int) -> None:
        self._items[start] = (end, value)
        index = self._block(start)
        block = self._blocks[index]
        block.insert(bisect_left(block, start), start)
        if len(block) > _BLOCK:
            half = block[_BLOCK // 2 :]
            del block[_BLOCK // 2 :]
            self._blocks.insert(index + 1, half)
            self._heads.insert(index + 1, half[0])

    def _remove(self, start: int) -> None:
        del self._items[start]
        index = self._block(start)
        block = self._blocks[index]
        del block[bisect_left(block, start)]
        if not block and index:
            del self._blocks[index]
            del self._heads[index]

    def _floor(self, position: int) -> int:
        """Return the start of the last range that starts at or before position, or -1."""
        index = self._block(position)
        while index >= 0:
            block = self._blocks[index]
            at = bisect_right(block, position)
            if at:
                return block[at - 1]
            index -= 1
        return -1

    def _after(self, position: int) -> int:
        """Return the first start above position, or -1."""
        index = self._block(position)
        while index < len(self._blocks):
            block = self._blocks[index]
            at = bisect_right(block, position)
            if at < len(block):
                return block[at]
            index += 1
        return -1

    def at(self, position: int) -> tuple[int, int, int] | None:
        """Return the range (start, end, value) that holds position."""
        start = self._floor(position)
        if start < 0:
            return None
        end, value = self._items[start]
        return (start, end, value) if position < end else None

    def within(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """Return the ranges that overlap [start, end), clipped to it, in rising order."""
        at = self._floor(start)
        if at >= 0:
            last, value = self._items[at]
            if last >= end:  # the usual case: one range covers all
                return [(start, end, value)]
            found = [(start, last, value)] if last > start else []
        else:
            found = []
        at = self._after(start)
        while 0 <= at < end:
            last, value = self._items[at]
            found.append((at, min(last, end), value))
            at = self._after(at)
        return found

    def set(self, start: int, end: int, value: int) -> None:
        """Give [start, end) this value, whatever it had."""
        self.clear(start, end)
        self.add(start, end, value)

    def add(self, start: int, end: int, value: int) -> None:
        """Give [start, end), where nothing is, this value."""
        before = self._floor(start)
        if before >= 0 and self._items[before] == (start, value):
            start = before
        joined = self._items.get(end)
        if joined is not None and joined[1] == value:
            self._remove(end)
            end = joined[0]
        if start in self._items:
            self._items[start] = (end, value)
        else:
            self._insert(start, end, value)

    def shift(self, start: int, end: int, delta: int) -> None:
        """Add delta to the value of every range in [start, end). Requires: all of it is covered."""
        items = self._items
        at = self._floor(start)
        if at < start:
            last, value = items[at]
            items[at] = (start, value)
            self._insert(start, last, value)
            at = start
        while True:
            last, value = items[at]
            if last > end:
                self._insert(end, last, value)
                last = end
            items[at] = (last, value + delta)
            if last == end:
                break
            at = last
        self._join(start)
        self._join(end)

    def _join(self, border: int) -> None:
        """Make one of the two ranges that meet at border, if their values are equal now."""
        found = self._items.get(border)
        if found is None:
            return
        before = self._floor(border - 1)
        if before >= 0 and self._items[before] == (border, found[1]):
            self._remove(border)
            self._items[before] = found

    def clear(self, start: int, end: int) -> None:
        """Take [start, end) out."""
        items = self._items
        at = self._floor(start)
        if at >= 0:
            last, value = items[at]
            if last > start:
                if at < start:
                    items[at] = (start, value)
                else:
                    self._remove(at)
                if last > end:
                    self._insert(end, last, value)
                if last >= end:
                    return
        at = self._after(start)
        while 0 <= at < end:
            last, value = items[at]
            self._remove(at)
            if last > end:
                self._insert(end, last, value)
            at = self._after(at)
