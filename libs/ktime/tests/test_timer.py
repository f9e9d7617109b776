"""Timers on clocks that tests move, on one that runs, from many threads, and the channel."""

import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sentry_ktime
from sentry_host import real_host
from sentry_ktime import (
    MAX_NS,
    Channel,
    DriverError,
    ManualClock,
    MonotonicClock,
    RealClock,
    Setting,
    SyntheticClock,
    ThreadDriver,
    Timed,
    Timer,
    TimerError,
    TimerQueue,
    after,
)

HOST = real_host()
MILLISECOND = 1_000_000


class Recorder:
    """A listener that records its calls, and may answer."""

    def __init__(self, answer: Setting | None = None) -> None:
        """Have an answer to give once."""
        self.log: list[object] = []
        self.answer = answer

    def notify(self, expirations: int, setting: Setting) -> Setting | None:
        """See Listener."""
        self.log.append(expirations)
        answer, self.answer = self.answer, None
        return answer

    def destroyed(self) -> None:
        """See Listener."""
        self.log.append("destroyed")

    @property
    def total(self) -> int:
        """Expirations in all."""
        return sum(item for item in self.log if isinstance(item, int))


def every(next_ns: int, period_ns: int = 0) -> Setting:
    """Return a running setting."""
    return Setting(enabled=True, next_ns=next_ns, period_ns=period_ns)


def synthetic() -> tuple[SyntheticClock, Recorder, Timer]:
    """Return a clock, a listener and a timer on it."""
    clock, recorder = SyntheticClock(), Recorder()
    return clock, recorder, Timer(clock, recorder, clock)


def test_one_shot_and_periodic() -> None:
    """Once is once; several periods are one notice with the right number."""
    clock, recorder, timer = synthetic()
    timer.swap(every(10))
    clock.store(9)
    assert recorder.log == []
    clock.store(10)
    clock.store(100)
    assert recorder.log == [1]
    assert timer.swap(every(110, 10)) == (100, Setting())
    clock.store(145)
    assert recorder.log == [1, 4]
    assert timer.get() == (145, every(150, 10))


def test_swap_settles_then_calls_then_applies() -> None:
    """The old expirations, the hook, the new ones, in one go; the old listener's answer is ignored."""
    clock, recorder = ManualClock(), Recorder()
    timer = Timer(clock, recorder, TimerQueue(MonotonicClock(HOST)))
    timer.swap(every(10))
    clock._now_ns = 20  # not checked yet
    recorder.answer = every(5)
    assert timer.swap(every(15, 2), lambda: recorder.log.append("hook")) == (20, Setting())
    assert recorder.log == [1, "hook", 3]
    assert timer.get()[1] == every(21, 2)


def test_listener_may_change_the_setting() -> None:
    """What it returns counts, and is armed."""
    clock, recorder, timer = synthetic()
    recorder.answer = every(50)
    timer.swap(every(10))
    clock.store(10)
    clock.store(50)
    assert recorder.log == [1, 1]


def test_answer_after_get() -> None:
    """Get returns what was computed before the answer, and keeps the answer."""
    clock, recorder = ManualClock(), Recorder(every(50))
    timer = Timer(clock, recorder, TimerQueue(MonotonicClock(HOST)))
    timer.swap(every(10))
    clock._now_ns = 10
    assert timer.get() == (10, Setting())
    assert timer.get() == (10, every(50))


def test_pause_and_resume() -> None:
    """A paused timer is silent and cannot be used; missed expirations come at resume."""
    clock, recorder, timer = synthetic()
    timer.swap(every(10, 10))
    timer.pause()
    timer.pause()
    clock.store(35)
    timer.tick()
    assert recorder.log == []
    for use in (timer.get, lambda: timer.swap(Setting())):
        with pytest.raises(TimerError, match="paused"):
            use()
    timer.resume()
    assert recorder.log == [3]
    timer.resume()
    clock.store(40)
    assert recorder.log == [3, 1]


def test_destroy() -> None:
    """Nothing more is reported, and use is refused; pause and resume are allowed."""
    clock = ManualClock()
    recorder = Recorder()
    timer = Timer(clock, recorder, TimerQueue(MonotonicClock(HOST)))
    timer.swap(every(10))
    timer.destroy()
    timer.destroy()
    clock.set(20)
    timer.tick()
    timer.pause()
    timer.resume()
    assert recorder.log == ["destroyed"]
    assert not clock.events
    with pytest.raises(TimerError, match="destroyed"):
        timer.get()
    _, recorder, timer = synthetic()
    timer.destroy()
    assert recorder.log == ["destroyed"]


