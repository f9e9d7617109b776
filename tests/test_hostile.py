"""Guests that do what no program would."""

from pathlib import Path

import pytest

from tests.conftest import Guests, Sandbox


@pytest.mark.guest
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_calls(seed: int, sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """Thousands of random calls with hostile arguments hurt nobody but the caller: the kernel lives on."""
    program = guests.program("hostile/random", "static")
    ended = sandbox.run([program, str(seed), "12"], tmp_path)
    assert ended.out.endswith(b"alive\n"), ended
    assert ended.status == 0
