"""How the kernel reads and writes guest memory.

The memory file is mapped whole into the sentry, so an access is: page number -> (shift, end) in a dictionary, a slice
of the view. One entry serves accesses up to the end of its piece, not only of its page. Entries of the read cache are
pieces that the guest can read, of the write cache ones that are writable without a copy; any change that could make
one untrue empties both.

A write to a page that needs copying goes through the same copy-on-write as the guest's own, else read(2) would write
into a forked sibling. Pages of host files are read by pread at each access: never through a mapping,
because a file that shrinks would kill the sentry with SIGBUS, and never cached, because it may change.
"""

import mmap
import os
import struct
from typing import TYPE_CHECKING, Final

from sentry_abi.errors import EFAULT, ENAMETOOLONG, LinuxError
from sentry_abi.memory import PAGE_SIZE
from sentry_abi.mman import PROT_WRITE
from sentry_mm._cow import break_cow
from sentry_mm._fault import expand_stack, find_backing
from sentry_mm._pma import COW, Pma
from sentry_mm._vma import VM_SHARED, Vma
from sentry_usermem import Buffer
from sentry_usermem import add_u32 as _add_u32
from sentry_usermem import cas_u32 as _cas_u32
from sentry_usermem import load_u32 as _load_u32
from sentry_usermem import store_u32 as _store_u32
from sentry_usermem import swap_u32 as _swap_u32

if TYPE_CHECKING:
    from sentry_mm._mm import MMState

_NEIGHBOURS: Final = 4
_CACHE: Final = 4096
_STRING: Final = 256
_U64: Final = struct.Struct("<Q")


def locate(mm: "MMState", addr: int, *, write: bool) -> tuple[Vma, Pma]:
    """Return the VMA and PMA of addr, readable or writable now. Raises: EFAULT, also for want of memory."""
    vma = mm.vmas.at(addr)
    if vma is None:
        vma = _stack_for(mm, addr)
    if not vma.prot & PROT_WRITE if write else not vma.prot:
        raise EFAULT
    pma = mm.pmas.at(addr)
    if pma is None:
        pma = _backing_for(mm, vma, addr)
    return vma, pma


def _stack_for(mm: "MMState", addr: int) -> Vma:
    try:
        vma = expand_stack(mm, addr)
    except LinuxError:
        vma = None
    if vma is None:
        raise EFAULT
    return vma


def _backing_for(mm: "MMState", vma: Vma, addr: int) -> Pma:
    try:
        pma = find_backing(mm, vma, addr)
    except LinuxError:
        pma = None
    if pma is None:
        raise EFAULT
    return pma


def _stretch(mm: "MMState", end: int, shift: int, *, write: bool) -> int:
    """Return how far one piece goes on behind end: into what follows in the memory file too.

    A program's initialised and zeroed data are neighbours like that, and buffers lie across the border.
    """
    for _ in range(_NEIGHBOURS):
        vma, pma = mm.vmas.at(end), mm.pmas.at(end)
        if vma is None or pma is None or pma.backing is not mm.memory or pma.offset - pma.start != shift:
            break
        if write and (not vma.prot & PROT_WRITE or pma.mode == COW):
            break
        if not vma.prot:
            break
        end = min(vma.end, pma.end)
    return end


def _readable_piece(mm: "MMState", addr: int, size: int) -> Buffer:
    """Return at most size bytes from addr on, as far as one piece goes. Raises: EFAULT."""
    vma, pma = locate(mm, addr, write=False)
    end = min(vma.end, pma.end)
    if pma.backing is mm.memory:
        shift = pma.offset - pma.start
        if addr + size > end:
            end = _stretch(mm, end, shift, write=False)
        if len(mm.read_pages) >= _CACHE:
            mm.read_pages.clear()
        mm.read_pages[addr >> 12] = (shift, end)
        return mm.view[addr + shift : min(addr + size, end) + shift]
    size = min(size, end - addr)
    data = os.pread(pma.backing.fd, min(size, 0x7FFFF000), pma.offset + addr - pma.start)
    if len(data) < size:  # the last page of a file is zero beyond its end; pages behind that are bad
        valid = (addr + len(data) + PAGE_SIZE - 1) & -PAGE_SIZE
        data = data.ljust(min(size, valid - addr), b"\0")
        if not data:
            raise EFAULT
    return data


