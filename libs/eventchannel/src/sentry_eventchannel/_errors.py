"""Everything that this library raises of its own.

    EventError
    |- UsageError       the caller did what cannot work: a closed emitter, a rate of nothing, a value that does not fit
    `- StreamError      a stream of events cannot be read on
       |- WireError     the bytes are no messages
       |- TooLongError  a message is longer than the reader allows
       `- CutOffError   the stream ends inside of a message

Trouble of the host with a descriptor stays an `OSError`.
"""


class EventError(Exception):
    """Any failure of this library."""


class UsageError(EventError):
    """The caller did what cannot work."""


class StreamError(EventError):
    """A stream of events cannot be read on."""


class WireError(StreamError):
    """The bytes are no messages."""


class TooLongError(StreamError):
    """A message is longer than the reader allows."""


class CutOffError(StreamError):
    """The stream ends inside of a message."""
