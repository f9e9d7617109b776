"""Streams of protobuf events to an observer, best effort. Floor 3.

A kernel emits to one `MultiEmitter`, which never raises and never waits. Each emitter has one lock, and calls others
with none held, so there is no order of locks. Nothing here is saved: emitters are attached anew by the host side.
"""

from sentry_eventchannel._emitters import (
    BUFFER,
    DebugEmitter,
    Emitter,
    LogEmitter,
    MultiEmitter,
    RateLimitedEmitter,
    SocketEmitter,
    frame,
)
from sentry_eventchannel._errors import CutOffError, EventError, StreamError, TooLongError, UsageError, WireError
from sentry_eventchannel._events import (
    URL_PREFIX,
    Amd64Registers,
    DebugEvent,
    Event,
    Message,
    UncaughtSignal,
    UnimplementedSyscall,
    Unknown,
    as_text,
    pack,
    unpack,
)
from sentry_eventchannel._reader import LONGEST, Processor, Source, read_events

__all__ = [
    "BUFFER",
    "LONGEST",
    "URL_PREFIX",
    "Amd64Registers",
    "CutOffError",
    "DebugEmitter",
    "DebugEvent",
    "Emitter",
    "Event",
    "EventError",
    "LogEmitter",
    "Message",
    "MultiEmitter",
    "Processor",
    "RateLimitedEmitter",
    "SocketEmitter",
    "Source",
    "StreamError",
    "TooLongError",
    "UncaughtSignal",
    "UnimplementedSyscall",
    "Unknown",
    "UsageError",
    "WireError",
    "as_text",
    "frame",
    "pack",
    "read_events",
    "unpack",
]
