"""Guests that do what no program would."""

from pathlib import Path

import pytest

from tests.conftest import Guests, Sandbox, run


@pytest.mark.guest
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_calls(seed: int, sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """Thousands of random calls with hostile arguments hurt the caller alone: the kernel survives."""
    program = guests.program("hostile/random", "static")
    ended = sandbox.run([program, str(seed), "12"], tmp_path)
    assert ended.out.endswith(b"alive\n"), ended
    assert ended.status == 0


@pytest.mark.guest
def test_forged_frames(sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """A signal frame that no kernel has made has the effect that it has on the host."""
    program = guests.program("hostile/frames", "dynamic")
    host = run([program], tmp_path)
    ended = sandbox.run([program], tmp_path)
    assert ended.out == host.out
    assert ended.out.count(b"\n") == 25


PARTS = b"changing arguments,stops,exec over threads,descriptors,clone flags,programs,alive,".replace(b",", b"\n")


@pytest.mark.guest
@pytest.mark.parametrize("torture", ["", "1"])
def test_races(torture: str, sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """Threads, signals, exec and descriptors that race; a file of the host keeps its content."""
    program = guests.program("hostile/races", "dynamic")
    keep = tmp_path / "keep"
    keep.write_text("content")
    ended = sandbox.run([program, keep], tmp_path, environment={"SENTRY_TORTURE": torture} if torture else None)
    assert ended.out == PARTS, ended
    assert ended.status == 0
    assert keep.read_text() == "content"
