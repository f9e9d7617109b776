"""What an address space is made of: areas (what the guest asked for) and runs (what lies behind).

An `Area` is Linux's VMA: permissions, flags, file. A `Run` is a piece of memory that may be visible: a backing, an
offset, and whose it is. An area without a run under it is PROT_NONE memory never used, or lies beyond the end of its
file. Areas and runs are cut independently: mprotect cuts no run, copy-on-write cuts no area. Both live in a `Sorted`,
a pair of lists.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sentry_abi.mman import PROT_WRITE

if TYPE_CHECKING:
    from sentry_mm._mappable import Mappable
    from sentry_platform import Backing

VM_SHARED: Final = 1
VM_GROWSDOWN: Final = 2
VM_LOCKED: Final = 4
VM_LOCKONFAULT: Final = 8
VM_DONTFORK: Final = 16
VM_WIPEONFORK: Final = 32
VM_NORESERVE: Final = 64
VM_DONTDUMP: Final = 128
VM_STACK: Final = 256

SHARED: Final = 0
"""The run's pages belong to a file or a shared object: writes go straight to them."""
OWNED: Final = 1
"""Private pages that nobody else sees: writes go straight to them."""
COW: Final = 2
"""Private view of pages that others see too: the host mapping is never writable; a write copies."""


class Area:
    """A VMA. `offset` is the file offset of `start`; meaningless without a file."""

    __slots__ = ("end", "file", "flags", "max_prot", "name", "offset", "prot", "start")

    def __init__(
        self,
        start: int,
        end: int,
        prot: int,
        max_prot: int,
        flags: int,
        file: "Mappable | None",
        offset: int,
        name: object,
    ) -> None:
        """Make an area. name: what /proc shows: bytes, or an object that whoever shows it can turn into a path."""
        self.start = start
        self.end = end
        self.prot = prot
        self.max_prot = max_prot
        self.flags = flags
        self.file = file
        self.offset = offset
        self.name = name

    @property
    def shared(self) -> bool:
        """Whether writes are seen by others (MAP_SHARED)."""
        return bool(self.flags & VM_SHARED)

    def split(self, at: int) -> "Area":
        """Keep what lies below at; return the rest."""
        rest = Area(
            at, self.end, self.prot, self.max_prot, self.flags, self.file, self.offset + at - self.start, self.name
        )
        self.end = at
        return rest

    def join(self, other: "Area") -> bool:
        """Take in the neighbour above if nothing tells the two apart.

        A file that is told of unmapping counts its areas: they stay apart, as with Linux's vm_ops->close.
        """
        if (
            self.end != other.start
            or self.prot != other.prot
            or self.flags != other.flags
            or self.file is not other.file
            or self.max_prot != other.max_prot
            or self.name != other.name
            or (
                self.file is not None
                and (self.offset + self.end - self.start != other.offset or hasattr(self.file, "unmapped"))
            )
        ):
            return False
        self.end = other.end
        return True

    def __repr__(self) -> str:
        """Show it as /proc/PID/maps does."""
        letters = "".join(c if self.prot & 1 << i else "-" for i, c in enumerate("rwx"))
        return f"{self.start:x}-{self.end:x} {letters}{'s' if self.shared else 'p'} {self.offset:x} {self.name!r}"


class Run:
    """A piece of backing under a range of addresses. Holds one reference of each page of `offset` (and of `shadow`).

    shadow: offset in the memory file where the copies of a COW run go, page k to shadow + k, so that copied
    neighbours lie side by side and merge again; -1 before the first copy.
    """

    __slots__ = ("backing", "end", "mode", "offset", "shadow", "start")

    def __init__(self, start: int, end: int, backing: "Backing", offset: int, mode: int, shadow: int = -1) -> None:
        """Make a run."""
        self.start = start
        self.end = end
        self.backing = backing
        self.offset = offset
        self.mode = mode
        self.shadow = shadow

    def split(self, at: int) -> "Run":
        """Keep what lies below at; return the rest."""
        skip = at - self.start
        shadow = self.shadow + skip if self.shadow >= 0 else -1
        rest = Run(at, self.end, self.backing, self.offset + skip, self.mode, shadow)
        self.end = at
        return rest

    def join(self, other: "Run") -> bool:
        """Take in the neighbour above if it continues this one."""
        length = self.end - self.start
        if (
            self.end != other.start
            or self.backing is not other.backing
            or self.mode != other.mode
            or self.offset + length != other.offset
            or (self.shadow + length != other.shadow if self.shadow >= 0 else other.shadow >= 0)
        ):
            return False
        self.end = other.end
        return True

    def host_prot(self, prot: int) -> int:
        """Return what the host may allow when the area allows prot."""
        return prot & ~PROT_WRITE if self.mode == COW else prot

    def __repr__(self) -> str:
        """Show it."""
        return f"{self.start:x}-{self.end:x} {self.backing.kind}+{self.offset:x} {'SOC'[self.mode]} {self.shadow:x}"


P = TypeVar("P", Area, Run)


class Sorted(Generic[P]):
    """Disjoint pieces in rising order. Linux allows 65,530 of them; an insertion moves at most 512 KiB of pointers."""

    __slots__ = ("items", "starts")

    def __init__(self) -> None:
        """Make an empty list."""
        self.items: list[P] = []
        self.starts: list[int] = []

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
