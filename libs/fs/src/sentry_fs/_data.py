"""File contents in the memory file.

Extent i of a file covers [0, 64 KiB), [64, 128), [128, 256), ... KiB: each as long as all before it. An extent is
allocated whole at first use and never moves, so a file offset has one memory offset for life, a mapping needs at most
25 PMAs, and a sparse range costs no memory. A missing extent was never written and reads as zeros.

Reads and writes are slice copies between the guest's memory and the file's, both inside one memory file: one memmove.
"""

import errno
import os
from collections.abc import Sequence
from typing import Final, Protocol

from sentry_abi.errors import EFBIG, ENXIO
from sentry_abi.memory import page_down, page_up
from sentry_mm import Pages
from sentry_vfs import Buffer

FIRST: Final = 16  # log2 of the first extent
MAX_SIZE: Final = 1 << 42
_ZEROS: Final = bytes(1 << 18)


class Memory(Pages, Protocol):
    """The memory file."""

    @property
    def view(self) -> memoryview:
        """All of it."""
        ...

    def allocate(self, length: int, kind: int) -> int:
        """Return the offset of zeroed bytes with one reference."""
        ...

    def decommit(self, offset: int, length: int) -> None:
        """Make a range read as zeros and cost nothing."""
        ...


def index_of(pos: int) -> int:
    """Return which extent holds a file offset."""
    return (pos >> FIRST).bit_length()


def bounds(index: int) -> tuple[int, int]:
    """Return start and end of an extent in the file."""
    return (0, 1 << FIRST) if index == 0 else (1 << FIRST + index - 1, 1 << FIRST + index)


