"""Graphs of every shape come back as they were: same values, same sharing, same cycles."""

# ruff: noqa: ANN401  (graphs of anything)

import ctypes
import io
import math
import random
from collections import deque, namedtuple
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_state import Reader, Registry, SaveError, Stats, Writer
from sentry_state._encode import count_head
from sentry_state._format import LIST32

registry = Registry()
record: Any = namedtuple  # noqa: PYI024  (made by number)


@registry.savable("Slotted", fields=("left", "right"))
class Slotted:
    """Two fields in slots."""

    __slots__ = ("left", "right")

    left: Any
    right: Any


@registry.savable("Loose", fields=("one", "two"), unsaved=("cache",))
class Loose:
    """Attributes in a dictionary."""

    one: Any
    two: Any
    cache: Any


@registry.savable("One", fields=("only",))
class One:
    """A single field."""

    __slots__ = ("only",)

    only: Any


@registry.savable("Bare")
class Bare:
    """No field at all."""

    __slots__ = ()


@registry.savable("Keyed", fields=("name",))
class Keyed:
    """Equal by name."""

    __slots__ = ("name",)

    def __init__(self, name: Any) -> None:
        """Take a name."""
        self.name = name

    def __eq__(self, other: object) -> bool:
        """Compare names."""
        return isinstance(other, Keyed) and other.name == self.name

    def __hash__(self) -> int:
        """Hash the name."""
        return hash(self.name)


@registry.savable("Pair")
class Pair(NamedTuple):
    """A record."""

    first: Any
    second: Any


@registry.named("twice")
def twice(value: int) -> int:
    """Be saved by name."""
    return value * 2


def copied(root: Any, **options: Any) -> Any:
    """Save and load."""
    file = io.BytesIO()
    with Writer(file, registry=registry) as writer:
        wrote = writer.save("graph", root, **options)
    file.seek(0)
    reader = Reader(file, registry=registry)
    found = reader.load("graph", **options)
    reader.finish()
    assert wrote.types == reader.stats.types
    return found


def plain(value: Any) -> Any:
    """Return what identifies an atom, bit by bit."""
    if isinstance(value, float):
        return ("float", math.copysign(1, value), repr(value))
    return (type(value), value)


def sort_key(value: Any) -> Any:
    """Order members of a set: atoms, and objects with a name of their own."""
    return repr(value.name) if isinstance(value, Keyed) else repr(value)


def members(value: Any) -> list[Any] | None:
    """Return what a value holds, None for an atom."""
    if isinstance(value, list | tuple | deque):
        return list(value)
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, set | frozenset):
        return sorted(value, key=sort_key)
    if isinstance(value, bytearray):
        return [bytes(value)]
    slots: dict[type, tuple[str, ...]] = {
        Slotted: ("left", "right"),
        Loose: ("one", "two"),
        One: ("only",),
        Bare: (),
        Keyed: ("name",),
    }
    names = slots.get(type(value))
    return None if names is None else [getattr(value, name) for name in names]


def same(one: Any, other: Any) -> None:
    """Assert that two graphs are the same up to identity: a pairing of their objects, found by walking both at once."""
    there: dict[int, Any] = {}
    back: dict[int, Any] = {}
    todo = [(one, other)]
    while todo:
        left, right = todo.pop()
        assert type(left) is type(right)
        inside = members(left)
        if inside is None:
            assert plain(left) == plain(right)
            continue
        if left == () and type(left) is tuple:
            continue
        assert (id(left) in there) == (id(right) in back)
        if id(left) in there:
            assert there[id(left)] is right
            assert back[id(right)] is left
            continue
        there[id(left)], back[id(right)] = right, left
        others = members(right)
        assert others is not None
        assert len(inside) == len(others)
        if isinstance(left, deque):
            assert left.maxlen == right.maxlen
        todo += zip(inside, others, strict=True)


ATOMS: list[Any] = [
    None, True, False, 0, 1, 127, 128, -1, -128, -129, 255, 256, 2**31, -(2**31), 2**63 - 1, 2**63, -(2**63), 2**64 - 1,
    2**111, -(2**119), 2**119, 2**120, 10**400, -(10**400), 0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 5e-324,
    "", "a", "\0", "ü", "\ud800", "x" * 300, b"", b"\0" * 8, b"123456789", b"y" * 300, twice,
]  # fmt: skip


