"""A sorted list of disjoint ranges, which holds the VMAs of an address space and its PMAs."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Generic, Protocol, Self, TypeVar


class Piece(Protocol):
    """A range [start, end) of addresses that can be cut and joined."""

    start: int
    end: int

    def split(self, at: int, /) -> Self:
        """Keep what lies below at; return the rest."""
        ...

    def join(self, other: Self, /) -> bool:
        """Merge with the neighbour above if that continues this one; return whether it did."""
        ...


P = TypeVar("P", bound=Piece)


class Sorted(Generic[P]):
    """Disjoint pieces in rising order. Linux allows 65,530 of them; an insertion moves at most 512 KiB of pointers."""

    __slots__ = ("items", "starts")

    def __init__(self) -> None:
        """Make an empty list."""
        self.items: list[P] = []
        self.starts: list[int] = []

    def after_load(self) -> None:
        """Derive the starts, which are not saved."""
        self.starts = [item.start for item in self.items]

    def __iter__(self) -> Iterator[P]:
        """Yield the pieces in rising order."""
        return iter(self.items)

    def __len__(self) -> int:
        """Return how many pieces there are."""
        return len(self.items)

    def at(self, addr: int) -> P | None:
        """Return the piece that holds addr."""
        index = bisect_right(self.starts, addr) - 1
        if index < 0:
            return None
        item = self.items[index]
        return item if addr < item.end else None

    def index_from(self, addr: int) -> int:
        """Return the index of the first piece that ends above addr."""
        index = bisect_right(self.starts, addr) - 1
        return index if index >= 0 and self.items[index].end > addr else index + 1

    def within(self, start: int, end: int) -> list[P]:
        """Return the pieces that overlap [start, end)."""
        return self.items[self.index_from(start) : bisect_left(self.starts, end)]

    def cut(self, start: int, end: int) -> tuple[int, int]:
        """Make start and end boundaries; return the slice of the pieces between."""
        return self._cut_at(start), self._cut_at(end)

    def _cut_at(self, at: int) -> int:
        index = bisect_left(self.starts, at)
        if index and self.items[index - 1].end > at:
            self.items.insert(index, self.items[index - 1].split(at))
            self.starts.insert(index, at)
        return index

    def take(self, start: int, end: int) -> list[P]:
        """Cut out [start, end) and return what was there."""
        if not self.items:
            return []
        first, last = self.cut(start, end)
        taken = self.items[first:last]
        del self.items[first:last]
        del self.starts[first:last]
        return taken

    def add(self, piece: P) -> P:
        """Insert a piece where nothing is, joining it with its neighbours; return what holds it now."""
        index = bisect_left(self.starts, piece.start)
        if index and self.items[index - 1].join(piece):
            index -= 1
            piece = self.items[index]
        else:
            self.items.insert(index, piece)
            self.starts.insert(index, piece.start)
        if index + 1 < len(self.items) and piece.join(self.items[index + 1]):
            del self.items[index + 1]
            del self.starts[index + 1]
        return piece

    def join_range(self, start: int, end: int) -> None:
        """Join neighbours from the piece before start to the piece after end."""
        index = max(bisect_left(self.starts, start) - 1, 0)
        while index + 1 < len(self.items) and self.items[index].end <= end:
            if self.items[index].join(self.items[index + 1]):
                del self.items[index + 1]
                del self.starts[index + 1]
            else:
                index += 1
