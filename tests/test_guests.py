"""The host is the oracle: each guest program prints the same and ends the same in the sandbox.

To add a check, add a line to a program in `guests/`, or a program: every `*.c` there is found by itself. A program
runs in an empty folder of its own and prints lines `name: value` that do not depend on the run or the machine.
"""

import difflib
import shutil
from pathlib import Path

import pytest

from tests.conftest import GUESTS, Ended, Guests, Sandbox, run

PROGRAMS = sorted(path.stem for path in GUESTS.glob("*.c"))


def difference(host: Ended, ours: Ended) -> str:
    """Return the lines that differ, and what the sandbox said on standard error."""
    lines = difflib.unified_diff(
        host.out.decode(errors="replace").splitlines(),
        ours.out.decode(errors="replace").splitlines(),
        "host", "sandbox", lineterm="", n=1,
    )  # fmt: skip
    return "\n".join([*lines, ours.err.decode(errors="replace")[-2000:]])


def both(
    program: Path, sandbox: Sandbox, folder: Path, environment: dict[str, str] | None = None
) -> tuple[Ended, Ended]:
    """Run a program on the host and in the sandbox, each in a folder with the program alone.

    A sandbox has a /tmp of its own, in which the working directory alone is the host's.
    """
    for place in (folder / "host", folder / "sandbox"):
        place.mkdir()
        shutil.copy2(program, place)
    argv = [f"./{program.name}"]
    ended = (run(argv, folder / "host"), sandbox.run(argv, folder / "sandbox", environment=environment))
    assert [path.name for path in (folder / "sandbox").iterdir()] == [program.name], "the guest has changed the host"
    return ended


@pytest.mark.guest
@pytest.mark.parametrize("linkage", ["dynamic", "static"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_same_as_host(program: str, linkage: str, sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """Exit status and standard output are equal."""
    host, ours = both(guests.program(program, linkage), sandbox, tmp_path)
    assert host.status >= 0, "the guest fails on the host"
    assert ours.out == host.out, difference(host, ours)
    assert ours.status == host.status, ours.err.decode(errors="replace")


@pytest.mark.guest
@pytest.mark.parametrize("program", PROGRAMS)
def test_same_in_torture(program: str, sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """Encoding, dropping and entering again every waiting call changes nothing."""
    host, ours = both(guests.program(program, "dynamic"), sandbox, tmp_path, {"SENTRY_TORTURE": "1"})
    assert ours.out == host.out, difference(host, ours)
    assert ours.status == host.status, ours.err.decode(errors="replace")
