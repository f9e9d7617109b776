"""How the kernel reads and writes guest memory.

The memory file is mapped whole into the sentry, so an access is: page number -> (shift, end) in a dictionary, a slice
of the view. One entry serves accesses up to the end of its piece, not only of its page. Entries of the read cache are
pieces that the guest can read, of the write cache ones that are writable without a copy; any change that could make
one untrue empties both.

A write to a page that needs copying goes through the same copy-on-write as the guest's own, else read(2) would write
into a forked sibling (hazard 2.6). Pages of host files are read by pread at each access: never through a mapping,
because a file that shrinks would kill the sentry with SIGBUS (hazard 2.5), and never cached, because it may change.
"""

import mmap
import os
import struct
from typing import Final

from sentry_abi.errors import EFAULT, ENAMETOOLONG, LinuxError
from sentry_abi.memory import PAGE_SIZE
from sentry_abi.mman import PROT_WRITE
from sentry_mm._areas import COW, VM_SHARED, Area, Run
from sentry_mm._fault import Fault
from sentry_usermem import Buffer, add_u32, cas_u32, load_u32, store_u32, swap_u32

_NEIGHBOURS: Final = 4
_CACHE: Final = 4096
_STRING: Final = 256
_U64: Final = struct.Struct("<Q")


class Access(Fault):
    """Fault with the guest-memory protocol."""

    __slots__ = ()

    # -- translation --------------------------------------------------------------------------------------------------

    def _locate(self, addr: int, *, write: bool) -> tuple[Area, Run]:
        """Return the area and run of addr, readable or writable now. Raises: EFAULT, ENOMEM as EFAULT."""
        area = self.areas.at(addr)
        if area is None:
            area = self._stack_for(addr)
        if not area.prot & PROT_WRITE if write else not area.prot:
            raise EFAULT
        run = self.runs.at(addr)
        if run is None:
            run = self._backing_for(area, addr)
        return area, run

    def _stack_for(self, addr: int) -> Area:
        try:
            area = self._grow_stack(addr)
        except LinuxError:
            area = None
        if area is None:
            raise EFAULT
        return area

    def _backing_for(self, area: Area, addr: int) -> Run:
        try:
            run = self._find_backing(area, addr)
        except LinuxError:
            run = None
        if run is None:
            raise EFAULT
        return run

    def _stretch(self, end: int, shift: int, *, write: bool) -> int:
        """Return how far one piece goes on behind end: into what follows in the memory file too.

        A program's initialised and zeroed data are neighbours like that, and buffers lie across the border.
        """
        for _ in range(_NEIGHBOURS):
            area, run = self.areas.at(end), self.runs.at(end)
            if area is None or run is None or run.backing is not self.memory or run.offset - run.start != shift:
                break
            if write and (not area.prot & PROT_WRITE or run.mode == COW):
                break
            if not area.prot:
                break
            end = min(area.end, run.end)
        return end

    def _readable_piece(self, addr: int, size: int) -> Buffer:
        """Return at most size bytes from addr on, as far as one piece goes. Raises: EFAULT."""
        area, run = self._locate(addr, write=False)
        end = min(area.end, run.end)
        if run.backing is self.memory:
            shift = run.offset - run.start
            if addr + size > end:
                end = self._stretch(end, shift, write=False)
            if len(self._read_pages) >= _CACHE:
                self._read_pages.clear()
            self._read_pages[addr >> 12] = (shift, end)
            return self._view[addr + shift : min(addr + size, end) + shift]
        size = min(size, end - addr)
        data = os.pread(run.backing.fd, min(size, 0x7FFFF000), run.offset + addr - run.start)
        if len(data) < size:  # the last page of a file is zero beyond its end; pages behind that are bad
            valid = (addr + len(data) + PAGE_SIZE - 1) & -PAGE_SIZE
            data = data.ljust(min(size, valid - addr), b"\0")
            if not data:
                raise EFAULT
        return data

    def _writable_piece(self, addr: int, size: int) -> memoryview:
        """Return at most size writable bytes from addr on, as far as one piece goes. Raises: EFAULT."""
        area, run = self._locate(addr, write=True)
        if run.mode == COW:
            try:
                self.break_cow(area, run, addr, addr + size)
            except LinuxError:
                raise EFAULT from None
            area, run = self._locate(addr, write=True)
        end = min(area.end, run.end)
        if run.backing is self.memory:
            shift = run.offset - run.start
            if addr + size > end:
                end = self._stretch(end, shift, write=True)
            if len(self._write_pages) >= _CACHE:
                self._write_pages.clear()
            self._write_pages[addr >> 12] = (shift, end)
            return self._view[addr + shift : min(addr + size, end) + shift]
        return self._host_window(run, addr, min(size, end - addr))

    @staticmethod
    def _host_window(run: Run, addr: int, size: int) -> memoryview:
        """Return a writable view of a shared host file, for this one access only.

        Rare (read(2) into a shared mapping of a host file), so a mapping of its own is good enough; it is used at
        once, and the size of the file is looked at first.
        """
        offset = run.offset + addr - run.start
        page = offset & -PAGE_SIZE
        limit = (os.fstat(run.backing.fd).st_size + PAGE_SIZE - 1) & -PAGE_SIZE
        stop = min(offset + size, limit)
        if stop <= offset:
            raise EFAULT
        window = mmap.mmap(run.backing.fd, stop - page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=page)
        return memoryview(window)[offset - page :]

    # -- the protocol -------------------------------------------------------------------------------------------------

    def readable(self, addr: int, size: int) -> list[Buffer]:
        """Return pieces to read from, up to the first bad byte. Raises: EFAULT if that is the first.

        The pieces are for now: they must not be kept over anything that can change the space.
        """
        pages = self._read_pages
        hit = pages.get(addr >> 12)
        if hit is not None and addr + size <= hit[1]:
            addr += hit[0]
            return [self._view[addr : addr + size]]
        pieces: list[Buffer] = []
        while size > 0:
            hit = pages.get(addr >> 12)
            if hit is not None:
                shift, end = hit
                piece: Buffer = self._view[addr + shift : min(addr + size, end) + shift]
            else:
                try:
                    piece = self._readable_piece(addr, size)
                except EFAULT:
                    if not pieces:
                        raise
                    break
            pieces.append(piece)
            addr += len(piece)
            size -= len(piece)
        return pieces

    def writable(self, addr: int, size: int) -> list[memoryview]:
        """Return pieces to write to, copies made, up to the first bad byte. Raises: EFAULT if that is the first."""
        pages = self._write_pages
        hit = pages.get(addr >> 12)
        if hit is not None and addr + size <= hit[1]:
            addr += hit[0]
            return [self._view[addr : addr + size]]
        pieces: list[memoryview] = []
        while size > 0:
            hit = pages.get(addr >> 12)
            if hit is not None:
                shift, end = hit
                piece = self._view[addr + shift : min(addr + size, end) + shift]
            else:
                try:
                    piece = self._writable_piece(addr, size)
                except EFAULT:
                    if not pieces:
                        raise
                    break
            pieces.append(piece)
            addr += len(piece)
            size -= len(piece)
        return pieces

    def copy_in(self, addr: int, size: int) -> bytes:
        """Return size bytes. Raises: EFAULT unless all of them can be read."""
        hit = self._read_pages.get(addr >> 12)
        if hit is not None and addr + size <= hit[1]:
            addr += hit[0]
            return self._view[addr : addr + size].tobytes()
        data = b"".join(self.readable(addr, size))
        if len(data) < size:
            raise EFAULT
        return data

    def copy_out(self, addr: int, data: Buffer) -> None:
        """Write data. Raises: EFAULT unless all of it was written; what came before the bad byte stays written."""
        hit = self._write_pages.get(addr >> 12)
        size = len(data)
        if hit is not None and addr + size <= hit[1]:
            addr += hit[0]
            self._view[addr : addr + size] = data
        elif self.copy_out_partial(addr, data) < size:
            raise EFAULT

    def copy_out_partial(self, addr: int, data: Buffer) -> int:
        """Write as much of data as can be; return how many bytes. Raises: EFAULT if not even one."""
        done = 0
        for piece in self.writable(addr, len(data)):
            piece[:] = data[done : done + len(piece)]
            done += len(piece)
        return done

    def zero_out(self, addr: int, size: int) -> None:
        """Write size zero bytes. Raises: EFAULT unless all of them were written."""
        while size > 0:
            piece = self._writable_piece(addr, min(size, 1 << 20))
            piece[:] = bytes(len(piece))
            addr += len(piece)
            size -= len(piece)

    def cstring(self, addr: int, limit: int) -> bytes:
        """Return the bytes before the NUL. Raises: EFAULT; ENAMETOOLONG if limit bytes hold none."""
        hit = self._read_pages.get(addr >> 12)
        if hit is not None:
            at = addr + hit[0]
            found = self._view[at : min(at + _STRING, hit[1] + hit[0], at + limit)].tobytes()
            end = found.find(0)
            if end >= 0:
                return found[:end]
        parts: list[bytes] = []
        while limit > 0:
            part = bytes(self._readable_piece(addr, min(limit, PAGE_SIZE - (addr & (PAGE_SIZE - 1)))))
            end = part.find(0)
            if end >= 0:
                return b"".join(parts) + part[:end]
            parts.append(part)
            addr += len(part)
            limit -= len(part)
        raise ENAMETOOLONG

    # -- words --------------------------------------------------------------------------------------------------------

    def _word(self, addr: int, *, write: bool) -> int:
        """Return the sentry's address of an aligned word of the memory file. Raises: EFAULT.

        Differs: a futex word in a writable shared mapping of a host file is EFAULT; only memory of the memory file
        has atomics here.
        """
        hit = (self._write_pages if write else self._read_pages).get(addr >> 12)
        if hit is None:
            if write:
                self._writable_piece(addr, 4)
                hit = self._write_pages.get(addr >> 12)
            else:
                self._readable_piece(addr, 4)
                hit = self._read_pages.get(addr >> 12)
            if hit is None:
                raise EFAULT
        return self.memory.base + addr + hit[0]

    def load_u32(self, addr: int) -> int:
        """Return an aligned word atomically. Raises: EFAULT."""
        try:
            return load_u32(self._word(addr, write=False))
        except EFAULT:
            return int.from_bytes(self.copy_in(addr, 4), "little")  # a page of a host file

    def store_u32(self, addr: int, value: int) -> None:
        """Set an aligned word atomically. Raises: EFAULT."""
        store_u32(self._word(addr, write=True), value)

    def swap_u32(self, addr: int, value: int) -> int:
        """Set an aligned word; return what it was. Raises: EFAULT."""
        return swap_u32(self._word(addr, write=True), value)

    def add_u32(self, addr: int, value: int) -> int:
        """Add to an aligned word modulo 2^32; return what it was. Raises: EFAULT."""
        return add_u32(self._word(addr, write=True), value)

    def cas_u32(self, addr: int, old: int, value: int) -> int:
        """Set an aligned word to value if it is old; return what it was. Raises: EFAULT."""
        return cas_u32(self._word(addr, write=True), old, value)

    def load_u64(self, addr: int) -> int:
        """Return eight bytes as an integer. Raises: EFAULT."""
        return int.from_bytes(self.copy_in(addr, 8), "little")

    def store_u64(self, addr: int, value: int) -> None:
        """Write an integer as eight bytes. Raises: EFAULT."""
        self.copy_out(addr, _U64.pack(value))

    # -- futex --------------------------------------------------------------------------------------------------------

    def shared_key(self, addr: int) -> tuple[object, int] | None:
        """Return (identity, offset) if addr lies in a shared mapping, None in a private one. Raises: EFAULT."""
        area = self.areas.at(addr)
        if area is None or not area.prot:
            raise EFAULT
        if not area.flags & VM_SHARED or area.file is None:
            return None
        return area.file.mapping_identity(), area.offset + addr - area.start
