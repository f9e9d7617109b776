"""Random calls give the same answers in the sandbox and on the host; `fuzz/same.py` has the long run."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import Guests, Sandbox, run
from tests.test_guests import difference

GROUPS = ("names", "io", "events", "sockets", "memory", "signals", "ids", "processes", "ipc")
NEW_ORDER = (6, 17)
"""The Linux whose orders of errors the kernel has; an older host differs in a few."""


@pytest.mark.guest
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("group", GROUPS)
def test_random_calls_answer_alike(group: str, seed: int, sandbox: Sandbox, guests: Guests) -> None:
    """Values, errors and what they leave behind are equal, call by call."""
    program = guests.program("random/same", "static")
    argv = [str(program), str(seed), "300", group]
    with TemporaryDirectory(prefix="same-", dir="/var/tmp") as folder:  # in /tmp the folder would be a mount
        places = Path(folder, "host/a/b/c"), Path(folder, "sandbox/a/b/c")  # deep enough for `..` to stay inside
        for place in places:
            place.mkdir(parents=True)
        host, ours = run(argv, places[0]), sandbox.run(argv, places[1])
    assert ours.out.endswith(b"done\n"), ours
    if tuple(map(int, os.uname().release.split(".")[:2])) >= NEW_ORDER:
        assert ours.out == host.out, difference(host, ours)
    assert (ours.status, host.status) == (0, 0)