def build(rng: random.Random, size: int) -> Any:
    """Return a graph of size nodes; tuples and frozensets hold only what was made before them."""
    nodes: list[Any] = []

    def some(pool: list[Any]) -> Any:
        return rng.choice(pool) if pool and rng.random() < 0.6 else rng.choice(ATOMS)

    def hashable() -> Any:
        value = rng.choice(ATOMS)
        kind = rng.random()
        if kind < 0.2:
            return (value, rng.randrange(1000))
        return Pair(value, rng.randrange(9)) if kind < 0.4 else value

    for place in range(size):
        kind = rng.randrange(13)
        if kind == 0:
            nodes.append(tuple(some(nodes) for _ in range(rng.randrange(4))))
        elif kind == 1:
            nodes.append(Pair(some(nodes), some(nodes)))
        elif kind == 2:
            nodes.append(frozenset(hashable() for _ in range(rng.randrange(4))))
        elif kind == 3:
            nodes.append(Keyed(("key", place)))
        elif kind == 4:
            nodes.append(bytearray(rng.randbytes(rng.randrange(20))))
        else:
            make = (list, dict, set, deque, Slotted, Loose, One, Bare)[kind - 5]
            nodes.append(deque(maxlen=rng.choice([None, 0, 2, 50])) if make is deque else make())
    keyed = [node for node in nodes if type(node) is Keyed]
    for node in nodes:
        if type(node) is list or type(node) is deque:
            node.extend(some(nodes) for _ in range(rng.randrange(5)))
        elif type(node) is dict:
            for _ in range(rng.randrange(5)):
                node[rng.choice(keyed) if keyed and rng.random() < 0.4 else hashable()] = some(nodes)
        elif type(node) is set:
            node.update(rng.choice(keyed) if keyed and rng.random() < 0.4 else hashable() for _ in range(4))
        elif type(node) is Slotted:
            node.left, node.right = some(nodes), some(nodes)
        elif type(node) is Loose:
            node.one, node.two = some(nodes), some(nodes)
            node.cache = print
        elif type(node) is One:
            node.only = some(nodes)
    return nodes


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_graphs_come_back(rng: random.Random, size: int) -> None:
    """Whatever the graph, the copy has its shape."""
    root = build(rng, size)
    same(root, copied(root))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(values)
def test_values_come_back(value: Any) -> None:
    """Plain values of every nesting."""
    same(value, copied(value))


@pytest.mark.parametrize("value", ATOMS)
def test_atoms(value: Any) -> None:
    """Each corner of each plain type, as the root."""
    assert plain(copied(value)) == plain(value)


def test_long_and_deep() -> None:
    """A chain of 50,000 objects, 50,000 tuples inside each other, and containers that fill many blocks."""
    chain: Any = None
    for place in range(50_000):
        link = Slotted()
        link.left, link.right = chain, place
        chain = link
    found, count = copied(chain), 0
    while found is not None:
        found, count = found.left, count + 1
    assert count == 50_000
    nested: Any = ()
    for _ in range(50_000):
        nested = (nested,)
    found, count = copied(nested), 0
    while found:
        found, count = found[0], count + 1
    assert count == 50_000
    many = [
        list(range(10_000)),
        tuple(range(10_000)),
        dict.fromkeys(range(10_000)),
        set(range(10_000)),
        frozenset(range(10_000)),
        deque(range(10_000)),
        [b"%d" % n * 40 for n in range(10_000)],
        [str(n) * 60 for n in range(10_000)],
        [7 ** (n * 200) for n in range(300)],
        [bytes(40_000 + n) for n in range(40)],
    ]
    same(many, copied(many))


def test_long_values_are_shared_and_streamed() -> None:
    """Bytes, text and integers longer than a block."""
    octets = bytes(range(256)) * (3 << 12)
    text = "ü" * 100_000
    number = 1 << 9_000_000
    wide = [octets, octets, bytearray(octets), text, text, number, -number]
    found = copied(wide)
    assert found == wide
    assert found[0] is found[1]
    assert found[3] is found[4]


def test_many_classes() -> None:
    """More classes than a byte counts, records among them."""
    made: list[Any] = []
    for place in range(300):
        cls = type(f"C{place}", (), {"__slots__": ("v",)})
        registry.savable(f"many.C{place}", fields=("v",))(cls)
        made.append(cls())
        made[-1].v = place
        kind: Any = record(f"N{place}", ["v"])
        registry.savable(f"many.N{place}")(kind)
        made.append(kind(place))
    found = copied(made)
    assert [type(value) for value in found] == [type(value) for value in made]
    assert [value.v for value in found] == [value.v for value in made]


def test_externals_are_swapped() -> None:
    """A live object is written as its key, once, and the loader's own takes its place."""
    file = io.BytesIO()
    clock, other = One(), One()
    with Writer(file, registry=registry) as writer:
        writer.save("g", [clock, (clock, 1), {"c": clock}], {"clock": clock, "unused": other})
    file.seek(0)
    mine = object()
    found = Reader(file, registry=registry).load("g", {"clock": mine})
    assert found[0] is mine
    assert found[1][0] is mine
    assert found[2]["c"] is mine


