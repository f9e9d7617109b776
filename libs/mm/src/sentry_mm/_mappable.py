"""What mm needs of the files that are mapped and of the pages behind them, and what those files may ask of mm."""

from typing import NamedTuple, Protocol

from sentry_platform import Backing


class Pages(Backing, Protocol):
    """A backing whose pages are counted: every PMA holds one reference of each page that it shows."""

    def incref(self, offset: int, length: int, /) -> None:
        """Add a reference to every page of the range."""
        ...

    def decref(self, offset: int, length: int, /) -> None:
        """Drop a reference of every page of the range; the last one releases them."""
        ...


class Extent(NamedTuple):
    """A page-aligned piece of a file: length bytes of backing from offset on."""

    backing: Pages
    offset: int
    length: int


class Mapper(Protocol):
    """An address space as a file sees it that is mapped there."""

    def invalidate(self, file: "Mappable", from_offset: int) -> None:
        """Unmap the pages of file from from_offset on: the file has been truncated."""
        ...

    def vmas_of(self, file: "Mappable") -> int:
        """Return how many VMAs map file."""
        ...


class Mappable(Protocol):
    """A file as something to be mapped."""

    @property
    def counts_vmas(self) -> bool:
        """Whether the number of VMAs matters: they never merge then. Linux: vm_ops->close prevents merging."""
        ...

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return what lies behind [offset, offset + length), in order, up to the last page of the file.

        A shorter list means end of file. An extent carries no reference of its own: mm takes one before anything else
        can drop the last.
        """
        ...

    def mapped_size(self) -> int:
        """Return the size of the file in bytes now."""
        ...

    def mapping_identity(self) -> object:
        """Return what is equal for two mappings of the same file, and hashable: futex key and reverse map."""
        ...

    def mapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count length bytes more that mm maps, in one VMA more (mmap, mremap, fork). Linux: vm_ops->open.

        writable: a shared mapping that may be written, now or after mprotect (VM_SHARED and VM_MAYWRITE).
        """
        ...

    def unmapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count length bytes less; called after the VMAs have gone, once for each. Linux: vm_ops->close.

        What `mapped` has counted comes back in full, though in other portions: VMAs are split and merged in between.
        """
        ...


class Counted(Protocol):
    """What an address space shares with its forks until it ends."""

    def incref(self) -> None:
        """Count one more owner."""
        ...

    def decref(self) -> None:
        """Count one owner less."""
        ...


class Uncounted:
    """A base for mappable files, and for backings, that outlive every mapping: nothing is counted."""

    __slots__ = ()

    counts_vmas = False

    def mapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count nothing."""

    def unmapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count nothing."""

    def incref(self, offset: int, length: int, /) -> None:
        """Count nothing."""

    def decref(self, offset: int, length: int, /) -> None:
        """Count nothing."""


class Mappers:
    """The address spaces that map a file, and how much of it; what a Mappable may hold. Linux: i_mmap."""

    __slots__ = ("lengths", "writable")

    def __init__(self) -> None:
        """Begin with none."""
        self.lengths: dict[Mapper, int] = {}
        """Bytes by address space."""
        self.writable = 0
        """Bytes of shared mappings that may be written. Linux: i_mmap_writable."""

    def __bool__(self) -> bool:
        """Return whether the file is mapped."""
        return bool(self.lengths)

    def add(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count length bytes more in mm."""
        self.lengths[mm] = self.lengths.get(mm, 0) + length
        if writable:
            self.writable += length

    def remove(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count length bytes less in mm; the last ones remove mm."""
        left = self.lengths[mm] - length
        if left:
            self.lengths[mm] = left
        else:
            del self.lengths[mm]
        if writable:
            self.writable -= length

    def invalidate(self, file: Mappable, size: int) -> None:
        """Unmap what lies beyond size bytes of file, everywhere. Linux: unmap_mapping_range."""
        for mm in tuple(self.lengths):
            mm.invalidate(file, size)
