"""What may be registered, what may not, and how classes change over time."""

# ruff: noqa: ANN401  (graphs of anything)

import enum
import io
from typing import Any, Generic, NamedTuple, TypeVar

import pytest

from sentry_state import (
    HookError,
    MalformedError,
    NewerVersionError,
    OlderVersionError,
    Reader,
    RegistrationError,
    Registry,
    SaveError,
    UnknownTypeError,
    Writer,
    registry,
    savable,
)
from sentry_state import named as common_named

T = TypeVar("T")


def image(registry: Registry, root: Any) -> io.BytesIO:
    """Save."""
    file = io.BytesIO()
    with Writer(file, registry=registry) as writer:
        writer.save("g", root)
    file.seek(0)
    return file


def load(registry: Registry, file: io.BytesIO) -> Any:
    """Load."""
    return Reader(file, registry=registry).load("g")


class Slots:
    """Two slots."""

    __slots__ = ("__weakref__", "a", "b")

    def __init__(self) -> None:
        """Fill them."""
        self.a, self.b = 1, [2]


class Point(NamedTuple):
    """A record."""

    x: int
    y: int


class Numbers(list):  # type: ignore[type-arg]
    """A list with more."""


class Raw(tuple):  # type: ignore[type-arg]
    """A tuple that is no NamedTuple."""

    __slots__ = ()


class Open(Point):
    """A record with a dictionary."""


class Hooked(Point):
    """A record with a hook."""

    __slots__ = ()

    def after_load(self) -> None:
        """Do nothing."""


class Colour(enum.Enum):
    """An enumeration."""

    RED = 1


class Computed:
    """A property for a field."""

    @property
    def area(self) -> int:
        """Compute it."""
        return 1


class Eager:
    """A class with a hook."""

    __slots__ = ("a", "b")

    def after_load(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("cls", "options", "text"),
    [
        (Slots, {"name": ""}, "1 to 255 printable"),
        (Slots, {"name": "a\0b"}, "1 to 255 printable"),
        (Slots, {"name": "x" * 256}, "1 to 255 printable"),
        (Slots, {"fields": ("a",)}, "neither saved nor declared unsaved: b"),
        (Slots, {"fields": ("a", "b", "c")}, "no such attribute: c"),
        (Slots, {"fields": ("a", "b"), "unsaved": ("a",)}, "declared twice: a"),
        (Slots, {"fields": ("a", "b"), "fresh": {"b": list}}, "declared twice: b"),
        (Slots, {"fields": ("a", 5)}, "a field is the name of an attribute"),
        (Slots, {"fields": ("a", "not one")}, "a field is the name of an attribute"),
        (Slots, {"fields": ("a", "b"), "version": 0}, "version 0"),
        (Slots, {"fields": ("a", "b"), "version": 10**9}, "version 1000000000"),
        (Slots, {"fields": ("a", "b"), "waits": ("a",)}, "no after_load"),
        (Eager, {"fields": ("a",), "unsaved": ("b",), "waits": ("b",)}, "waits for what it does not save: b"),
        (5, {}, "5 is not a class"),
        (Numbers, {}, "derives from list"),
        (Exception, {}, "derives from"),
        (Raw, {}, "no NamedTuple"),
        (Open, {}, r"needs __slots__ = \(\)"),
        (Hooked, {}, "no unsaved fields, waits or hooks"),
        (Point, {"unsaved": ("x",)}, "no unsaved fields"),
        (Point, {"fields": ("y", "x")}, "all its fields in their order"),
        (Colour, {}, "enumeration"),
        (Computed, {"fields": ("area",)}, "computed, not held: area"),
    ],
)
def test_refused(cls: Any, options: dict[str, Any], text: str) -> None:
    """Each mistake in a declaration is said at once."""
    options = {"name": "thing"} | options
    with pytest.raises(RegistrationError, match=text):
        Registry().savable(**options)(cls)


