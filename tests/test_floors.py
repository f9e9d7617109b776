"""The gate of the floors sees circles of imports, and nothing where there is none."""

import sys
from pathlib import Path

import pytest

from tools.house.floors import circles, imports_of, levels, within


def test_a_planted_circle_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three modules import each other, one of them for type checking alone; the others are in no circle."""
    package = tmp_path / "planted"
    package.mkdir()
    for name, text in {
        "__init__": "from planted.d import D\n",
        "a": "from planted import b\n",
        "b": "from planted.c import C\n",
        "c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from planted.a import A\nclass C: ...\n",
        "d": "from planted import a\nclass D: ...\n",
    }.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert circles(imports_of(["planted"])) == [["planted.a", "planted.b", "planted.c"]]


def test_circles_and_levels_of_plain_graphs() -> None:
    """A circle inside a larger one is part of it; two apart are two; levels count from what imports nothing."""
    assert circles({"a": ["b"], "b": ["a", "c"], "c": ["b"], "d": ["a"]}) == [["a", "b", "c"]]
    assert circles({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}) == [["a", "b"], ["c", "d"]]
    tree = {"p": ["p.x"], "p.x": ["p.y"], "p.y": [], "p.z": ["p.x", "p.y"]}
    assert circles(tree) == []
    assert levels(within(tree, "p")) == [["y"], ["x"], ["z"]]
