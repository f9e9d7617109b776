"""The layout gate: every library is a whole distribution, and what it declares is what it imports.

Poetry checks the version of a path dependency only while it locks; here each range is compared with the version of
the folder.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tools.house.workspace import ROOT, Package, packages, root_project

ROOT_FILES = {
    ".ci", ".git", ".gitignore", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE", "README.md", "apps", "docs", "fuzz",
    "libs", "poetry.lock", "poetry.toml", "pyproject.toml", "tests", "tools",
}  # fmt: skip
"""What lies in the root; more is something that a test or a tool has left behind."""
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "tests")
RANGE = re.compile(r"^(?P<name>[a-z0-9-]+)>=(?P<low>[0-9.]+),<(?P<high>[0-9.]+)$")
# Distribution names that differ from what is imported.
IMPORTED_AS = {"pyelftools": "elftools", "python-ptrace": "ptrace"}


def version(text: str) -> tuple[int, ...]:
    """Return a dotted version as numbers that compare."""
    return tuple(int(part) for part in text.split("."))


def imported(folder: Path) -> set[str]:
    """Return the top-level names that the modules below folder import, those for type checking included."""
    names: set[str] = set()
    for file in folder.rglob("*.py*"):
        if file.suffix not in {".py", ".pyi"}:
            continue
        for node in ast.walk(ast.parse(file.read_text(), str(file))):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def parts(package: Package) -> Iterator[str]:
    """Yield what the folder of a package lacks."""
    for name in FILES:
        if not (package.folder / name).exists():
            yield f"has no {name}"
    if not (package.source / "py.typed").exists():
        yield "has no py.typed"
    readme = package.folder / "README.md"
    if package.landed and readme.exists() and len(readme.read_text().splitlines()) < 10 and package.module != "sentry":
        yield "its README.md says less than purpose, example, floor and sources"
    if package.landed and not list(package.folder.glob("tests/test_*.py")):
        yield "has no test"


def dependencies(package: Package, versions: dict[str, str]) -> Iterator[str]:
    """Yield where ranges, path dependencies and imports of a package disagree."""
    declared = package.project["project"].get("dependencies", [])
    paths = package.project["tool"]["poetry"].get("dependencies", {})
    siblings = set()
    for line in declared:
        if not line.startswith("sentry-"):
            continue
        match = RANGE.match(line.replace(" ", ""))
        if match is None:
            yield f"dependency {line!r} is not a range like sentry-abi>=0.1,<0.2"
            continue
        name = match["name"]
        siblings.add(name)
        if name not in versions:
            yield f"depends on {name}, which does not exist"
        elif not version(match["low"]) <= version(versions[name]) < version(match["high"]):
            yield f"wants {line}, but {name} is at {versions[name]}"
        if name not in paths:
            yield f"{name} has a range but no path dependency"
    for name in sorted(set(paths) - siblings):
        yield f"{name} has a path dependency but no range"
    if package.landed:
        yield from imports(package, siblings)


def imports(package: Package, siblings: set[str]) -> Iterator[str]:
    """Yield where what a package and its tests import is not what it depends on."""
    used = imported(package.source) | imported(package.folder / "tests")
    wanted = {name.replace("_", "-") for name in used if name.startswith("sentry_")} - {package.distribution}
    for name in sorted(wanted - siblings):
        yield f"imports {name} without depending on it"
    if package.folder.parent.name == "libs":
        for name in sorted(siblings - wanted):
            yield f"depends on {name} without importing it"


def lock(found: list[Package]) -> Iterator[str]:
    """Yield where poetry.lock is older than a package's own declarations."""
    locked = {p["name"]: p for p in tomllib.loads((ROOT / "poetry.lock").read_text())["package"]}
    for package in found:
        entry = locked.get(package.distribution)
        if entry is None:
            yield f"{package.distribution} is not in poetry.lock: tools/dev lock"
            continue
        names = {
            re.split(r"[<>=~!;\[ ]", line)[0].lower() for line in package.project["project"].get("dependencies", [])
        }
        if names != {name.lower() for name in entry.get("dependencies", {})}:
            yield f"poetry.lock does not know the dependencies of {package.distribution}: tools/dev lock"


def strays() -> Iterator[str]:
    """Yield what is in the root, is none of `ROOT_FILES` and not ignored."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]
    for path in sorted(ROOT.iterdir()):
        if path.name not in ROOT_FILES and not any(path.match(pattern) for pattern in ignored):
            yield f"{path.name} lies in the root of the repository and is not one of ROOT_FILES"


def problems() -> list[str]:
    """Return every complaint, one line each."""
    found = packages()
    versions = {package.distribution: package.project["project"]["version"] for package in found}
    floors = {name for names in root_project()["tool"]["sentry"]["floors"].values() for name in names}
    lines = []
    for package in found:
        where = package.folder.relative_to(ROOT)
        lines += [f"{where}: {text}" for text in (*parts(package), *dependencies(package, versions))]
        if package.folder.parent.name == "libs" and package.name not in floors:
            lines.append(f"{where}: has no floor in pyproject.toml")
        if package.distribution not in root_project()["tool"]["poetry"]["dependencies"]:
            lines.append(f"{where}: is not a dependency of the root pyproject.toml")
        path = f"$MYPY_CONFIG_FILE_DIR/{where}/src"
        if path not in root_project()["tool"]["mypy"]["mypy_path"]:
            lines.append(f"{where}: is not in mypy_path of the root pyproject.toml")
    recipes = {file.read_bytes() for file in ROOT.glob("libs/*/build_native.py")}
    if len(recipes) > 1:
        lines.append("libs/*/build_native.py differ: the recipe is one text, change all of them")
    return lines + list(strays()) + list(lock(found))


def check() -> int:
    """Print every complaint; return 1 if there is one."""
    lines = problems()
    print(*lines, sep="\n", end="\n" if lines else "")
    if not lines:
        print(f"layout: {len(packages())} distributions in order")
    return int(bool(lines))
