"""mmap and munmap: what they check, in Linux's order, and what they do.

Mapping is eager: writable anonymous memory gets one sparse range of the memory file and one host mapping at once,
whatever its length, and never faults in the kernel again. PROT_NONE memory gets neither until it becomes accessible, so
that a runtime may reserve terabytes. Sources: Linux mm/mmap.c (6.1); mmap(2), munmap(2).
"""

from typing import TYPE_CHECKING, Final

from sentry_abi.errors import (
    EACCES,
    EEXIST,
    EINVAL,
    ENOMEM,
    EOVERFLOW,
    EPERM,
    LinuxError,
)
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE
from sentry_abi.mman import (
    MAP_32BIT,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_TYPE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
)
from sentry_mm._apply import apply, apply_for
from sentry_mm._backing import copied, file_pmas, fresh_pma
from sentry_mm._limits import MAX_MAP_COUNT, MMAP_MIN_ADDR
from sentry_mm._lists import host_maps, link_vma, may_expand, open_vma, remove_range
from sentry_mm._mlock import mlock_future_ok
from sentry_mm._place import find_free, is_free, search_up
from sentry_mm._pma import OWNED, Pma
from sentry_mm._shared import SharedMemory
from sentry_mm._vma import VM_GROWSDOWN, VM_LOCKED, VM_LOCKONFAULT, VM_NORESERVE, VM_SHARED, Vma
from sentry_pgalloc import MemoryKind
from sentry_platform import Op

if TYPE_CHECKING:
    from sentry_mm._mappable import Mappable
    from sentry_mm._mm import MMState

_SMALL_DATA: Final = 64 << 10
"""A writable private file mapping up to here is copied when it is made: one fault costs more than the copy."""
_SLICE: Final = 256 << 10
"""How much of what was unmapped is punched at once (60 us); the rest with later calls."""
_WINDOW_32: Final = (0x40000000, 0x80000000)
_RWX: Final = PROT_READ | PROT_WRITE | PROT_EXEC


def mmap(
    mm: "MMState",
    addr: int,
    length: int,
    prot: int,
    flags: int,
    file: "Mappable | None" = None,
    offset: int = 0,
    *,
    max_prot: int = _RWX,
    name: object = b"",
    may_lock: bool = False,
    refusal: LinuxError | None = None,
) -> int:
    """Map length bytes of file, or anonymous memory if it is None, at addr or at a free place; return the address.

    max_prot: what the open file allows at most (a shared mapping of a file open for reading: no PROT_WRITE).
    name: the file's path, or what it is made from.
    may_lock: the caller has CAP_IPC_LOCK.
    refusal: why the file may not be mapped this way, raised when everything else about the place is right.
    Raises: EINVAL, ENOMEM, EOVERFLOW, EPERM, EEXIST, EAGAIN, EACCES.
    """
    if offset & (PAGE_SIZE - 1) or not length:
        raise EINVAL
    length = (length + PAGE_SIZE - 1) & -PAGE_SIZE
    if length > TASK_SIZE:
        raise ENOMEM
    if offset + length > 1 << 63:
        raise EOVERFLOW
    if len(mm.vmas) >= MAX_MAP_COUNT:
        raise ENOMEM
    fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)
    addr = _get_unmapped_area(mm, addr, length, flags)
    if refusal is not None:
        raise refusal
    vm_flags = _vm_flags_of(mm, flags, file)
    mlock_future_ok(mm, vm_flags, length, privileged=may_lock)
    prot &= _RWX
    if prot & ~max_prot:
        raise EACCES
    end = addr + length
    if fixed:
        _may_replace(mm, addr, end, prot, vm_flags)
    else:
        may_expand(mm, length, length if prot & PROT_WRITE and not vm_flags & (VM_SHARED | VM_GROWSDOWN) else 0)
    populate = bool(flags & MAP_POPULATE or (vm_flags & VM_LOCKED and not vm_flags & VM_LOCKONFAULT))
    if vm_flags & VM_SHARED and file is None:
        _map_shared_memory(
            mm, Vma(addr, end, prot, max_prot, vm_flags, None, offset, name), fixed=fixed, populate=populate
        )
        return addr
    vma = Vma(addr, end, prot, max_prot, vm_flags, file, offset, name)
    install(mm, vma, pmas_for(mm, vma, top_down=not fixed), populate=populate)
    return addr


def _map_shared_memory(mm: "MMState", vma: Vma, *, fixed: int, populate: bool) -> None:
    """Install a VMA over a new nameless file. Raises: LinuxError; then the file is released."""
    vma.file = file = SharedMemory(mm.memory, vma.end - vma.start, top_down=not fixed)
    try:
        install(mm, vma, pmas_for(mm, vma, top_down=not fixed), populate=populate)
    except LinuxError:
        file.release()
        raise


