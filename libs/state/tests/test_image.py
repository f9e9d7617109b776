"""Images as streams: parts in order, bulk bytes of any size, damage, keys, versions."""

# ruff: noqa: ANN401  (graphs of anything)

import gc
import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from sentry_state import (
    DamagedError,
    LimitError,
    Limits,
    LoadError,
    MalformedError,
    NewerVersionError,
    NotAnImageError,
    Reader,
    Registry,
    SaveError,
    StateError,
    TruncatedError,
    Writer,
)

KEY = b"0123456789abcdef"


def sealed(*blocks: tuple[int, bytes], meta: bytes = b"{}", version: int = 1, flags: int = 0) -> io.BytesIO:
    """Return an image of these blocks with right checksums, made by the description of the format."""
    head = b"\x89SENTRY\n" + struct.pack("<HHI", version, flags, len(meta))
    digest = struct.pack("<I", zlib.crc32(meta, zlib.crc32(head)))
    out = head + meta + digest
    for kind, payload in blocks:
        head = struct.pack("<BI", kind, len(payload))
        digest = struct.pack("<I", zlib.crc32(payload, zlib.crc32(head, zlib.crc32(digest))))
        out += head + payload + digest
    return io.BytesIO(out)


def make(**options: Any) -> bytes:
    """Return an image of two graphs and bulk bytes between them."""
    file = io.BytesIO()
    with Writer(file, {"host": "ü", "a": ""}, **options) as writer:
        writer.save("first", [1, 2])
        assert writer.raw("bulk", b"some bytes") == 10
        writer.save("second", {"x": b"123456789" * 9000})
    return file.getvalue()


def read(data: bytes, **options: Any) -> list[Any]:
    """Read it all."""
    reader = Reader(io.BytesIO(data), **options)
    assert reader.metadata == {"host": "ü", "a": ""}
    found = [reader.load("first"), b"".join(reader.raw("bulk")), reader.load("second")]
    reader.finish()
    reader.finish()
    return found


@pytest.mark.parametrize("options", [{}, {"key": KEY}])
def test_parts_in_order(options: dict[str, Any]) -> None:
    """Everything comes back; the same graph gives the same bytes."""
    data = make(**options)
    assert data == make(**options)
    assert read(data, **options) == [[1, 2], b"some bytes", {"x": b"123456789" * 9000}]


@pytest.mark.parametrize("options", [{}, {"key": KEY}])
def test_every_cut_and_every_bit(options: dict[str, Any]) -> None:
    """Wherever the image ends too early and whichever bit is wrong, it is noticed."""
    data = make(**options)
    places = [*range(250), *range(250, len(data), 997), *range(len(data) - 150, len(data))]
    for place in places:
        with pytest.raises(TruncatedError):
            read(data[:place], **options)
        for bit in (1, 128):
            wrong = bytearray(data)
            wrong[place] ^= bit
            with pytest.raises(LoadError):
                read(bytes(wrong), **options)


def test_keys() -> None:
    """No key, a wrong key, a key where there is none, a key of the wrong size."""
    with pytest.raises(DamagedError, match="has a key"):
        Reader(io.BytesIO(make(key=KEY)))
    with pytest.raises(DamagedError, match="has no key"):
        Reader(io.BytesIO(make()), key=KEY)
    with pytest.raises(DamagedError, match="another key"):
        Reader(io.BytesIO(make(key=KEY)), key=b"x" * 16)
    with pytest.raises(StateError, match="16 to 64"):
        Writer(io.BytesIO(), key=b"short")


def test_heads() -> None:
    """What an image does not begin with."""
    for data in (b"", b"\x89SENTRY"):
        with pytest.raises(TruncatedError):
            Reader(io.BytesIO(data))
    for data in (b"\x7fELF", b"\x89SENTRY\r\n" + b"\0" * 20):
        with pytest.raises(NotAnImageError):
            Reader(io.BytesIO(data))
    with pytest.raises(NewerVersionError, match="format 2"):
        Reader(sealed(version=2))
    with pytest.raises(MalformedError, match="does not exist"):
        Reader(sealed(version=0))
    with pytest.raises(MalformedError, match="does not exist"):
        Reader(sealed(flags=4))
    for meta in (b"{", b"\xff", b"[]", b'{"a": 1}', b"[" * 100_000):
        with pytest.raises(MalformedError, match="metadata"):
            Reader(sealed(meta=meta))
    huge = b"\x89SENTRY\n" + struct.pack("<HHI", 1, 0, 0xFFFFFFFF)
    with pytest.raises(LimitError, match="metadata of 4294967295 bytes"):
        Reader(io.BytesIO(huge))
    lying = b"\x89SENTRY\n" + struct.pack("<HHI", 1, 0, 16 << 20)
    with pytest.raises(TruncatedError):
        Reader(io.BytesIO(lying))