def _writable_piece(mm: "MMState", addr: int, size: int) -> memoryview:
    """Return at most size writable bytes from addr on, as far as one piece goes. Raises: EFAULT."""
    vma, pma = locate(mm, addr, write=True)
    if pma.mode == COW:
        try:
            break_cow(mm, vma, pma, addr, addr + size)
        except LinuxError:
            raise EFAULT from None
        vma, pma = locate(mm, addr, write=True)
    end = min(vma.end, pma.end)
    if pma.backing is mm.memory:
        shift = pma.offset - pma.start
        if addr + size > end:
            end = _stretch(mm, end, shift, write=True)
        if len(mm.write_pages) >= _CACHE:
            mm.write_pages.clear()
        mm.write_pages[addr >> 12] = (shift, end)
        return mm.view[addr + shift : min(addr + size, end) + shift]
    return _host_window(pma, addr, min(size, end - addr))


def _host_window(pma: Pma, addr: int, size: int) -> memoryview:
    """Return a writable view of a shared host file, for this one access only.

    Rare: read(2) into a shared mapping of a host file. The view is used at once, and covers only what the file has.
    """
    offset = pma.offset + addr - pma.start
    page = offset & -PAGE_SIZE
    limit = (os.fstat(pma.backing.fd).st_size + PAGE_SIZE - 1) & -PAGE_SIZE
    stop = min(offset + size, limit)
    if stop <= offset:
        raise EFAULT
    window = mmap.mmap(pma.backing.fd, stop - page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=page)
    return memoryview(window)[offset - page :]


def readable(mm: "MMState", addr: int, size: int) -> list[Buffer]:
    """Return pieces to read from, up to the first bad byte. Raises: EFAULT if that is the first.

    The pieces are for now: they must not be kept over anything that can change the space.
    """
    pages = mm.read_pages
    hit = pages.get(addr >> 12)
    if hit is not None and addr + size <= hit[1]:
        addr += hit[0]
        return [mm.view[addr : addr + size]]
    pieces: list[Buffer] = []
    while size > 0:
        hit = pages.get(addr >> 12)
        if hit is not None:
            shift, end = hit
            piece: Buffer = mm.view[addr + shift : min(addr + size, end) + shift]
        else:
            try:
                piece = _readable_piece(mm, addr, size)
            except EFAULT:
                if not pieces:
                    raise
                break
        pieces.append(piece)
        addr += len(piece)
        size -= len(piece)
    return pieces


def writable(mm: "MMState", addr: int, size: int) -> list[memoryview]:
    """Return pieces to write to, copies made, up to the first bad byte. Raises: EFAULT if that is the first."""
    pages = mm.write_pages
    hit = pages.get(addr >> 12)
    if hit is not None and addr + size <= hit[1]:
        addr += hit[0]
        return [mm.view[addr : addr + size]]
    pieces: list[memoryview] = []
    while size > 0:
        hit = pages.get(addr >> 12)
        if hit is not None:
            shift, end = hit
            piece = mm.view[addr + shift : min(addr + size, end) + shift]
        else:
            try:
                piece = _writable_piece(mm, addr, size)
            except EFAULT:
                if not pieces:
                    raise
                break
        pieces.append(piece)
        addr += len(piece)
        size -= len(piece)
    return pieces


def copy_in(mm: "MMState", addr: int, size: int) -> bytes:
    """Return size bytes. Raises: EFAULT unless all of them can be read."""
    hit = mm.read_pages.get(addr >> 12)
    if hit is not None and addr + size <= hit[1]:
        addr += hit[0]
        return mm.view[addr : addr + size].tobytes()
    data = b"".join(readable(mm, addr, size))
    if len(data) < size:
        raise EFAULT
    return data


def copy_out(mm: "MMState", addr: int, data: Buffer) -> None:
    """Write data. Raises: EFAULT unless all of it was written; what came before the bad byte stays written."""
    hit = mm.write_pages.get(addr >> 12)
    size = len(data)
    if hit is not None and addr + size <= hit[1]:
        addr += hit[0]
        mm.view[addr : addr + size] = data
    elif copy_out_partial(mm, addr, data) < size:
        raise EFAULT