def _get_unmapped_area(mm: "MMState", addr: int, length: int, flags: int) -> int:
    """Return where a mapping goes. Raises: EINVAL, ENOMEM, EPERM, EEXIST."""
    if flags & (MAP_FIXED | MAP_FIXED_NOREPLACE):
        if addr & (PAGE_SIZE - 1):
            raise EINVAL
        if addr + length > TASK_SIZE:
            raise ENOMEM
        if addr < MMAP_MIN_ADDR:
            raise EPERM
        if flags & MAP_FIXED_NOREPLACE and mm.vmas.within(addr, addr + length):
            raise EEXIST
        return addr
    if addr:
        addr = max((addr + PAGE_SIZE - 1) & -PAGE_SIZE, MMAP_MIN_ADDR)
        if addr + length <= TASK_SIZE and is_free(mm, addr, addr + length):
            return addr
    if flags & MAP_32BIT:
        return search_up(mm, length, *_WINDOW_32)
    return find_free(mm, length)


def _vm_flags_of(mm: "MMState", flags: int, file: "Mappable | None") -> int:
    """Return the vm_flags for mmap's flags. Raises: EINVAL."""
    kind = flags & MAP_TYPE
    if kind == MAP_SHARED or (kind == MAP_SHARED_VALIDATE and file is not None):
        if flags & MAP_GROWSDOWN:
            raise EINVAL
        vm_flags = VM_SHARED
    elif kind == MAP_PRIVATE:
        vm_flags = 0
        if flags & MAP_GROWSDOWN:
            if file is not None:
                raise EINVAL
            vm_flags = VM_GROWSDOWN
    else:
        raise EINVAL
    if flags & MAP_LOCKED:
        vm_flags |= VM_LOCKED
    if flags & MAP_NORESERVE:
        vm_flags |= VM_NORESERVE
    return vm_flags | mm.def_flags


def _may_replace(mm: "MMState", start: int, end: int, prot: int, vm_flags: int) -> None:
    """Check the limits for a mapping that replaces [start, end). Raises: ENOMEM."""
    grow = end - start
    data = grow if prot & PROT_WRITE and not vm_flags & (VM_SHARED | VM_GROWSDOWN) else 0
    for vma in mm.vmas.within(start, end):
        covered = min(vma.end, end) - max(vma.start, start)
        grow -= covered
        if vma.prot & PROT_WRITE and not vma.vm_flags & (VM_SHARED | VM_GROWSDOWN):
            data -= covered
    may_expand(mm, grow, data)


def pmas_for(mm: "MMState", vma: Vma, *, top_down: bool) -> list[Pma]:
    """Return the PMAs of a new VMA, references held. Raises: LinuxError."""
    if vma.file is None:
        if not vma.prot:
            return []
        if vma.vm_flags & VM_GROWSDOWN or not top_down:
            return [fresh_pma(mm, vma.start, vma.end, top_down=top_down)]
        offset = mm.memory.allocate(vma.end - vma.start, MemoryKind.ANONYMOUS, top_down=True)
        return [Pma(vma.start, vma.end, mm.memory, offset, OWNED)]
    pmas = file_pmas(mm, vma, vma.start, vma.end)
    if vma.prot & PROT_WRITE and not vma.vm_flags & VM_SHARED and vma.end - vma.start <= _SMALL_DATA:
        return copied(mm, pmas)
    return pmas


def install(mm: "MMState", vma: Vma, pmas: list[Pma], *, populate: bool = False) -> None:
    """Put a new VMA and its PMAs in place of whatever is there. Raises: LinuxError; then the PMAs are dropped."""
    start, end = vma.start, vma.end
    replaces = bool(mm.vmas.within(start, end))
    ops: list[Op] = []
    at = start
    unmap = replaces and host_maps(mm, start, end)
    if vma.prot:
        for pma in pmas:
            if unmap and at < pma.start:
                ops.append(Op("unmap", at, pma.start - at))
            ops.append(
                Op(
                    "map",
                    pma.start,
                    pma.end - pma.start,
                    pma.host_prot(vma.prot),
                    pma.backing,
                    pma.offset,
                    populate,
                )
            )
            at = pma.end
    if unmap and at < end:
        ops.append(Op("unmap", at, end - at))
    apply_for(mm, ops, pmas)
    open_vma(mm, vma)  # before the same file loses what is replaced: its last VMA would release it
    if replaces:
        remove_range(mm, start, end)
    link_vma(mm, vma)
    for pma in pmas:
        mm.pmas.add(pma)


def munmap(mm: "MMState", addr: int, length: int) -> None:
    """Remove whatever is in the range; holes are fine. Raises: EINVAL, ENOMEM."""
    if addr & (PAGE_SIZE - 1) or not length:
        raise EINVAL
    end = addr + ((length + PAGE_SIZE - 1) & -PAGE_SIZE)
    if end > TASK_SIZE:
        raise EINVAL
    unmap(mm, addr, end)


def unmap(mm: "MMState", start: int, end: int) -> None:
    """Remove whatever is in [start, end). Raises: ENOMEM when a split would make one VMA too many. Linux: do_munmap."""
    vmas = mm.vmas.within(start, end)
    if not vmas:
        return
    if len(vmas) == 1 and vmas[0].start < start and vmas[0].end > end and len(mm.vmas) >= MAX_MAP_COUNT:
        raise ENOMEM
    if host_maps(mm, start, end):
        apply(mm, [Op("unmap", start, end - start)])
    remove_range(mm, start, end)
    mm.memory.reclaim(_SLICE)
