"""msync and mincore. Sources: Linux mm/msync.c, mm/mincore.c (6.1)."""

import os
from typing import TYPE_CHECKING

from sentry_abi.errors import EBUSY, EINVAL, EIO, ENOMEM
from sentry_abi.memory import PAGE_SIZE, TASK_SIZE, page_up
from sentry_abi.mman import MS_ASYNC, MS_INVALIDATE, MS_SYNC
from sentry_mm._lists import gap_in_vmas
from sentry_mm._vma import VM_LOCKED, VM_SHARED

if TYPE_CHECKING:
    from sentry_mm._mm import MMState


def msync(mm: "MMState", addr: int, length: int, flags: int) -> None:
    """Write shared file pages back. Raises: EINVAL, ENOMEM (a hole, after the rest), EBUSY, EIO."""
    if flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) or addr & (PAGE_SIZE - 1):
        raise EINVAL
    if flags & MS_ASYNC and flags & MS_SYNC:
        raise EINVAL
    end = addr + page_up(length)
    if end > 1 << 64:
        raise ENOMEM
    if end == addr:
        return
    for vma in mm.vmas.within(addr, end):
        if flags & MS_INVALIDATE and vma.vm_flags & VM_LOCKED:
            raise EBUSY
        if flags & MS_SYNC and vma.vm_flags & VM_SHARED:
            _write_back(mm, max(vma.start, addr), min(vma.end, end))
    if gap_in_vmas(mm, addr, end):
        raise ENOMEM


def _write_back(mm: "MMState", low: int, high: int) -> None:
    for fd in {pma.backing.fd for pma in mm.pmas.within(low, high) if pma.backing.kind == "shared"}:
        try:
            os.fdatasync(fd)
        except OSError:
            raise EIO from None


def mincore(mm: "MMState", addr: int, length: int) -> bytes:
    """Return one byte per page, 1 if it is present. Raises: EINVAL, ENOMEM.

    Differs: pages of host files count as present, since the sentry does not see the host's page cache.
    """
    if addr & (PAGE_SIZE - 1):
        raise EINVAL
    end = addr + page_up(length)
    if end > TASK_SIZE or gap_in_vmas(mm, addr, end):
        raise ENOMEM
    found = bytearray((end - addr) >> 12)
    for pma in mm.pmas.within(addr, end):
        low, high = max(pma.start, addr), min(pma.end, end)
        if pma.backing is not mm.memory:
            found[(low - addr) >> 12 : (high - addr) >> 12] = b"\1" * ((high - low) >> 12)
            continue
        shift = pma.offset - pma.start
        for first, last in mm.memory.committed(low + shift, high + shift):
            found[(first - shift - addr) >> 12 : (last - shift - addr) >> 12] = b"\1" * ((last - first) >> 12)
    return bytes(found)
