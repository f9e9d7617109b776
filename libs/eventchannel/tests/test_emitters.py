"""Emitters: to several, limited, to sockets that do not read."""

import io
import os
import socket
import threading
from collections.abc import Iterator
from time import monotonic_ns
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_eventchannel import (
    DebugEmitter,
    DebugEvent,
    Emitter,
    Event,
    LogEmitter,
    Message,
    MultiEmitter,
    Processor,
    RateLimitedEmitter,
    SocketEmitter,
    UnimplementedSyscall,
    UsageError,
    frame,
    read_events,
)

SECOND = 1_000_000_000


class Memory:
    """Keeps what it is given; hangs up or fails on demand."""

    def __init__(self) -> None:
        """Begin empty."""
        self.events: list[Message] = []
        self.hung_up = False
        self.failure: Exception | None = None
        self.closed = 0

    def emit(self, message: Message) -> bool:
        """Keep message."""
        if self.failure is not None:
            raise self.failure
        self.events.append(message)
        return self.hung_up

    def close(self) -> None:
        """Count."""
        self.closed += 1
        if self.failure is not None:
            raise self.failure


def event(number: int = 1) -> UnimplementedSyscall:
    """Return an event that says its number."""
    return UnimplementedSyscall(number)


def test_three_emitters_get_the_same() -> None:
    """Each event reaches each, and closing does."""
    multi, three = MultiEmitter(), [Memory() for _ in range(3)]
    assert not multi
    for memory in three:
        multi.add(memory)
    assert multi
    for number in range(5):
        assert not multi.emit(event(number))
    for memory in three:
        assert memory.events == [event(number) for number in range(5)]
    multi.close()
    assert [memory.closed for memory in three] == [1, 1, 1]
    assert not multi


def test_who_hangs_up_is_taken_out_unclosed() -> None:
    """And the others go on."""
    multi, gone, there = MultiEmitter(), Memory(), Memory()
    multi.add(gone)
    multi.add(there)
    gone.hung_up = True
    multi.emit(event())
    multi.emit(event())
    assert len(gone.events) == 1
    assert len(there.events) == 2
    assert gone.closed == 0


def test_failures_are_joined_and_reported() -> None:
    """In one line, without stopping the others; without a report they are lost."""
    lines: list[str] = []
    multi, quiet = MultiEmitter(lines.append), MultiEmitter()
    bad, worse, good = Memory(), Memory(), Memory()
    bad.failure, worse.failure = OSError("one"), ValueError("two")
    for each in (bad, worse, good):
        multi.add(each)
        quiet.add(each)
    multi.emit(event())
    quiet.emit(event())
    assert lines == ["events: Memory: one; Memory: two"]
    assert len(good.events) == 2
    with pytest.raises(OSError, match="one"):
        multi.close()
    assert [bad.closed, worse.closed, good.closed] == [1, 1, 1]


def test_wrong_use_of_multi() -> None:
    """The same emitter twice, itself; removing a stranger is none."""
    multi, memory = MultiEmitter(), Memory()
    multi.add(memory)
    with pytest.raises(UsageError, match="already there"):
        multi.add(memory)
    with pytest.raises(UsageError, match="inside of itself"):
        multi.add(multi)
    multi.remove(Memory())
    multi.remove(memory)
    assert not multi


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.now = 5

    def __call__(self) -> int:
        """Return nanoseconds."""
        return self.now


def test_five_a_second_in_bursts_of_ten() -> None:
    """50 at once give 10; a second later 50 more give 5; much later 10."""
    memory, clock = Memory(), Clock()
    limited = RateLimitedEmitter(memory, 5, 10, clock)
    for expected in (10, 5, 10):
        memory.events.clear()
        for number in range(50):
            assert not limited.emit(event(number))
        assert len(memory.events) == expected
        clock.now += SECOND if expected == 10 else 100 * SECOND
    assert limited.dropped == 150 - 25
    memory.hung_up = True
    clock.now += SECOND
    assert limited.emit(event())
    limited.close()
    assert memory.closed == 1


def test_a_clock_that_goes_back() -> None:
    """Gains nothing and loses nothing."""
    memory, clock = Memory(), Clock()
    limited = RateLimitedEmitter(memory, 1, 1, clock)
    limited.emit(event())
    clock.now -= 10 * SECOND
    limited.emit(event())
    assert len(memory.events) == 1
    clock.now += SECOND
    limited.emit(event())
    assert len(memory.events) == 2


