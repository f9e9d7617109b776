"""Which classes and values an image may name.

A registry is filled while modules are imported and only read afterwards; it is not locked. Names in an image are looked
up here and nowhere else: nothing is imported, no constructor is called.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from operator import attrgetter
from typing import Any, Final, Generic, Protocol, TypeVar

from sentry_state._errors import (
    MalformedError,
    NewerVersionError,
    OlderVersionError,
    RegistrationError,
    SaveError,
    UnknownTypeError,
)

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
Upgrade = Callable[[int, dict[str, Any]], Mapping[str, Any]]
"""`upgrade(version, fields)`: the fields of an object that an older version wrote, to the fields of today."""

_HEAP_TYPE: Final = 1 << 9


def shown(name: str) -> str:
    """Return a name of an image for a message, which must not be as long as the image likes."""
    return repr(name if len(name) <= 80 else f"{name[:80]}...")


def _check_name(what: str, name: str) -> None:
    if not name or not name.isprintable() or len(name) > 255:
        message = f"{what} {name!r}: a name is 1 to 255 printable characters"
        raise RegistrationError(message)


class Part:
    """What one registered class declares, without what its bases declare."""

    __slots__ = ("fields", "name", "upgrade", "version")

    def __init__(self, name: str, version: int, fields: tuple[str, ...], upgrade: Upgrade | None) -> None:
        """Note the declaration."""
        self.name = name
        self.version = version
        self.fields = fields
        self.upgrade = upgrade


class Plan:
    """How the objects of one class are taken to pieces."""

    __slots__ = (
        "after",
        "before",
        "cls",
        "declared",
        "description",
        "fields",
        "fresh",
        "get",
        "hashed",
        "loose",
        "name",
        "parts",
        "record",
        "unsaved",
        "waits",
    )

    def __init__(
        self,
        cls: type,
        parts: tuple[Part, ...],
        unsaved: tuple[str, ...],
        fresh: dict[str, Callable[[], Any]],
        waits: tuple[str, ...],
    ) -> None:
        """Work out what saving and loading look up."""
        self.cls = cls
        self.parts = parts
        self.name = parts[-1].name
        self.fields = tuple(field for part in parts for field in part.fields)
        self.unsaved = unsaved
        self.fresh = fresh
        self.waits = waits
        self.record = issubclass(cls, tuple)
        self.before: Callable[[Any], None] | None = None if self.record else getattr(cls, "before_save", None)
        self.after: Callable[[Any], None] | None = None if self.record else getattr(cls, "after_load", None)
        self.hashed = not self.record and (
            cls.__hash__ is not object.__hash__ or cls.__eq__ is not object.__eq__  # type: ignore[comparison-overlap]
        )
        self.loose = bool(cls.__dictoffset__)
        self.declared = frozenset((*self.fields, *unsaved, *fresh))
        self.description = "\1".join("\0".join((p.name, str(p.version), *p.fields)) for p in parts).encode()
        self.get: Callable[[Any], tuple[Any, ...]] = _getter(self.fields)


def _getter(fields: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that gives the fields of an object as a tuple."""
    if len(fields) > 1:
        return attrgetter(*fields)
    return _Single(attrgetter(fields[0])) if fields else _nothing


def _nothing(_: Any) -> tuple[()]:  # noqa: ANN401  (any object)
    return ()


class _Single:
    """An attrgetter of one name gives the value and no tuple."""

    __slots__ = ("get",)

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self.get = get

    def __call__(self, value: Any) -> tuple[Any, ...]:  # noqa: ANN401  (any object)
        return (self.get(value),)


class LoadPlan:
    """How the objects of one class in one image are put together."""

    __slots__ = ("fields", "old", "parts", "plan")

    def __init__(self, plan: Plan, parts: "tuple[tuple[int, tuple[str, ...]], ...]") -> None:
        """Note the version and the fields, in their order, of each part of plan."""
        self.plan = plan
        self.parts = parts
        self.fields = tuple(name for _, names in parts for name in names)
        self.old = any(now.version != version for now, (version, _) in zip(plan.parts, parts, strict=True))


