"""Public names are those of the snapshots, and a changed name is seen."""

import sys
from pathlib import Path

import pytest

from tools.house import names
from tools.house.workspace import Package

PLANTED = """
from typing import NamedTuple, Protocol

__all__ = ["LIMIT", "Pair", "Plain", "Shape", "work"]
LIMIT = 5

class Pair(NamedTuple):
    left: int
    right: int

    def both(self) -> int: ...

class Plain(ValueError):
    def __init__(self, size: int) -> None: ...
    def _hidden(self) -> None: ...
    @property
    def size(self) -> int: ...
    @staticmethod
    def make(size: int = 3) -> "Plain": ...

class Shape(Protocol):
    def area(self, scale: "int") -> int: ...

def work(thing: int, *, fast: bool = False) -> list[int]: ...
"""
LINES = [
    "LIMIT: int",
    "class Pair(tuple)",
    "    fields: left, right",
    "    both(self) -> int",
    "class Plain(ValueError)",
    "    __init__(self, size: int) -> None",
    "    make(size: int = 3) -> Plain staticmethod",
    "    size: property",
    "class Shape(Protocol)",
    "    area(self, scale: int) -> int",
    "def work(thing: int, *, fast: bool = False) -> list[int]",
]


@pytest.mark.parametrize("package", names.libraries(), ids=lambda package: package.name)
def test_public_names(package: Package) -> None:
    """What a library promises is what its snapshot says: `tools/dev names --write` writes it anew."""
    assert "\n".join(names.difference(package)) == ""


def test_a_planted_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost name, a new one and another signature are shown as a diff; equal names as nothing."""
    (tmp_path / "planted_names.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "libs" / "planted"
    (folder / "tests").mkdir(parents=True)
    package = Package(folder, "planted_names", {})
    try:
        assert names.lines("planted_names") == LINES
        kept = [*LINES[:-1], "def work(thing: int) -> list[int]"]
        names.snapshot(package).write_text("\n".join(kept) + "\n")
        assert names.difference(package)[-2:] == ["-" + kept[-1], "+" + LINES[-1]]
        names.snapshot(package).write_text("\n".join(LINES) + "\n")
        assert names.difference(package) == []
        names.snapshot(package).unlink()
        assert len(names.difference(package)) == 3 + len(LINES)
    finally:
        sys.modules.pop("planted_names", None)
