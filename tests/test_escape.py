"""A guest that tries to get out gets nothing (hazards 1.8, 1.10, 5)."""

from pathlib import Path

import pytest

from tests.conftest import Guests, Sandbox


@pytest.mark.guest
def test_nothing_gets_out(sandbox: Sandbox, guests: Guests, tmp_path: Path) -> None:
    """All attacks are held, the kernel is alive afterwards, and the folder that they try to make is not on the host."""
    program = guests.program("hostile/escape", "dynamic")
    forbidden = tmp_path / "forbidden"
    ended = sandbox.run([program, str(forbidden)], tmp_path)
    lines = ended.out.decode().splitlines()
    assert lines[-1:] == ["alive"], ended
    assert [line for line in lines if "ESCAPED" in line] == []
    assert len(lines) > 25, lines
    assert ended.status == 0
    assert not forbidden.exists()
