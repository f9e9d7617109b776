"""Copy-on-write.

A write to private pages that others see too costs a fault, 35 us with the trap, so each does as much as is sure to be
useful. Pages without another reference become writable without a copy, the whole PMA at once and every other such PMA
of the space with it (after a forked child has gone, all of them). Where a copy is needed it begins with 16 KiB and
doubles while faults follow each other.

Copies go to shadow ranges: a PMA that is copied for the first time gets a sparse range of its own length, and page k of
it goes to page k of that. Copied neighbours are then contiguous in the file and one host mapping again, which keeps a
space below the host's limit of mappings (65,530). Alternate pages are the worst case: from 32 pieces in one 2 MiB block
on the block is copied whole.
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.memory import HUGE_PAGE_SIZE, PAGE_SIZE
from sentry_abi.mman import PROT_WRITE
from sentry_mm._apply import apply, drop_range
from sentry_mm._backing import copy_from_file
from sentry_mm._lists import flush_translations
from sentry_mm._pma import COW, OWNED, Pma
from sentry_pgalloc import MemoryKind
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mm import MMState
    from sentry_mm._vma import Vma

_FIRST_COPY: Final = 16 << 10
_BLOCK_PIECES: Final = 32
_MAX_PMAS: Final = 8192
_SHADOW_SPAN: Final = 1 << 30
_REENABLE: Final = 16
_LOOK_AT: Final = 256


def break_cow(mm: "MMState", vma: "Vma", pma: Pma, addr: int, stop: int = 0) -> None:
    """Make the page at addr writable for its VMA: take it over if it has one reference, else copy it.

    stop: a kernel write goes on to here; the copy covers it at once.
    Raises: ENOMEM.
    """
    low, high = max(vma.start, pma.start), min(vma.end, pma.end)
    if pma.backing is mm.memory:
        shift = pma.offset - pma.start
        alone = mm.memory.exclusive_around(addr + shift, low + shift, high + shift)
        if alone is not None:
            _take_over(mm, vma, alone[0] - shift, alone[1] - shift)
            return
    _copy_pmas(mm, vma, _to_copy(mm, vma, pma, addr, stop))


def _to_copy(mm: "MMState", vma: "Vma", pma: Pma, addr: int, stop: int) -> list[tuple[Pma, int, int]]:
    """Choose what a write at addr copies: the chunk around it, or the whole 2 MiB block when that is in pieces."""
    low, high = max(vma.start, pma.start), min(vma.end, pma.end)
    block = addr & -HUGE_PAGE_SIZE
    block_end = block + HUGE_PAGE_SIZE
    crowd = mm.pmas.within(max(block, vma.start), min(block_end, vma.end))
    if len(crowd) > _BLOCK_PIECES:
        first, last = max(block, vma.start), min(block_end, vma.end)
        return [(r, max(r.start, first), min(r.end, last)) for r in crowd if r.mode == COW]
    if len(mm.pmas) > _MAX_PMAS:
        return [(pma, max(block, low), min(block_end, high))]
    start = addr & -_FIRST_COPY
    if mm.cow_end <= addr < mm.cow_end + mm.cow_size:
        start = addr & -PAGE_SIZE
        mm.cow_size = min(mm.cow_size * 2, HUGE_PAGE_SIZE)
    else:
        mm.cow_size = _FIRST_COPY
    end = max(start + mm.cow_size, min((stop + PAGE_SIZE - 1) & -PAGE_SIZE, start + HUGE_PAGE_SIZE))
    mm.cow_end = min(end, high)
    return [(pma, max(start, low), min(end, high))]


def _take_over(mm: "MMState", vma: "Vma", low: int, high: int) -> None:
    """Make [low, high), whose pages have no other reference, OWNED; and other PMAs of which that is true."""
    ranges = [(low, high)]
    ops = [Op("protect", low, high - low, vma.prot)]
    for other in mm.pmas.items if len(mm.pmas) <= _LOOK_AT else ():
        if other.mode == COW and other.backing is mm.memory and not low <= other.start < high:
            owner = mm.vmas.at(other.start)
            if (
                owner is not None
                and owner.end >= other.end
                and owner.prot & PROT_WRITE
                and mm.memory.exclusive(other.offset, other.end - other.start)
            ):
                ranges.append((other.start, other.end))
                ops.append(Op("protect", other.start, other.end - other.start, owner.prot))
                if len(ops) > _REENABLE:
                    break
    apply(mm, ops)
    for start, end in ranges:
        for pma in mm.pmas.take(start, end):
            if pma.shadow >= 0:
                drop_range(mm, mm.memory, pma.shadow, pma.end - pma.start)
            mm.pmas.add(Pma(pma.start, pma.end, pma.backing, pma.offset, OWNED))


def _shadow_of(mm: "MMState", pma: Pma, start: int, end: int) -> int:
    """Return where the copy of start goes; a PMA without a shadow range gets one for at most 1 GiB of it."""
    if pma.shadow < 0:
        mm.pmas.cut(start & -_SHADOW_SPAN, (end + _SHADOW_SPAN - 1) & -_SHADOW_SPAN)
        piece = mm.pmas.at(start)
        assert piece is not None
        piece.shadow = mm.memory.allocate(piece.end - piece.start, MemoryKind.ANONYMOUS)
        pma = piece
    return pma.shadow + start - pma.start


def _copy_pmas(mm: "MMState", vma: "Vma", parts: list[tuple[Pma, int, int]]) -> None:
    """Copy [start, end) of each COW PMA and make the copies writable. Raises: ENOMEM."""
    ops = []
    made = []
    for pma, start, end in parts:
        if start >= end:
            continue
        target = _shadow_of(mm, pma, start, end)
        copy_from_file(mm, pma.backing.fd, pma.offset + start - pma.start, target, end - start)
        ops.append(Op("map", start, end - start, vma.prot, mm.memory, target))
        made.append((start, end, target))
    apply(mm, ops)
    for start, end, target in made:
        for pma in mm.pmas.take(start, end):
            drop_range(mm, pma.backing, pma.offset, pma.end - pma.start)
        mm.pmas.add(Pma(start, end, mm.memory, target, OWNED))
    flush_translations(mm)
