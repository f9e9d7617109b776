"""mprotect: change the protection of what is mapped.

VMAs are cut, PMAs are not. Memory that was PROT_NONE gets its range of the memory file when it first becomes
accessible, and then for the whole reservation, so that what follows lies beside it and is one host mapping with it.
Sources: Linux mm/mprotect.c (6.1); mprotect(2).
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import (
    EACCES,
    EINVAL,
    ENOMEM,
    LinuxError,
)
from sentry_abi.memory import PAGE_SIZE, page_up
from sentry_abi.mman import (
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_SEM,
    PROT_WRITE,
)
from sentry_mm._apply import apply_for, drop, map_op
from sentry_mm._backing import copied, file_pmas, fresh_pma, noexec
from sentry_mm._lists import account, flush_translations, gaps, may_expand
from sentry_mm._pma import COW, Pma
from sentry_mm._vma import VM_GROWSDOWN, VM_SHARED, Vma
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mm import MMState

_RESERVE: Final = 64 << 30
_RWX: Final = PROT_READ | PROT_WRITE | PROT_EXEC


def mprotect(mm: "MMState", addr: int, length: int, prot: int) -> None:
    """Change what is allowed in the range. Raises: EINVAL, ENOMEM, EACCES; what lies before a hole is changed."""
    grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP)
    prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP)
    if grows == PROT_GROWSDOWN | PROT_GROWSUP or addr & (PAGE_SIZE - 1):
        raise EINVAL
    if not length:
        return
    end = addr + page_up(length)
    if end > 1 << 64:
        raise ENOMEM
    if prot & ~(_RWX | PROT_SEM):
        raise EINVAL
    prot &= _RWX
    if grows:
        vma = mm.vmas.at(addr)
        if vma is None:
            raise ENOMEM
        if grows == PROT_GROWSUP or not vma.vm_flags & VM_GROWSDOWN:
            raise EINVAL
        addr = vma.start
    error = _protect(mm, addr, end, prot)
    if error is not None:
        raise error


def _protect(mm: "MMState", start: int, end: int, prot: int) -> type[LinuxError] | None:
    """Change the VMAs of [start, end) up to a hole or one that does not allow it; return that error."""
    ops: list[Op] = []
    fresh: list[Pma] = []
    at, error = _plan_protect(mm, start, end, prot, ops, fresh)
    if at > start:
        apply_for(mm, ops, fresh)
        _set_prot(mm, start, at, prot)
    for pma in fresh:
        mm.pmas.add(pma)
    return error


def _plan_protect(
    mm: "MMState", start: int, end: int, prot: int, ops: list[Op], fresh: list[Pma]
) -> tuple[int, type[LinuxError] | None]:
    """Collect what it takes; return how far that goes, and why not to the end."""
    for vma in mm.vmas.within(start, end):
        if vma.start > start:
            break
        if prot & ~vma.max_prot:
            return start, EACCES
        high = min(vma.end, end)
        if vma.prot != prot:
            try:
                _protect_ops(mm, vma, start, high, prot, ops, fresh)
            except LinuxError as failed:
                return start, type(failed)
        start = high
    return start, ENOMEM if start < end else None


def _protect_ops(mm: "MMState", vma: Vma, low: int, high: int, prot: int, ops: list[Op], fresh: list[Pma]) -> None:
    """Collect what it takes to give [low, high) of a VMA another protection. Raises: ENOMEM."""
    if prot & PROT_WRITE and not vma.prot & PROT_WRITE and not vma.vm_flags & (VM_SHARED | VM_GROWSDOWN):
        may_expand(mm, 0, high - low)
    if prot and vma.file is None:
        # The file range is for the whole reservation: what is made accessible later lies beside it and merges.
        span = (vma.start, vma.end) if vma.end - vma.start <= _RESERVE else (low, high)
        for gap, gap_end in gaps(mm, *span):
            pma = fresh_pma(mm, gap, gap_end, top_down=True)
            fresh.append(pma)
            if gap < high and gap_end > low:
                ops.append(map_op(pma, prot, low, high))
    elif prot & PROT_WRITE and vma.vm_flags & VM_SHARED:
        _make_writable(mm, vma, low, high)
    elif prot & ~vma.prot & PROT_EXEC:
        _make_executable(mm, vma, low, high)
    for pma in mm.pmas.within(low, high):
        old = pma.host_prot(vma.prot)
        new_prot = pma.host_prot(prot)
        first, last = max(low, pma.start), min(high, pma.end)
        if not prot:
            ops.append(Op("unmap", first, last - first))
        elif not vma.prot:
            ops.append(map_op(pma, prot, first, last))
        elif old != new_prot:
            ops.append(Op("protect", first, last - first, new_prot))


def _make_writable(mm: "MMState", vma: Vma, low: int, high: int) -> None:
    """Replace read-only backings of a shared file mapping by ones that may be written. Raises: LinuxError."""
    if vma.file is None or all(pma.backing.kind in {"memory", "shared"} for pma in mm.pmas.within(low, high)):
        return
    wanted = Vma(
        low, high, vma.prot | PROT_WRITE, vma.max_prot, vma.vm_flags, vma.file, vma.offset + low - vma.start, b""
    )
    pmas = file_pmas(mm, wanted, low, high)
    if vma.prot:
        apply_for(mm, [map_op(pma, vma.prot, low, high) for pma in pmas], pmas)
    for old in mm.pmas.take(low, high):
        drop(mm, old)
    for pma in pmas:
        mm.pmas.add(pma)
    flush_translations(mm)


def _make_executable(mm: "MMState", vma: Vma, low: int, high: int) -> None:
    """Replace pages of a file on a noexec mount of the host by copies. Raises: LinuxError."""
    pmas = [r for r in mm.pmas.within(low, high) if r.backing.kind == "host"]
    if not noexec(pmas):
        return
    for pma in pmas:
        first, last = max(pma.start, low), min(pma.end, high)
        part = Pma(first, last, pma.backing, pma.offset + first - pma.start, COW)
        part.backing.incref(part.offset, last - first)
        copies = copied(mm, [part])
        if vma.prot:
            apply_for(mm, [map_op(copy, vma.prot, first, last) for copy in copies], copies)
        for old in mm.pmas.take(first, last):
            drop(mm, old)
        for copy in copies:
            mm.pmas.add(copy)
    flush_translations(mm)


def _set_prot(mm: "MMState", start: int, end: int, prot: int) -> None:
    first, last = mm.vmas.cut(start, end)
    for vma in mm.vmas.items[first:last]:
        account(mm, vma, -1)
        vma.prot = prot
        account(mm, vma, 1)
    mm.vmas.join_range(start, end)
    flush_translations(mm)