def test_twice() -> None:
    """A name for one class, a class under one name; likewise values."""
    own = Registry()
    own.savable("slots", fields=("a", "b"))(Slots)
    with pytest.raises(RegistrationError, match="registered twice"):
        own.savable("slots")(Point)
    with pytest.raises(RegistrationError, match="already registered as 'slots'"):
        own.savable("again", fields=("a", "b"))(Slots)
    own.named("length")(len)
    with pytest.raises(RegistrationError, match="registered twice"):
        own.named("length")(print)
    with pytest.raises(RegistrationError, match="already registered as 'length'"):
        own.named("len")(len)
    with pytest.raises(RegistrationError, match="cannot have a name"):
        own.named("five")(5)
    with pytest.raises(RegistrationError, match="cannot have a name"):
        own.named("object")(Slots())
    with pytest.raises(RegistrationError, match="printable"):
        own.named("")(len)


def test_common_registry() -> None:
    """The functions of the module are those of the common registry."""

    @savable("test.common", fields=("a", "b"))
    class Common(Slots):
        __slots__ = ()

    @common_named("test.common.value")
    def value() -> None:
        """Do nothing."""

    file = io.BytesIO()
    with Writer(file) as writer:
        writer.save("g", [Common(), value])
    file.seek(0)
    found = Reader(file).load("g")
    assert type(found[0]) is Common
    assert found[1] is value
    assert registry.plan_of(Common) is not None


class Level(enum.IntEnum):
    """An enumeration of numbers."""

    LOW = 0
    HIGH = 1


def test_enumeration_by_members() -> None:
    """Members are lone values, also those that are numbers; an image holds their names."""
    own = Registry()
    own.enumeration("colour")(Colour)
    own.enumeration("level")(Level)
    data = image(own, [Colour.RED, Level.HIGH, 1])
    assert b"level.HIGH" in data.getvalue()
    found = load(own, data)
    assert found[0] is Colour.RED
    assert found[1] is Level.HIGH
    assert found[2] == 1
    assert type(found[2]) is int
    with pytest.raises(RegistrationError, match="registered twice"):
        own.enumeration("level")(Level)


def test_fresh_unsaved_and_inherited() -> None:
    """A subclass declares what it adds; generic classes are ordinary ones; no constructor runs."""
    own = Registry()

    @own.savable("base", fields=("kept",), unsaved=("lost",), fresh={"made": list})
    class Base(Generic[T]):
        __slots__ = ("kept", "lost", "made")

    @own.savable("derived", fields=("more",), fresh={"made": dict})
    class Derived(Base[int]):
        __slots__ = ("more",)

        def __init__(self) -> None:
            self.kept, self.lost, self.made, self.more = 1, 2, [3], 4

    class Unregistered(Derived):
        __slots__ = ()

    found = load(own, image(own, Derived()))
    assert (found.kept, found.more, found.made) == (1, 4, {})
    assert not hasattr(found, "lost")
    with pytest.raises(SaveError, match="not registered"):
        image(own, Unregistered())


