"""Making PMAs: fresh pages of the memory file, or what a file has."""

import os
from typing import TYPE_CHECKING

from sentry_abi.errors import LinuxError
from sentry_abi.mman import PROT_EXEC, PROT_WRITE
from sentry_mm._apply import drop
from sentry_mm._pma import COW, OWNED, SHARED, Pma
from sentry_pgalloc import MemoryKind

if TYPE_CHECKING:
    from sentry_mm._mm import MMState
    from sentry_mm._vma import Vma


def fresh_pma(mm: "MMState", start: int, end: int, *, top_down: bool) -> Pma:
    """Return a PMA of zeroed private pages for [start, end), in the file beside its neighbour if that can be.

    Raises: ENOMEM.
    """
    memory, length = mm.memory, end - start
    below = mm.pmas.at(start - 1)
    if (
        below is not None
        and below.mode == OWNED
        and memory.allocate_at(below.offset + below.end - below.start, length, MemoryKind.ANONYMOUS)
    ):
        offset = below.offset + below.end - below.start
    else:
        offset = memory.allocate(length, MemoryKind.ANONYMOUS, top_down=top_down)
    return Pma(start, end, memory, offset, OWNED)


def copy_from_file(mm: "MMState", backing_fd: int, source: int, target: int, length: int) -> None:
    """Fill length fresh bytes of the memory file at target from a file; what is beyond its end stays zero."""
    view = mm.view[target : target + length]
    done = 0
    while done < length:
        got = os.preadv(backing_fd, [view[done:]], source + done)
        if got <= 0:
            break
        done += got


def noexec(pmas: list[Pma]) -> bool:
    """Tell whether the host forbids execution of a file: it lies on a mount with noexec."""
    return any(pma.backing.kind == "host" and os.fstatvfs(pma.backing.fd).f_flag & os.ST_NOEXEC for pma in pmas)


def file_pmas(mm: "MMState", vma: "Vma", start: int, end: int) -> list[Pma]:
    """Return new PMAs, references held, for the part of a VMA's file that lies under [start, end)."""
    file = vma.file
    if file is None:
        return []
    shared = vma.shared
    offset = vma.offset + start - vma.start
    pmas = []
    for extent in file.extents(offset, end - start, shared=shared, write=bool(vma.prot & PROT_WRITE)):
        stop = min(start + extent.length, end)
        if stop <= start:
            break
        pma = Pma(start, stop, extent.backing, extent.offset, SHARED if shared else COW)
        extent.backing.incref(extent.offset, stop - start)
        pmas.append(pma)
        start = stop
    if vma.prot & PROT_EXEC and not shared and noexec(pmas):
        return copied(mm, pmas)
    return pmas


def copied(mm: "MMState", pmas: list[Pma]) -> list[Pma]:
    """Replace new PMAs of a file by private copies, side by side in the memory file if that can be.

    Raises: ENOMEM. The references of pmas are dropped in any case.
    """
    copies: list[Pma] = []
    try:
        for pma in pmas:
            copy = _pages_for_copy(mm, pma, copies)
            copies.append(copy)
            copy_from_file(mm, pma.backing.fd, pma.offset, copy.offset, pma.end - pma.start)
    except (LinuxError, OSError):
        for copy in copies:
            drop(mm, copy)
        raise
    finally:
        for pma in pmas:
            drop(mm, pma)
    return copies


def _pages_for_copy(mm: "MMState", pma: Pma, copies: list[Pma]) -> Pma:
    """Return fresh pages for the copy of a PMA, beside the copy before it if that can be. Raises: ENOMEM."""
    if not copies or copies[-1].end != pma.start:
        return fresh_pma(mm, pma.start, pma.end, top_down=False)
    below = copies[-1]
    offset = below.offset + below.end - below.start
    length = pma.end - pma.start
    if not mm.memory.allocate_at(offset, length, MemoryKind.ANONYMOUS):
        offset = mm.memory.allocate(length, MemoryKind.ANONYMOUS)
    return Pma(pma.start, pma.end, mm.memory, offset, OWNED)
