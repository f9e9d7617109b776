"""VMAs: what a program has mapped, as /proc/PID/maps shows it. Linux: struct vm_area_struct."""

from typing import TYPE_CHECKING, Final

from sentry_abi.mman import PROT_WRITE

if TYPE_CHECKING:
    from sentry_mm._mappable import Mappable

VM_SHARED: Final = 1
"""Bits of `vm_flags`, named as in Linux; the numbers are our own."""
VM_GROWSDOWN: Final = 2
VM_LOCKED: Final = 4
VM_LOCKONFAULT: Final = 8
VM_DONTFORK: Final = 16
VM_WIPEONFORK: Final = 32
VM_NORESERVE: Final = 64
VM_DONTDUMP: Final = 128
VM_STACK: Final = 256
VM_SEQ_READ: Final = 512
VM_RAND_READ: Final = 1024


class Vma:
    """A range with one protection and one file; `offset` is the file offset of `start`, if there is a file."""

    __slots__ = ("end", "file", "max_prot", "name", "offset", "prot", "start", "vm_flags")

    def __init__(
        self,
        start: int,
        end: int,
        prot: int,
        max_prot: int,
        vm_flags: int,
        file: "Mappable | None",
        offset: int,
        name: object,
    ) -> None:
        """Describe [start, end).

        max_prot: what mprotect may set at most (VM_MAYREAD and the like).
        name: what /proc shows: bytes, or an object that procfs can turn into a path.
        """
        self.start = start
        self.end = end
        self.prot = prot
        self.max_prot = max_prot
        self.vm_flags = vm_flags
        self.file = file
        self.offset = offset
        self.name = name

    @property
    def may_share_writes(self) -> bool:
        """Whether it is, or can become, writable for everybody who maps the file: VM_SHARED and VM_MAYWRITE."""
        return bool(self.vm_flags & VM_SHARED and self.max_prot & PROT_WRITE)

    @property
    def shared(self) -> bool:
        """Whether it was mapped MAP_SHARED."""
        return bool(self.vm_flags & VM_SHARED)

    def split(self, at: int) -> "Vma":
        """Keep what lies below at; return the rest."""
        rest = Vma(
            at, self.end, self.prot, self.max_prot, self.vm_flags, self.file, self.offset + at - self.start, self.name
        )
        self.end = at
        return rest

    def join(self, other: "Vma") -> bool:
        """Merge with the neighbour above if the two differ in nothing but their place (can_vma_merge_after)."""
        if (
            self.end != other.start
            or self.prot != other.prot
            or self.vm_flags != other.vm_flags
            or self.file is not other.file
            or self.max_prot != other.max_prot
            or self.name != other.name
            or (
                self.file is not None and (self.offset + self.end - self.start != other.offset or self.file.counts_vmas)
            )
        ):
            return False
        self.end = other.end
        return True

    def __repr__(self) -> str:
        """Show it as /proc/PID/maps does."""
        letters = "".join(c if self.prot & 1 << i else "-" for i, c in enumerate("rwx"))
        return f"{self.start:x}-{self.end:x} {letters}{'s' if self.shared else 'p'} {self.offset:x} {self.name!r}"
