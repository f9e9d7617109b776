"""The memory file as bytes: what is allocated, then every page that is not all zeros.

Layout, little-endian: magic, version, window size, both frontiers, count of ranges, count of data runs; the ranges
(start, end, references * 8 + kind); the data runs (start, end); zeros up to a multiple of the page size; the runs'
pages in order. Pages lie page-aligned in the image, so that an image that is a file can be mapped and need not be
read. Zero pages are left out, whether they were ever touched or not; looking for them commits nothing, because holes
are found by asking the host (SEEK_DATA).

An image is not trusted: every number is checked before it is used, and everything wrong is an `ImageError`.
"""

import struct
from typing import TYPE_CHECKING, Final, Protocol

from sentry_abi.memory import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_pgalloc._ranges import Ranges

MAGIC: Final = b"sentryMF"
VERSION: Final = 1
HEADER: Final = struct.Struct("<8sIIQQQQQ")
RANGE: Final = struct.Struct("<QQQ")
RUN: Final = struct.Struct("<QQ")
_CHUNK: Final = 1 << 20
_MOST: Final = 1 << 24  # entries of a table: 400 MiB of table is no image of ours


class ImageError(ValueError):
    """The bytes are no image of a memory file, a damaged one, or one of a newer version."""


class Writer(Protocol):
    """Where an image goes."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take data, and return how many bytes of it, or None for all."""
        ...


class Reader(Protocol):
    """Where an image comes from."""

    def read(self, size: int, /) -> bytes:
        """Return size bytes; fewer only at the end."""
        ...


class Tables:
    """The part of an image before the pages."""

    __slots__ = ("high", "low", "ranges", "runs", "size")

    def __init__(
        self,
        size: int,
        low: int,
        high: int,
        ranges: "Sequence[tuple[int, int, int]]",
        runs: "Sequence[tuple[int, int]]",
    ) -> None:
        """Hold window size, frontiers, allocated ranges and runs of pages that follow."""
        self.size = size
        self.low = low
        self.high = high
        self.ranges = ranges
        self.runs = runs

    def write(self, writer: Writer) -> None:
        """Write them, padded to a page."""
        head = HEADER.pack(MAGIC, VERSION, 0, self.size, self.low, self.high, len(self.ranges), len(self.runs))
        ranges = b"".join(RANGE.pack(*entry) for entry in self.ranges)
        runs = b"".join(RUN.pack(*entry) for entry in self.runs)
        used = len(head) + len(ranges) + len(runs)
        write_all(writer, head + ranges + runs + bytes(-used % PAGE_SIZE))


def write_all(writer: Writer, data: bytes | memoryview) -> None:
    """Write data, in pieces if the writer takes it so, as an unbuffered file may. Raises: OSError if it takes none."""
    taken = writer.write(data)
    while isinstance(taken, int) and taken < len(data):
        if taken <= 0:
            message = f"the writer takes no more: {len(data)} bytes are left"
            raise OSError(message)
        data = data[taken:]
        taken = writer.write(data)


def read_exactly(reader: Reader, size: int) -> bytes:
    """Return size bytes. Raises: ImageError."""
    data = reader.read(size)
    if len(data) != size:
        message = f"the image ends {size - len(data)} bytes too early"
        raise ImageError(message)
    return data


def read_tables(reader: Reader, window: int) -> Tables:
    """Return the tables of an image for a file of `window` bytes. Raises: ImageError."""
    magic, version, _, size, low, high, range_count, run_count = HEADER.unpack(read_exactly(reader, HEADER.size))
    if magic != MAGIC:
        message = "not an image of a memory file"
        raise ImageError(message)
    if version != VERSION:
        message = f"image version {version}, this program reads {VERSION}"
        raise ImageError(message)
    if max(range_count, run_count) > _MOST or not low <= high <= size or (size | low | high) & (PAGE_SIZE - 1):
        message = "the image's header makes no sense"
        raise ImageError(message)
    if size > window and (high < size or low > window):
        message = f"the image needs a memory file of {size >> 30} GiB, the host allows {window >> 30}"
        raise ImageError(message)
    ranges = list(RANGE.iter_unpack(read_exactly(reader, RANGE.size * range_count)))
    runs = list(RUN.iter_unpack(read_exactly(reader, RUN.size * run_count)))
    _check(ranges, runs, low, high, size)
    used = HEADER.size + RANGE.size * range_count + RUN.size * run_count
    read_exactly(reader, -used % PAGE_SIZE)
    return Tables(size, low, high, ranges, runs)


def _check(ranges: list[tuple[int, ...]], runs: list[tuple[int, ...]], low: int, high: int, size: int) -> None:
    """Raise ImageError unless ranges are sound, in order, inside the frontiers, and hold every run."""
    at = 0
    for start, end, value in ranges:
        outside = end > size or (start < high and end > low)
        if start < at or start >= end or (start | end) & (PAGE_SIZE - 1) or outside or value >> 3 == 0 or value & 7 > 5:
            message = f"the image's range {start:#x}-{end:#x} makes no sense"
            raise ImageError(message)
        at = end
    at = index = 0
    for start, end in runs:
        while index < len(ranges) and ranges[index][1] < end:
            index += 1
        sound = index < len(ranges) and ranges[index][0] <= start
        if start < at or start >= end or (start | end) & (PAGE_SIZE - 1) or not sound:
            message = f"the image's pages {start:#x}-{end:#x} make no sense"
            raise ImageError(message)
        at = end


def holes(used: "Ranges", start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of [start, end) that are not allocated."""
    found = []
    for first, last, _ in used.within(start, end):
        if first > start:
            found.append((start, first))
        start = last
    if start < end:
        found.append((start, end))
    return found


def copy_pages(reader: Reader, view: memoryview, start: int, end: int) -> None:
    """Read [start, end) of the memory file. Raises: ImageError."""
    for at in range(start, end, _CHUNK):
        stop = min(at + _CHUNK, end)
        view[at:stop] = read_exactly(reader, stop - at)
