"""From the bytes of a graph to objects: the mirror of `_encode`; it trusts no byte."""

# ruff: noqa: PLR1714, SIM109  (a set of two names would be built anew at each comparison)

import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from sentry_state._encode import weigh
from sentry_state._errors import HookError, LimitError, LoadError, MalformedError, MissingExternalError, SaveError
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
from sentry_state._registry import LoadPlan, Part, Registry, shown

_U32: Final = struct.Struct("<I").unpack_from
_U64: Final = struct.Struct("<Q").unpack_from
_BOUND: Final = struct.Struct("<IQ").unpack_from
_DOUBLE: Final = struct.Struct("<d").unpack_from
_new: Final = object.__new__
_set: Final = object.__setattr__
_tuple: Final = tuple.__new__
_from_bytes: Final = int.from_bytes

_BAD: Final = (ValueError, TypeError, LookupError, struct.error, OverflowError)

# What a finished frame makes of its items.
_ROOT: Final = 0
_TUPLE: Final = 1
_FROZENSET: Final = 2
_LIST: Final = 3
_DICT: Final = 4
_SET: Final = 5
_DEQUE: Final = 6
_BYTEARRAY: Final = 7

Next = Callable[[], bytes]
BlobIn = Callable[[int], bytes]


class Limits(NamedTuple):
    """What a reader accepts.

    objects  things with an id in one graph; each takes 60 bytes or more
    blob     bytes of one long bytes, text or integer
    hashing  values visited by hashing the keys and members of one graph
    """

    objects: int = 1 << 24
    blob: int = 1 << 32
    hashing: int = 1 << 26


def _no_more() -> bytes:
    message = "the bytes end inside of a value"
    raise MalformedError(message)


def _no_blob(_: int) -> bytes:
    message = "long bytes where there can be none"
    raise MalformedError(message)


