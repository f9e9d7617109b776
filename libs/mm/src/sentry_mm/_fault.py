"""Faults of guest code.

There are four causes: the address is bad (a signal), a stack grows, a file has grown since it was mapped, or a private
page that others see too is written (`_cow`).
"""

from typing import TYPE_CHECKING, Final, Literal

from sentry_abi.errors import LinuxError
from sentry_abi.memory import PAGE_SIZE
from sentry_abi.mman import PROT_EXEC, PROT_WRITE
from sentry_abi.resource import RLIMIT_STACK
from sentry_abi.signal import BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGKILL, SIGSEGV
from sentry_mm._apply import apply, apply_for, map_op
from sentry_mm._backing import file_pmas, fresh_pma
from sentry_mm._cow import break_cow
from sentry_mm._limits import MMAP_MIN_ADDR, STACK_GUARD_GAP
from sentry_mm._lists import link_vma, may_expand
from sentry_mm._pma import COW, Pma
from sentry_mm._vma import VM_GROWSDOWN, Vma
from sentry_platform import FAULT_EXEC, FAULT_WRITE

if TYPE_CHECKING:
    from sentry_mm._mm import MMState

Outcome = Literal[0] | tuple[int, int]
"""0: go on; else (signal number, si_code). SIGKILL means out of memory."""

_GROW_STEP: Final = 128 << 10
_SPURIOUS_LIMIT: Final = 64


def handle_fault(mm: "MMState", addr: int, access: int, cause: int = SIGSEGV) -> Outcome:
    """Handle a fault of guest code at addr; never raises.

    access: FAULT_READ, FAULT_WRITE or FAULT_EXEC, as far as the platform knows; a "read" where only a write can
    fault is taken for one. cause: the signal that the host gave.
    """
    vma = mm.vmas.at(addr)
    try:
        if vma is None:
            vma = expand_stack(mm, addr)
            if vma is None:
                return SIGSEGV, SEGV_MAPERR
            return 0
        return _handle(mm, vma, addr, access, cause)
    except LinuxError:
        return SIGKILL, 0


def _handle(mm: "MMState", vma: Vma, addr: int, access: int, cause: int) -> Outcome:
    prot = vma.prot
    if not prot or (access == FAULT_WRITE and not prot & PROT_WRITE) or (access == FAULT_EXEC and not prot & PROT_EXEC):
        return SIGSEGV, SEGV_ACCERR
    pma = mm.pmas.at(addr)
    if pma is None:
        pma = find_backing(mm, vma, addr)
        if pma is None:
            return SIGBUS, BUS_ADRERR
        return 0
    if cause == SIGBUS and pma.backing is not mm.memory:
        return SIGBUS, BUS_ADRERR
    if pma.mode == COW and prot & PROT_WRITE and access != FAULT_EXEC:
        break_cow(mm, vma, pma, addr)
        return 0
    return _spurious_fault(mm, vma, pma, addr)


def _spurious_fault(mm: "MMState", vma: Vma, pma: Pma, addr: int) -> Outcome:
    """Let the guest try again: the access is allowed. Another thread was first, or the host has lost the mapping."""
    last, count = mm.spurious
    count = count + 1 if last == addr else 0
    mm.spurious = (addr, count)
    if count == 0:
        return 0
    if count > _SPURIOUS_LIMIT:
        return SIGSEGV, SEGV_ACCERR
    apply(mm, [map_op(pma, vma.prot, max(vma.start, pma.start), min(vma.end, pma.end))])
    return 0


def expand_stack(mm: "MMState", addr: int) -> Vma | None:
    """Extend the stack above addr down to it; return it, or None if it may not grow. Raises: ENOMEM."""
    vmas = mm.vmas
    index = vmas.index_from(addr)
    if index >= len(vmas):
        return None
    vma = vmas.items[index]
    if not vma.vm_flags & VM_GROWSDOWN or addr < MMAP_MIN_ADDR + STACK_GUARD_GAP:
        return None
    limit = mm.limits.soft(RLIMIT_STACK)
    start = addr & -PAGE_SIZE
    floor = vmas.items[index - 1].end + STACK_GUARD_GAP if index and vmas.items[index - 1].prot else MMAP_MIN_ADDR
    if index:
        floor = max(floor, vmas.items[index - 1].end)
    if vma.end - start > limit or start < floor:
        return None
    start = max(min(start, vma.start - _GROW_STEP), floor, vma.end - (limit & -PAGE_SIZE))
    may_expand(mm, vma.start - start, 0)
    pma = fresh_pma(mm, start, vma.start, top_down=True)
    apply_for(mm, [map_op(pma, vma.prot, pma.start, pma.end)], [pma])
    mm.pmas.add(pma)
    link_vma(mm, Vma(start, vma.start, vma.prot, vma.max_prot, vma.vm_flags, None, 0, vma.name))
    return mm.vmas.at(addr)


def find_backing(mm: "MMState", vma: Vma, addr: int) -> Pma | None:
    """Map what the file has at addr now, from there to the next PMA; None beyond its end. Raises: LinuxError."""
    if vma.file is None:
        start = addr & -PAGE_SIZE
        pmas = [
            fresh_pma(mm, start, start + PAGE_SIZE, top_down=False)
        ]  # not reached: anonymous memory is mapped at once
    else:
        start = addr & -PAGE_SIZE
        index = mm.pmas.index_from(start)
        end = min(vma.end, mm.pmas.starts[index] if index < len(mm.pmas) else vma.end)
        pmas = file_pmas(mm, vma, start, end)
    if not pmas:
        return None
    apply_for(mm, [map_op(pma, vma.prot, pma.start, pma.end) for pma in pmas], pmas)
    for pma in pmas:
        mm.pmas.add(pma)
    return mm.pmas.at(addr)
