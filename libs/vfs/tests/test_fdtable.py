"""Descriptor tables against a dictionary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_abi.errors import EBADF, EINVAL, EMFILE
from sentry_vfs import FDTable, FileDescription

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["install", "at", "close", "cloexec", "exec", "fork", "range"]), st.integers(-2, 12)),
    max_size=60,
)


class Counted(FileDescription):
    """Knows whether it was released."""

    __slots__ = ("released",)

    def __init__(self) -> None:
        """Make one."""
        super().__init__(2, None, None)
        self.released = False

    def release(self) -> None:
        """Remember; a second time is a mistake."""
        assert not self.released
        self.released = True


@given(OPERATIONS)
def test_behaves_as_a_dictionary(operations: list[tuple[str, int]]) -> None:
    """Lowest free number, counts and close-on-exec are right after any sequence."""
    limit = 10
    table = FDTable()
    model: dict[int, tuple[Counted, bool]] = {}
    every: list[Counted] = []
    for name, number in operations:
        if name == "install":
            file = Counted()
            free = next((n for n in range(max(number, 0), limit) if n not in model), None)
            if number < 0:
                with pytest.raises(EINVAL):
                    table.install(file, number, limit=limit)
            elif free is None:
                with pytest.raises(EMFILE):
                    table.install(file, number, limit=limit)
            else:
                assert table.install(file, number, cloexec=bool(number & 1), limit=limit) == free
                model[free] = file, bool(number & 1)
                every.append(file)
        elif name == "at":
            file = Counted()
            if 0 <= number < limit:
                table.install_at(file, number, limit=limit)
                model[number] = file, False
                every.append(file)
            else:
                with pytest.raises(EBADF):
                    table.install_at(file, number, limit=limit)
        elif name in {"close", "cloexec"}:
            if number not in model:
                with pytest.raises(EBADF):
                    table.close(number)
            elif name == "close":
                table.close(number)
                del model[number]
            else:
                table.set_cloexec(number)
                model[number] = model[number][0], True
        elif name == "exec":
            table.close_on_exec()
            model = {n: entry for n, entry in model.items() if not entry[1]}
        elif name == "range":
            table.close_range(max(number, 0), max(number, 0) + 2)
            model = {n: entry for n, entry in model.items() if not max(number, 0) <= n <= max(number, 0) + 2}
        else:
            other = table.fork()
            assert {n: f for n, f in other} == {n: entry[0] for n, entry in model.items()}  # noqa: C416  (not a mapping)
            other.release()
        assert {n: (f, table.cloexec(n)) for n, f in table} == model
        for file in every:
            held = sum(entry[0] is file for entry in model.values())
            assert file.refs == held
            assert file.released == (held == 0)


def test_registers_are_masked() -> None:
    """Only the low 32 bits of a register count, and -1 is no descriptor."""
    table = FDTable()
    file = Counted()
    table.install(file)
    assert table.get(1 << 32) is file
    for bad in (-1, 0xFFFF_FFFF, 1, 1 << 31):
        with pytest.raises(EBADF):
            table.get(bad)


def test_many_descriptors_up_to_the_limit() -> None:
    """Filling 2048 numbers is linear; then EMFILE until one is free, while replacing goes on working."""
    table = FDTable()
    file = Counted()
    for expected in range(2048):
        assert table.install(file, limit=2048) == expected
    with pytest.raises(EMFILE):
        table.install(file, limit=2048)
    table.install_at(Counted(), 7, limit=2048)
    table.close(100)
    assert table.install(file, limit=2048) == 100
    table.close_all()
    assert file.released


def test_full_table() -> None:
    """A table is full when no number below the limit is free."""
    table = FDTable()
    assert not table.is_full(1)
    for _ in range(3):
        table.install(FileDescription(0, None, None))
    assert table.is_full(3)
    assert not table.is_full(4)
    table.close(1)
    assert not table.is_full(3)
