"""From objects to the bytes of a graph: one loop without recursion over the values of one object after the other."""

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import length_hint
from typing import Any, Final

from sentry_state._errors import SaveError
from sentry_state._format import (
    ATOMS,
    BIG,
    BLOB_BYTES,
    BLOB_INT,
    BLOB_STR,
    BOUNDED,
    BYTEARRAY,
    BYTES8,
    BYTES32,
    CLASS,
    DEQUE,
    DICT8,
    DICT32,
    EMPTY,
    FALSE,
    FLOAT,
    FROZENSET,
    INLINE,
    INT,
    KEY,
    LIST8,
    LIST32,
    LIVE,
    MAX_KEY_WEIGHT,
    NAMED,
    NONE,
    OBJECT8,
    OBJECT32,
    RECORD8,
    RECORD32,
    REF,
    SET8,
    SET32,
    SHORT,
    SMALL,
    STR8,
    STR32,
    TRUE,
    TUPLE8,
    TUPLE32,
)
from sentry_state._registry import Plan, Registry, check_loose

_SMALL: Final = [bytes((SMALL + n,)) for n in range(128)]
_INT: Final = [bytes((INT + n,)) for n in range(16)]
_STR8: Final = [bytes((STR8, n)) for n in range(256)]
_BYTES8: Final = [bytes((BYTES8, n)) for n in range(256)]
_TUPLE8: Final = [bytes((TUPLE8, n)) for n in range(256)]
_LIST8: Final = [bytes((LIST8, n)) for n in range(256)]
_DICT8: Final = [bytes((DICT8, n)) for n in range(256)]
_SET8: Final = [bytes((SET8, n)) for n in range(256)]
_OBJECT8: Final = [bytes((OBJECT8, n)) for n in range(256)]
_RECORD8: Final = [bytes((RECORD8, n)) for n in range(256)]
_REF: Final = [bytes((REF + n,)) for n in range(5)]
_NONE: Final = bytes((NONE,))
_TRUE: Final = bytes((TRUE,))
_FALSE: Final = bytes((FALSE,))
_EMPTY: Final = bytes((EMPTY,))
_U32: Final = struct.Struct("<BI").pack
_U64: Final = struct.Struct("<BQ").pack
_BOUND: Final = struct.Struct("<BIQ").pack
_DOUBLE: Final = struct.Struct("<Bd").pack

_PIECES: Final = 4096
_BYTES: Final = 1 << 19
_STEP: Final = 2048
_HEAVY: Final = 128
_HEAP_TYPE: Final = 1 << 9

Flush = Callable[[bytes], None]
Blob = Callable[[bytes], object]


def count_head(short: list[bytes], tag: int, count: int) -> bytes:
    """Return a tag with a count in its short or its long form. Raises: SaveError beyond u32."""
    if count < 256:
        return short[count]
    if count >= 1 << 32:
        message = f"a container of {count} items is too long"
        raise SaveError(message)
    return _U32(tag, count)


def weigh(value: Any, hashed: set[type] | None = None) -> int:  # noqa: ANN401  (any key)
    """Return how many values the hash of value visits, more than MAX_KEY_WEIGHT when it is that many or more.

    Raises: SaveError when an object below value is of one of the classes in hashed.
    """
    weight = 0
    stack = [value]
    while stack and weight <= MAX_KEY_WEIGHT:
        item = stack.pop()
        weight += 1
        if isinstance(item, (tuple, frozenset)):
            if len(item) + weight > MAX_KEY_WEIGHT:
                return MAX_KEY_WEIGHT + 1
            stack += item
        elif hashed and type(item) in hashed:
            message = f"a frozenset holds a {type(item).__qualname__}, whose hash depends on fields not yet loaded"
            raise SaveError(message)
    return weight


