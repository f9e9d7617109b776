"""PMAs: the memory behind an address space. gVisor's name; what Linux keeps in page tables."""

from typing import TYPE_CHECKING, Final

from sentry_abi.mman import PROT_WRITE

if TYPE_CHECKING:
    from sentry_mm._mappable import Pages

SHARED: Final = 0
"""The pages belong to a file or a shared object: writes go straight to them."""
OWNED: Final = 1
"""Private pages of this address space alone: writes go straight to them."""
COW: Final = 2
"""Private view of pages that others see too: the host mapping is never writable; a write copies."""


class Pma:
    """A piece of backing under a range of addresses. Holds one reference of each page of `offset` (and of `shadow`).

    shadow: offset in the memory file where the copies of a COW PMA go, page k to shadow + k, so that copied neighbours
    lie side by side and merge again; -1 before the first copy.
    """

    __slots__ = ("backing", "end", "mode", "offset", "shadow", "start")

    def __init__(self, start: int, end: int, backing: "Pages", offset: int, mode: int, shadow: int = -1) -> None:
        """Show offset of backing at start; the caller has taken the references."""
        self.start = start
        self.end = end
        self.backing = backing
        self.offset = offset
        self.mode = mode
        self.shadow = shadow

    def split(self, at: int) -> "Pma":
        """Keep what lies below at; return the rest."""
        skip = at - self.start
        shadow = self.shadow + skip if self.shadow >= 0 else -1
        rest = Pma(at, self.end, self.backing, self.offset + skip, self.mode, shadow)
        self.end = at
        return rest

    def join(self, other: "Pma") -> bool:
        """Merge with the neighbour above if that continues this one."""
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
        """Return the protection of the host mapping where the VMA has prot."""
        return prot & ~PROT_WRITE if self.mode == COW else prot

    def __repr__(self) -> str:
        """Show range, backing, mode and shadow."""
        return f"{self.start:x}-{self.end:x} {self.backing.kind}+{self.offset:x} {'SOC'[self.mode]} {self.shadow:x}"
