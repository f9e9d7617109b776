"""The binder and the table: conversions, refusals, and that every number is accounted for."""

from types import SimpleNamespace
from typing import Any

import pytest

from sentry.kernel.state import Instrument
from sentry.syscalls.binder import Calls, Fd, Flags, Int, Long, Ptr, Size, bind, converters
from sentry.syscalls.table import ABSENT, GROUPS, amd64, build
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
    for group in GROUPS:
        for name, handler in group.handlers.items():
            assert len(converters(handler)) <= 6, name


def test_every_number_is_accounted_for() -> None:
    """Handled, or absent with a reason."""
    handled = {name for group in GROUPS for name in group.handlers}
    assert handled | set(ABSENT) == set(AMD64.values())
    assert not handled & set(ABSENT)
    assert all(len(reason) > 10 for reason in ABSENT.values())
    assert len(amd64()) == max(AMD64) + 1


def test_build_refuses_what_is_wrong() -> None:
    """Handled twice, both, neither, unknown."""
    one, two = Calls("one"), Calls("two")
    for group in (one, two):
        group.named("read")(lambda _task: 0)
    with pytest.raises(ValueError, match="read is handled twice"):
        build({0: "read"}, (one, two), {})
    with pytest.raises(ValueError, match="read"):
        build({0: "read"}, (one,), {"read": "because"})
    with pytest.raises(ValueError, match="write"):
        build({0: "read", 1: "write"}, (one,), {})
    with pytest.raises(ValueError, match="sing"):
        build({0: "read"}, (one,), {"sing": "no such call"})
    with pytest.raises(ValueError, match="two handlers"):
        one.named("read")(lambda _task: 0)


def test_absent_and_unknown_numbers_are_reported() -> None:
    """ENOSYS, and the instrument sees it."""
    table = build({0: "read", 3: "close"}, (), {"read": "later", "close": "later"})
    seen: list[int] = []

    class Watching(Instrument):
        def unimplemented(self, task: object, nr: int) -> None:
            del task
            seen.append(nr)

    task = SimpleNamespace(kernel=SimpleNamespace(instrument=Watching()))
    assert [table[nr](task, 0, 0, 0, 0, 0, 0) for nr in range(4)] == [-38] * 4
    assert seen == [0, 1, 2, 3]
