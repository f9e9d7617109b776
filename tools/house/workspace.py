"""Where things are, and how a tool is run."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BIN: Final = ROOT / ".venv" / "bin"


class Package(NamedTuple):
    """One distribution of the workspace."""

    folder: Path
    module: str
    project: dict[str, Any]
    """Its parsed pyproject.toml."""

    @property
    def name(self) -> str:
        """Name of the folder: `mm`."""
        return self.folder.name

    @property
    def distribution(self) -> str:
        """Name that others depend on: `sentry-mm`."""
        return str(self.project["project"]["name"])

    @property
    def source(self) -> Path:
        """Folder of the importable package."""
        return self.folder / "src" / self.module

    @property
    def landed(self) -> bool:
        """Whether it has code yet."""
        return (self.source / "__init__.py").exists()


def packages() -> list[Package]:
    """Return every distribution of the workspace, libraries first."""
    found = []
    for file in (*sorted(ROOT.glob("libs/*/pyproject.toml")), *sorted(ROOT.glob("apps/*/pyproject.toml"))):
        folder = file.parent
        module = f"sentry_{folder.name}" if folder.parent.name == "libs" else folder.name
        found.append(Package(folder, module, tomllib.loads(file.read_text())))
    return found


def root_project() -> dict[str, Any]:
    """Return the parsed pyproject.toml of the workspace."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def call(*argv: str | Path, **environment: str) -> int:
    """Run a program of the workspace in the root, its output to ours; return its exit status."""
    words = [str(a) for a in argv]
    if "/" not in words[0]:
        words[0] = str(BIN / words[0])
    sys.stdout.flush()
    return subprocess.run(words, cwd=ROOT, env=os.environ | environment, check=False).returncode
