"""madvise. It reports a hole only after doing the rest of the range. Source: Linux mm/madvise.c (6.1)."""

from typing import TYPE_CHECKING, Final

from sentry_abi import mman as c
from sentry_abi.errors import EACCES, EINVAL, ENOMEM
from sentry_abi.memory import PAGE_SIZE, page_up
from sentry_abi.mman import PROT_WRITE
from sentry_mm._access import locate
from sentry_mm._apply import apply_for, drop, map_op
from sentry_mm._backing import file_pmas
from sentry_mm._cow import break_cow
from sentry_mm._lists import flush_translations, gap_in_vmas, set_vm_flags
from sentry_mm._pma import COW, OWNED, Pma
from sentry_mm._vma import (
    VM_DONTDUMP,
    VM_DONTFORK,
    VM_LOCKED,
    VM_RAND_READ,
    VM_SEQ_READ,
    VM_SHARED,
    VM_WIPEONFORK,
    Vma,
)
from sentry_pgalloc import MemoryKind

if TYPE_CHECKING:
    from sentry_mm._mm import MMState

_PUNCH: Final = 2 << 20
"""Private memory up to here is punched in place (437 us if all of it is in use), above it gets a new range."""
_FLAGS: Final = {
    c.MADV_NORMAL: (0, VM_RAND_READ | VM_SEQ_READ),
    c.MADV_RANDOM: (VM_RAND_READ, VM_SEQ_READ),
    c.MADV_SEQUENTIAL: (VM_SEQ_READ, VM_RAND_READ),
    c.MADV_DONTFORK: (VM_DONTFORK, 0),
    c.MADV_DOFORK: (0, VM_DONTFORK),
    c.MADV_WIPEONFORK: (VM_WIPEONFORK, 0),
    c.MADV_KEEPONFORK: (0, VM_WIPEONFORK),
    c.MADV_DONTDUMP: (VM_DONTDUMP, 0),
    c.MADV_DODUMP: (0, VM_DONTDUMP),
}
_NOTHING: Final = frozenset({
    c.MADV_WILLNEED, c.MADV_FREE, c.MADV_MERGEABLE, c.MADV_UNMERGEABLE,
    c.MADV_HUGEPAGE, c.MADV_NOHUGEPAGE, c.MADV_COLD, c.MADV_PAGEOUT, c.MADV_COLLAPSE,
})  # fmt: skip


def madvise(mm: "MMState", addr: int, length: int, advice: int) -> None:
    """Take advice about a range. Raises: EINVAL, ENOMEM (a hole, after the rest is done), EFAULT, EBUSY.

    Differs: MADV_FREE keeps the pages, as Linux does while memory is plenty.
    """
    known = advice in _FLAGS or advice in _NOTHING or advice in {
        c.MADV_DONTNEED, c.MADV_DONTNEED_LOCKED, c.MADV_REMOVE, c.MADV_POPULATE_READ, c.MADV_POPULATE_WRITE,
    }  # fmt: skip
    if not known or addr & (PAGE_SIZE - 1):
        raise EINVAL
    end = addr + page_up(length)
    if end > 1 << 64 or (length and end == addr):
        raise EINVAL
    if end == addr:
        return
    hole = gap_in_vmas(mm, addr, end)
    if advice in {c.MADV_POPULATE_READ, c.MADV_POPULATE_WRITE}:
        _populate(mm, addr, end, write=advice == c.MADV_POPULATE_WRITE)
    elif advice not in _NOTHING:
        for vma in list(mm.vmas.within(addr, end)):
            _advise(mm, vma, max(vma.start, addr), min(vma.end, end), advice)
    elif advice == c.MADV_FREE and any(a.file is not None or a.shared for a in mm.vmas.within(addr, end)):
        raise EINVAL
    if hole:
        raise ENOMEM


def _advise(mm: "MMState", vma: Vma, low: int, high: int, advice: int) -> None:
    if advice in _FLAGS:
        _advise_flag(mm, vma, low, high, advice)
    elif advice == c.MADV_REMOVE:
        _remove_pages(mm, vma, low, high)
    elif vma.vm_flags & VM_LOCKED and advice == c.MADV_DONTNEED:
        raise EINVAL
    elif not vma.vm_flags & VM_SHARED:
        _discard(mm, vma, low, high)


def _advise_flag(mm: "MMState", vma: Vma, low: int, high: int, advice: int) -> None:
    plus, minus = _FLAGS[advice]
    if plus & VM_WIPEONFORK and (vma.file is not None or vma.vm_flags & VM_SHARED):
        raise EINVAL
    set_vm_flags(mm, low, high, plus, minus)


def _remove_pages(mm: "MMState", vma: Vma, low: int, high: int) -> None:
    """MADV_REMOVE: punch the file under a shared writable mapping. Raises: EINVAL, EACCES."""
    if vma.vm_flags & VM_LOCKED or vma.file is None:
        raise EINVAL
    if not vma.vm_flags & VM_SHARED or not vma.max_prot & PROT_WRITE:
        raise EACCES
    for pma in mm.pmas.within(low, high):
        if pma.backing is mm.memory:
            first, last = max(pma.start, low), min(pma.end, high)
            mm.memory.decommit(pma.offset + first - pma.start, last - first)


def _discard(mm: "MMState", vma: Vma, low: int, high: int) -> None:
    """MADV_DONTNEED on private memory: zeros again, or what the file has. Raises: LinuxError."""
    replace: list[tuple[int, int]] = []
    for pma in mm.pmas.within(low, high):
        first, last = max(pma.start, low), min(pma.end, high)
        if vma.file is None and pma.mode == OWNED and last - first <= _PUNCH:
            mm.memory.decommit(pma.offset + first - pma.start, last - first)
        elif vma.file is None or pma.backing is mm.memory:
            if replace and replace[-1][1] == first:
                first = replace.pop()[0]
            replace.append((first, last))
    for first, last in replace:
        _replace(mm, vma, first, last)


def _replace(mm: "MMState", vma: Vma, low: int, high: int) -> None:
    """Give [low, high) of a private VMA the content that it was mapped with."""
    if vma.file is None:
        pmas = [Pma(low, high, mm.memory, _clean(mm, low, high), OWNED)]
    else:
        pmas = file_pmas(mm, vma, low, high)
    ops = [map_op(pma, vma.prot, low, high) for pma in pmas] if vma.prot else []
    apply_for(mm, ops, pmas)
    for old in mm.pmas.take(low, high):
        drop(mm, old)
    for pma in pmas:
        mm.pmas.add(pma)
    flush_translations(mm)


def _clean(mm: "MMState", low: int, high: int) -> int:
    """Return zeroed pages: the shadow range that waits for copies if there is one, else new ones."""
    pma = mm.pmas.at(low)
    if pma is not None and pma.mode == COW and pma.shadow >= 0 and pma.end >= high:
        mm.memory.incref(pma.shadow + low - pma.start, high - low)
        return pma.shadow + low - pma.start
    return mm.memory.allocate(high - low, MemoryKind.ANONYMOUS)


def _populate(mm: "MMState", start: int, end: int, *, write: bool) -> None:
    """Make sure that an access works now. Raises: EINVAL for a permission, EFAULT beyond a file's end."""
    for vma in list(mm.vmas.within(start, end)):
        if not vma.prot or (write and not vma.prot & PROT_WRITE):
            raise EINVAL
        at = max(vma.start, start)
        stop = min(vma.end, end)
        while at < stop:
            found, pma = locate(mm, at, write=write)
            if write and pma.mode == COW:
                break_cow(mm, found, pma, at, stop)
                continue
            at = pma.end
