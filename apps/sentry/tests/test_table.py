"""The binder and the table: conversions, refusals, and that every number is accounted for."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from sentry.kernel.instrument import Instrument
from sentry.syscalls.absent import ABSENT
from sentry.syscalls.binder import Calls, Fd, Flags, Int, Long, Ptr, Size, bind, converters
from sentry.syscalls.subjects import NAMES, all_handlers, subjects
from sentry.syscalls.table import amd64, build
from sentry_abi.numbers import AMD64

M64 = (1 << 64) - 1


def test_conversions() -> None:
    """Each register becomes what its annotation says, masked once."""
    seen: list[Any] = []

    def handler(t: object, file: Fd, number: Int, flags: Flags, big: Long, size: Size, pointer: Ptr) -> int:
        seen.append((t, file, number, flags, big, size, pointer))
        return 7

    task = SimpleNamespace(files=SimpleNamespace(get=lambda register: f"file {register}"))
    bound = bind(handler)
    assert bound(task, 3, M64, M64, M64, M64, M64) == 7
    assert seen == [(task, "file 3", -1, 0xFFFF_FFFF, -1, M64, M64)]
    seen.clear()
    bound(task, 0, 1 << 31, 1 << 32 | 5, 1 << 63, 0, 0)
    assert seen == [(task, "file 0", -(1 << 31), 5, -(1 << 63), 0, 0)]


def test_same_signature_same_code() -> None:
    """One function is generated per signature, not per handler."""

    def one(t: object, a: Int) -> int:
        del t
        return a

    def two(t: object, b: Int) -> int:
        del t
        return -b

    first, second = bind(one), bind(two)
    assert first.__code__ is second.__code__
    assert (first(None, 5, 0, 0, 0, 0, 0), second(None, 5, 0, 0, 0, 0, 0)) == (5, -5)


def test_a_parameter_without_a_converter_is_refused() -> None:
    """And the message names it."""

    def handler(t: object, a: int) -> int:
        del t
        return a

    with pytest.raises(TypeError, match="handler: parameter a has no converter"):
        converters(handler)


def test_every_handler_can_be_bound() -> None:
    """No signature is wrong, though numbers are bound on their first call only."""
    for name, handler in all_handlers().items():
        assert len(converters(handler)) <= 6, name


def test_every_number_is_accounted_for() -> None:
    """Handled, or absent with a reason."""
    handled = {name for calls in subjects().values() for name in calls.handlers}
    assert handled == set(NAMES)
    assert handled | set(ABSENT) == set(AMD64.values())
    assert not handled & set(ABSENT)
    assert all(len(reason) > 10 for reason in ABSENT.values())
    assert len(amd64()) == max(AMD64) + 1


def test_build_refuses_what_is_wrong() -> None:
    """Both, neither, unknown; a call with two handlers."""
    with pytest.raises(ValueError, match="read"):
        build({0: "read"}, {"read": "io"}, {"read": "because"})
    with pytest.raises(ValueError, match="write"):
        build({0: "read", 1: "write"}, {"read": "io"}, {})
    with pytest.raises(ValueError, match="sing"):
        build({0: "read"}, {"read": "io"}, {"sing": "no such call"})
    one = Calls("one")
    one.named("read")(lambda _task: 0)
    with pytest.raises(ValueError, match="two handlers"):
        one.named("read")(lambda _task: 0)
    assert sum(len(calls.handlers) for calls in subjects().values()) == len(NAMES), "a call is in two modules"


def test_a_subject_is_imported_on_its_first_call() -> None:
    """The table alone imports no handler."""
    script = (
        "import sys; from sentry.syscalls.table import amd64; t = amd64(); a = 'sentry.syscalls.pids' in sys.modules;"
    )
    script += "from types import SimpleNamespace as N; r = t[39](N(group=N(tgid=7)), 0, 0, 0, 0, 0, 0);"
    script += "print(a, r, 'sentry.syscalls.pids' in sys.modules, 'sentry.syscalls.msg' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False 7 True False\n"


def test_absent_and_unknown_numbers_are_reported() -> None:
    """ENOSYS, and the instrument sees it."""
    table = build({0: "read", 3: "close"}, {}, {"read": "later", "close": "later"})
    seen: list[int] = []

    class Watching(Instrument[object]):
        def unimplemented(self, task: object, nr: int) -> None:
            del task
            seen.append(nr)

    task = SimpleNamespace(kernel=SimpleNamespace(instrument=Watching()))
    assert [table[nr](task, 0, 0, 0, 0, 0, 0) for nr in range(4)] == [-38] * 4
    assert seen == [0, 1, 2, 3]
