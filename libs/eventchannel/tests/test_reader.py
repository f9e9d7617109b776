"""Streams read back in pieces of any size."""

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_eventchannel import (
    CutOffError,
    DebugEvent,
    Event,
    Processor,
    StreamError,
    TooLongError,
    UnimplementedSyscall,
    UsageError,
    WireError,
    frame,
    read_events,
)

some = st.builds(UnimplementedSyscall, st.integers(-5, 5), st.none()) | st.builds(
    DebugEvent, st.just("n"), st.text("ab", max_size=300)
)


@given(st.lists(some, max_size=8), st.lists(st.integers(1, 200), min_size=1))
def test_pieces_of_any_size(events: list[Event], sizes: list[int]) -> None:
    """The cuts do not matter."""
    data = b"".join(map(frame, events))
    found: list[Event] = []
    processor = Processor(found.append)
    pos = place = 0
    while pos < len(data):
        size = sizes[place % len(sizes)]
        processor.feed(data[pos : pos + size])
        pos, place = pos + size, place + 1
    processor.finish()
    assert found == events
    assert list(read_events(io.BytesIO(data))) == events


def test_cut_off() -> None:
    """Everywhere but between events."""
    data = frame(UnimplementedSyscall(1)) + frame(DebugEvent("a", "b" * 200))
    ends = {0, len(frame(UnimplementedSyscall(1))), len(data)}
    for end in range(len(data) + 1):
        if end in ends:
            list(read_events(io.BytesIO(data[:end])))
        else:
            with pytest.raises(CutOffError, match="into an event"):
                list(read_events(io.BytesIO(data[:end])))


def test_broken_streams() -> None:
    """Too long, a length that is none, an event that is none; what came before is given; then nothing more."""
    good = frame(UnimplementedSyscall(1))
    for bad, kind in (
        (b"\xff\xff\xff\xff\x0f", TooLongError),
        (b"\xff" * 10, WireError),
        (b"\xff" * 9 + b"\x02", WireError),
        (b"\x02\x08\x05", WireError),
    ):
        events = read_events(io.BytesIO(good + bad))
        found = [next(events)]
        with pytest.raises(kind):
            next(events)
        assert found == [UnimplementedSyscall(1)]
    with pytest.raises(UsageError, match="up to 0 bytes"):
        Processor(found.append, longest=0)
    processor = Processor(found.append, longest=10)
    with pytest.raises(TooLongError, match="more than 10"):
        processor.feed(good)
    with pytest.raises(UsageError, match="broken before"):
        processor.feed(good)


@given(st.binary(max_size=100))
def test_any_bytes(data: bytes) -> None:
    """Any stream gives events or a StreamError."""
    with contextlib.suppress(StreamError):
        list(read_events(io.BytesIO(data)))
