"""mremap: mappings that change their size or place. No page is copied. Sources: Linux mm/mremap.c (6.1); mremap(2)."""

from typing import TYPE_CHECKING

from sentry_abi.errors import (
    EFAULT,
    EINVAL,
    ENOMEM,
    EPERM,
    LinuxError,
)
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_up
from sentry_abi.mman import (
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    PROT_WRITE,
)
from sentry_mm._apply import drop
from sentry_mm._backing import file_pmas, fresh_pma
from sentry_mm._limits import MMAP_MIN_ADDR
from sentry_mm._lists import may_expand
from sentry_mm._map import install, pmas_for, unmap
from sentry_mm._mlock import mlock_future_ok
from sentry_mm._place import find_free, is_free
from sentry_mm._pma import OWNED, Pma
from sentry_mm._vma import VM_GROWSDOWN, VM_SHARED, Vma
from sentry_pgalloc import MemoryKind

if TYPE_CHECKING:
    from sentry_mm._mm import MMState


def mremap(
    mm: "MMState", old: int, old_length: int, new_length: int, flags: int, new: int = 0, *, may_lock: bool = False
) -> int:
    """Resize or move a mapping; return where it is.

    The order is that of check_mremap_params (Linux 6.17 and later); before, an unmapped `old` was found first.

    Raises: EINVAL, EFAULT, ENOMEM, EAGAIN, EPERM.
    """
    if flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP):
        raise EINVAL
    old_length, new_length = page_up(old_length), page_up(new_length)
    if old & (PAGE_SIZE - 1) or not 0 < new_length <= TASK_SIZE:
        raise EINVAL
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) and (
        not flags & MREMAP_MAYMOVE
        or (flags & MREMAP_DONTUNMAP and old_length != new_length)
        or new > TASK_SIZE - new_length
        or new & (PAGE_SIZE - 1)
        or (old + old_length > new and new + new_length > old)
    ):
        raise EINVAL
    vma = mm.vmas.at(old)
    if vma is None:
        raise EFAULT
    if flags & MREMAP_FIXED and old_length == new_length > vma.end - old:
        # several VMAs, moved one by one with the gaps between them (remap_move, Linux 6.17)
        stop = old + old_length
        for start, end in [(max(each.start, old), min(each.end, stop)) for each in mm.vmas.within(old, stop)]:
            mremap(mm, start, end - start, end - start, flags, new + start - old, may_lock=may_lock)
        return new
    moves = bool(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
    if moves or new_length > old_length:
        _check_resize(mm, vma, old, min(old_length, new_length), new_length, privileged=may_lock)
    if moves:
        return _remap_to(mm, vma, old, old_length, new_length, flags, new)
    if old_length >= new_length:
        if old_length > new_length:
            unmap(mm, old + new_length, min(old + old_length, TASK_SIZE))
        return old
    end = old + old_length
    if (
        old_length
        and vma.end == end
        and end + new_length - old_length <= TASK_SIZE
        and is_free(mm, end, old + new_length)
    ):
        _extend(mm, vma, new_length - old_length)
        return old
    if not flags & MREMAP_MAYMOVE:
        raise ENOMEM
    return _move(mm, vma, old, old_length, new_length, find_free(mm, new_length), keep=old_length == 0)


def _check_resize(mm: "MMState", vma: Vma, old: int, old_length: int, new_length: int, *, privileged: bool) -> None:
    """Check what is to move or grow (check_prep_vma). Raises: EINVAL, EFAULT, EAGAIN, EPERM, ENOMEM."""
    if old_length == 0 and not vma.vm_flags & VM_SHARED:
        raise EINVAL
    if old_length > vma.end - old:
        raise EFAULT
    grow = new_length - old_length
    if grow > 0:
        if vma.file is not None and vma.offset + (old - vma.start) + new_length > 1 << 63:
            raise EINVAL
        mlock_future_ok(mm, vma.vm_flags, grow, privileged=privileged)
        may_expand(mm, grow, grow if vma.prot & PROT_WRITE and not vma.vm_flags & (VM_SHARED | VM_GROWSDOWN) else 0)


def _remap_to(mm: "MMState", vma: Vma, old: int, old_length: int, new_length: int, flags: int, new: int) -> int:
    if flags & MREMAP_FIXED and new < MMAP_MIN_ADDR:
        raise EPERM
    if flags & MREMAP_DONTUNMAP and (vma.vm_flags & VM_SHARED and old_length == 0):
        raise EINVAL
    if flags & MREMAP_FIXED:
        unmap(mm, new, new + new_length)
    if old_length > new_length:
        unmap(mm, old + new_length, old + old_length)
        old_length = new_length
    found = mm.vmas.at(old)
    if found is None:
        raise EFAULT
    if not flags & MREMAP_FIXED:
        new = new if new and is_free(mm, new, new + new_length) else find_free(mm, new_length)
    return _move(
        mm, found, old, old_length, new_length, new, keep=old_length == 0, refill=bool(flags & MREMAP_DONTUNMAP)
    )


def _extend(mm: "MMState", vma: Vma, grow: int) -> None:
    """Add grow bytes at the end of a VMA. Raises: LinuxError."""
    more = Vma(
        vma.end,
        vma.end + grow,
        vma.prot,
        vma.max_prot,
        vma.vm_flags,
        vma.file,
        vma.offset + vma.end - vma.start,
        vma.name,
    )
    if more.file is None and more.prot:
        pmas = [fresh_pma(mm, more.start, more.end, top_down=False)]
    else:
        pmas = file_pmas(mm, more, more.start, more.end)
    install(mm, more, pmas)


def _move(
    mm: "MMState", vma: Vma, old: int, old_length: int, new_length: int, new: int, *, keep: bool, refill: bool = False
) -> int:
    """Show [old, old + old_length) at new, extended to new_length. keep: leave the old one too (a second view).

    refill: leave an empty VMA behind (MREMAP_DONTUNMAP). No page is copied.
    """
    length = new_length if keep else old_length
    shift = new - old
    moved = Vma(
        new,
        new + new_length,
        vma.prot,
        vma.max_prot,
        vma.vm_flags,
        vma.file,
        vma.offset + old - vma.start,
        vma.name,
    )
    pmas = []
    for pma in mm.pmas.within(old, old + length) if not keep else ():
        low, high = max(pma.start, old), min(pma.end, old + length)
        skip = low - pma.start
        shadow = pma.shadow + skip if pma.shadow >= 0 else -1
        piece = Pma(low + shift, high + shift, pma.backing, pma.offset + skip, pma.mode, shadow)
        piece.backing.incref(piece.offset, high - low)
        if shadow >= 0:
            mm.memory.incref(shadow, high - low)
        pmas.append(piece)
    if keep:
        pmas = file_pmas(mm, moved, new, new + new_length)
    elif new_length > old_length:
        try:
            if vma.file is not None:
                pmas += file_pmas(
                    mm,
                    Vma(new, new + new_length, vma.prot, vma.max_prot, vma.vm_flags, vma.file, moved.offset, b""),
                    new + old_length,
                    new + new_length,
                )
            elif vma.prot:
                pmas.append(_tail(mm, pmas, new + old_length, new + new_length))
        except LinuxError:
            for pma in pmas:
                drop(mm, pma)
            raise
    install(mm, moved, pmas)
    if not keep:
        _leave(mm, vma, old, old + old_length, refill=refill)
    return new


def _tail(mm: "MMState", pmas: list[Pma], start: int, end: int) -> Pma:
    """Return fresh pages for what a moved VMA grows by, beside its last PMA in the file if that can be."""
    length = end - start
    if pmas and pmas[-1].mode == OWNED:
        offset = pmas[-1].offset + pmas[-1].end - pmas[-1].start
        if mm.memory.allocate_at(offset, length, MemoryKind.ANONYMOUS):
            return Pma(start, end, mm.memory, offset, OWNED)
    return Pma(start, end, mm.memory, mm.memory.allocate(length, MemoryKind.ANONYMOUS), OWNED)


def _leave(mm: "MMState", vma: Vma, start: int, end: int, *, refill: bool) -> None:
    """Empty [start, end), whose pages have moved away."""
    if not refill:
        unmap(mm, start, end)
        return
    left = Vma(start, end, vma.prot, vma.max_prot, vma.vm_flags, vma.file, vma.offset + start - vma.start, vma.name)
    install(mm, left, pmas_for(mm, left, top_down=True))