@given(
    st.integers(1, 50),
    st.integers(1, 20),
    st.lists(st.integers(0, 2 * SECOND) | st.just(0), max_size=60),
)
def test_the_bucket_against_a_naive_one(rate: int, burst: int, steps: list[int]) -> None:
    """Tokens in exact fractions of a nanosecond, counted one by one."""
    memory, clock = Memory(), Clock()
    limited = RateLimitedEmitter(memory, rate, burst, clock)
    tokens, passed = burst * SECOND, 0
    for step in steps:
        clock.now += step
        tokens = min(burst * SECOND, tokens + step * rate)
        if tokens >= SECOND:
            tokens -= SECOND
            passed += 1
        limited.emit(event())
    assert len(memory.events) == passed
    assert limited.dropped == len(steps) - passed


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0), (float("inf"), 1), (float("nan"), 1)])
def test_a_limit_that_lets_nothing_through(rate: float, burst: int) -> None:
    """Is refused."""
    with pytest.raises(UsageError, match="must be positive"):
        RateLimitedEmitter(Memory(), rate, burst, monotonic_ns)


def test_debug_and_log() -> None:
    """Text for people."""
    memory, lines = Memory(), list[str]()
    debug, log = DebugEmitter(memory), LogEmitter(lines.append)
    assert not debug.emit(event(7))
    assert memory.events == [DebugEvent("gvisor.UnimplementedSyscall", "tid=7")]
    assert not log.emit(event(7))
    assert lines == ["gvisor.UnimplementedSyscall: tid=7"]
    debug.close()
    log.close()
    assert memory.closed == 1


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets with small buffers; the emitter owns the descriptor of the first."""
    one, two = socket.socketpair()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    two.settimeout(10)
    yield one, two
    one.close()
    two.close()


def received(two: socket.socket) -> list[Event]:
    """Read all that comes until the other end closes."""
    return list(read_events(io.BytesIO(b"".join(iter(lambda: two.recv(65536), b"")))))


def test_a_socket_passes_events(pair: tuple[socket.socket, socket.socket]) -> None:
    """In their order."""
    one, two = pair
    emitter = SocketEmitter(one.detach())
    sent: list[Any] = [event(1), DebugEvent("a", "b"), event(-2)]
    for each in sent:
        assert not emitter.emit(each)
    assert not emitter.pending
    assert not emitter.flush()
    emitter.close()
    emitter.close()
    assert emitter.fileno() == -1
    assert received(two) == sent
    for call in (emitter.flush, lambda: emitter.emit(event())):
        with pytest.raises(UsageError, match="closed"):
            call()


def test_a_reader_that_sleeps(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing waits for it: events are kept, then dropped whole and counted; what was kept arrives in order."""
    one, two = pair
    emitter = SocketEmitter(one.detach(), buffer=2000)
    text = "x" * 300
    for number in range(100):
        assert not emitter.emit(DebugEvent(str(number), text))
    assert emitter.pending
    assert emitter.dropped > 50
    kept = 100 - emitter.dropped
    found: list[Event] = []
    processor = Processor(found.append)
    for last in (False, True):
        while emitter.pending:
            processor.feed(two.recv(500))
            assert not emitter.flush()
        if not last:
            emitter.emit(event(5))
    emitter.close()
    while data := two.recv(65536):
        processor.feed(data)
    processor.finish()
    assert found == [*(DebugEvent(str(number), text) for number in range(kept)), event(5)]


def test_no_buffer_at_all(pair: tuple[socket.socket, socket.socket]) -> None:
    """A frame that has begun is finished, any other is dropped."""
    one, two = pair
    emitter = SocketEmitter(one.detach(), buffer=0)
    big = DebugEvent("big", "y" * 100_000)
    assert not emitter.emit(big)
    assert emitter.pending
    assert not emitter.emit(event())
    assert emitter.dropped == 1
    found: list[Event] = []
    processor = Processor(found.append)
    while emitter.pending:
        processor.feed(two.recv(65536))
        emitter.flush()
    while not emitter.dropped > 1:
        emitter.emit(event())
    emitter.close()
    while data := two.recv(65536):
        processor.feed(data)
    processor.finish()
    assert found[0] == big
    assert set(found[1:]) == {event()}


def test_closing_counts_what_is_lost(pair: tuple[socket.socket, socket.socket]) -> None:
    """Events that were kept for a reader who never came."""
    one, _ = pair
    emitter = SocketEmitter(one.detach())
    for number in range(100):
        emitter.emit(DebugEvent(str(number), "z" * 1000))
    assert emitter.dropped == 0
    emitter.close()
    assert emitter.dropped > 80