class FileData:
    """The bytes of one file."""

    __slots__ = ("kind", "memory", "size", "starts")

    def __init__(self, memory: Memory, kind: int) -> None:
        """Make empty contents; kind is what the memory is accounted as."""
        self.memory = memory
        self.kind = kind
        self.size = 0
        self.starts: list[int] = []

    def read(self, bufs: Sequence[memoryview], pos: int) -> int:
        """Copy from pos on into bufs; return how many bytes, 0 at or beyond the end."""
        done = 0
        for buf in bufs:
            length = len(buf)
            left = self.size - pos
            if left < length:
                if left <= 0:
                    break
                buf = buf[:left]  # noqa: PLW2901  (the part that is filled)
                length = left
            self._fill(buf, pos, length)
            done += length
            pos += length
        return done

    def _fill(self, buf: memoryview, pos: int, length: int) -> None:
        starts, view = self.starts, self.memory.view
        at = 0
        while at < length:
            index = (pos >> FIRST).bit_length()
            start, end = (0, 1 << FIRST) if index == 0 else (1 << FIRST + index - 1, 1 << FIRST + index)
            take = min(length - at, end - pos)
            base = starts[index] if index < len(starts) else -1
            if base < 0:
                take = min(take, len(_ZEROS))
                buf[at : at + take] = _ZEROS[:take]
            else:
                base += pos - start
                buf[at : at + take] = view[base : base + take]
            at += take
            pos += take

    def write(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Copy bufs to pos on, growing the file; return how many bytes. Raises: EFBIG."""
        done = 0
        for buf in bufs:
            length = len(buf)
            if not length:
                continue
            if pos + length > MAX_SIZE:
                if done:
                    break
                raise EFBIG
            self._store(buf, pos, length)
            pos += length
            done += length
            self.size = max(self.size, pos)
        return done

    def _store(self, buf: Buffer, pos: int, length: int) -> None:
        view = self.memory.view
        index = (pos >> FIRST).bit_length()
        start, end = (0, 1 << FIRST) if index == 0 else (1 << FIRST + index - 1, 1 << FIRST + index)
        if pos + length <= end:
            base = self.extent(index) + pos - start
            view[base : base + length] = buf
            return
        at = 0
        source = memoryview(buf)
        while at < length:
            start, end = bounds(index)
            take = min(length - at, end - pos)
            base = self.extent(index) + pos - start
            view[base : base + take] = source[at : at + take]
            at += take
            pos += take
            index += 1

    def extent(self, index: int) -> int:
        """Return the memory offset of an extent, allocating it."""
        starts = self.starts
        if index >= len(starts):
            starts.extend([-1] * (index + 1 - len(starts)))
        base = starts[index]
        if base < 0:
            start, end = bounds(index)
            base = starts[index] = self.memory.allocate(end - start, self.kind)
        return base

    def pieces(self, pos: int, length: int) -> list[tuple[int, int]]:
        """Return the memory (offset, length) pairs of a range of the file, allocating what is missing."""
        found: list[tuple[int, int]] = []
        end_pos = pos + length
        while pos < end_pos:
            index = index_of(pos)
            start, end = bounds(index)
            take = min(end_pos, end) - pos
            base = self.extent(index) + pos - start
            if found and sum(found[-1]) == base:
                found[-1] = (found[-1][0], found[-1][1] + take)
            else:
                found.append((base, take))
            pos += take
        return found

    def truncate(self, length: int) -> None:
        """Set the size; what is cut off is given back, what is added reads as zeros. Raises: EFBIG."""
        if length > MAX_SIZE:
            raise EFBIG
        before, self.size = self.size, length
        if length < before:
            self._drop(length, before)

    def _drop(self, length: int, before: int) -> None:
        starts, memory = self.starts, self.memory
        for index in range(index_of(length), len(starts)):
            base = starts[index]
            start, end = bounds(index)
            if base < 0:
                continue
            if start >= length:
                memory.decref(base, end - start)
                starts[index] = -1
            else:
                self._zero(base - start, length, min(end, page_up(before)))

    def _zero(self, shift: int, pos: int, end: int) -> None:
        """Clear [pos, end) of one extent; a file offset plus shift is the memory offset."""
        first, last = page_up(pos), page_down(end)
        if first > last:
            self.memory.view[shift + pos : shift + end] = bytes(end - pos)
            return
        if pos < first:
            self.memory.view[shift + pos : shift + first] = bytes(first - pos)
        if first < last:
            self.memory.decommit(shift + first, last - first)
        if last < end:
            self.memory.view[shift + last : shift + end] = bytes(end - last)

    def punch(self, pos: int, length: int) -> None:
        """Make a range read as zeros; the size stays."""
        stop = min(pos + length, page_up(self.size))
        while pos < stop:
            index = index_of(pos)
            start, end = bounds(index)
            upto = min(end, stop)
            if index < len(self.starts) and self.starts[index] >= 0:
                self._zero(self.starts[index] - start, pos, upto)
            pos = upto

    def allocated(self) -> int:
        """Return how many bytes of the file have memory set aside: an upper bound of what it really uses."""
        total = 0
        end_of_file = page_up(self.size)
        for index, base in enumerate(self.starts):
            if base >= 0:
                start, end = bounds(index)
                total += max(0, min(end, end_of_file) - start)
        return total

    def seek(self, pos: int, *, data: bool) -> int:
        """Return the next data or hole at or after pos. Raises: ENXIO beyond the end."""
        if not 0 <= pos < self.size:
            raise ENXIO
        while pos < self.size:
            index = index_of(pos)
            start, end = bounds(index)
            base = self.starts[index] if index < len(self.starts) else -1
            if base < 0:
                if not data:
                    return pos
            else:
                offset = base + pos - start
                found = _seek_host(self.memory.fd, offset, os.SEEK_DATA if data else os.SEEK_HOLE)
                if found < base + end - start:
                    return min(pos + found - offset, self.size)
            pos = end
        if data:
            raise ENXIO
        return self.size

    def release(self) -> None:
        """Give all memory back."""
        self.size = 0
        for index, base in enumerate(self.starts):
            if base >= 0:
                start, end = bounds(index)
                self.memory.decref(base, end - start)
        self.starts.clear()


def _seek_host(fd: int, offset: int, whence: int) -> int:
    try:
        return os.lseek(fd, offset, whence)
    except OSError as failure:
        if failure.errno == errno.ENXIO:
            return 1 << 62
        raise