class Decoder:
    """A graph being loaded.

    next_block  gives the next part of the graph
    blob        gives long bytes
    """

    __slots__ = (
        "blob",
        "externals",
        "hooked",
        "late",
        "limits",
        "live",
        "memo",
        "next_block",
        "old",
        "registry",
        "weight",
    )

    def __init__(
        self,
        registry: Registry,
        limits: Limits,
        next_block: Next = _no_more,
        blob: BlobIn = _no_blob,
        externals: Mapping[str, Any] | None = None,
        live: list[Any] | None = None,
    ) -> None:
        """Begin."""
        self.registry = registry
        self.limits = limits
        self.next_block = next_block
        self.blob = blob
        self.externals = externals or {}
        self.live = live or ()
        self.memo: list[Any] = []
        self.late: list[tuple[Any, list[Any]]] = []
        self.old: list[tuple[LoadPlan, Any, list[Any]]] = []
        self.hooked: list[Any] = []
        self.weight = 0

    def run(self, data: bytes) -> Any:  # noqa: ANN401  (any graph)
        """Return the root of the graph whose first part is data; its hooks after loading have not run.

        Raises: LoadError.
        """
        try:
            root = self._fill(data)
            self._upgrade()
            self._insert()
        except _BAD as error:
            message = f"the graph makes no sense: {error}"
            raise MalformedError(message) from error
        return root

    def _fill(self, data: bytes) -> Any:  # noqa: ANN401  (any graph)
        registry, memo, next_block = self.registry, self.memo, self.next_block
        number = memo.append
        classes: list[LoadPlan] = []
        queue: list[tuple[Any, Any, int]] = []
        turn = pos = 0
        # The frame: what is there, how much is missing, and what it will be.
        stack: list[tuple[list[Any], int, Any]] = []
        items: list[Any] = []
        push = items.append
        missing = 1
        kind: Any = _ROOT
        target: Any = None
        while True:
            while missing:
                try:
                    tag = data[pos]
                except IndexError:
                    if pos > len(data):
                        _no_more()
                    data, pos = next_block(), 0
                    if len(memo) + len(stack) > self.limits.objects:
                        message = f"the graph holds more than {self.limits.objects} objects"
                        raise LimitError(message) from None
                    continue
                pos += 1
                missing -= 1
                if tag >= SMALL:
                    push(tag - SMALL)
                elif tag == NONE:
                    push(None)
                elif INT < tag < INT + 16:
                    end = pos + tag - INT
                    push(_from_bytes(data[pos:end], "little", signed=True))
                    pos = end
                elif REF < tag <= REF + 4:
                    end = pos + tag - REF
                    push(memo[_from_bytes(data[pos:end], "little")])
                    pos = end
                elif tag == STR8 or tag == STR32:
                    if tag == STR8:
                        begin = pos + 1
                        pos = begin + data[pos]
                    else:
                        begin = pos + 4
                        pos = begin + _U32(data, pos)[0]
                    value: Any = data[begin:pos].decode("utf-8", "surrogatepass")
                    push(value)
                    number(value)
                elif tag == BYTES8 or tag == BYTES32:
                    if tag == BYTES8:
                        begin = pos + 1
                        pos = begin + data[pos]
                    else:
                        begin = pos + 4
                        pos = begin + _U32(data, pos)[0]
                    value = data[begin:pos]
                    push(value)
                    if pos - begin > SHORT:
                        number(value)
                elif tag == TRUE:
                    push(True)  # noqa: FBT003  (an item)
                elif tag == FALSE:
                    push(False)  # noqa: FBT003  (an item)
                elif tag == OBJECT8 or tag == OBJECT32:
                    if tag == OBJECT8:
                        how = classes[data[pos]]
                        pos += 1
                    else:
                        how = classes[_U32(data, pos)[0]]
                        pos += 4
                    if how.plan.record:
                        _wrong(tag)
                    value = _new(how.plan.cls)
                    push(value)
                    number(value)
                    queue.append((how, value, len(how.fields)))
                    if how.plan.after is not None:
                        self.hooked.append(value)
                elif tag == TUPLE8 or tag == TUPLE32 or tag == FROZENSET:
                    stack.append((items, missing, kind))
                    if tag == TUPLE8:
                        missing = data[pos]
                        pos += 1
                    else:
                        missing = _U32(data, pos)[0]
                        pos += 4
                    kind = _FROZENSET if tag == FROZENSET else _TUPLE
                    items = []
                    push = items.append
                elif tag == RECORD8 or tag == RECORD32:
                    if tag == RECORD8:
                        how = classes[data[pos]]
                        pos += 1
                    else:
                        how = classes[_U32(data, pos)[0]]
                        pos += 4
                    if not how.plan.record:
                        _wrong(tag)
                    stack.append((items, missing, kind))
                    missing, kind = len(how.fields), how
                    items = []
                    push = items.append
                elif tag == LIST8 or tag == DICT8 or tag == SET8 or tag == LIST32 or tag == DICT32 or tag == SET32:
                    if tag == LIST8 or tag == DICT8 or tag == SET8:
                        size = data[pos]
                        pos += 1
                    else:
                        size = _U32(data, pos)[0]
                        pos += 4
                    if tag == LIST8 or tag == LIST32:
                        value = []
                        if size:
                            queue.append((_LIST, value, size))
                    elif tag == DICT8 or tag == DICT32:
                        value = {}
                        if size:
                            queue.append((_DICT, value, size * 2))
                    else:
                        value = set()
                        if size:
                            queue.append((_SET, value, size))
                    push(value)
                    number(value)
                elif tag == EMPTY:
                    push(())
                elif tag == FLOAT:
                    push(_DOUBLE(data, pos)[0])
                    pos += 8
                elif tag == BIG:
                    begin = pos + 4
                    pos = begin + _U32(data, pos)[0]
                    push(_from_bytes(data[begin:pos], "little", signed=True))
                elif tag == CLASS:
                    begin = pos + 4
                    pos = begin + _U32(data, pos)[0]
                    classes.append(registry.load_plan(data[begin:pos]))
                    missing += 1
                elif tag == DEQUE or tag == BOUNDED:
                    if tag == DEQUE:
                        size = _U32(data, pos)[0]
                        pos += 4
                        value = deque()
                    else:
                        size, bound = _BOUND(data, pos)
                        pos += 12
                        if size > bound:
                            _wrong(tag)
                        value = deque(maxlen=bound)
                    push(value)
                    number(value)
                    queue.append((_DEQUE, value, size))
                elif tag == BYTEARRAY:
                    value = bytearray()
                    push(value)
                    number(value)
                    queue.append((_BYTEARRAY, value, 1))
                elif tag == NAMED or tag == KEY:
                    begin = pos + 4
                    pos = begin + _U32(data, pos)[0]
                    name = data[begin:pos].decode()
                    value = registry.value_of(name) if tag == NAMED else self._external(name)
                    push(value)
                    number(value)
                elif tag == LIVE:
                    value = self.live[_U32(data, pos)[0]]
                    pos += 4
                    push(value)
                    number(value)
                elif tag == BLOB_BYTES or tag == BLOB_STR or tag == BLOB_INT:
                    if pos + 8 != len(data):
                        _wrong(tag)
                    value = self._blob(_U64(data, pos)[0])
                    pos += 8
                    if tag == BLOB_STR:
                        value = value.decode("utf-8", "surrogatepass")
                    if tag == BLOB_INT:
                        value = _from_bytes(value, "little", signed=True)
                    else:
                        number(value)
                    push(value)
                else:
                    _wrong(tag)
            if stack:
                if kind == _TUPLE:
                    value = tuple(items)
                elif kind == _FROZENSET:
                    value = self._frozenset(items)
                elif kind.old:
                    value = _tuple(kind.plan.cls, _upgraded(kind, items))
                else:
                    value = _tuple(kind.plan.cls, items)
                items, missing, kind = stack.pop()
                push = items.append
                push(value)
                number(value)
                continue
            if kind == _ROOT:
                target = items[0]
                root = target
            elif kind == _LIST or kind == _DEQUE:
                pass
            elif kind == _DICT or kind == _SET:
                self._keyed(kind, target, items)
            elif kind == _BYTEARRAY:
                if type(items[0]) is not bytes:
                    _wrong(BYTEARRAY)
                target += items[0]
            elif kind.old:
                self.old.append((kind, target, items))
            else:
                for field, value in zip(kind.fields, items, strict=True):
                    _set(target, field, value)
                plan = kind.plan
                if plan.fresh:
                    _make_fresh(plan, target)
                if plan.hashed:
                    for value in items:
                        self._weigh(value)
            if turn == len(queue):
                break
            kind, target, missing = queue[turn]
            queue[turn] = None  # type: ignore[call-overload]  # it is being filled
            turn += 1
            items = target if kind == _LIST or kind == _DEQUE else []
            push = items.append
        if pos != len(data):
            message = f"{len(data) - pos} bytes too many after the graph" if pos < len(data) else "a value is cut off"
            raise MalformedError(message)
        return root

    def _external(self, key: str) -> Any:  # noqa: ANN401  (any object)
        try:
            return self.externals[key]
        except KeyError:
            message = f"the image needs the external {shown(key)}, which was not supplied"
            raise MissingExternalError(message) from None

    def _blob(self, size: int) -> bytes:
        if size > self.limits.blob:
            message = f"one value has {size} bytes, more than {self.limits.blob}"
            raise LimitError(message)
        return self.blob(size)

    def _weigh(self, value: Any, hashed: set[type] | None = None) -> None:  # noqa: ANN401  (any key)
        """Raise when hashing a value would take too long."""
        try:
            weight = weigh(value, hashed)
        except SaveError as error:
            raise MalformedError(str(error)) from None
        self.weight += weight
        if weight > MAX_KEY_WEIGHT or self.weight > self.limits.hashing:
            message = "the keys of the graph take too long to hash"
            raise LimitError(message)

    def _frozenset(self, items: list[Any]) -> frozenset[Any]:
        if not ATOMS.issuperset(map(type, items)):
            for item in items:
                self._weigh(item, self.registry.hashed)
        value = frozenset(items)
        if len(value) != len(items):
            message = "a frozenset with the same member twice"
            raise MalformedError(message)
        return value

    def _keyed(self, kind: int, target: Any, items: list[Any]) -> None:  # noqa: ANN401  (dict or set)
        """Fill a dict or a set now when its keys are plain, else when every object has its fields."""
        keys = items[: len(items) // 2] if kind == _DICT else items
        if ATOMS.issuperset(map(type, keys)):
            _fill_keyed(target, items)
            return
        for key in keys:
            self._weigh(key)
        self.late.append((target, items))

    def _upgrade(self) -> None:
        """Give the objects of older versions the fields of today."""
        for how, target, items in self.old:
            fields = _upgraded(how, items)
            for field, value in zip(how.plan.fields, fields, strict=True):
                _set(target, field, value)
                if how.plan.hashed:
                    self._weigh(value)
            _make_fresh(how.plan, target)

    def _insert(self) -> None:
        """Fill the dicts and sets whose keys are objects or hold some."""
        for target, items in self.late:
            try:
                _fill_keyed(target, items)
            except LoadError:
                raise
            except Exception as error:
                message = f"a key of the image cannot be hashed or compared: {error!r}"
                raise MalformedError(message) from error


def _wrong(tag: int) -> None:
    message = f"a value with the tag {tag:#x} makes no sense here"
    raise MalformedError(message)


def _fill_keyed(target: Any, items: list[Any]) -> None:  # noqa: ANN401  (dict or set)
    if type(target) is dict:
        half = len(items) // 2
        target.update(zip(items[:half], items[half:], strict=True))
    else:
        half = len(items)
        target.update(items)
    if len(target) != half:
        message = f"a {type(target).__name__} with the same key twice"
        raise MalformedError(message)


def _make_fresh(plan: Any, target: Any) -> None:  # noqa: ANN401  (a Plan and its object)
    for field, make in plan.fresh.items():
        try:
            value = make()
        except Exception as error:
            message = f"making {field} of a {plan.name} anew failed: {error!r}"
            raise HookError(message) from error
        _set(target, field, value)


def _upgraded(how: LoadPlan, items: list[Any]) -> list[Any]:
    """Return the fields of today, in their order. Raises: HookError."""
    fields: list[Any] = []
    begin = 0
    for part, (version, names) in zip(how.plan.parts, how.parts, strict=True):
        own: Mapping[str, Any] = dict(zip(names, items[begin : begin + len(names)], strict=True))
        begin += len(names)
        if version != part.version:
            own = _upgrade_part(part, version, own)
        fields += [own[name] for name in part.fields]
    return fields


def _upgrade_part(part: Part, version: int, found: Mapping[str, Any]) -> Mapping[str, Any]:
    assert part.upgrade is not None
    try:
        fields = part.upgrade(version, dict(found))
        names = set(fields)
    except Exception as error:
        message = f"the upgrade of class {part.name!r} from version {version} failed: {error!r}"
        raise HookError(message) from error
    if names != set(part.fields):
        message = f"the upgrade of class {part.name!r} from version {version} gave the fields {sorted(names)}"
        raise HookError(message)
    return fields