def test_atomically() -> None:
    """Nothing expires meanwhile, and the timer itself is out of reach."""
    clock, recorder, timer = synthetic()
    timer.swap(every(10))

    def inside() -> None:
        clock._now_ns = 10
        with pytest.raises(TimerError, match="own listener"):
            timer.get()
        assert recorder.log == []

    timer.atomically(inside)
    timer.tick()
    assert recorder.log == [1]


def test_listener_that_calls_its_timer() -> None:
    """It gets an exception and no deadlock, and the timer lives on."""
    clock = SyntheticClock()

    class Wrong(Recorder):
        """Calls its timer."""

        def notify(self, expirations: int, setting: Setting) -> None:
            """See Listener."""
            self.log.append(expirations)
            timer.swap(Setting())

    wrong = Wrong()
    timer = Timer(clock, wrong, clock)
    timer.swap(every(10, 10))
    with pytest.raises(TimerError, match="own listener"):
        clock.store(10)
    assert timer.get() == (10, every(20, 10))


def test_clock_events() -> None:
    """A manual or real clock that jumps has its timers look at once."""
    manual, recorder = ManualClock(5), Recorder()
    timer = Timer(manual, recorder, TimerQueue(MonotonicClock(HOST)))
    timer.swap(every(10))
    manual.advance(4)
    assert recorder.log == []
    manual.advance(1)
    assert recorder.log == [1]
    with pytest.raises(ValueError, match="set"):
        manual.advance(-1)
    real, recorder = RealClock(HOST), Recorder()
    queue = TimerQueue(MonotonicClock(HOST))
    timer = Timer(real, recorder, queue)
    timer.swap(every(real.now() + 1000 * 10**9))
    assert queue.next_ns > time.monotonic_ns() + 900 * 10**9
    real.step(999 * 10**9)
    assert queue.next_ns < time.monotonic_ns() + 2 * 10**9
    real.step(10**9)
    assert recorder.log == [1]
    assert queue.next_ns == -1
    timer.swap(Setting())


class Jumpy(SyntheticClock):
    """A clock that another thread moves between two looks."""

    def arm(self, timed: Timed, deadline_ns: int) -> None:
        """Move past the deadline, once, before it is armed."""
        if self.now() == 0:
            self.store(100)
        super().arm(timed, deadline_ns)


