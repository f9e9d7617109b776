"""Reading a stream of events back."""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from sentry_eventchannel._errors import CutOffError, StreamError, TooLongError, UsageError, WireError
from sentry_eventchannel._events import Event, unpack
from sentry_eventchannel._wire import MASK64, MAX_VARINT

LONGEST: Final = 1 << 20
"""Bytes of one event that a reader takes by default."""

_PIECE: Final = 64 << 10


class Source(Protocol):
    """Where a stream comes from: an unbuffered file or anything with its `read`."""

    def read(self, size: int, /) -> bytes | None:
        """Return up to size bytes, none at the end."""
        ...


class Processor:
    """Takes a stream in pieces of any size and gives each event to a function. One thread at a time.

    After an error, the function's own included, the place in the stream is lost, and feeding on is wrong.
    """

    __slots__ = ("_broken", "_data", "_longest", "_take")

    def __init__(self, take: Callable[[Event], object], longest: int = LONGEST) -> None:
        """Give events to take; refuse those of more than longest bytes. Raises: UsageError if that is all."""
        if longest < 1:
            message = f"a reader of events of up to {longest} bytes"
            raise UsageError(message)
        self._take = take
        self._longest = longest
        self._data = b""
        self._broken = False

    def feed(self, data: bytes) -> None:
        """Add data; yield the events that are complete.

        Raises: WireError, TooLongError, what the function raises, and UsageError after one of them.
        """
        if self._broken:
            message = "the stream was broken before"
            raise UsageError(message)
        self._broken = True
        data = self._data + data if self._data else data
        pos = 0
        while True:
            length, begin = _header(data, pos)
            if begin and length > self._longest:
                message = f"an event of {length} bytes, more than {self._longest}"
                raise TooLongError(message)
            if not begin or begin + length > len(data):
                break
            pos = begin + length
            self._take(unpack(data[begin:pos]))
        self._data = data[pos:]
        self._broken = False

    def finish(self) -> None:
        """Say that the stream has ended. Raises: CutOffError inside of an event."""
        if self._data:
            message = f"the stream ends {len(self._data)} bytes into an event"
            raise CutOffError(message)


def read_events(source: Source, longest: int = LONGEST) -> Iterator[Event]:
    """Yield the events of a stream up to its end. Raises: StreamError."""
    found: list[Event] = []
    processor = Processor(found.append, longest)
    while data := source.read(_PIECE):
        try:
            processor.feed(data)
        except StreamError:
            yield from found
            raise
        yield from found
        found.clear()
    processor.finish()


def _header(data: bytes, pos: int) -> tuple[int, int]:
    """Return the length at pos and where the event begins, 0 when the length is not whole. Raises: WireError."""
    length = 0
    for place, byte in enumerate(data[pos : pos + MAX_VARINT]):
        length |= (byte & 127) << 7 * place
        if byte < 128:
            if length > MASK64:
                break
            return length, pos + place + 1
    else:
        if len(data) - pos < MAX_VARINT:
            return 0, 0
    message = "the length of an event has more than 64 bits"
    raise WireError(message)