def test_metadata_is_text() -> None:
    """Wrong use of the writer."""
    with pytest.raises(SaveError, match="text to text"):
        Writer(io.BytesIO(), {"a": 5})  # type: ignore[dict-item]
    with pytest.raises(SaveError, match="metadata of"):
        Writer(io.BytesIO(), {"a": "x" * (17 << 20)})


def test_order_of_parts() -> None:
    """Names and kinds must be those that were written, in their order, and nothing may be left."""
    data = make()
    with pytest.raises(MalformedError, match="the graph 'second' should come, and there is the graph b'first'"):
        Reader(io.BytesIO(data)).load("second")
    with pytest.raises(MalformedError, match="the bulk bytes 'first' should come, and there is the graph"):
        Reader(io.BytesIO(data)).raw("first")
    reader = Reader(io.BytesIO(data))
    with pytest.raises(MalformedError, match="the end of the image should come, and there is a beginning"):
        reader.finish()
    reader = Reader(io.BytesIO(data))
    reader.load("first")
    chunks = reader.raw("bulk")
    with pytest.raises(LoadError, match="'bulk' has not been read to its end"):
        reader.load("second")
    assert next(chunks) == b"some bytes"
    with pytest.raises(LoadError, match="has not been read"):
        reader.finish()
    assert list(chunks) == []
    reader.load("second")
    reader.finish()
    with pytest.raises(LoadError, match="the image has ended"):
        reader.load("third")


def test_bulk_into_a_buffer() -> None:
    """Filled as far as the bytes go; too small a buffer is an error."""
    reader = Reader(io.BytesIO(make()))
    reader.load("first")
    buffer = bytearray(12)
    assert reader.raw_into("bulk", buffer) == 10
    assert buffer == b"some bytes\0\0"
    reader = Reader(io.BytesIO(make()))
    reader.load("first")
    with pytest.raises(LimitError, match="more than the 4 bytes"):
        reader.raw_into("bulk", bytearray(4))


def test_writer_checks() -> None:
    """Names are unique; an ended or failed image takes nothing more; an exception leaves it cut off."""
    writer = Writer(io.BytesIO())
    writer.save("a", 1)
    for name in ("a", "", "x" * 300):
        with pytest.raises(SaveError, match="a name of its own"):
            writer.raw(name, b"")
    writer.close()
    with pytest.raises(SaveError, match="ended"):
        writer.save("b", 1)
    file = io.BytesIO()
    writer = Writer(file).__enter__()
    writer.save("a", 1)
    writer.__exit__(KeyError, None, None)
    with pytest.raises(SaveError, match="cut it off"):
        writer.save("b", 1)
    reader = Reader(io.BytesIO(file.getvalue()))
    reader.load("a")
    with pytest.raises(TruncatedError):
        reader.finish()

    def failing() -> Iterator[bytes]:
        yield b"x"
        raise KeyError

    writer = Writer(io.BytesIO())
    with pytest.raises(KeyError):
        writer.raw("a", failing())
    with pytest.raises(SaveError, match="cut it off"):
        writer.close()


class Dribble(io.RawIOBase):
    """A file that gives and takes a few bytes at a time, as pipes do."""

    def __init__(self, data: bytes = b"") -> None:
        """Hold data."""
        self.data = bytearray(data)
        self.full = False

    def write(self, data: Any, /) -> int:
        """Take up to seven bytes, or none."""
        if self.full:
            return 0
        self.data += bytes(data[:7])
        return min(7, len(data))

    def read(self, size: int = -1, /) -> bytes:
        """Give up to five."""
        taken = bytes(self.data[: min(5, size)])
        del self.data[: len(taken)]
        return taken


def test_short_reads_and_writes() -> None:
    """Streams that move a little at a time."""
    pipe = Dribble()
    writer = Writer(pipe)
    writer.save("a", list(range(100)))
    writer.raw("b", memoryview(b"0123456789").cast("H"))
    pipe.full = True
    with pytest.raises(SaveError, match="takes no more"):
        writer.save("c", 1)
    pipe.full = False
    with pytest.raises(SaveError, match="cut it off"):
        writer.close()
    reader = Reader(pipe)
    assert reader.load("a") == list(range(100))
    assert b"".join(reader.raw("b")) == b"0123456789"


class Broken:
    """A sink that fails."""

    def __init__(self, left: int) -> None:
        """Take so many pieces."""
        self.left = left

    def write(self, data: Any, /) -> int:
        """Fail after a while."""
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")
        return len(data)


