"""Fork: a second address space with the same contents.

Two ways, chosen PMA by PMA. What is large is shared until one side writes: the host's mapping loses its write
permission, and the page counts two references (9.6 ms of write protection for 512 MiB in use). What is small is
copied at once: the stack, the data of libraries and a young heap are written by both sides within microseconds, and
each first write is a fault of 80 us, while copying the few pages that are in use costs one. A shell's child that only
executes another program then never faults, nor does the shell. Only a space with one user copies eagerly: with other
threads running the copies would not be consistent.

Linux: kernel/fork.c dup_mmap (6.1). Differs: what Linux copies by faults is copied a moment earlier.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeVar

from sentry_abi.errors import LinuxError
from sentry_abi.mman import PROT_WRITE
from sentry_mm._apply import apply, map_op, map_ops
from sentry_mm._life import release
from sentry_mm._lists import link_vma, open_vma, remove_range
from sentry_mm._map import pmas_for
from sentry_mm._mm import MMState
from sentry_mm._pma import COW, OWNED, Pma
from sentry_mm._vma import VM_DONTFORK, VM_GROWSDOWN, VM_LOCKED, VM_LOCKONFAULT, VM_WIPEONFORK, Vma
from sentry_pgalloc import MemoryKind
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._limits import Limits

M = TypeVar("M", bound=MMState)

_COPY_PMA: Final = 64 << 10
"""Bytes in use up to which a PMA is copied."""
_COPY_ALL: Final = 512 << 10
_LOOK: Final = 1 << 20
"""PMAs up to this length are looked at: asking the host for holes costs 0.03 us a page. Stacks always are."""
_LOCKED: Final = VM_LOCKED | VM_LOCKONFAULT
_SPECIAL: Final = VM_DONTFORK | VM_WIPEONFORK

_Extents = list[tuple[int, int]]


def fork(mm: M, limits: "Limits | None" = None) -> M:
    """Return another address space with these contents; it shares no private page that either side can write.

    Raises: EAGAIN, ENOMEM; this space is then usable as before.
    """
    copied = _small_pmas(mm) if mm.users == 1 else {}
    apply(mm, _protect_for_fork(mm, copied))
    for pma in mm.pmas.items:
        if pma.mode == OWNED and pma.start not in copied:
            pma.mode = COW
    mm.write_pages.clear()
    space = mm.space.fork()
    child = mm.__class__(space, mm.memory, limits or mm.limits, mm.futexes.fork())
    try:
        _copy_to(mm, child, copied)
    except LinuxError:
        release(child)
        raise
    return child


def _writable_vmas(mm: MMState, pma: Pma) -> list[Vma]:
    return [vma for vma in mm.vmas.within(pma.start, pma.end) if vma.prot & PROT_WRITE]


def _small_pmas(mm: MMState) -> dict[int, _Extents]:
    """Return the start of each PMA that is worth copying, and what of it is in use, as offsets in the file."""
    _part_by_permission(mm)
    found = {}
    left = _COPY_ALL
    for pma in mm.pmas.items:
        if pma.mode != OWNED:
            continue
        vmas = _writable_vmas(mm, pma)
        if not vmas or (pma.end - pma.start > _LOOK and not vmas[-1].vm_flags & VM_GROWSDOWN):
            continue
        extents = mm.memory.committed(pma.offset, pma.offset + pma.end - pma.start)
        used = sum(end - start for start, end in extents)
        if used <= min(_COPY_PMA, left):
            left -= used
            found[pma.start] = extents
    return found


def _part_by_permission(mm: MMState) -> None:
    """Cut PMAs where writable memory ends: that is copied, what was made read-only (RELRO) stays shared."""
    end = could = 0
    for vma in mm.vmas.items:
        can = vma.prot & PROT_WRITE
        if vma.start == end and can != could:
            mm.pmas.cut(end, end)
        end, could = vma.end, can


def _protect_for_fork(mm: MMState, copied: dict[int, _Extents]) -> list[Op]:
    ops = []
    for pma in mm.pmas.items:
        if pma.mode == OWNED and pma.start not in copied:
            for vma in _writable_vmas(mm, pma):
                low, high = max(pma.start, vma.start), min(pma.end, vma.end)
                ops.append(Op("protect", low, high - low, vma.prot & ~PROT_WRITE))
    return ops


def _inherit(mm: MMState, child: MMState) -> None:
    """Copy what is neither a list nor private to one address space; locks are not inherited."""
    child.mmap_base, child.search_from, child.skipped_hole = mm.mmap_base, mm.search_from, mm.skipped_hole
    child.total_bytes, child.data_bytes, child.stack_bytes = mm.total_bytes, mm.data_bytes, mm.stack_bytes
    child.brk_start, child.brk_end, child.stack_start = mm.brk_start, mm.brk_end, mm.stack_start
    child.code_start, child.code_end = mm.code_start, mm.code_end
    child.data_start, child.data_end = mm.data_start, mm.data_end
    child.arg_start, child.arg_end = mm.arg_start, mm.arg_end
    child.env_start, child.env_end = mm.env_start, mm.env_end
    child.auxv, child.exe = mm.auxv, mm.exe
    if child.exe is not None:
        child.exe.incref()


def _copy_to(mm: MMState, child: MMState, copied: dict[int, _Extents]) -> None:
    """Fill a child whose space already maps what this one maps. Raises: LinuxError."""
    _inherit(mm, child)
    _share_pmas(mm, child, copied)
    special = []
    copies = child.vmas.items
    for vma in mm.vmas.items:
        flags = vma.vm_flags & ~_LOCKED
        copy = Vma(vma.start, vma.end, vma.prot, vma.max_prot, flags, vma.file, vma.offset, vma.name)
        copies.append(copy)
        if flags & _SPECIAL:
            special.append(copy)
        open_vma(child, copy)
    child.vmas.starts = mm.vmas.starts.copy()
    _map_pmas(child, copied)
    if special:
        _treat_specially(child, special)


def _map_pmas(mm: MMState, starts: Iterable[int]) -> None:
    """Let the platform map the PMAs that begin at these addresses. Raises: LinuxError."""
    ops: list[Op] = []
    for start in starts:
        pma = mm.pmas.at(start)
        if pma is not None:
            ops += map_ops(mm, start, pma.end)
    apply(mm, ops)


def _share_pmas(mm: MMState, child: MMState, copied: dict[int, _Extents]) -> None:
    """Fill a child's list of PMAs: copies of the small ones, references of the others. Raises: ENOMEM."""
    memory = mm.memory
    shared = []
    pmas = child.pmas
    for pma in mm.pmas.items:
        start, end = pma.start, pma.end
        extents = copied.get(start)
        if extents is None:
            if pma.backing is memory:
                shared.append((pma.offset, end - start))
            continue
        offset = memory.allocate(end - start, MemoryKind.ANONYMOUS, top_down=True)
        pmas.items.append(Pma(start, end, memory, offset, OWNED))
        pmas.starts.append(start)
        shift = offset - pma.offset
        view = mm.view
        for low, high in extents:
            view[low + shift : high + shift] = view[low:high]
    memory.incref_many(shared)
    for pma in mm.pmas.items:
        if pma.start not in copied:
            if pma.backing is not memory:
                pma.backing.incref(pma.offset, pma.end - pma.start)
            pmas.items.append(Pma(pma.start, pma.end, pma.backing, pma.offset, pma.mode))
    pmas.items.sort(key=_by_start)
    pmas.starts = [pma.start for pma in pmas.items]


def _treat_specially(mm: MMState, vmas: list[Vma]) -> None:
    """Remove, in a child, what the parent keeps for itself, and empty what is to be empty. Raises: LinuxError."""
    ops: list[Op] = []
    for vma in vmas:
        ops.append(Op("unmap", vma.start, vma.end - vma.start))
        remove_range(mm, vma.start, vma.end)
        if vma.vm_flags & VM_WIPEONFORK and not vma.vm_flags & VM_DONTFORK:
            open_vma(mm, vma)
            link_vma(mm, vma)
            for pma in pmas_for(mm, vma, top_down=True):
                mm.pmas.add(pma)
                ops.append(map_op(pma, vma.prot, vma.start, vma.end))
    apply(mm, ops)


def _by_start(pma: Pma) -> int:
    return pma.start
