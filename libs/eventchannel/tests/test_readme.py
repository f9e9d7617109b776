"""The example in the README works."""

import doctest
from pathlib import Path


def test_readme() -> None:
    """Every statement gives what the README says."""
    path = Path(__file__).parent.parent / "README.md"
    failed, tried = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert failed == 0
    assert tried > 0
