"""The package says which version it is."""

import tomllib
from pathlib import Path

import sentry


def test_version() -> None:
    """It is that of its distribution."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    assert sentry.__version__ == project["project"]["version"]