def test_a_reader_that_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    """Is a hang-up, with and without events kept for it."""
    one, two = pair
    emitter = SocketEmitter(one.detach())
    two.close()
    assert emitter.emit(event())
    assert emitter.emit(event())
    assert emitter.flush()
    emitter.close()
    one, two = socket.socketpair()
    emitter = SocketEmitter(one.detach())
    while not emitter.pending:
        emitter.emit(DebugEvent("fill", "f" * 1000))
    two.close()
    assert emitter.flush()
    assert not emitter.pending
    emitter.close()


def test_other_trouble_is_an_error() -> None:
    """A bad descriptor, one that cannot be written, a buffer that is none."""
    with pytest.raises(UsageError, match="a buffer of -1"):
        SocketEmitter(0, buffer=-1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        SocketEmitter(1 << 20)
    emitter = SocketEmitter(os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(OSError, match="No space left"):
        emitter.emit(event())
    emitter.close()


def test_trouble_in_the_middle_of_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was begun is kept and ended once the trouble is over: the reader never sees half an event."""
    read, write = os.pipe()
    emitter, real = SocketEmitter(write), os.write
    answers: list[int | OSError] = [5, OSError(28, "No space left"), OSError(28, "No space left")]

    def stingy(fd: int, data: bytes) -> int:
        answer = answers.pop(0) if answers else len(data)
        if isinstance(answer, OSError):
            raise answer
        return real(fd, data[:answer])

    monkeypatch.setattr("os.write", stingy)
    assert not emitter.emit(event(1))
    assert emitter.pending
    with pytest.raises(OSError, match="No space"):
        emitter.emit(event(2))
    assert not emitter.emit(event(3))
    assert not emitter.pending
    emitter.close()
    with open(read, "rb", buffering=0) as file:  # noqa: PTH123  (a descriptor)
        assert list(read_events(file)) == [event(1), event(3)]


def test_observers_that_fail_or_lag_never_fail_the_kernel(pair: tuple[socket.socket, socket.socket]) -> None:
    """Absent, limited, slow, dead and raising observers: emitting succeeds each time, and soon."""
    one, two = pair
    failing, lines = Memory(), list[str]()
    failing.failure = RuntimeError("observer")
    multi = MultiEmitter(report=lines.append)
    assert not multi.emit(event())
    slow = SocketEmitter(one.detach(), buffer=1 << 12)
    for emitter in (RateLimitedEmitter(Memory(), 1, 1, monotonic_ns), slow, failing):
        multi.add(emitter)
    assert not any(multi.emit(DebugEvent("much", "x" * 1000)) for _ in range(2000))
    assert slow.dropped > 0
    assert len(lines) == 2000
    two.close()
    assert not multi.emit(event())
    multi.remove(failing)
    assert not multi.emit(event())
    multi.close()
    slow.close()


def test_a_pipe_and_many_threads() -> None:
    """Frames of eight threads never mix; with the drops they are all that was emitted."""
    read, write = os.pipe()
    emitter = SocketEmitter(write, buffer=1 << 16)
    multi = MultiEmitter()
    limited: Emitter = RateLimitedEmitter(emitter, 1, 10_000, monotonic_ns)
    multi.add(limited)
    found: list[Event] = []

    def reading() -> None:
        with open(read, "rb", buffering=0) as file:  # noqa: PTH123  (a descriptor)
            found.extend(read_events(file))

    def emitting(number: int) -> None:
        for place in range(300):
            multi.emit(DebugEvent(f"{number} {place}", "t" * place))
            if place % 100 == 0:
                extra = Memory()
                multi.add(extra)
                multi.remove(extra)

    reader = threading.Thread(target=reading)
    writers = [threading.Thread(target=emitting, args=(number,)) for number in range(8)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(30)
    while emitter.pending:
        emitter.flush()
    multi.close()
    reader.join(30)
    assert len(found) + emitter.dropped == 2400
    names = [each.name for each in found if isinstance(each, DebugEvent)]
    assert len(set(names)) == len(names) == len(found)
    for number in range(8):
        places = [int(name.split()[1]) for name in names if name.startswith(f"{number} ")]
        assert places == sorted(places)


def test_limit_from_many_threads() -> None:
    """Exactly the burst passes."""
    memory, clock = Memory(), Clock()
    limited = RateLimitedEmitter(memory, 1, 100, clock)
    threads = [threading.Thread(target=lambda: [limited.emit(event()) for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(memory.events) == 100
    assert limited.dropped == 1500
    assert frame(event())
