"""The guest-memory protocol, and copies of structures, arrays, strings and scatter lists over it.

mm implements `GuestMemory`; `ByteMemory` is one over a bytearray, for tests and tools. EFAULT is exact: bytes before
the bad one are copied, bytes after it are not. A negative size is a ValueError.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar

from sentry_abi.errors import E2BIG, EFAULT, EINVAL, ENAMETOOLONG
from sentry_abi.fcntl import MAX_RW_COUNT, UIO_MAXIOV
from sentry_abi.memory import TASK_SIZE

IOV_MAX: Final = UIO_MAXIOV

Buffer = memoryview | bytes


View = TypeVar("View", memoryview, Buffer)


class GuestMemory(Protocol):
    """Memory of a guest. Addresses are plain integers and need not be valid."""

    def copy_in(self, addr: int, size: int) -> bytes:
        """Return size bytes. Raises: EFAULT unless all of them can be read."""
        ...

    def copy_out(self, addr: int, data: Buffer) -> None:
        """Write data. Raises: EFAULT at the first bad byte; the bytes before it are written."""
        ...

    def copy_out_partial(self, addr: int, data: Buffer) -> int:
        """Write data up to the first bad byte; return how many bytes. Raises: EFAULT if that is the first."""
        ...

    def readable(self, addr: int, size: int) -> list[Buffer]:
        """Return views to read from, up to the first bad byte. Raises: EFAULT if that is the first."""
        ...

    def writable(self, addr: int, size: int) -> list[memoryview]:
        """Return views to write to, up to the first bad byte. Raises: EFAULT if that is the first."""
        ...

    def cstring(self, addr: int, limit: int) -> bytes:
        """Return the bytes before the NUL. Raises: EFAULT; ENAMETOOLONG if limit bytes hold none."""
        ...


IoVec: TypeAlias = tuple[int, int]
"""One piece of a scatter or gather list in guest memory: address and length in bytes."""


def read_struct(memory: GuestMemory, addr: int, layout: struct.Struct) -> tuple[int, ...]:
    """Return the fields of a structure in guest memory. Raises: EFAULT."""
    return layout.unpack(memory.copy_in(addr, layout.size))


def write_struct(memory: GuestMemory, addr: int, layout: struct.Struct, *fields: int) -> None:
    """Write a structure to guest memory. Raises: EFAULT at the first bad byte; the bytes before it are written."""
    memory.copy_out(addr, layout.pack(*fields))


def read_array(memory: GuestMemory, addr: int, layout: struct.Struct, count: int) -> list[tuple[int, ...]]:
    """Return count adjacent structures. Raises: EFAULT; ValueError for a negative count."""
    if count < 0:
        message = f"read_array of {count} structures"
        raise ValueError(message)
    return list(layout.iter_unpack(memory.copy_in(addr, layout.size * count))) if count else []


def read_strings(memory: GuestMemory, addr: int, limit: int, each: int) -> list[bytes]:
    """Return the strings of a NULL-terminated array of pointers (argv); a null addr is an empty array.

    Raises: E2BIG if the strings, their NULs and pointers take more than limit bytes, or one of them more than each;
    EFAULT.
    Linux: fs/exec.c count, copy_strings; a null argv is an empty one.
    """
    found: list[bytes] = []
    if addr == 0:
        return found
    while True:
        block = memory.readable(addr, 512 - (addr & 511 & -8))[0]  # never beyond a page, so one view
        if len(block) < 8:
            block = memory.copy_in(addr, 8)
        for (pointer,) in struct.iter_unpack("<Q", bytes(block[: len(block) & -8])):
            if pointer == 0:
                return found
            try:
                text = memory.cstring(pointer, min(each, limit))
            except ENAMETOOLONG:
                raise E2BIG from None
            limit -= len(text) + 9
            if limit < 0:
                raise E2BIG
            found.append(text)
        addr += len(block) & -8


def import_iovec(memory: GuestMemory, addr: int, count: int) -> tuple[IoVec, ...]:
    """Return a checked scatter list, truncated to MAX_RW_COUNT bytes.

    Raises: EINVAL for a negative count, more than IOV_MAX pieces, or a length that is negative as ssize_t; EFAULT for
    the array or a piece outside user memory. Linux: lib/iov_iter.c __import_iovec.
    """
    if not 0 <= count <= IOV_MAX:
        raise EINVAL
    pieces: list[IoVec] = []
    left = MAX_RW_COUNT
    if count == 0:
        return ()
    for base, size in struct.iter_unpack("<QQ", memory.copy_in(addr, 16 * count)):
        if size >> 63:
            raise EINVAL
        if base + size > TASK_SIZE and size:
            raise EFAULT
        size = min(size, left)  # noqa: PLW2901  (the truncated length counts)
        left -= size
        pieces.append((base, size))
    return tuple(pieces)


def gather(memory: GuestMemory, pieces: Sequence[IoVec], skip: int = 0, limit: int = MAX_RW_COUNT) -> list[Buffer]:
    """Return views of a gather list without its first skip bytes: limit bytes at most, up to the first bad byte.

    Raises: EFAULT if that is the first.
    """
    return _views(memory.readable, pieces, skip, limit)


def scatter(memory: GuestMemory, pieces: Sequence[IoVec], skip: int = 0, limit: int = MAX_RW_COUNT) -> list[memoryview]:
    """Return views to write to of a scatter list; as `gather`."""
    return _views(memory.writable, pieces, skip, limit)


def _views(reach: Callable[[int, int], list[View]], pieces: Sequence[IoVec], skip: int, limit: int) -> list[View]:
    found: list[View] = []
    for addr, size in pieces:
        if skip >= size:
            skip -= size
            continue
        addr, size = addr + skip, min(size - skip, limit)  # noqa: PLW2901  (the part that counts)
        skip = 0
        if size <= 0:
            break
        try:
            part = reach(addr, size)
        except EFAULT:
            if not found:
                raise
            break
        found += part
        limit -= size
        if sum(map(len, part)) < size:
            break
    return found


class ByteMemory:
    """Guest memory over one bytearray at address `start`: for tests and tools."""

    __slots__ = ("data", "start")

    def __init__(self, size: int, start: int = 0x10000) -> None:
        """Map size zeroed bytes at start, and nothing else. Raises: ValueError for negative numbers."""
        if size < 0 or start < 0:
            message = f"ByteMemory({size}, {start:#x}): sizes and addresses are not negative"
            raise ValueError(message)
        self.data = bytearray(size)
        self.start = start

    def _clip(self, addr: int, size: int) -> tuple[int, int]:
        if size < 0:
            message = f"a copy of {size} bytes at {addr:#x}"
            raise ValueError(message)
        first = addr - self.start
        if size and not 0 <= first < len(self.data):
            raise EFAULT
        return first, min(first + size, len(self.data))

    def readable(self, addr: int, size: int) -> list[Buffer]:
        """See GuestMemory."""
        first, last = self._clip(addr, size)
        return [memoryview(self.data)[first:last]] if size else []

    def writable(self, addr: int, size: int) -> list[memoryview]:
        """See GuestMemory."""
        first, last = self._clip(addr, size)
        return [memoryview(self.data)[first:last]] if size else []

    def copy_in(self, addr: int, size: int) -> bytes:
        """See GuestMemory."""
        data = b"".join(self.readable(addr, size))
        if len(data) < size:
            raise EFAULT
        return data

    def copy_out_partial(self, addr: int, data: Buffer) -> int:
        """See GuestMemory."""
        done = 0
        for piece in self.writable(addr, len(data)):
            piece[:] = data[done : done + len(piece)]
            done += len(piece)
        return done

    def copy_out(self, addr: int, data: Buffer) -> None:
        """See GuestMemory."""
        if self.copy_out_partial(addr, data) < len(data):
            raise EFAULT

    def cstring(self, addr: int, limit: int) -> bytes:
        """See GuestMemory."""
        first, last = self._clip(addr, limit)
        end = self.data.find(0, first, last)
        if end < 0:
            raise ENAMETOOLONG if last - first == limit else EFAULT
        return bytes(self.data[first:end])
