"""An image: a head, then graphs and bulk bytes in blocks, then an end.

    magic (8), format version (u16), flags (u16; 1 = keyed), length of the metadata (u32), metadata (JSON),
    digest
    blocks: kind (u8), length (u32), payload, digest

    kind 1  a graph or a run of bulk bytes begins: 1 byte G or R, then its name
    kind 2  a part of a graph        kind 3  a part of a graph's long value
    kind 4  a part of bulk bytes     kind 5  end of the graph or of the bulk bytes
    kind 6  end of the image; what follows in the file is not the image's

The digest of a block covers the digest before it, so blocks cannot be lost, doubled or exchanged. Without a key it is a
CRC-32, which finds damage; with a key it is a keyed BLAKE2b of 16 bytes, which finds changes on purpose too.
"""

import gc
import struct
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from sentry_state._decode import Decoder, Limits
from sentry_state._encode import Encoder
from sentry_state._errors import (
    DamagedError,
    LimitError,
    LoadError,
    MalformedError,
    NewerVersionError,
    NotAnImageError,
    SaveError,
    StateError,
    TruncatedError,
)
from sentry_state._format import MAX_BLOCK, MAX_CHUNK
from sentry_state._hooks import run_hooks
from sentry_state._paths import path_to
from sentry_state._registry import Plan, Registry, registry

MAGIC: Final = b"\x89SENTRY\n"
"""How every image begins."""

FORMAT: Final = 1
"""The version of the format that this library writes, and the newest that it reads."""

MAX_METADATA: Final = 16 << 20
"""Bytes of metadata at most."""

_HEAD: Final = struct.Struct("<8sHHI")
_BLOCK: Final = struct.Struct("<BI")
_BEGIN: Final = 1
_PART: Final = 2
_BLOB: Final = 3
_BULK: Final = 4
_CLOSE: Final = 5
_END: Final = 6
_NAMES: Final = {_BEGIN: "a beginning", _PART: "a graph", _BLOB: "a long value", _BULK: "bulk bytes", _CLOSE: "its end"}
_GRAPH: Final = b"G"
_RAW: Final = b"R"
_KEYED: Final = 1

Bytes = bytes | bytearray | memoryview
"""What holds bytes."""


class Sink(Protocol):
    """Where an image goes: an open binary file, or anything with its `write`."""

    def write(self, data: Bytes, /) -> int | None:
        """Take data and return how many bytes of it were taken; None is all."""
        ...


class Source(Protocol):
    """Where an image comes from: an open binary file, or anything with its `read`."""

    def read(self, size: int, /) -> bytes | None:
        """Return up to size bytes, none at the end."""
        ...


class Stats(NamedTuple):
    """What a graph consisted of: how many objects of each type, how many bytes, how many seconds it took."""

    types: dict[str, int]
    size: int
    seconds: float

    def __str__(self) -> str:
        """Return a table, the most frequent type first."""
        lines = [f"{count:>9} {name}" for name, count in sorted(self.types.items(), key=lambda i: (-i[1], i[0]))]
        total = sum(self.types.values())
        return "\n".join((*lines, f"{total:>9} objects, {self.size} bytes, {self.seconds:.3f} s"))


class _Digest:
    """The digest so far."""

    __slots__ = ("key", "size", "value")

    def __init__(self, key: bytes | None) -> None:
        if key is not None and not 16 <= len(key) <= 64:
            message = f"a key of {len(key)} bytes; it must have 16 to 64"
            raise StateError(message)
        self.key = key
        self.size = 4 if key is None else 16
        self.value = b""

    def add(self, head: bytes, data: Bytes) -> bytes:
        """Go on with a block; return its digest."""
        if self.key is None:
            number = zlib.crc32(data, zlib.crc32(head, zlib.crc32(self.value)))
            self.value = number.to_bytes(4, "little")
        else:
            from hashlib import blake2b  # noqa: PLC0415  (start-up time; few images have a key)

            state = blake2b(self.value + head, key=self.key, digest_size=16)
            state.update(data)
            self.value = state.digest()
        return self.value


