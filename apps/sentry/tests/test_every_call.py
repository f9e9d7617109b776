"""A gate: each subject module of handlers has its test file, and each of its calls is made there by name."""

from pathlib import Path

import pytest

from apps.sentry.tests.plain import MASK64, Program
from sentry.kernel.pending import Pending
from sentry.syscalls._index import SUBJECTS
from sentry.syscalls.binder import Calls, FdNum, Int, Long, Size, UInt, bind
from sentry.syscalls.subjects import subject

FOLDER = Path(__file__).parent


def missing(name: str, calls: Calls, folder: Path) -> list[str]:
    """Return what the test file of a module lacks."""
    file = folder / f"test_calls_{name}.py"
    if not file.exists():
        return [file.name]
    text = file.read_text()
    return [call for call in calls.handlers if f'"{call}"' not in text]


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_every_call_is_tested(name: str) -> None:
    """No call of the module is left out."""
    assert missing(name, subject(name), FOLDER) == []


def test_the_gate(tmp_path: Path) -> None:
    """It fails for a module without a file, and for a call without a test."""
    calls = subject("uts")
    assert missing("uts", calls, tmp_path) == ["test_calls_uts.py"]
    (tmp_path / "test_calls_uts.py").write_text('"uname" "sethostname"')
    assert missing("uts", calls, tmp_path) == ["setdomainname"]


def test_registers(p: Program) -> None:
    """The binder extends signs, masks, and leaves 64 bits alone."""
    seen: list[tuple[int, ...]] = []

    def handler(_t: object, a: Int, b: UInt, c: Long, d: Size, e: FdNum) -> int | Pending:
        seen.append((a, b, c, d, e))
        return 0

    bound = bind(handler)
    for register, expected in (
        (MASK64, (-1, 0xFFFF_FFFF, -1, MASK64, -1)),
        (1 << 32, (0, 0, 1 << 32, 1 << 32, 0)),
        (1 << 31, (-(1 << 31), 1 << 31, 1 << 31, 1 << 31, -(1 << 31))),
        (1 << 63, (0, 0, -(1 << 63), 1 << 63, 0)),
    ):
        bound(p.t, *[register] * 5, 0)
        assert seen.pop() == expected
