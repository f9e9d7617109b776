"""Snapshots of public names: what a library promises, one line a name, committed with its tests.

`libs/X/tests/public_names.txt` has the names of `__all__`, or of all public modules where there is none: a function
with its signature, a class with its bases and its public methods and attributes, a constant with its type. A change
of it is seen in review, and decides whether the minor version moves.
"""

import difflib
import enum
import importlib
import inspect
import pkgutil
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tools.house.workspace import Package, packages

PRIVATE_PLACE = re.compile(r"\bsentry_\w+\._\w+\.")
"""The module of a name inside a library, which is private."""
ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-f]+>")
"""A default that is an object without a text of its own."""
QUOTED = re.compile(r"(: |-> )'([^']*)'")
"""An annotation that is written as text."""
KEPT = frozenset(
    {"__init__", "__call__", "__enter__", "__exit__", "__iter__", "__len__", "__contains__", "__getitem__"}
)


def signature(thing: object) -> str:
    """Return the parameters of a function as they are written; `(...)` for what C does not tell."""
    try:
        text = str(inspect.signature(thing))  # type: ignore[arg-type]  # refused by a TypeError
    except (TypeError, ValueError):
        return "(...)"
    return QUOTED.sub(r"\1\2", ADDRESS.sub("...", PRIVATE_PLACE.sub("", text)))


def member(name: str, thing: object) -> str:
    """Return the line of one member of a class."""
    if isinstance(thing, property):
        return f"    {name}: property"
    if isinstance(thing, staticmethod | classmethod):
        kind = type(thing).__name__
        return f"    {name}{signature(thing.__func__)} {kind}"
    if inspect.isfunction(thing):
        return f"    {name}{signature(thing)}"
    return f"    {name}"


def members(cls: type) -> Iterator[str]:
    """Yield the lines of a class's own public members, sorted."""
    if issubclass(cls, enum.Enum):
        yield from (f"    {name} = {value.value!r}" for name, value in cls.__members__.items())
        return
    fields = getattr(cls, "_fields", ())
    if fields:
        yield f"    fields: {', '.join(fields)}"
    generated = KEPT if fields else {"__init__"} if getattr(cls, "_is_protocol", False) else frozenset()
    for name, thing in sorted(vars(cls).items()):
        if name in fields or (name.startswith("_") and (name not in KEPT or name in generated)):
            continue
        yield member(name, thing)


def line(name: str, thing: object) -> Iterator[str]:
    """Yield the lines of one public name."""
    if inspect.isclass(thing):
        bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
        yield f"class {name}({bases})" if bases else f"class {name}"
        yield from members(thing)
    elif inspect.isroutine(thing):
        yield f"def {name}{signature(thing)}"
    elif inspect.ismodule(thing):
        yield f"module {name}"
    else:
        yield f"{name}: {type(thing).__name__}"


def own_names(module: ModuleType) -> list[str]:
    """Return the public names that a module defines itself."""
    foreign = {"typing", "collections.abc", "struct"}
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(thing)
        and getattr(thing, "__module__", module.__name__) not in foreign
        and not hasattr(typing, name)
    ]


def lines(module: str) -> list[str]:
    """Return the lines of a package's public names, sorted by name."""
    package = importlib.import_module(module)
    if hasattr(package, "__all__"):
        return [text for name in sorted(package.__all__) for text in line(name, getattr(package, name))]
    found = []
    for info in pkgutil.iter_modules(package.__path__):
        if not info.name.startswith("_"):
            part = importlib.import_module(f"{module}.{info.name}")
            found += [f"{info.name}: {next(line(name, vars(part)[name]))}" for name in sorted(own_names(part))]
    return found


def snapshot(package: Package) -> Path:
    """Return where the names of a library are kept."""
    return package.folder / "tests" / "public_names.txt"


def libraries() -> list[Package]:
    """Return the libraries."""
    return [package for package in packages() if package.folder.parent.name == "libs"]


def difference(package: Package) -> list[str]:
    """Return how the names of a library differ from its snapshot; nothing if they do not."""
    file = snapshot(package)
    kept = file.read_text().splitlines() if file.exists() else []
    shown = str(file.relative_to(package.folder.parent.parent))
    return list(difflib.unified_diff(kept, lines(package.module), shown, package.module, lineterm="", n=1))


def check() -> int:
    """Print all differences; return 1 if there is one."""
    found = [line for package in libraries() for line in difference(package)]
    if found:
        print(*found, "Public names have changed: tools/dev names --write writes them anew", sep="\n", file=sys.stderr)
    return int(bool(found))


def write() -> int:
    """Write all snapshots."""
    for package in libraries():
        snapshot(package).write_text("\n".join(lines(package.module)) + "\n")
    return 0
