"""What the tests of whole sandboxes share: how a program is run in one, and the guest programs, built once per run."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SENTRY = ROOT / ".venv" / "bin" / "sentry"
GUESTS = Path(__file__).resolve().parent / "guests"
PLATFORMS = ("notify", "ptrace")
FLAGS = ("-std=gnu17", "-O1", "-w", "-pthread")
LIMIT_S = 60.0
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
    "LANG": "C.UTF-8",
}


class Ended(NamedTuple):
    """How a program ended."""

    status: int
    """Exit status, or minus a signal number."""
    out: bytes
    err: bytes


def run(
    argv: Sequence[str | Path], folder: Path, *, given: bytes = b"", environment: dict[str, str] | None = None
) -> Ended:
    """Run a program in a folder with a small fixed environment.

    Raises: subprocess.TimeoutExpired, the program's whole session killed by then.
    """
    process = subprocess.Popen(
        [str(a) for a in argv], cwd=folder, env=ENVIRONMENT | (environment or {}), start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            out, err = process.communicate(given, timeout=LIMIT_S)
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, 9)
            out, err = process.communicate()
            late.output, late.stderr = out, err
            raise
    return Ended(process.returncode, out, err)


class Sandbox:
    """Runs programs under `sentry do` on one platform."""

    def __init__(self, platform: str) -> None:
        """Choose the platform."""
        self.platform = platform

    def run(
        self,
        argv: Sequence[str | Path],
        folder: Path,
        *,
        given: bytes = b"",
        environment: dict[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> Ended:
        """Run a program in a sandbox, with options of `sentry do`; as `run`."""
        words = [SENTRY, "do", "--platform", self.platform, *options, "--", *argv]
        return run(words, folder, given=given, environment=environment)

    def shell(self, script: str, folder: Path, *, given: bytes = b"") -> Ended:
        """Run a shell script in a sandbox."""
        return self.run(["/bin/sh", "-c", script], folder, given=given)


def chosen_platforms() -> list[str]:
    """Return the platforms that sandboxes are tested on: all, but those that SENTRY_WITHOUT names.

    One that does not work here is not left out: its tests fail.
    """
    without = os.environ.get("SENTRY_WITHOUT", "").replace(",", " ").split()
    unknown = sorted(set(without) - set(PLATFORMS))
    assert not unknown, f"SENTRY_WITHOUT names {', '.join(unknown)}; there are: {', '.join(PLATFORMS)}"
    return [name for name in PLATFORMS if name not in without]


def pytest_report_header() -> str:
    """Print which platforms run."""
    return f"platforms: {', '.join(chosen_platforms()) or 'none'}"


@pytest.fixture(scope="session", params=chosen_platforms())
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Run programs on each platform."""
    return Sandbox(request.param)


class Guests:
    """Guest programs, compiled when first asked for."""

    def __init__(self, folder: Path) -> None:
        """Compile into folder."""
        self.folder = folder

    def program(self, name: str, linkage: str) -> Path:
        """Return the path of a compiled guest, linkage `static` or `dynamic`. The file is called as the source."""
        path = self.folder / linkage / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True, parents=True)
            extra = ["-static"] if linkage == "static" else []
            argv = ["gcc", *FLAGS, *extra, "-o", str(path), str(GUESTS / f"{name}.c")]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        return path


@pytest.fixture(scope="session")
def guests() -> Iterator[Guests]:
    """Give the guest programs, in a folder outside /tmp: the sandbox has a /tmp of its own."""
    with TemporaryDirectory(prefix="guests-", dir="/var/tmp") as folder:
        yield Guests(Path(folder))
