"""A hostile guest gets nothing: no call of the host's kernel, no look at the host through a path."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import FLAGS, Sandbox

SOURCE = Path(__file__).resolve().parent / "escape" / "escape.c"
SECRET = "a-word-that-only-the-sentry-has"  # noqa: S105  (no password)
EXPECTED = [
    "host's processes seen: 0",
    "foreign memories opened: 0",
    "int80: tried",
    "x32: tried",
    "sysenter: tried",
    "vsyscall: tried",
    "no page above is writable: yes",
    "nor mapped over: ENOMEM",
    "stub: tried",
    "end: reached",
]


@pytest.mark.guest
def test_a_hostile_guest_gets_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """Every attempt is made, none shows on the host, and the sandbox outlives them all."""
    place = tmp_path / "place"
    place.mkdir()
    argv = ["gcc", *FLAGS, "-o", str(place / "escape"), str(SOURCE)]
    subprocess.run(argv, check=True)
    # The word stands in the sentry's own environment and not in the guest's: env takes it out inside.
    ended = sandbox.run(
        ["/usr/bin/env", "-u", "SENTRY_WORD", "./escape", str(os.getpid()), SECRET[::-1]],
        place,
        environment={"SENTRY_WORD": SECRET},
    )
    assert ended.out.decode().splitlines() == EXPECTED, ended.err.decode()
    assert ended.status == 0
    assert [path.name for path in place.iterdir()] == ["escape"]
    shutil.rmtree(place)