def test_clock_moves_while_a_timer_is_armed() -> None:
    """No expiration is late."""
    clock, recorder = Jumpy(), Recorder()
    timer = Timer(clock, recorder, clock)
    timer.swap(every(50, 30))
    assert recorder.log == [2]
    assert timer.get() == (100, every(110, 30))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("swap"), st.integers(0, 60), st.integers(0, 9)),
        st.tuples(st.just("move"), st.integers(0, 25), st.just(0)),
        st.tuples(st.sampled_from(["get", "pause", "resume"]), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
def test_against_counting(steps: list[tuple[str, int, int]]) -> None:
    """Any sequence of operations tells as many expirations as counting them nanosecond by nanosecond does."""
    clock, recorder, timer = synthetic()
    now, paused, expected = 0, False, 0
    next_ns: int | None = None
    period = 0

    def settle() -> None:
        nonlocal next_ns, expected
        while next_ns is not None and next_ns <= now:
            expected += 1
            next_ns = next_ns + period if period else None

    for name, a, b in steps:
        if name == "move":
            now += a
            clock.advance(a)
        elif name == "pause":
            timer.pause()
            paused = True
        elif name == "resume":
            timer.resume()
            paused = False
        elif not paused and name == "get":
            timer.get()
        elif not paused:
            settle()
            timer.swap(Setting.absolute(a, b))
            next_ns, period = (a, b) if a else (None, b)
        if not paused:
            settle()
            assert recorder.total == expected


# -- threads


def test_thread_driver() -> None:
    """Expirations come in the driver's thread, in time; what was cancelled does not."""
    clock = MonotonicClock(HOST)
    with ThreadDriver(HOST) as driver:
        timers = [Timer(clock, Recorder(), driver) for _ in range(300)]
        start = clock.now()
        for number, timer in enumerate(timers):
            timer.swap(every(start + (300 - number) * MILLISECOND // 10, MILLISECOND))
        channels = [after(clock, 5 * MILLISECOND, driver) for _ in range(20)]
        for timer in timers[::2]:
            timer.destroy()
        for _, _, channel in channels:
            assert channel.wait(10**10)
        assert clock.now() - channels[0][1] >= 5 * MILLISECOND
        time.sleep(0.04)
        assert threading.active_count() < 10
    for timer in timers[1::2]:
        recorder = timer._listener
        assert isinstance(recorder, Recorder)
        assert recorder.total > 0


def test_concurrent_use() -> None:
    """Eight threads swap, get, pause and resume one timer: no expiration is lost or reported twice."""
    clock = MonotonicClock(HOST)

    class Exact(Recorder):
        """Sums up under the timer's lock."""

        count = 0

        def notify(self, expirations: int, setting: Setting) -> None:
            """See Listener."""
            before = self.count
            time.sleep(0)
            self.count = before + expirations

    with ThreadDriver(HOST) as driver:
        recorder = Exact()
        timer = Timer(clock, recorder, driver)
        start = clock.now()
        timer.swap(every(start + MILLISECOND, MILLISECOND))

        def work(number: int) -> None:
            for _ in range(200):
                try:
                    if number == 0:
                        timer.pause()
                        timer.resume()
                    elif number == 1:
                        timer.atomically(clock.now)
                    else:
                        timer.get()
                except TimerError:
                    time.sleep(0)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        now, _ = timer.get()
        assert recorder.count == (now - start) // MILLISECOND
        timer.destroy()


def test_synthetic_clock_from_threads() -> None:
    """Movers and users at once: in the end every expiration has been reported."""
    clock, recorder, timer = synthetic()
    timer.swap(every(1, 1))

    def move() -> None:
        for _ in range(500):
            clock.advance(1)
            timer.get()

    threads = [threading.Thread(target=move) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.total == 2000


def test_driver_ends() -> None:
    """A closed driver refuses, one whose listener raised says so; a listener may close its driver."""
    clock = MonotonicClock(HOST)
    driver = ThreadDriver(HOST)
    driver.close()
    timer = Timer(clock, Recorder(), driver)
    with pytest.raises(DriverError, match="closed"):
        timer.swap(every(clock.now() + 10**12))

    class Raising(Recorder):
        """Fails."""

        def notify(self, expirations: int, setting: Setting) -> None:
            """See Listener."""
            raise ValueError

    driver = ThreadDriver(HOST)
    Timer(clock, Raising(), driver).swap(every(clock.now() + MILLISECOND))
    thread = driver._thread
    assert thread is not None
    thread.join(10)
    with pytest.raises(DriverError, match="died"):
        driver.arm(timer, 0)
    with pytest.raises(DriverError, match="raised"):
        driver.close()

    class Closing(Recorder):
        """Closes the driver that tells it."""

        def notify(self, expirations: int, setting: Setting) -> None:
            """See Listener."""
            other.close()

    other = ThreadDriver(HOST)
    Timer(clock, Closing(), other).swap(every(clock.now() + MILLISECOND))
    thread = other._thread
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()


def test_channel() -> None:
    """One token however many expirations; closing wakes."""
    channel = Channel()
    assert not channel.wait(0)
    channel.notify(1, Setting())
    channel.notify(3, Setting())
    assert channel.wait()
    assert not channel.wait(MILLISECOND)
    clock = SyntheticClock()
    timer, start, channel = after(clock, 10, clock)
    assert start == 0
    threading.Timer(0.01, timer.destroy).start()
    assert not channel.wait()
    _, _, channel = after(clock, 0, clock)
    assert channel.wait(0)
    assert ManualClock(3).wall_time_until(5, 3) == MAX_NS


def test_readme_example() -> None:
    """Run it."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    exec(compile(text.split("```python\n")[1].split("```")[0], "README.md", "exec"), {})  # noqa: S102  (our own README)
    assert sorted(sentry_ktime.__all__, key=lambda n: (n.islower(), not n.isupper(), n)) == sentry_ktime.__all__
