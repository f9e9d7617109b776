"""The loop's queue and the synthetic clock, against a sorted list."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_host import real_host
from sentry_ktime import MonotonicClock, SyntheticClock, TimerQueue

HOST = real_host()


class Note:
    """An object with a deadline that records when it was called."""

    def __init__(self, name: int, log: list[int]) -> None:
        """Log to a list."""
        self.timer_seq = 0
        self.name = name
        self.log = log

    def expired(self, now_ns: int) -> None:
        """See Timed."""
        self.log.append(self.name)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(0, 9), st.integers(1, 40)),
        st.tuples(st.just("disarm"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("move"), st.just(0), st.integers(0, 10)),
    ),
    max_size=150,
)


@given(OPERATIONS)
def test_against_a_dictionary(operations: list[tuple[str, int, int]]) -> None:
    """What is armed is called once, when its last deadline has passed, the oldest first; next_ns is never late."""
    called: list[int] = []
    notes = [Note(number, called) for number in range(10)]
    clock = MonotonicClock(HOST)
    queue = TimerQueue(clock)
    synthetic = SyntheticClock()
    twins_called: list[int] = []
    twins = [Note(number, twins_called) for number in range(10)]
    now, order = 0, 0
    armed: dict[int, tuple[int, int]] = {}
    for name, number, value in operations:
        if name == "arm":
            order += 1
            armed[number] = (now + value, order)
            queue.arm(notes[number], now + value)
            synthetic.arm(twins[number], now + value)
        elif name == "disarm":
            armed.pop(number, None)
            queue.disarm(notes[number])
            synthetic.disarm(twins[number])
        else:
            now += value
            expected = sorted((key, number) for number, key in armed.items() if key[0] <= now)
            called.clear()
            twins_called.clear()
            while (timed := queue.take(now)) is not None:
                timed.expired(now)
            synthetic.advance(value)
            assert called == twins_called == [number for _, number in expected]
            for _, other in expected:
                del armed[other]
        assert len(queue) == len(armed)
        assert (queue.next_ns == -1) == (not armed) or queue.next_ns >= 0
        if armed:
            assert queue.next_ns <= min(armed.values())[0]


def test_expire_in_a_loop() -> None:
    """A loop sleeps until next_ns, and nothing is called early."""
    clock = MonotonicClock(HOST, offset_ns=1_000)
    queue = TimerQueue(clock)
    log: list[int] = []
    start = queue.now()
    for number in range(5):
        queue.arm(Note(number, log), start + number * 1_000_000)
    assert queue.next_ns == start - 1_000
    while queue.next_ns >= 0:
        time.sleep(max(queue.next_ns - time.monotonic_ns(), 0) / 1e9)
        queue.expire()
    assert log == [0, 1, 2, 3, 4]
    assert clock.now() - start >= 4_000_000
    assert clock.host_deadline(5) == 0
    assert clock.wall_time_until(9, 4) == 5


def test_rearming_while_told() -> None:
    """A callback may arm many others at once: none is lost, also when the heap is made anew meanwhile."""
    queue = TimerQueue(MonotonicClock(HOST))
    log: list[int] = []
    notes = [Note(number, log) for number in range(200)]

    class Busy(Note):
        """Arms all."""

        def expired(self, now_ns: int) -> None:
            """See Timed."""
            super().expired(now_ns)
            for _ in range(2):
                for note in notes:
                    queue.arm(note, 1)

    queue.arm(Busy(-1, log), 0)
    queue.expire()
    assert sorted(log) == [-1, *range(200)]
    assert queue.next_ns == -1


def test_ten_thousand() -> None:
    """Arming and disarming again and again does not pile up what is stale."""
    queue = TimerQueue(MonotonicClock(HOST))
    notes = [Note(number, []) for number in range(10_000)]
    for round_number in range(5):
        for note in notes:
            queue.arm(note, 10**18 + note.name + round_number)
    assert len(queue._heap) <= 20_001
    for note in notes[:-1]:
        queue.disarm(note)
    assert len(queue) == 1
    assert len(queue._heap) <= 20_001


@pytest.mark.parametrize("order", [(3, 1, 2), (1, 2, 3)])
def test_synthetic_oldest_first(order: tuple[int, ...]) -> None:
    """It starts at 0; store and advance move it, also back."""
    clock = SyntheticClock()
    log: list[int] = []
    assert clock.now() == 0
    assert clock.events is None
    for number in order:
        clock.arm(Note(number, log), number * 10)
    clock.store(25)
    assert log == [1, 2]
    clock.store(5)
    assert clock.now() == 5
    clock.advance(25)
    assert log == [1, 2, 3]
    assert clock.wall_time_until(7, 3) == 4
