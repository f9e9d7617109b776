"""Saturating arithmetic and settings against plain integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_abi.errors import EINVAL
from sentry_ktime import MAX_NS, MIN_NS, SECOND_NS, Setting, add, due, from_seconds, from_unix, saturate, sub, to_unix

TIMES = st.integers(MIN_NS, MAX_NS)
WIDE = st.integers(-(1 << 70), 1 << 70)


@given(TIMES, TIMES)
def test_saturation(a: int, b: int) -> None:
    """Sums and differences are exact or stop at the end on their side."""
    for ours, exact in ((add(a, b), a + b), (sub(a, b), a - b)):
        assert MIN_NS <= ours <= MAX_NS
        assert ours == exact or (exact > MAX_NS and ours == MAX_NS) or (exact < MIN_NS and ours == MIN_NS)


@given(WIDE)
def test_seconds(value: int) -> None:
    """Seconds saturate both ways; splitting rounds towards zero and loses nothing."""
    assert from_seconds(value) == saturate(value * SECOND_NS)
    time_ns = saturate(value)
    seconds, rest = to_unix(time_ns)
    assert from_unix(seconds, rest) == time_ns
    assert abs(rest) < SECOND_NS
    assert seconds * rest >= 0
    assert seconds * time_ns >= 0


def test_ends() -> None:
    """The ends themselves."""
    assert to_unix(-1_500_000_000) == (-1, -500_000_000)
    assert (add(MAX_NS, 1), add(MIN_NS, -1), sub(MIN_NS, 1), sub(MAX_NS, -1)) == (MAX_NS, MIN_NS, MIN_NS, MAX_NS)
    assert (from_seconds(1 << 62), from_seconds(-(1 << 62))) == (MAX_NS, MIN_NS)


@given(st.integers(0, 50), st.integers(0, 20), st.integers(0, 400))
def test_due_against_counting(next_ns: int, period_ns: int, now_ns: int) -> None:
    """What is computed is what counting one by one gives."""
    setting = Setting(enabled=True, next_ns=next_ns, period_ns=period_ns)
    count, at = 0, next_ns
    while at <= now_ns:
        count += 1
        if not period_ns:
            break
        at += period_ns
    after, expirations = setting.at(now_ns)
    assert expirations == count
    if not count:
        assert after is setting
    elif period_ns:
        assert after == (True, at, period_ns)
        assert due(next_ns, period_ns, now_ns) == (count, at)
    else:
        assert after == (False, 0, 0)
    assert after.at(now_ns) == (after, 0)
    assert after.at(now_ns - 100) == (after, 0), "a clock that is set back"


def test_builders() -> None:
    """Zero stops and keeps the period; negative is refused; the far future saturates."""
    assert Setting.relative(5, 7, 100) == (True, 105, 7)
    assert Setting.relative(0, 7, 100) == (False, 0, 7)
    assert Setting.relative(MAX_NS, 0, 100) == (True, MAX_NS, 0)
    assert Setting.absolute(5, 7) == (True, 5, 7)
    assert Setting.absolute(0, 7) == (False, 0, 7)
    for wrong in ((-1, 0), (1, -1)):
        with pytest.raises(EINVAL):
            Setting.absolute(*wrong)
        with pytest.raises(EINVAL):
            Setting.relative(*wrong, 0)
    forever = Setting(enabled=True, next_ns=MAX_NS - 1, period_ns=5)
    assert forever.at(MAX_NS) == ((True, MAX_NS, 5), 1)


def test_remaining() -> None:
    """What is left, also of a timer that is stopped or overdue."""
    assert Setting(enabled=True, next_ns=10, period_ns=3).remaining(4) == (6, 3)
    assert Setting(enabled=True, next_ns=10, period_ns=3).remaining(14) == (-4, 3)
    assert Setting(enabled=False, next_ns=0, period_ns=3).remaining(4) == (0, 3)