class Writer:
    """Writes an image, part by part. Used as a context manager it ends the image; after an error it leaves it cut off.

    One thread at a time.
    """

    def __init__(
        self,
        sink: Sink,
        metadata: Mapping[str, str] | None = None,
        *,
        key: bytes | None = None,
        registry: Registry = registry,
    ) -> None:
        """Begin an image in sink.

        metadata  given by the reader before anything else is read
        key       16 to 64 secret bytes; the image then cannot be changed by who does not know them

        Raises: SaveError for metadata that is not text, StateError for a bad key.
        """
        import json  # noqa: PLC0415  (start-up time; only who saves needs it)

        metadata = dict(metadata or {})
        if not all(isinstance(text, str) for item in metadata.items() for text in item):
            message = "metadata maps text to text"
            raise SaveError(message)
        data = json.dumps(metadata, sort_keys=True).encode()
        if len(data) > MAX_METADATA:
            message = f"metadata of {len(data)} bytes, more than {MAX_METADATA}"
            raise SaveError(message)
        self._sink = sink
        self._registry = registry
        self._digest = _Digest(key)
        self._names: set[str] = set()
        self._written = 0
        self._open = True
        head = _HEAD.pack(MAGIC, FORMAT, 0 if key is None else _KEYED, len(data))
        self._put(head)
        self._put(data)
        self._put(self._digest.add(head, data))

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the image unless something went wrong."""
        if kind is None:
            self.close()
        self._open = False

    def save(self, name: str, root: Any, externals: Mapping[str, Any] | None = None) -> Stats:  # noqa: ANN401
        """Write the graph below root; return what it consisted of.

        externals  live objects that are written by their keys; the loader supplies its own for each key

        The objects must not change meanwhile, but for what their own `before_save` does. Garbage collection is held
        up. Raises: SaveError, which says where in the graph; the image is then of no use.
        """
        begun = time.perf_counter()
        before = self._written
        self._begin(_GRAPH, name)
        encoder = Encoder(self._registry, lambda data: self._block(_PART, data), lambda data: self._chunks(_BLOB, data))
        collecting = gc.isenabled()
        gc.disable()
        try:
            encoder.externals((externals or {}).items())
            encoder.run(root)
        except SaveError as error:
            self._open = False
            message = f"{error} (at {path_to(self._registry, root, encoder.last)})"
            raise SaveError(message) from error.__cause__
        except BaseException:
            self._open = False
            raise
        finally:
            if collecting:
                gc.enable()
        if encoder.pieces:
            self._block(_PART, b"".join(encoder.pieces))
        self._block(_CLOSE, b"")
        types: Counter[str] = Counter()
        for cls, count in Counter(type(v) for _, v in encoder.queue).items():
            types[_type_name(self._registry, cls)] += count
        for cls, count in Counter(map(type, encoder.keep)).items():
            types[_type_name(self._registry, cls)] += count
        types["str"] += len(encoder.texts)
        types["bytes"] += len(encoder.octets)
        return Stats(dict(+types), self._written - before, time.perf_counter() - begun)

    def raw(self, name: str, chunks: "Bytes | Iterable[Bytes]") -> int:
        """Write bulk bytes, given whole or in chunks of any size; return how many. Nothing is kept in memory."""
        self._begin(_RAW, name)
        if isinstance(chunks, bytes | bytearray | memoryview):
            chunks = (chunks,)
        total = 0
        try:
            for chunk in chunks:
                total += self._chunks(_BULK, chunk)
        except BaseException:
            self._open = False
            raise
        self._block(_CLOSE, b"")
        return total

    def close(self) -> None:
        """End the image; the sink stays open, and what is written to it later is not part of the image."""
        self._check_open()
        self._block(_END, b"")
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            message = "the image is ended, or a failure has cut it off"
            raise SaveError(message)

    def _begin(self, kind: bytes, name: str) -> None:
        self._check_open()
        data = name.encode()
        if not data or len(data) > 255 or name in self._names:
            message = f"{name!r}: each part of an image has a name of its own, of 1 to 255 bytes"
            raise SaveError(message)
        self._names.add(name)
        self._block(_BEGIN, kind + data)

    def _chunks(self, kind: int, data: Bytes) -> int:
        with memoryview(data) as whole, whole.cast("B") as view:
            for begin in range(0, len(view), MAX_CHUNK):
                with view[begin : begin + MAX_CHUNK] as part:
                    self._block(kind, part)
            return len(view)

    def _block(self, kind: int, data: Bytes) -> None:
        head = _BLOCK.pack(kind, len(data))
        self._open = False  # until the block is whole
        self._put(head)
        self._put(data)
        self._put(self._digest.add(head, data))
        self._open = True

    def _put(self, data: Bytes) -> None:
        size = len(data)
        self._written += size
        done = self._sink.write(data)
        while done is not None and done < size:
            if done <= 0:
                message = "the sink takes no more bytes"
                raise SaveError(message)
            data = data[done:]
            size -= done
            done = self._sink.write(data)


class Reader:
    """Reads an image, part by part, in the order in which it was written. One thread at a time.

    metadata  what the writer said
    """

    metadata: dict[str, str]

    def __init__(
        self,
        source: Source,
        *,
        key: bytes | None = None,
        registry: Registry = registry,
        limits: Limits = Limits(),  # noqa: B008  (immutable)
    ) -> None:
        """Read the head of an image.

        Raises: NotAnImageError, NewerVersionError, DamagedError (also for the wrong key, or a key where there is
        none), TruncatedError, MalformedError.
        """
        self._source = source
        self._registry = registry
        self._limits = limits
        self._digest = _Digest(key)
        self._ended = False
        self._busy = ""
        self.stats = Stats({}, 0, 0.0)
        head = self._exactly(_HEAD.size, beginning=True)
        magic, version, flags, length = _HEAD.unpack(head)
        if magic != MAGIC:
            message = "this is not an image"
            raise NotAnImageError(message)
        if version > FORMAT:
            message = f"the image has format {version}; this program reads up to {FORMAT}"
            raise NewerVersionError(message)
        if version < 1 or flags not in {0, _KEYED}:
            message = f"format {version} with flags {flags:#x} does not exist"
            raise MalformedError(message)
        if bool(flags) != (key is not None):
            message = "the image has a key" if flags else "the image has no key"
            raise DamagedError(message)
        if length > MAX_METADATA:
            message = f"metadata of {length} bytes, more than {MAX_METADATA}"
            raise LimitError(message)
        data = self._pieces(length)
        self._check(head, data)
        self.metadata = _metadata(data)

    def load(self, name: str, externals: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401  (any graph)
        """Return the root of the graph that comes next; `stats` then says what it consisted of.

        externals  live objects by the keys under which they were saved

        Hooks after loading have run, each after those that it waits for. Garbage collection is held up.
        Raises: LoadError; nothing of the graph is then reachable, but hooks may have run.
        """
        begun = time.perf_counter()
        self._start(_GRAPH, name)
        size = 0

        def more() -> bytes:
            nonlocal size
            data = self._take(_PART, MAX_BLOCK)
            size += len(data)
            return data

        def blob(length: int) -> bytes:
            nonlocal size
            size += length
            parts = []
            while length > 0:
                part = self._take(_BLOB, MAX_CHUNK)
                length -= len(part)
                parts.append(part)
            if length:
                message = "a long value is longer than it says"
                raise MalformedError(message)
            return b"".join(parts)

        collecting = gc.isenabled()
        gc.disable()
        try:
            decoder = Decoder(self._registry, self._limits, more, blob, externals)
            root = decoder.run(b"")
            self._take(_CLOSE, 0)
            run_hooks(self._registry, decoder.hooked)
            types: Counter[str] = Counter()
            for cls, count in Counter(map(type, decoder.memo)).items():
                types[_type_name(self._registry, cls)] += count
        finally:
            if collecting:
                gc.enable()
        self._busy = ""
        self.stats = Stats(dict(types), size, time.perf_counter() - begun)
        return root

    def raw(self, name: str) -> Iterator[bytes]:
        """Return the bulk bytes that come next, in chunks of up to 1 MiB. They must be taken before going on.

        Raises: LoadError, also while they are taken.
        """
        self._start(_RAW, name)
        return self._bulk()

    def raw_into(self, name: str, buffer: Bytes) -> int:
        """Put the bulk bytes that come next into buffer; return how many. Raises: LimitError when it is too small."""
        done = 0
        with memoryview(buffer) as whole, whole.cast("B") as view:
            for chunk in self.raw(name):
                if done + len(chunk) > len(view):
                    message = f"{name}: more than the {len(view)} bytes of the buffer"
                    raise LimitError(message)
                view[done : done + len(chunk)] = chunk
                done += len(chunk)
        return done

    def finish(self) -> None:
        """Check that the image ends here. Raises: LoadError when it goes on or is cut off."""
        self._check_idle()
        if not self._ended:
            self._take(_END, 0)
            self._ended = True

    def _bulk(self) -> Iterator[bytes]:
        while True:
            kind, data = self._block()
            if kind == _CLOSE and not data:
                self._busy = ""
                return
            if kind != _BULK or not 0 < len(data) <= MAX_CHUNK:
                self._wrong(_BULK, kind)
            yield data

    def _check_idle(self) -> None:
        if self._busy:
            message = f"{self._busy!r} has not been read to its end, or could not be"
            raise LoadError(message)

    def _start(self, kind: bytes, name: str) -> None:
        self._check_idle()
        if self._ended:
            message = f"there is no {name!r}: the image has ended"
            raise LoadError(message)
        self._busy = name
        found = self._take(_BEGIN, 256)
        if found != kind + name.encode():
            shown = {_GRAPH: "the graph", _RAW: "the bulk bytes"}
            message = (
                f"{shown[kind]} {name!r} should come, and there is {shown.get(found[:1], 'neither')} {found[1:]!r}"
            )
            raise MalformedError(message)

    def _take(self, kind: int, most: int) -> bytes:
        """Return the next block, which must be of one kind and have 1 to most bytes, none if that is 0."""
        found, data = self._block()
        if found != kind or bool(data) != bool(most) or len(data) > most:
            self._wrong(kind, found)
        return data

    def _wrong(self, wanted: int, found: int) -> None:
        names = _NAMES | {_END: "the end of the image"}
        message = f"{names[wanted]} should come, and there is {names.get(found, 'an unknown block')}"
        if found == wanted:
            message = f"a block of {names[wanted]} has a wrong length"
        raise MalformedError(message)

    def _block(self) -> tuple[int, bytes]:
        head = self._exactly(_BLOCK.size)
        kind, length = _BLOCK.unpack(head)
        if length > MAX_BLOCK:
            message = f"a block of {length} bytes; none has more than {MAX_BLOCK}"
            raise DamagedError(message)
        data = self._exactly(length)
        self._check(head, data)
        return kind, data

    def _check(self, head: bytes, data: bytes) -> None:
        if self._exactly(self._digest.size) != self._digest.add(head, data):
            message = "a checksum does not fit" if self._digest.key is None else "damaged, or another key"
            raise DamagedError(message)

    def _pieces(self, size: int) -> bytes:
        """Return size bytes, read in pieces, so that a false length costs no memory."""
        parts = []
        while size:
            part = self._exactly(min(size, MAX_CHUNK))
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def _exactly(self, size: int, *, beginning: bool = False) -> bytes:
        data = b""
        while len(data) < size:
            part = self._source.read(size - len(data))
            if not part:
                if beginning and not MAGIC.startswith(data[: len(MAGIC)]):
                    message = "this is not an image"
                    raise NotAnImageError(message)
                message = "the image is cut off"
                raise TruncatedError(message)
            data = data + part if data else part
        return data


def _metadata(data: bytes) -> dict[str, str]:
    import json  # noqa: PLC0415  (start-up time; only who loads needs it)

    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        message = f"the metadata makes no sense: {error}"
        raise MalformedError(message) from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        message = "the metadata is not a map of text"
        raise MalformedError(message)
    return found


def _type_name(registry: Registry, cls: type) -> str:
    plan: Plan | None = registry.plans.get(cls)
    return plan.name if plan is not None else cls.__name__