class Encoder:
    """A graph being saved.

    flush  takes a part of the graph whenever enough has come together; None: all stays in `pieces`
    blob   takes long bytes out of line, after a flush
    live   a list that takes objects of unregistered classes, for records; None: they are an error
    """

    __slots__ = (
        "blob",
        "flush",
        "ids",
        "keep",
        "keys",
        "last",
        "live",
        "octets",
        "pieces",
        "queue",
        "registry",
        "texts",
    )

    def __init__(
        self, registry: Registry, flush: Flush | None = None, blob: Blob | None = None, live: list[Any] | None = None
    ) -> None:
        """Begin."""
        self.registry = registry
        self.flush = flush
        self.blob = blob
        self.live = live
        self.keys: list[str] = []
        self.pieces: list[bytes] = []
        self.ids: dict[int, int] = {}
        self.texts: dict[str, int] = {}
        self.octets: dict[bytes, int] = {}
        self.queue: list[Any] = []
        self.keep: list[Any] = []
        self.last: Any = None

    def externals(self, externals: "Iterable[tuple[str, Any]]") -> None:
        """Make these objects be written by their keys. Raises: SaveError for an object under two keys."""
        for key, value in externals:
            if value is None or type(value) in ATOMS:
                message = f"external {key!r} is the plain value {value!r}, which has no identity"
                raise SaveError(message)
            if id(value) in self.ids:
                message = f"external {key!r} is also external {self.keys[-2 - self.ids[id(value)]]!r}"
                raise SaveError(message)
            self.keys.append(key)
            self.ids[id(value)] = -1 - len(self.keys)

    def run(self, root: Any) -> None:  # noqa: ANN401  (any graph)
        """Write the graph below root. Raises: SaveError; `last` is then the value that could not be written."""
        registry, flush, blob = self.registry, self.flush, self.blob
        ids, texts, octets, queue, keep = self.ids, self.texts, self.octets, self.queue, self.keep
        plans = registry.plans
        pieces = self.pieces
        put = pieces.append
        classes: dict[type, int] = {}
        count = turn = heavy = 0
        # The frame: values still to write, the immutable container they make, and the rest of a long container.
        stack: list[tuple[Iterator[Any], Any, Iterator[Any] | None]] = []
        values: Iterator[Any] = iter((root,))
        making: Any = None
        rest: Iterator[Any] | None = None
        while True:
            for value in values:
                cls = type(value)
                if cls is int:
                    if 0 <= value < 128:
                        put(_SMALL[value])
                    else:
                        size = (value.bit_length() + 8) >> 3
                        if size < 16:
                            put(_INT[size] + value.to_bytes(size, "little", signed=True))
                        else:
                            data = value.to_bytes(size, "little", signed=True)
                            if blob is None or size <= INLINE:
                                put(_U32(BIG, size) + data)
                                heavy = self._heavy(heavy + size)
                            else:
                                self._blob(BLOB_INT, data)
                                heavy = 0
                    continue
                if value is None:
                    put(_NONE)
                    continue
                if cls is bool:
                    put(_TRUE if value else _FALSE)
                    continue
                if cls is str:
                    number = texts.get(value)
                    if number is None:
                        texts[value] = count
                        count += 1
                        data = value.encode("utf-8", "surrogatepass")
                        size = len(data)
                        if size < 256:
                            put(_STR8[size] + data)
                        elif blob is None or size <= INLINE:
                            put(_U32(STR32, size) + data)
                            heavy = self._heavy(heavy + size)
                        else:
                            self._blob(BLOB_STR, data)
                            heavy = 0
                        continue
                elif cls is bytes:
                    size = len(value)
                    if size <= SHORT:
                        put(_BYTES8[size] + value)
                        continue
                    if size <= INLINE:
                        number = octets.get(value)
                        if number is None:
                            octets[value] = count
                    else:
                        number = ids.get(id(value))
                        if number is None:
                            ids[id(value)] = count
                            keep.append(value)
                    if number is None:
                        count += 1
                        if size < 256:
                            put(_BYTES8[size] + value)
                        elif blob is None or size <= INLINE:
                            put(_U32(BYTES32, size) + value)
                            heavy = self._heavy(heavy + size)
                        else:
                            self._blob(BLOB_BYTES, value)
                            heavy = 0
                        continue
                elif cls is float:
                    put(_DOUBLE(FLOAT, value))
                    continue
                elif cls is tuple and not value:
                    put(_EMPTY)
                    continue
                else:
                    number = ids.get(id(value))
                if number is not None:
                    if number >= 0:
                        size = (number.bit_length() + 7) >> 3 or 1
                        put(_REF[size] + number.to_bytes(size, "little"))
                        continue
                    if number == -1:
                        self.last = value
                        message = f"a {cls.__qualname__} is inside itself"
                        raise SaveError(message)
                    name = self.keys[-2 - number].encode()
                    put(_U32(KEY, len(name)) + name)
                    keep.append(value)
                    ids[id(value)] = count
                    count += 1
                    continue
                plan = plans.get(cls)
                if plan is None:
                    if cls is list:
                        put(count_head(_LIST8, LIST32, len(value)))
                    elif cls is dict:
                        put(count_head(_DICT8, DICT32, len(value)))
                    elif cls is tuple or cls is frozenset:
                        if cls is tuple:
                            put(count_head(_TUPLE8, TUPLE32, len(value)))
                        else:
                            self._check_keys(value, registry.hashed)
                            put(_U32(FROZENSET, len(value)))
                        ids[id(value)] = -1
                        keep.append(value)
                        stack.append((values, making, rest))
                        making, values, rest = value, iter(value), None
                        if len(value) > _STEP:
                            rest, values = values, islice(values, _STEP)
                        break
                    elif cls is set:
                        put(count_head(_SET8, SET32, len(value)))
                    elif cls is deque:
                        bound = value.maxlen
                        put(_U32(DEQUE, len(value)) if bound is None else _BOUND(BOUNDED, len(value), bound))
                    elif cls is bytearray:
                        put(bytes((BYTEARRAY,)))
                    else:
                        plan = registry.plan_of(cls)
                        if plan is None:
                            put(self._other(value))
                            keep.append(value)
                            ids[id(value)] = count
                            count += 1
                            continue
                if plan is not None:
                    index = classes.get(cls)
                    if index is None:
                        index = classes[cls] = len(classes)
                        put(_U32(CLASS, len(plan.description)) + plan.description)
                    if plan.record:
                        put(_RECORD8[index] if index < 256 else _U32(RECORD32, index))
                        ids[id(value)] = -1
                        keep.append(value)
                        stack.append((values, making, rest))
                        making, values, rest = value, iter(value), None
                        break
                    if plan.before is not None:
                        self._before(plan, value)
                    put(_OBJECT8[index] if index < 256 else _U32(OBJECT32, index))
                    queue.append((plan, value))
                else:
                    queue.append((len(value), value))
                ids[id(value)] = count
                count += 1
            else:
                if rest is not None and length_hint(rest):
                    values = islice(rest, _STEP)
                elif stack:
                    ids[id(making)] = count
                    count += 1
                    values, making, rest = stack.pop()
                elif turn < len(queue):
                    what, value = queue[turn]
                    turn += 1
                    if type(what) is Plan:
                        self.last = value
                        if what.loose:
                            check_loose(what, value)
                        try:
                            values = iter(what.get(value))
                        except AttributeError as error:
                            message = f"a {what.name} lacks a field: {error}"
                            raise SaveError(message) from error
                    else:
                        values = iter(self._contents(what, value))
                        if what > _STEP:
                            rest, values = values, islice(values, _STEP)
                else:
                    return
            if flush is not None and (len(pieces) > _PIECES or heavy > _BYTES):
                flush(b"".join(pieces))
                pieces.clear()
                heavy = 0

    def _contents(self, size: int, value: Any) -> Iterable[Any]:  # noqa: ANN401  (any container)
        """Return what a container holds, with the length that was announced."""
        cls = type(value)
        if cls is bytearray:
            return (bytes(value),)
        if len(value) != size:
            self.last = value
            message = f"a {cls.__qualname__} has changed its length while it was being saved"
            raise SaveError(message)
        if cls is dict:
            self._check_keys(value)
            return [*value, *value.values()]
        if cls is set:
            self._check_keys(value)
        return list(value)

    def _check_keys(self, keys: Any, hashed: set[type] | None = None) -> None:  # noqa: ANN401  (dict or set)
        if ATOMS.issuperset(map(type, keys)):
            return
        for key in keys:
            self.last = key
            if weigh(key, hashed) > MAX_KEY_WEIGHT:
                message = f"a key or member of a set that holds more than {MAX_KEY_WEIGHT} values"
                raise SaveError(message)

    def _before(self, plan: Plan, value: Any) -> None:  # noqa: ANN401  (any object)
        assert plan.before is not None
        self.last = value
        try:
            plan.before(value)
        except Exception as error:
            message = f"before_save of a {plan.name} failed: {error!r}"
            raise SaveError(message) from error

    def _heavy(self, heavy: int) -> int:
        """Flush the pieces when they are large; return how many bytes of long values wait."""
        if heavy <= _BYTES or self.flush is None:
            return heavy
        self.flush(b"".join(self.pieces))
        self.pieces.clear()
        return 0

    def _blob(self, tag: int, data: bytes) -> None:
        assert self.flush is not None
        assert self.blob is not None
        self.pieces.append(_U64(tag, len(data)))
        self.flush(b"".join(self.pieces))
        self.pieces.clear()
        self.blob(data)

    def _other(self, value: Any) -> bytes:  # noqa: ANN401  (any value)
        """Return a value of an unregistered class by its name, or as a live object. Raises: SaveError."""
        cls = type(value)
        name = self.registry.names.get(id(value))
        if name is not None:
            data = name.encode()
            return _U32(NAMED, len(data)) + data
        self.last = value
        if self.live is None:
            message = f"a {cls.__module__}.{cls.__qualname__} cannot be saved: its class is not registered"
            if callable(value):
                message = f"{value!r} cannot be saved: it is not registered by name"
            raise SaveError(message)
        if callable(value) or not cls.__flags__ & _HEAP_TYPE:
            message = f"{value!r} has no place in a record"
            raise SaveError(message)
        self.live.append(value)
        return _U32(LIVE, len(self.live) - 1)
