"""Where events go.

`emit` returns whether the emitter has hung up; one that has is not worth calling again. Trouble on the way is an
`OSError` or a `UsageError`, but for `MultiEmitter`, which is what a kernel calls and which never raises.
"""

import errno
import os
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from sentry_eventchannel._errors import UsageError
from sentry_eventchannel._events import DebugEvent, Message, as_text, pack
from sentry_eventchannel._wire import varint

SECOND: Final = 1_000_000_000
BUFFER: Final = 256 << 10
"""Bytes that a socket emitter keeps for a slow reader by default."""


class Emitter(Protocol):
    """Takes events."""

    def emit(self, message: Message) -> bool:
        """Send message on; return True when the receiver has hung up."""
        ...

    def close(self) -> None:
        """Let go of what the emitter owns."""
        ...


def frame(message: Message) -> bytes:
    """Return message in the form of the stream: a varint length, then the bytes of an Any. Raises: UsageError."""
    data = pack(message)
    return varint(len(data)) + data


class SocketEmitter:
    """Writes events to a stream: a connected socket or a pipe. Thread-safe; never waits for the reader.

    What the reader has not taken is kept, up to a number of bytes; an event that does not fit is dropped whole and
    counted, so the reader always sees whole events. `flush` sends on what is kept; each `emit` does so first. A
    reader that is gone is a hang-up.
    """

    __slots__ = ("_dropped", "_fd", "_hung_up", "_lock", "_queue", "_room", "_sent")

    def __init__(self, fd: int, buffer: int = BUFFER) -> None:
        """Own fd, and make it non-blocking. Raises: UsageError for a negative buffer, OSError for a bad descriptor."""
        if buffer < 0:
            message = f"a buffer of {buffer} bytes"
            raise UsageError(message)
        os.set_blocking(fd, False)
        self._lock = allocate_lock()
        self._fd = fd  # guarded by _lock, as all below
        self._room = buffer
        self._queue: deque[bytes] = deque()
        self._sent = 0
        self._dropped = 0
        self._hung_up = False

    @property
    def dropped(self) -> int:
        """How many events did not fit."""
        return self._dropped

    @property
    def pending(self) -> bool:
        """Whether something is kept that a `flush` could send: then wait until the descriptor is writable."""
        return bool(self._queue) and not self._hung_up

    def fileno(self) -> int:
        """Return the descriptor, -1 after `close`."""
        return self._fd

    def emit(self, message: Message) -> bool:
        """Write message, or keep it, or drop it; return True when the reader has hung up.

        Raises: UsageError for a closed emitter or a message that has no bytes, OSError for other trouble.
        """
        data = frame(message)
        with self._lock:
            self._check_open_locked()
            if self._flush_locked():
                return True
            if self._queue and len(data) > self._room:
                self._dropped += 1
                return False
            done = 0 if self._queue else self._write_locked(data)
            if done < 0:
                return True
            if done == len(data):
                return False
            if not done and len(data) > self._room:
                self._dropped += 1
                return False
            # A frame that has begun is kept whatever its size: the reader must not see half of one.
            self._queue.append(data)
            self._sent = self._sent if len(self._queue) > 1 else done
            self._room -= len(data)
            return False

    def flush(self) -> bool:
        """Send what is kept as far as the reader takes it; return True when it has hung up.

        Raises: UsageError for a closed emitter, OSError.
        """
        with self._lock:
            self._check_open_locked()
            return self._flush_locked()

    def close(self) -> None:
        """Close the descriptor; what is still kept is lost, and counted. A second time does nothing."""
        with self._lock:
            if self._fd >= 0:
                self._dropped += len(self._queue)
                self._queue.clear()
                fd, self._fd = self._fd, -1
                os.close(fd)

    def _check_open_locked(self) -> None:
        if self._fd < 0:
            message = "the emitter is closed"
            raise UsageError(message)

    def _flush_locked(self) -> bool:
        """Write the queue; requires the lock; return whether the reader has hung up."""
        while self._queue and not self._hung_up:
            data = self._queue[0]
            done = self._write_locked(memoryview(data)[self._sent :])
            if done <= 0:
                break
            self._sent += done
            if self._sent == len(data):
                self._queue.popleft()
                self._sent = 0
                self._room += len(data)
        return self._hung_up

    def _write_locked(self, data: bytes | memoryview) -> int:
        """Write until all is written or the reader takes no more; return how much, -1 when it has hung up."""
        total = 0
        while total < len(data):
            try:
                total += os.write(self._fd, data[total:])
            except BlockingIOError:
                break
            except OSError as error:
                # Differs: a reset is a hang-up as well; gVisor's only one is EPIPE.
                if error.errno not in {errno.EPIPE, errno.ECONNRESET}:
                    if total:
                        break  # the rest is kept, so that the stream stays whole; the next write meets the error
                    raise
                self._hung_up = True
                return -1
        return total


