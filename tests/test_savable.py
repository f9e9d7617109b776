"""Every class with state is declared savable, with all its fields, or listed as unsavable with the reason.

A library says so in its module `_state.py`, which only save, load and tests import. A class that is neither fails here,
and so does a field: `Registry.savable` refuses a slot that is in no list.
"""

import importlib
import inspect
import pkgutil
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType

import pytest

from sentry_state import Registry

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["sentry"]
WITHOUT_STATE = {"sentry_abi", "sentry_state"}
"""Numbers and errors; the codec itself."""
PACKAGES = [
    f"sentry_{name}"
    for floor in sorted(SETTINGS["floors"], key=int)
    for name in SETTINGS["floors"][floor]
    if f"sentry_{name}" not in WITHOUT_STATE
] + ["sentry"]
LEFT_OUT = ("._native", ".testing", ".cli")


def modules(package: str) -> Iterator[ModuleType]:
    """Import every module of a package but its native code, its test helpers and the command line."""
    top = importlib.import_module(package)
    yield top
    for found in pkgutil.walk_packages(top.__path__, f"{package}."):
        if not any(part in found.name for part in LEFT_OUT):
            yield importlib.import_module(found.name)


def has_state(cls: type) -> bool:
    """Return whether objects of a class have fields beyond Python's own."""
    if issubclass(cls, BaseException | Enum) or getattr(cls, "_is_protocol", False):
        return False
    if issubclass(cls, tuple):
        return hasattr(cls, "_fields")
    return bool(cls.__dictoffset__) or any(getattr(base, "__slots__", ()) for base in cls.__mro__)


def classes(package: str) -> list[type]:
    """Return the classes with state that a package defines."""
    found = {
        cls
        for module in modules(package)
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__ and has_state(cls)
    }
    return sorted(found, key=lambda cls: (cls.__module__, cls.__qualname__))


def declarations() -> tuple[Registry, dict[type, str]]:
    """Return what all packages declare: a registry, and the classes that are never saved with the reason."""
    registry, unsavable = Registry(), {}
    for package in PACKAGES:
        state = importlib.import_module(f"{package}._state")
        state.register(registry)
        unsavable.update(state.UNSAVABLE)
    return registry, unsavable


@pytest.mark.parametrize("package", PACKAGES)
def test_every_class_is_declared(package: str) -> None:
    """Each is registered or unsavable, not both."""
    registry, unsavable = declarations()
    found = classes(package)
    undeclared = [cls for cls in found if cls not in registry.plans and cls not in unsavable]
    assert not undeclared, f"neither savable nor unsavable: {[f'{c.__module__}.{c.__qualname__}' for c in undeclared]}"
    twice = [cls for cls in found if cls in registry.plans and cls in unsavable]
    assert not twice, f"both savable and unsavable: {twice}"
    assert all(reason for cls, reason in unsavable.items() if cls.__module__.startswith(package))


def test_names_and_counts() -> None:
    """A name in an image begins with its library."""
    registry, unsavable = declarations()
    assert len(registry.plans) > 200
    for cls, plan in registry.plans.items():
        library = cls.__module__.split(".")[0].removeprefix("sentry_")
        assert plan.name.startswith((f"{library}.", "kernel.", "syscalls.", "procfs.")), plan.name
    assert not set(unsavable) & set(registry.plans)
