"""Changing the lists of VMAs and PMAs, with the accounts and the reference counts that go with them."""

from typing import TYPE_CHECKING

from sentry_abi.errors import ENOMEM
from sentry_abi.mman import PROT_WRITE
from sentry_abi.resource import RLIM_INFINITY, RLIMIT_AS, RLIMIT_DATA
from sentry_mm._apply import drop
from sentry_mm._place import raise_search
from sentry_mm._vma import VM_GROWSDOWN, VM_LOCKED, VM_SHARED, Vma

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentry_mm._mm import MMState


def account(mm: "MMState", vma: Vma, sign: int) -> None:
    """Count a VMA in the accounts (sign 1) or take it out (-1)."""
    length = (vma.end - vma.start) * sign
    mm.total_bytes += length
    if vma.vm_flags & VM_GROWSDOWN:
        mm.stack_bytes += length
    elif vma.prot & PROT_WRITE and not vma.vm_flags & VM_SHARED:
        mm.data_bytes += length
    if vma.vm_flags & VM_LOCKED:
        mm.locked_bytes += length


def link_vma(mm: "MMState", vma: Vma) -> None:
    """Insert a VMA where nothing is. Its file, if any, has been informed (`open_vma`)."""
    account(mm, vma, 1)
    mm.vmas.add(vma)


def open_vma(mm: "MMState", vma: Vma) -> None:
    """Inform the file of a VMA that is about to be inserted. Linux: vm_ops->open."""
    if vma.file is not None:
        vma.file.mapped(mm, vma.end - vma.start, writable=vma.may_share_writes)


def close_vmas(mm: "MMState", vmas: "Iterable[Vma]") -> None:
    """Inform the files of VMAs that have left the list. Linux: vm_ops->close."""
    for vma in vmas:
        if vma.file is not None:
            vma.file.unmapped(mm, vma.end - vma.start, writable=vma.may_share_writes)


def flush_translations(mm: "MMState") -> None:
    """Empty the caches of translations."""
    mm.read_pages.clear()
    mm.write_pages.clear()


def remove_range(mm: "MMState", start: int, end: int) -> None:
    """Take [start, end) out of both lists. Requires: the host no longer maps it, or maps what replaces it."""
    removed = mm.vmas.take(start, end)
    for vma in removed:
        account(mm, vma, -1)
    for pma in mm.pmas.take(start, end):
        drop(mm, pma)
    flush_translations(mm)
    close_vmas(mm, removed)
    if end > mm.search_from:
        raise_search(mm, end)


def host_maps(mm: "MMState", start: int, end: int) -> bool:
    """Tell whether the host may map something in [start, end)."""
    return any(vma.prot for vma in mm.vmas.within(start, end)) and bool(mm.pmas.within(start, end))


def may_expand(mm: "MMState", grow: int, data: int) -> None:
    """Check RLIMIT_AS and RLIMIT_DATA before grow more bytes, data of them private and writable. Raises: ENOMEM."""
    if grow > 0:
        limit = mm.limits.soft(RLIMIT_AS)
        if limit != RLIM_INFINITY and mm.total_bytes + grow > limit:
            raise ENOMEM
    if data > 0:
        limit = mm.limits.soft(RLIMIT_DATA)
        if limit != RLIM_INFINITY and mm.data_bytes + data > limit:
            raise ENOMEM


def gaps(mm: "MMState", start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of [start, end) without a PMA."""
    found = []
    for pma in mm.pmas.within(start, end):
        if pma.start > start:
            found.append((start, pma.start))
        start = pma.end
    if start < end:
        found.append((start, end))
    return found


def gap_in_vmas(mm: "MMState", start: int, end: int) -> bool:
    """Tell whether a part of [start, end) is not mapped."""
    for vma in mm.vmas.within(start, end):
        if vma.start > start:
            return True
        start = vma.end
    return start < end


def set_vm_flags(mm: "MMState", low: int, high: int, plus: int, minus: int) -> None:
    """Set and clear flags of the VMAs of [low, high)."""
    first, last = mm.vmas.cut(low, high)
    for vma in mm.vmas.items[first:last]:
        account(mm, vma, -1)
        vma.vm_flags = (vma.vm_flags | plus) & ~minus
        account(mm, vma, 1)
    mm.vmas.join_range(low, high)
