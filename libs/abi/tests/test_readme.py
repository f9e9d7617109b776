"""The README's example runs as written."""

import doctest
from pathlib import Path


def test_readme() -> None:
    """Every line of the example gives what it shows."""
    failed, tried = doctest.testfile(
        str(Path(__file__).parent.parent / "README.md"),
        module_relative=False,
        optionflags=doctest.IGNORE_EXCEPTION_DETAIL,
    )
    assert tried
    assert not failed