@pytest.mark.parametrize("left", [4, 8, 13])
def test_errors_of_the_sink_pass(left: int) -> None:
    """They are the caller's; the writer takes nothing more."""
    writer = Writer(Broken(left))
    with pytest.raises(OSError, match="No space"):
        writer.save("a", list(range(10_000)))
    with pytest.raises(SaveError):
        writer.close()


def test_collection_stays_as_it_was() -> None:
    """Garbage collection is held up only meanwhile."""
    file = io.BytesIO()
    assert gc.isenabled()
    gc.disable()
    try:
        with Writer(file) as writer:
            writer.save("a", 1)
        file.seek(0)
        Reader(file).load("a")
        assert not gc.isenabled()
    finally:
        gc.enable()
    file.seek(0)
    Reader(file).load("a")
    assert gc.isenabled()


class Endless:
    """A sink that only counts, and a source of one image that is never held whole."""

    def __init__(self) -> None:
        """Begin."""
        self.size = 0

    def write(self, data: Any, /) -> None:
        """Count."""
        self.size += len(data)


def test_bulk_bytes_take_no_memory() -> None:
    """64 MiB of bulk bytes and a graph of many long values pass through with little memory."""
    sink = Endless()
    chunk = bytes(1 << 20)
    tracemalloc.start()
    with Writer(sink) as writer:
        writer.raw("bulk", (chunk for _ in range(64)))
        peak = tracemalloc.get_traced_memory()[1]
        writer.save("graph", [chunk] * 100)
    tracemalloc.stop()
    assert sink.size > 65 << 20
    assert peak < 2 << 20


def test_what_follows_is_somebody_elses() -> None:
    """The reader stops at the end of the image, to the byte."""
    data = make()
    file = io.BytesIO(data + b"pages")
    reader = Reader(file)
    reader.load("first")
    for _ in reader.raw("bulk"):
        pass
    reader.load("second")
    reader.finish()
    assert file.read() == b"pages"


GRAPH = (1, b"Gg")
CLOSE = (5, b"")
END = (6, b"")


@pytest.mark.parametrize(
    "blocks",
    [
        [(2, b"\x80"), CLOSE],
        [(1, b""), (2, b"\x80"), CLOSE],
        [(1, b"Xg"), (2, b"\x80"), CLOSE],
        [GRAPH, CLOSE],
        [GRAPH, (2, b""), (2, b"\x80"), CLOSE],
        [GRAPH, (3, b"\x80"), CLOSE],
        [GRAPH, (2, b"\x80"), (2, b"\x80"), CLOSE],
        [GRAPH, (2, b"\x80\x80"), CLOSE],
        [GRAPH, (2, b"\x80"), (5, b"x")],
        [GRAPH, (2, b"\x80"), (9, b"")],
        [GRAPH, (2, b"\x80"), END],
        [GRAPH, (2, b"\x0a" + struct.pack("<Q", 5)), (3, b"123456"), CLOSE],
        [GRAPH, (2, b"\x0a" + struct.pack("<Q", 5)), (2, b"12345"), CLOSE],
        [GRAPH, (2, b"\x0a" + struct.pack("<Q", 5) + b"\x80"), (3, b"12345"), CLOSE],
        [GRAPH, (2, b"\x0b" + struct.pack("<Q", 1)), (3, b"\xff"), CLOSE],
    ],
)
def test_blocks_that_make_no_sense(blocks: list[tuple[int, bytes]]) -> None:
    """Right checksums around wrong blocks."""
    reader = Reader(sealed(*blocks))
    with pytest.raises(LoadError):
        reader.load("g")
    with pytest.raises(LoadError):
        reader.finish()


@pytest.mark.parametrize("blocks", [[(2, b"x")], [(4, b"")], [(4, b"x"), (5, b"x")], [(4, b"x"), END]])
def test_bulk_blocks_that_make_no_sense(blocks: list[tuple[int, bytes]]) -> None:
    """The same for bulk bytes."""
    reader = Reader(sealed((1, b"Rr"), *blocks))
    with pytest.raises(LoadError):
        list(reader.raw("r"))


def test_limits() -> None:
    """Long values, and many objects."""
    blob = (2, b"\x0a" + struct.pack("<Q", 1 << 40))
    with pytest.raises(LimitError, match="1099511627776 bytes"):
        Reader(sealed(GRAPH, blob)).load("g")
    file = io.BytesIO()
    with Writer(file) as writer:
        writer.save("g", [[] for _ in range(20_000)])
    file.seek(0)
    with pytest.raises(LimitError, match="more than 5000 objects"):
        Reader(file, limits=Limits(objects=5000)).load("g")
    file.seek(0)
    assert len(Reader(file, registry=Registry()).load("g")) == 20_000