def test_fresh_that_fails() -> None:
    """The error names class and field."""
    own = Registry()
    own.savable("slots", fields=("a",), fresh={"b": lambda: 1 // 0})(Slots)
    with pytest.raises(HookError, match="making b of a slots anew failed"):
        load(own, image(own, Slots()))


def versions(old: dict[str, Any], new: dict[str, Any]) -> tuple[Registry, Registry]:
    """Return a registry that writes Slots in one way and one that reads it in another."""
    writes, reads = Registry(), Registry()
    writes.savable("slots", **({"fields": ("a", "b")} | old))(Slots)
    reads.savable("slots", **({"fields": ("a", "b")} | new))(Slots)
    return writes, reads


def test_upgrade() -> None:
    """An older version's fields become those of today; order and names may change."""

    def upgrade(version: int, fields: dict[str, Any]) -> dict[str, Any]:
        assert version == 1
        return {"a": fields["b"], "b": [fields["a"], len(fields["b"])]}

    writes, reads = versions({}, {"version": 3, "upgrade": upgrade})
    value = Slots()
    found = load(reads, image(writes, [value, value]))
    assert found[0] is found[1]
    assert (found[0].a, found[0].b) == ([2], [1, 1])


def test_order_of_fields_may_change() -> None:
    """Fields are matched by name."""
    writes, reads = versions({}, {"fields": ("b", "a")})
    found = load(reads, image(writes, Slots()))
    assert (found.a, found.b) == (1, [2])


def test_version_errors() -> None:
    """Newer, older without upgrade, other fields, a failing upgrade, one that forgets a field."""
    writes, reads = versions({"version": 2}, {})
    with pytest.raises(NewerVersionError, match="at version 2 in the image and at 1 here"):
        load(reads, image(writes, Slots()))
    writes, reads = versions({}, {"version": 2})
    with pytest.raises(OlderVersionError, match="nothing upgrades it to 2"):
        load(reads, image(writes, Slots()))
    writes, reads = versions({"fields": ("a",), "unsaved": ("b",)}, {})
    with pytest.raises(MalformedError, match="other fields"):
        load(reads, image(writes, Slots()))
    writes, reads = versions({}, {"version": 2, "upgrade": lambda _, __: 1 // 0})
    with pytest.raises(HookError, match="from version 1 failed: ZeroDivisionError"):
        load(reads, image(writes, Slots()))
    writes, reads = versions({}, {"version": 2, "upgrade": lambda _, __: {"a": 1}})
    with pytest.raises(HookError, match=r"gave the fields \['a'\]"):
        load(reads, image(writes, Slots()))
    writes, reads = versions({}, {"version": 2, "upgrade": lambda _, __: None})
    with pytest.raises(HookError, match="failed"):
        load(reads, image(writes, Slots()))


def test_upgrade_of_a_record_and_of_a_base() -> None:
    """A NamedTuple is upgraded when it is made, a base class apart from its subclass."""
    writes, reads = Registry(), Registry()
    writes.savable("point")(Point)

    class Space(NamedTuple):
        x: int
        y: int
        z: int

    reads.savable("point", version=2, upgrade=lambda _, fields: fields | {"z": 0})(Space)

    for own, version in ((writes, 1), (reads, 2)):

        class Base:
            __slots__ = ("p",)

            def __eq__(self, other: object) -> bool:
                return self is other

            def __hash__(self) -> int:
                return hash(self.p)  # type: ignore[attr-defined]

        class Derived(Base):
            __slots__ = ("q",)

        own.savable("base", version=version, fields=("p",), upgrade=lambda _, f: {"p": f["p"] + 1})(Base)
        own.savable("derived", fields=("q",), fresh={})(Derived)
        if version == 1:
            value = Derived()
            value.p, value.q = 1, 2  # type: ignore[attr-defined]
            file = image(writes, [Point(1, 2), value])
    found = load(reads, file)
    assert found[0] == Space(1, 2, 0)
    assert (found[1].p, found[1].q) == (2, 2)


def test_unknown_and_other_bases() -> None:
    """What is not registered is not looked for elsewhere."""
    own, other = Registry(), Registry()
    own.savable("slots", fields=("a", "b"))(Slots)
    own.named("os.system")(print)
    with pytest.raises(UnknownTypeError, match="the class 'slots'"):
        load(other, image(own, Slots()))
    with pytest.raises(UnknownTypeError, match=r"the value 'os\.system'"):
        load(other, image(own, print))

    class Derived(Slots):
        __slots__ = ()

    own.savable("derived")(Derived)
    other.savable("derived", fields=("a", "b"))(Derived)
    with pytest.raises(MalformedError, match="other registered bases"):
        load(other, image(own, Derived()))


def test_records_may_register_themselves() -> None:
    """With auto_records a NamedTuple is taken by its module and name."""
    own = Registry(auto_records=True)
    found = load(own, image(own, [Point(1, 2), Point(3, 4)]))
    assert found == [Point(1, 2), Point(3, 4)]
    plan = own.plan_of(Point)
    assert plan is not None
    assert plan.name == f"{Point.__module__}.Point"
    assert own.plan_of(Raw) is None
