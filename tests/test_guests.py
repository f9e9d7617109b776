"""The host is the oracle: each guest program prints the same and ends the same in the sandbox.

To add a check, add a line to a program in `guests/`, or a program: every `*.c` there is found by itself. A program
runs in an empty folder of its own and prints lines `name: value` that do not depend on the run or the machine.
"""

import difflib
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


@pytest.mark.guest
@pytest.mark.parametrize("linkage", ["dynamic", "static"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_same_as_host(program: str, linkage: str, sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """Exit status and standard output are equal."""
    path = guests.program(program, linkage)
    places = [tmp_path / "host", tmp_path / "sandbox"]
    for place in places:
        place.mkdir()
    host = run([path], places[0])
    assert host.status >= 0, "the guest fails on the host"
    ours = sandbox.run([path], places[1])
    assert ours.out == host.out, difference(host, ours)
    assert ours.status == host.status, ours.err.decode(errors="replace")
    assert not list(places[1].iterdir()), "the guest has written to the host"


@pytest.mark.guest
@pytest.mark.parametrize("program", PROGRAMS)
def test_same_in_torture(program: str, sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """Encoding, dropping and entering again every waiting call changes nothing."""
    path = guests.program(program, "dynamic")
    places = [tmp_path / "host", tmp_path / "sandbox"]
    for place in places:
        place.mkdir()
    host = run([path], places[0])
    ours = sandbox.run([path], places[1], SENTRY_TORTURE="1")
    assert ours.out == host.out, difference(host, ours)
    assert ours.status == host.status
