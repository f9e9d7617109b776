"""The release gate: a package that has changed has a new version, and its CHANGELOG.md tells what is in it.

A version holds for the day (UTC) on which it is set: what changes in the same package later that day belongs to it,
what changes afterwards needs the next one. Counted as changes are files below `src/` and the ranges of dependencies.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from tools.house.layout import dependencies
from tools.house.workspace import ROOT, Package, packages

VERSION_LINE: Final = "^version = "
DEPENDENCY_LINE: Final = '^ *"[a-z0-9-]+[<>=]'
DAY: Final = 86_400


class Standing(NamedTuple):
    """A version and what has happened since."""

    version: str
    day: int
    """When it was set, in days since 1970; 0 if that is not committed yet."""
    changes: list[str]
    """Subjects of the commits that need a new version, the newest first."""


def git(folder: Path, *words: str) -> str | None:
    """Return what git prints, run in a folder; None if it fails or is not there."""
    try:
        done = subprocess.run(["git", *words], cwd=folder, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def has_history(root: Path) -> bool:
    """Return whether git knows the whole history of a tree."""
    return (git(root, "rev-parse", "--is-shallow-repository") or "").strip() == "false"


def standing(package: Package, today: int | None = None) -> Standing:
    """Return the version of a package and what has changed since the day on which it was set."""
    version = str(package.project["project"]["version"])
    folder = package.folder
    if today is None:
        today = int(time.time()) // DAY
    if git(folder, "diff", "HEAD", f"-G{VERSION_LINE}", "--name-only", "--", "pyproject.toml"):
        return Standing(version, 0, [])  # about to be set
    set_by = (git(folder, "log", "-1", "--format=%H %ct", f"-G{VERSION_LINE}", "--", "pyproject.toml") or "").split()
    if not set_by:
        return Standing(version, 0, [])
    commit, day = set_by[0], int(set_by[1]) // DAY
    changes = []
    if today > day and git(folder, "status", "--porcelain", "--", "src"):
        changes.append("not committed yet")
    changes += later(folder, commit, day, "--", "src")
    changes += later(folder, commit, day, f"-G{DEPENDENCY_LINE}", "--", "pyproject.toml")
    return Standing(version, day, changes)


def later(folder: Path, commit: str, day: int, *what: str) -> list[str]:
    """Return the commits that changed something after a day; none if it is as it was on that day."""
    log = git(folder, "log", "--format=%ct %h %s", f"{commit}..HEAD", *what) or ""
    found = [line.partition(" ")[2] for line in log.splitlines() if int(line.partition(" ")[0]) // DAY > day]
    if found and git(folder, "diff", "--quiet", found[-1].partition(" ")[0] + "^", *what) is not None:
        return []
    return found


def headings(changelog: Path) -> list[str]:
    """Return the headings of the versions in a CHANGELOG.md, the newest first."""
    lines = changelog.read_text().splitlines() if changelog.exists() else []
    return [line.removeprefix("## ").strip() for line in lines if line.startswith("## ")]


def problems(package: Package, versions: dict[str, str], *, history: bool, today: int | None = None) -> list[str]:
    """Return a line for each thing that is wrong with the version of a package."""
    version = str(package.project["project"]["version"])
    found = []
    named = headings(package.folder / "CHANGELOG.md")
    if named[:1] != [version]:
        found.append(f"CHANGELOG.md begins with {named[0] if named else 'nothing'}, not with {version}")
    found += [line for line in dependencies(package, versions) if line.startswith("wants")]
    if history:
        changes = standing(package, today).changes
        if changes:
            found.append(f"has changed since {version}, which needs a new version: {changes[0]}")
    return [f"{package.name}: {line}" for line in found]


def run() -> int:
    """Print a table of all packages and every problem; return 1 if there is one."""
    history = has_history(ROOT)
    if history:
        print(f"{'package':14} {'version':9} {'set on':11} changes since")
        for package in packages():
            version, day, changes = standing(package)
            when = time.strftime("%Y-%m-%d", time.gmtime(day * DAY)) if day else "now"
            print(f"{package.name:14} {version:9} {when:11} {len(changes) or '-'}")
    return check()


def check() -> int:
    """Print every problem; return 1 if there is one."""
    history = has_history(ROOT)
    if not history:
        print("release: no history of git here, so that changes are not compared with versions")
    versions = {p.distribution: str(p.project["project"]["version"]) for p in packages()}
    found = [line for package in packages() for line in problems(package, versions, history=history)]
    for line in found:
        print(line, file=sys.stderr)
    return int(bool(found))
