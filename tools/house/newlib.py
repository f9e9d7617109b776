"""A new library: the skeleton that the layout gate asks for."""

import re

from tools.house.workspace import ROOT

PROJECT = """[project]
name = "{distribution}"
version = "0.1.0"
description = "{purpose}"
readme = "README.md"
license = "Apache-2.0"
requires-python = ">=3.11"
dependencies = [
    "sentry-abi>=0.1,<0.2",
]

[tool.poetry]
packages = [{{ include = "{module}", from = "src" }}]

[tool.poetry.dependencies]
sentry-abi = {{ path = "../abi", develop = true }}

[build-system]
requires = ["poetry-core>=2.0"]
build-backend = "poetry.core.masonry.api"
"""


def create(name: str, purpose: str) -> int:
    """Write libs/NAME; print what is left to do by hand; return the exit status."""
    folder = ROOT / "libs" / name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or folder.exists():
        print(f"{name}: not a name for a new library")
        return 1
    module, distribution = f"sentry_{name}", f"sentry-{name.replace('_', '-')}"
    source = folder / "src" / module
    source.mkdir(parents=True)
    (folder / "tests").mkdir()
    (source / "py.typed").touch()
    (source / "__init__.py").write_text(f'"""{purpose}."""\n')
    (folder / "pyproject.toml").write_text(PROJECT.format(distribution=distribution, module=module, purpose=purpose))
    (folder / "README.md").write_text(f"# {distribution}\n\n{purpose}. Floor N.\n")
    (folder / "CHANGELOG.md").write_text(f"# Changes of {distribution}\n\n## Unreleased\n\n- First version.\n")
    print(f"libs/{name} made. Add dependency, mypy_path and floor to the root pyproject.toml, then tools/dev lock")
    return 0