class MultiEmitter:
    """Sends each event to all of its emitters. Thread-safe; never raises and never hangs up.

    Emitters that hang up are taken out, not closed. What they raise is joined into one line and reported.
    """

    __slots__ = ("_emitters", "_lock", "_report")

    def __init__(self, report: Callable[[str], None] | None = None) -> None:
        """Begin with no emitter; report takes lines about failing emitters, with no lock held."""
        self._lock = allocate_lock()
        self._emitters: tuple[Emitter, ...] = ()  # replaced under _lock, read without
        self._report = report

    def __bool__(self) -> bool:
        """Return whether there is any emitter: check it before making a costly event."""
        return bool(self._emitters)

    def add(self, emitter: Emitter) -> None:
        """Send events to emitter too. Raises: UsageError when it is there already, or is this one."""
        with self._lock:
            if emitter is self or emitter in self._emitters:
                message = "the emitter is already there" if emitter is not self else "an emitter inside of itself"
                raise UsageError(message)
            self._emitters = (*self._emitters, emitter)

    def remove(self, emitter: Emitter) -> None:
        """Send no more events to emitter; not to have it is no error."""
        with self._lock:
            self._emitters = tuple(each for each in self._emitters if each is not emitter)

    def emit(self, message: Message) -> bool:
        """Send message to all; return False."""
        failures = []
        for emitter in self._emitters:
            try:
                hung_up = emitter.emit(message)
            except Exception as error:  # noqa: BLE001  (an observer must not harm the kernel)
                failures.append(f"{type(emitter).__name__}: {error}")
            else:
                if hung_up:
                    self.remove(emitter)
        self._tell(failures)
        return False

    def close(self) -> None:
        """Close and remove all emitters. Raises: the first error of theirs, after all have been closed."""
        with self._lock:
            emitters, self._emitters = self._emitters, ()
        first: Exception | None = None
        for emitter in emitters:
            try:
                emitter.close()
            except Exception as error:  # noqa: BLE001  (all get their turn)
                first = first or error
        if first is not None:
            raise first

    def _tell(self, failures: list[str]) -> None:
        if failures and self._report is not None:
            self._report(f"events: {'; '.join(failures)}")


class RateLimitedEmitter:
    """Lets through so many events a second, and a burst of more after a pause. Thread-safe.

    A bucket of tokens that begins full; each event takes one. What finds none is dropped, counted, and a success.
    """

    __slots__ = ("_burst", "_clock", "_dropped", "_emitter", "_last", "_level", "_lock", "_rate")

    def __init__(self, emitter: Emitter, rate: float, burst: int, clock: Callable[[], int]) -> None:
        """Limit what goes to emitter.

        rate   events a second, sustained
        burst  events at once
        clock  nanoseconds from anywhere; when it goes back nothing is gained or lost

        Raises: UsageError for a rate or burst that lets nothing through.
        """
        if not 0 < rate < float("inf") or burst < 1:
            message = f"{rate} events a second in bursts of {burst}: both must be positive"
            raise UsageError(message)
        self._emitter = emitter
        self._rate = rate
        self._burst = burst * SECOND
        self._clock = clock
        self._lock = allocate_lock()
        self._level = self._burst  # billionths of a token; guarded by _lock, as all below
        self._last = clock()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many events were over the limit."""
        return self._dropped

    def emit(self, message: Message) -> bool:
        """Send message on, or drop it; return what the emitter returns, False when dropped. Raises: what it raises."""
        with self._lock:
            now = self._clock()
            if now > self._last:
                self._level = min(self._burst, self._level + int((now - self._last) * self._rate))
            self._last = now
            if self._level < SECOND:
                self._dropped += 1
                return False
            self._level -= SECOND
        return self._emitter.emit(message)

    def close(self) -> None:
        """Close the emitter."""
        self._emitter.close()


class DebugEmitter:
    """Turns each event into a `DebugEvent`, a text for people, and sends that on."""

    __slots__ = ("_emitter",)

    def __init__(self, emitter: Emitter) -> None:
        """Send to emitter."""
        self._emitter = emitter

    def emit(self, message: Message) -> bool:
        """Send message on as text; return what the emitter returns. Raises: what it raises."""
        return self._emitter.emit(DebugEvent(message.type_name, as_text(message)))

    def close(self) -> None:
        """Close the emitter."""
        self._emitter.close()


class LogEmitter:
    """Writes each event as one line."""

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[str], object]) -> None:
        """Give lines, without their ends, to write: a logger's method, or print."""
        self._write = write

    def emit(self, message: Message) -> bool:
        """Write message; return False."""
        self._write(f"{message.type_name}: {as_text(message)}")
        return False

    def close(self) -> None:
        """Do nothing: the log has another owner."""