def test_statistics() -> None:
    """A table by type, the most frequent first."""
    file = io.BytesIO()
    one = One()
    one.only = [Bare(), Bare(), "text", b"0123456789", (1, 2)]
    with Writer(file, registry=registry) as writer:
        stats = writer.save("g", one)
    assert stats.types == {"One": 1, "list": 1, "Bare": 2, "str": 1, "bytes": 1, "tuple": 1}
    file.seek(0)
    reader = Reader(file, registry=registry)
    reader.load("g")
    assert reader.stats.types == stats.types
    assert str(Stats({"b": 1, "a": 1, "c": 3}, 10, 0.5)).splitlines() == [
        "        3 c",
        "        1 a",
        "        1 b",
        "        5 objects, 10 bytes, 0.500 s",
    ]


class Stranger:
    """A class that is not registered."""

    def __init__(self) -> None:
        """Be hashable and empty."""


def refused(root: Any, **options: Any) -> str:
    """Return what is said when root is saved."""
    writer = Writer(io.BytesIO(), registry=registry)
    with pytest.raises(SaveError) as caught:
        writer.save("g", root, **options)
    with pytest.raises(SaveError, match="cut it off"):
        writer.save("again", None)
    return str(caught.value)


def test_what_cannot_be_saved_is_said_with_its_place() -> None:
    """Unregistered classes, functions, generators, undeclared attributes, missing fields."""
    slotted = Slotted()
    slotted.left, slotted.right = [1, {"a": deque([Stranger()])}], None
    text = refused({5: slotted})
    assert "test_graph.Stranger cannot be saved" in text or "Stranger cannot be saved" in text
    assert "(at root[5].left[1]['a'][0])" in text
    assert "is not registered by name (at root)" in refused(len)
    assert "generator cannot be saved" in refused(n for n in range(2))
    assert "(at root member)" in refused({Stranger()})
    assert "(at root key Stranger)" in refused({Stranger(): 1})
    assert "cannot be saved" in refused(memoryview(b""))
    slotted = Slotted()
    slotted.left = 1
    assert "a Slotted lacks a field" in refused([slotted])
    assert "(at root[1][0])" in refused([slotted, (Stranger(),)])
    loose = Loose()
    loose.one = loose.two = loose.three = 1  # type: ignore[attr-defined]
    assert "a Loose has the undeclared attribute three (at root[0])" in refused([loose])
    deep: Any = Stranger()
    for _ in range(60):
        deep = [deep]
    assert refused(deep).endswith("(at root[0][0][0][0][0][0][0][0][0][0][0]" + "..." + "[0]" * 12 + ")")


def test_keys_are_within_bounds() -> None:
    """A key that nests too much, and a frozenset of objects whose hash is not known while they are loaded."""
    wide = tuple(range(20_000))
    assert "holds more than 10000 values" in refused({wide: 1})
    assert "holds more than 10000 values" in refused({frozenset(range(9_999)), 1, (2, wide)})
    chain: Any = ()
    for _ in range(9_000):
        chain = (chain, 1)
    assert "holds more than" in refused({chain})
    assert "whose hash depends on fields" in refused(frozenset([Keyed(1)]))
    assert "whose hash depends on fields" in refused(frozenset([(1, Keyed(1))]))
    same({frozenset([(1, 2), frozenset()])}, copied({frozenset([(1, 2), frozenset()])}))


def test_a_tuple_inside_itself() -> None:
    """Only C code can make one; it is no endless loop."""
    loop: Any = tuple([None])  # noqa: C409  (not a constant)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(loop))
    ctypes.c_void_p.from_address(id(loop) + tuple.__basicsize__).value = id(loop)
    assert "a tuple is inside itself" in refused([loop])


def test_counts_have_an_end() -> None:
    """No container has 2**32 items."""
    assert count_head([], LIST32, 300) == b"\x2c\x2c\1\0\0"
    with pytest.raises(SaveError, match="too long"):
        count_head([], LIST32, 1 << 32)


def test_objects_with_identity_in_a_frozenset() -> None:
    """They hash before they are filled."""
    bare = Bare()
    found = copied([bare, frozenset([bare, 1])])
    assert found[0] in found[1]


def test_externals_are_checked() -> None:
    """Plain values have no identity, and one object has one key."""
    one = One()
    assert "external 'k' is the plain value 5" in refused(1, externals={"k": 5})
    assert "external 'b' is also external 'a'" in refused(1, externals={"a": one, "b": one})


@registry.savable("Grows", fields=("target",))
class Grows:
    """Changes another container while it is saved."""

    __slots__ = ("target",)

    target: Any

    def before_save(self) -> None:
        """Add to the target, or fail when there is none."""
        self.target.append(1)


def test_before_save() -> None:
    """It runs before the fields are read; what it may not do is noticed."""
    one, grows = One(), Grows()
    grows.target = []
    one.only = grows
    assert copied(one).only.target == [1]
    shared: list[Any] = [1, 2]
    grows.target = shared
    assert "changed its length" in refused([[grows], shared])
    grows.target = None
    assert "before_save of a Grows failed" in refused(grows)
