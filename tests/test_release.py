"""The release gate: versions move with what they are versions of."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from tools.house import release
from tools.house.workspace import Package

DAY = release.DAY
DAY_ONE = 20_000
"""When the package of these tests got its version."""
PROJECT = """[project]
name = "sentry-thing"
version = "0.2.0"
dependencies = [
    "sentry-abi>=0.1,<0.2",
]

[tool.poetry.dependencies]
sentry-abi = { path = "../abi" }
"""


class Repository:
    """A repository with one package, whose commits are made on days of our choice."""

    def __init__(self, root: Path) -> None:
        """Make it, with version 0.2.0 on the first day."""
        self.root = root
        self.folder = root / "libs" / "thing"
        (self.folder / "src" / "sentry_thing").mkdir(parents=True)
        (self.folder / "src" / "sentry_thing" / "__init__.py").write_text("")
        (self.folder / "pyproject.toml").write_text(PROJECT)
        (self.folder / "CHANGELOG.md").write_text("# Changes\n\n## 0.2.0\n\n- More.\n\n## 0.1.0\n\n- First.\n")
        self.git("init", "--quiet")
        self.commit("first", DAY_ONE)

    def git(self, *words: str, day: int = DAY_ONE) -> None:
        """Run git with an author, on a day."""
        stamp = f"{day * DAY + 3600} +0000"
        environment = {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp, "GIT_CONFIG_GLOBAL": os.devnull}
        person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *person, *words], cwd=self.root, env=os.environ | environment, check=True)

    def commit(self, subject: str, day: int) -> None:
        """Commit everything."""
        self.git("add", "-A", day=day)
        self.git("commit", "--quiet", "-m", subject, day=day)

    def write(self, name: str, text: str) -> None:
        """Write a file of the package."""
        (self.folder / name).write_text(text)

    def problems(self, *, abi: str = "0.1.0", today: int = DAY_ONE + 5, history: bool = True) -> list[str]:
        """Return what the gate says of the package."""
        project = tomllib.loads((self.folder / "pyproject.toml").read_text())
        package = Package(self.folder, "sentry_thing", project)
        return release.problems(package, {"sentry-abi": abi}, history=history, today=today)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give a repository without problems."""
    return Repository(tmp_path)


def test_a_changed_package_needs_a_version(repository: Repository) -> None:
    """The change is named; a new version with its heading is the cure."""
    assert repository.problems() == []
    repository.write("src/sentry_thing/_new.py", "x = 1\n")
    repository.commit("Something new", DAY_ONE + 1)
    (line,) = repository.problems()
    assert line.startswith("thing: has changed since 0.2.0, which needs a new version: ")
    assert line.endswith("Something new")
    assert repository.problems(history=False) == []
    repository.write("pyproject.toml", PROJECT.replace("0.2.0", "0.2.1"))
    repository.write("CHANGELOG.md", "# Changes\n\n## 0.2.1\n\n- Something new.\n")
    assert repository.problems() == [], "before it is committed"
    repository.commit("thing 0.2.1", DAY_ONE + 2)
    assert repository.problems() == [], "and afterwards"


def test_a_version_holds_for_its_day(repository: Repository) -> None:
    """What changes on the day of the version belongs to it, committed or not; tests and prose never count."""
    repository.write("src/sentry_thing/_new.py", "x = 1\n")
    assert repository.problems(today=DAY_ONE) == []
    assert len(repository.problems(today=DAY_ONE + 1)) == 1, "not committed"
    repository.commit("Something new", DAY_ONE)
    assert repository.problems() == []
    repository.write("README.md", "Read me.\n")
    repository.commit("A readme", DAY_ONE + 1)
    assert repository.problems() == []


def test_a_change_that_was_taken_back(repository: Repository) -> None:
    """What is as it was needs no version."""
    repository.write("src/sentry_thing/_new.py", "x = 1\n")
    repository.commit("Something new", DAY_ONE + 1)
    (repository.folder / "src" / "sentry_thing" / "_new.py").unlink()
    repository.commit("Something old", DAY_ONE + 2)
    assert repository.problems() == []


def test_changed_dependencies(repository: Repository) -> None:
    """A range of a dependency is a change of the package; a range that does not admit what is there is wrong."""
    assert repository.problems(abi="0.2.0") == ["thing: wants sentry-abi>=0.1,<0.2, but sentry-abi is at 0.2.0"]
    repository.write("pyproject.toml", PROJECT.replace("<0.2", "<0.3"))
    repository.commit("Another range", DAY_ONE + 1)
    (line,) = repository.problems(abi="0.2.0")
    assert line.endswith("Another range")


def test_headings(repository: Repository) -> None:
    """The newest heading is the version; a heading that names none is not enough."""
    repository.write("CHANGELOG.md", "# Changes\n\n## Unreleased\n\n- More.\n")
    assert repository.problems() == ["thing: CHANGELOG.md begins with Unreleased, not with 0.2.0"]
    (repository.folder / "CHANGELOG.md").unlink()
    assert repository.problems() == ["thing: CHANGELOG.md begins with nothing, not with 0.2.0"]


def test_no_history(tmp_path: Path, repository: Repository) -> None:
    """A shallow clone and a tree without git have no history; a whole one has."""
    assert release.has_history(repository.root)
    repository.write("src/sentry_thing/_new.py", "x = 1\n")
    repository.commit("More", DAY_ONE + 1)
    shallow = tmp_path / "shallow"
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.root}", str(shallow))
    assert not release.has_history(shallow)
    assert release.git(Path("/"), "rev-parse", "--is-shallow-repository") is None
    assert not release.has_history(Path("/"))
