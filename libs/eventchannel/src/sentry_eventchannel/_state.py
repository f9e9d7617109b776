"""Which objects of eventchannel can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_eventchannel._emitters import (
    DebugEmitter,
    LogEmitter,
    MultiEmitter,
    RateLimitedEmitter,
    SocketEmitter,
)
from sentry_eventchannel._events import Amd64Registers, DebugEvent, UncaughtSignal, UnimplementedSyscall, Unknown
from sentry_eventchannel._reader import Processor

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    Amd64Registers: "lives with its event",
    DebugEmitter: "an output of this process",
    DebugEvent: "written as soon as it is made",
    LogEmitter: "an output of this process",
    MultiEmitter: "an output of this process",
    Processor: "a reader of the stream, outside of the sandbox",
    RateLimitedEmitter: "an output of this process",
    SocketEmitter: "a descriptor of this process",
    UncaughtSignal: "written as soon as it is made",
    UnimplementedSyscall: "written as soon as it is made",
    Unknown: "made by a reader, outside of the sandbox",
}


def register(registry: "Registry") -> None:
    """Register nothing: a loaded sandbox has the emitters of its new process."""