class Registry:
    """Classes and values by name.

    auto_records  register a NamedTuple that is met while saving by its module and name, version 1
    """

    def __init__(self, *, auto_records: bool = False) -> None:
        """Begin empty."""
        self._auto_records = auto_records
        self.plans: dict[type, Plan] = {}
        self.by_name: dict[str, Plan] = {}
        self.current: dict[bytes, LoadPlan] = {}
        self.values: dict[str, Any] = {}
        self.names: dict[int, str] = {}
        self.hashed: set[type] = set()

    def savable(
        self,
        name: str,
        *,
        version: int = 1,
        fields: Iterable[str] | None = None,
        unsaved: Iterable[str] = (),
        fresh: Mapping[str, Callable[[], Any]] | None = None,
        waits: Iterable[str] = (),
        upgrade: Upgrade | None = None,
    ) -> Callable[[type[T]], type[T]]:
        """Return a class decorator that registers a class under name.

        fields   attributes that are saved; of a NamedTuple always all
        unsaved  attributes that are not; after loading they are unset
        fresh    attributes that are not saved and are made anew by calling what is given, with no argument
        waits    fields whose objects must be complete, with their own `after_load`, before that of this class
        upgrade  called with an older version and the fields it wrote, returns the fields of today; sees objects that
                 are filled, but dicts and sets whose keys are not plain values are still empty; of a NamedTuple it runs
                 before anything is filled

        Every slot must be in one of the three lists, and so must every attribute of an object with a `__dict__`. What
        a registered base class declares holds for its subclasses, which register too and declare what they add.
        `before_save(self)` and `after_load(self)` are called when the class has them. `__init__` and `__new__` are not.
        `before_save` runs when the object is met; it may change its own objects; others may be written.

        Raises: RegistrationError.
        """

        def register(cls: type[T]) -> type[T]:
            self._register(cls, name, version, fields, tuple(unsaved), dict(fresh or {}), tuple(waits), upgrade)
            return cls

        return register

    def named(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a function, a class or another lone value under name.

        An image holds the name alone, and loading gives the same value again.

        Raises: RegistrationError.
        """

        def register(value: T) -> T:
            _check_name("value", name)
            plain = isinstance(value, (int, str, bytes, float, tuple, type(None))) and not isinstance(value, Enum)
            if type(value) in self.plans or plain:
                message = (
                    f"value {name!r}: a {type(value).__qualname__} is saved by what it holds and cannot have a name"
                )
                raise RegistrationError(message)
            if name in self.values:
                message = f"value {name!r} is registered twice"
                raise RegistrationError(message)
            if id(value) in self.names:
                message = f"value {name!r} is already registered as {self.names[id(value)]!r}"
                raise RegistrationError(message)
            self.values[name] = value
            self.names[id(value)] = name
            return value

        return register

    def enumeration(self, name: str) -> Callable[[type[E]], type[E]]:
        """Return a class decorator that registers every member of an enumeration under name and its own name.

        Raises: RegistrationError.
        """

        def register(cls: type[E]) -> type[E]:
            for member in cls:
                self.named(f"{name}.{member.name}")(member)
            return cls

        return register

    def plan_of(self, cls: type) -> Plan | None:
        """Return how objects of cls are saved, None when it is not registered."""
        plan = self.plans.get(cls)
        if plan is None and self._auto_records and issubclass(cls, tuple) and hasattr(cls, "_fields"):
            self.savable(f"{cls.__module__}.{cls.__qualname__}")(cls)
            plan = self.plans[cls]
        return plan

    def value_of(self, name: str) -> Any:  # noqa: ANN401  (any value)
        """Return the value registered under name. Raises: UnknownTypeError."""
        try:
            return self.values[name]
        except KeyError:
            message = f"the image names the value {shown(name)}, which is not registered"
            raise UnknownTypeError(message) from None

    def load_plan(self, description: bytes) -> LoadPlan:
        """Return how objects of a described class are put together.

        Raises: MalformedError, UnknownTypeError, NewerVersionError, OlderVersionError.
        """
        today = self.current.get(description)
        if today is not None:
            return today
        found = [part.split("\0") for part in description.decode().split("\1")]
        plan = self.by_name.get(found[-1][0])
        if plan is None:
            message = f"the image names the class {shown(found[-1][0])}, which is not registered"
            raise UnknownTypeError(message)
        if [part[0] for part in found] != [part.name for part in plan.parts]:
            message = f"class {plan.name!r} has other registered bases than in the image"
            raise MalformedError(message)
        parts: list[tuple[int, tuple[str, ...]]] = []
        for part, (_, text, *names) in zip(plan.parts, found, strict=True):
            if not text.isascii() or not text.isdecimal() or len(text) > 9 or len(set(names)) != len(names):
                message = f"the image describes the class {part.name!r} in a way that makes no sense"
                raise MalformedError(message)
            self._check_version(part, int(text), names)
            parts.append((int(text), tuple(names)))
        return LoadPlan(plan, tuple(parts))

    @staticmethod
    def _check_version(part: Part, version: int, names: list[str]) -> None:
        if version > part.version:
            message = f"class {part.name!r} is at version {version} in the image and at {part.version} here"
            raise NewerVersionError(message)
        if version < part.version and part.upgrade is None:
            message = (
                f"class {part.name!r} is at version {version} in the image, and nothing upgrades it to {part.version}"
            )
            raise OlderVersionError(message)
        if version == part.version and sorted(names) != sorted(part.fields):
            message = f"class {part.name!r}, version {version}, has other fields in the image"
            raise MalformedError(message)

    def _register(
        self,
        cls: type,
        name: str,
        version: int,
        fields: Iterable[str] | None,
        unsaved: tuple[str, ...],
        fresh: dict[str, Callable[[], Any]],
        waits: tuple[str, ...],
        upgrade: Upgrade | None,
    ) -> None:
        _check_name("class", name)
        refuse = _Refusal(name)
        if not isinstance(cls, type):
            refuse(f"{cls!r} is not a class")
        if not 1 <= version <= 999_999_999:
            refuse(f"version {version} is not from 1 to 999999999")
        if name in self.by_name:
            refuse("registered twice")
        if cls in self.plans:
            refuse(f"already registered as {self.plans[cls].name!r}")
        if issubclass(cls, tuple):
            bases: list[Plan] = []
            own = _record_fields(cls, refuse, fields, (*unsaved, *fresh, *waits))
        else:
            bases = [self.plans[base] for base in reversed(cls.__mro__[1:]) if base in self.plans]
            _check_bases(cls, refuse)
            own = tuple(fields or ())
        names = (*own, *unsaved, *fresh, *waits)
        if not all(isinstance(field, str) and field.isidentifier() for field in names):
            refuse(f"a field is the name of an attribute: {names}")
        parts: list[Part] = []
        for base in bases:
            parts += [part for part in base.parts if part not in parts]
            unsaved = (*unsaved, *(n for n in base.unsaved if n not in unsaved))
            fresh = base.fresh | fresh
            waits = (*waits, *(n for n in base.waits if n not in waits))
        parts.append(Part(name, version, own, upgrade))
        plan = Plan(cls, tuple(parts), unsaved, fresh, waits)
        _check_fields(plan, refuse)
        self.plans[cls] = self.by_name[name] = plan
        self.current[plan.description] = LoadPlan(plan, tuple((part.version, part.fields) for part in parts))
        if plan.hashed:
            self.hashed.add(cls)


class _Refusal:
    """Raises with the name of the class in front."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, text: str) -> None:
        message = f"class {self.name!r}: {text}"
        raise RegistrationError(message)


def _record_fields(
    cls: type, refuse: _Refusal, fields: Iterable[str] | None, others: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the fields of a NamedTuple, which is made whole and never changed."""
    own: tuple[str, ...] | None = getattr(cls, "_fields", None)
    if own is None:
        refuse("a subclass of tuple that is no NamedTuple")
    assert own is not None
    if cls.__dictoffset__:
        refuse("a subclass of a NamedTuple needs __slots__ = ()")
    if fields is not None and tuple(fields) != own:
        refuse(f"a NamedTuple saves all its fields in their order: {own}")
    if others or hasattr(cls, "after_load") or hasattr(cls, "before_save"):
        refuse("a NamedTuple has no unsaved fields, waits or hooks")
    return own


def _check_bases(cls: type, refuse: _Refusal) -> None:
    for base in cls.__mro__:
        if base.__module__ == "enum":
            refuse("an enumeration is saved by registering each of its members with `named`")
        if base is not object and base not in {Generic, Protocol} and not base.__flags__ & _HEAP_TYPE:
            refuse(f"it derives from {base.__qualname__}, whose content no field holds")


_Slot: Final = type(vars(Part)["name"])


def _check_fields(plan: Plan, refuse: _Refusal) -> None:
    names = (*plan.fields, *plan.unsaved, *plan.fresh)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        refuse(f"declared twice: {', '.join(twice)}")
    strange = [name for name in plan.waits if name not in plan.fields]
    if strange:
        refuse(f"waits for what it does not save: {', '.join(strange)}")
    if plan.waits and plan.after is None:
        refuse("waits, and has no after_load that could wait")
    if plan.record:
        return
    slots = {name for base in plan.cls.__mro__ for name, value in vars(base).items() if isinstance(value, _Slot)}
    missing = sorted(slots - plan.declared)
    if missing:
        refuse(f"neither saved nor declared unsaved: {', '.join(missing)}")
    if plan.loose:
        computed = [name for name in names if isinstance(getattr(plan.cls, name, None), property)]
        if computed:
            refuse(f"computed, not held: {', '.join(computed)}")
    else:
        strange = sorted(plan.declared - slots)
        if strange:
            refuse(f"it has no such attribute: {', '.join(strange)}")


def check_loose(plan: Plan, value: Any) -> None:  # noqa: ANN401  (any object)
    """Raise SaveError when an object with a `__dict__` has an attribute that its class does not declare."""
    strange = sorted(set(vars(value)) - plan.declared)
    if strange:
        message = f"a {plan.name} has the undeclared attribute {strange[0]}"
        raise SaveError(message)


registry: Final = Registry()
"""The registry that is meant when none is given."""

savable: Final = registry.savable
"""`Registry.savable` of the common registry."""

named: Final = registry.named
"""`Registry.named` of the common registry."""