def copy_out_partial(mm: "MMState", addr: int, data: Buffer) -> int:
    """Write as much of data as can be; return how many bytes. Raises: EFAULT if not even one."""
    done = 0
    for piece in writable(mm, addr, len(data)):
        piece[:] = data[done : done + len(piece)]
        done += len(piece)
    return done


def zero_out(mm: "MMState", addr: int, size: int) -> None:
    """Write size zero bytes. Raises: EFAULT unless all of them were written."""
    while size > 0:
        piece = _writable_piece(mm, addr, min(size, 1 << 20))
        piece[:] = bytes(len(piece))
        addr += len(piece)
        size -= len(piece)


def cstring(mm: "MMState", addr: int, limit: int) -> bytes:
    """Return the bytes before the NUL. Raises: EFAULT; ENAMETOOLONG if limit bytes hold none."""
    hit = mm.read_pages.get(addr >> 12)
    if hit is not None:
        at = addr + hit[0]
        found = mm.view[at : min(at + _STRING, hit[1] + hit[0], at + limit)].tobytes()
        end = found.find(0)
        if end >= 0:
            return found[:end]
    parts: list[bytes] = []
    while limit > 0:
        part = bytes(_readable_piece(mm, addr, min(limit, PAGE_SIZE - (addr & (PAGE_SIZE - 1)))))
        end = part.find(0)
        if end >= 0:
            return b"".join(parts) + part[:end]
        parts.append(part)
        addr += len(part)
        limit -= len(part)
    raise ENAMETOOLONG


def _word(mm: "MMState", addr: int, *, write: bool) -> int:
    """Return the sentry's address of an aligned word of the memory file. Raises: EFAULT.

    Differs: a futex word in a writable shared mapping of a host file is EFAULT; only memory of the memory file
    has atomics here.
    """
    hit = (mm.write_pages if write else mm.read_pages).get(addr >> 12)
    if hit is None:
        if write:
            _writable_piece(mm, addr, 4)
            hit = mm.write_pages.get(addr >> 12)
        else:
            _readable_piece(mm, addr, 4)
            hit = mm.read_pages.get(addr >> 12)
        if hit is None:
            raise EFAULT
    return mm.memory.base + addr + hit[0]


def load_u32(mm: "MMState", addr: int) -> int:
    """Return an aligned word atomically. Raises: EFAULT."""
    try:
        return _load_u32(_word(mm, addr, write=False))
    except EFAULT:
        return int.from_bytes(copy_in(mm, addr, 4), "little")  # a page of a host file


def store_u32(mm: "MMState", addr: int, value: int) -> None:
    """Set an aligned word atomically. Raises: EFAULT."""
    _store_u32(_word(mm, addr, write=True), value)


def swap_u32(mm: "MMState", addr: int, value: int) -> int:
    """Set an aligned word; return what it was. Raises: EFAULT."""
    return _swap_u32(_word(mm, addr, write=True), value)


def add_u32(mm: "MMState", addr: int, value: int) -> int:
    """Add to an aligned word modulo 2^32; return what it was. Raises: EFAULT."""
    return _add_u32(_word(mm, addr, write=True), value)


def cas_u32(mm: "MMState", addr: int, old: int, value: int) -> int:
    """Set an aligned word to value if it is old; return what it was. Raises: EFAULT."""
    return _cas_u32(_word(mm, addr, write=True), old, value)


def load_u64(mm: "MMState", addr: int) -> int:
    """Return eight bytes as an integer. Raises: EFAULT."""
    return int.from_bytes(copy_in(mm, addr, 8), "little")


def store_u64(mm: "MMState", addr: int, value: int) -> None:
    """Write an integer as eight bytes. Raises: EFAULT."""
    copy_out(mm, addr, _U64.pack(value))


def shared_key(mm: "MMState", addr: int) -> tuple[object, int] | None:
    """Return (identity, offset) if addr lies in a shared mapping, None in a private one. Raises: EFAULT."""
    vma = mm.vmas.at(addr)
    if vma is None or not vma.prot:
        raise EFAULT
    if not vma.vm_flags & VM_SHARED or vma.file is None:
        return None
    return vma.file.mapping_identity(), vma.offset + addr - vma.start
