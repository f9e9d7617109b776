"""Clocks, timers and deadlines through an image."""

import io

import pytest

from sentry_host.testing import FakeHost
from sentry_ktime import (
    ManualClock,
    MonotonicClock,
    RealClock,
    Setting,
    SyntheticClock,
    Timer,
    TimerError,
    TimerQueue,
)
from sentry_ktime._state import register
from sentry_state import Reader, Registry, Writer
from sentry_waiter._state import register as register_queues


class Noting:
    """A listener and a thing with a deadline; it records its calls."""

    __slots__ = ("log", "timer_seq")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.log: list[object] = []
        self.timer_seq = 0

    def notify(self, expirations: int, setting: Setting) -> None:
        """Note a count."""
        del setting
        self.log.append(expirations)

    def destroyed(self) -> None:
        """Note the end."""
        self.log.append("destroyed")

    def expired(self, now_ns: int) -> None:
        """Note the time."""
        self.log.append(now_ns)


def through_an_image(host: FakeHost, graph: list[object], other: FakeHost | None = None) -> list[object]:
    """Save a graph on one host and load it on another."""
    registry, file = Registry(), io.BytesIO()
    register(registry)
    register_queues(registry)
    registry.savable("test.Noting", fields=Noting.__slots__)(Noting)
    with Writer(file, registry=registry) as writer:
        writer.save("graph", graph, {"host": host.record})
    file.seek(0)
    reader = Reader(file, registry=registry)
    loaded = reader.load("graph", {"host": (other or host).record})
    reader.finish()
    assert isinstance(loaded, list)
    return loaded


def test_a_loaded_timer_is_inert_until_it_gets_a_driver() -> None:
    """What it has missed is reported then; a destroyed one stays so."""
    clock, listener = SyntheticClock(), Noting()
    timer = Timer(clock, listener, clock)
    timer.swap(Setting(enabled=True, next_ns=10, period_ns=10))
    loaded, same, noting = through_an_image(FakeHost(), [timer, clock, listener])
    timer.destroy()
    assert isinstance(loaded, Timer)
    assert isinstance(same, SyntheticClock)
    assert isinstance(noting, Noting)
    same.store(25)
    loaded.tick()
    assert noting.log == []
    with pytest.raises(TimerError, match="paused"):
        loaded.get()
    with pytest.raises(TimerError, match="driver"):
        loaded.resume()
    loaded.resume(same)
    assert noting.log == [2]
    same.store(30)
    assert noting.log == [2, 1]
    again, noting = through_an_image(FakeHost(), [loaded, noting])
    assert isinstance(again, Timer)
    assert isinstance(noting, Noting)
    again.destroy()
    assert noting.log == [2, 1, "destroyed"]


def test_clocks_go_on_where_they_were() -> None:
    """Offsets and times are kept; the host is the new one; listeners for jumps are kept."""
    host, other = FakeHost(), FakeHost(5_000)
    other.step_ns = 0
    manual, real, monotonic = ManualClock(7), RealClock(host.record, 100), MonotonicClock(host.record, 5)
    timer = Timer(manual, Noting(), SyntheticClock())
    loaded = through_an_image(host, [manual, real, monotonic, timer], other)
    assert isinstance(loaded[0], ManualClock)
    assert isinstance(loaded[1], RealClock)
    assert isinstance(loaded[2], MonotonicClock)
    assert loaded[0].now() == 7
    assert len(loaded[0].events) == 1
    loaded[0].set(9)
    assert (loaded[0].now(), manual.now()) == (9, 7)
    assert loaded[1].now() == other.record.realtime_ns() + 100
    loaded[1].step(1)
    assert loaded[2].now() == other.record.monotonic_ns() + 5


def test_deadlines_stay_armed() -> None:
    """What is armed comes in its order; what was disarmed is not in the image; the host's deadline is computed anew."""
    host, other = FakeHost(), FakeHost()
    clock = MonotonicClock(host.record, 50)
    queue = TimerQueue(clock)
    things = [Noting() for _ in range(4)]
    now = clock.now()
    for thing, wait in zip(things, (30, 10, 20, 5), strict=True):
        queue.arm(thing, now + wait)
    queue.disarm(things[3])
    loaded, clock_again, *copies = through_an_image(host, [queue, clock, *things[:3]], other)
    assert isinstance(loaded, TimerQueue)
    assert isinstance(clock_again, MonotonicClock)
    assert len(loaded) == 3
    assert loaded.next_ns == max(now + 10 - 50, 0)
    clock_again.offset_ns += 20
    loaded.after_load()
    assert loaded.next_ns == max(now + 10 - 70, 0)
    late = now + 1000
    order = []
    while (taken := loaded.take(late)) is not None:
        order.append(copies.index(taken))
    assert order == [1, 2, 0]
