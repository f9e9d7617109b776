"""The map of ranges against a plain dictionary of positions."""

from hypothesis import given
from hypothesis import strategies as st

from sentry_pgalloc import _ranges
from sentry_pgalloc._ranges import Ranges

spans = st.tuples(st.integers(0, 60), st.integers(1, 12))
steps = st.lists(st.tuples(spans, st.one_of(st.none(), st.integers(0, 2))), max_size=60)


def _expected(model: dict[int, int]) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for position in sorted(model):
        value = model[position]
        if found and found[-1][1] == position and found[-1][2] == value:
            found[-1] = (found[-1][0], position + 1, value)
        else:
            found.append((position, position + 1, value))
    return found


@given(steps)
def test_it_is_a_merged_map_of_positions(program: list[tuple[tuple[int, int], int | None]]) -> None:
    """Everything it says is what a dictionary of single positions says, merged."""
    ranges, model = Ranges(), dict[int, int]()
    for (start, length), value in program:
        if value is None:
            ranges.clear(start, start + length)
            for position in range(start, start + length):
                model.pop(position, None)
        else:
            ranges.set(start, start + length, value)
            model.update(dict.fromkeys(range(start, start + length), value))
            ranges.shift(start, start + length, delta := length & 1)
            for position in range(start, start + length):
                model[position] += delta
            whole = _around(model, start)
            ranges.shift(*whole, 1)
            for position in range(*whole):
                model[position] += 1
        assert list(ranges) == _expected(model)
        assert len(ranges) == len(_expected(model))
        assert ranges.within(start, start + length) == _clipped(model, start, start + length)
    for position in range(80):
        found = ranges.at(position)
        assert (found[2] if found else None) == model.get(position)


def _around(model: dict[int, int], position: int) -> tuple[int, int]:
    """Return a covered range around position that cuts what lies at its ends."""
    start = end = position
    while start - 1 in model and position - start < 5:
        start -= 1
    while end in model and end - position < 5:
        end += 1
    return start, end


def _clipped(model: dict[int, int], start: int, end: int) -> list[tuple[int, int, int]]:
    return [(max(a, start), min(b, end), v) for a, b, v in _expected(model) if a < end and b > start]


def test_many_ranges_use_many_blocks() -> None:
    """Beyond one block of starts the answers stay right, and empty blocks go away."""
    ranges = Ranges()
    count = 5 * _ranges._BLOCK
    for index in range(count):
        ranges.set(index * 4, index * 4 + 2, index & 1)
    assert len(ranges._blocks) > 4
    assert ranges.at(4 * 3000 + 1) == (12000, 12002, 0)
    assert ranges.at(4 * 3000 + 3) is None
    assert len(ranges.within(100, 4 * count)) == count - 25
    ranges.clear(40, 4 * count - 40)
    assert len(ranges) == 20
    ranges.set(0, 4 * count, 7)
    assert list(ranges) == [(0, 4 * count, 7)]
    assert ranges.within(8, 12) == [(8, 12, 7)]
    assert ranges.at(4 * count) is None


def test_blocks_left_empty_are_skipped() -> None:
    """A floor in an emptied first block, and one before everything."""
    ranges = Ranges()
    assert ranges.at(5) is None
    for index in range(3000):
        ranges.set(index * 4, index * 4 + 2, 0)
    ranges.clear(0, 4 * 2990)
    assert ranges.at(3) is None
    assert ranges.at(4 * 2995) == (11980, 11982, 0)
    assert ranges.within(0, 20000)[0] == (11960, 11962, 0)
