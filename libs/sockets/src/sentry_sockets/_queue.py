"""Bytes between two sockets, with marks for what was sent along.

A mark covers the bytes of one send and holds what came with them: descriptions (SCM_RIGHTS) and the sender's
credentials. Nearly all bytes have none, so the common read and write look at one empty deque.

A read that touches the first byte under a mark takes its descriptions and stops at the mark's end, as Linux's stops
behind an skb with them; a reader that asks for credentials stops where they change (net/unix/af_unix.c
unix_stream_read_generic).
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from sentry_vfs import Buffer, Chunks, FileDescription, put_bytes, take_bytes

PAGE: Final = 4096


class Ucred(NamedTuple):
    """struct ucred: credentials of a sender or a peer."""

    pid: int
    uid: int
    gid: int


NO_CREDS: Final = Ucred(0, 0xFFFF_FFFF, 0xFFFF_FFFF)
"""SO_PEERCRED of a socket without a peer."""
UNKNOWN: Final = Ucred(0, 65534, 65534)
"""Credentials of a message for whose sender they were not recorded when it was sent."""


class Control(NamedTuple):
    """What is sent along with bytes: descriptions, which the message owns, and credentials."""

    files: tuple[FileDescription, ...] = ()
    creds: Ucred | None = None


NOTHING: Final = Control()


class Mark:
    """Bytes start to end of a stream, counted from its beginning, and what came with them."""

    __slots__ = ("control", "end", "start")

    def __init__(self, start: int, end: int, control: Control) -> None:
        """Cover a range."""
        self.start = start
        self.end = end
        self.control = control


class ByteQueue:
    """Bytes in order. One write is one copy in, one read one copy out; small writes are gathered in a page."""

    __slots__ = ("_chunks", "_head", "marks", "size", "taken")

    def __init__(self) -> None:
        """Make an empty queue."""
        self._chunks: Chunks = deque()
        self._head = 0
        self.size = 0
        self.taken = 0
        """How many bytes have left, as positions of marks are counted."""
        self.marks: deque[Mark] = deque()

    def append(self, bufs: Sequence[Buffer], space: int) -> int:
        """Append as much of bufs as `space` allows; return how much."""
        done = 0
        for buf in bufs:
            length = len(buf)
            if length > space - done:
                buf = memoryview(buf)[: space - done]  # noqa: PLW2901  (the part that fits)
                length = space - done
            if not length:
                continue
            done += length
            self._head = put_bytes(self._chunks, self._head, buf)
        self.size += done
        return done

    def mark(self, length: int, control: Control) -> None:
        """Mark the last length bytes with control."""
        end = self.taken + self.size
        start = end - length
        marks = self.marks
        if marks and not control.files:
            last = marks[-1]
            if last.end == start and last.control == control:
                last.end = end
                return
        marks.append(Mark(start, end, control))

    def span(self, wanted: int, *, creds: bool) -> tuple[int, Control]:
        """Return how many bytes the next read takes, at most wanted, and what comes with them."""
        here = at = self.taken
        limit = here + min(wanted, self.size)
        files = NOTHING.files
        who: Ucred | None = None
        for mark in self.marks:
            if mark.start > at:
                if creds and who not in {None, UNKNOWN}:
                    limit = min(limit, at)
                who = who or UNKNOWN
                at = mark.start
            if at >= limit:
                break
            mine = mark.control.creds or UNKNOWN
            if creds and who not in {None, mine}:
                limit = at
                break
            who = who or mine
            at = mark.end
            if mark.control.files:
                files = mark.control.files
                limit = min(limit, at)
                break
        else:
            if creds and who not in {None, UNKNOWN}:
                limit = min(limit, at)
        return limit - here, Control(files, (who or UNKNOWN) if creds else None)

    def peek(self, bufs: list[memoryview], limit: int) -> int:
        """Copy the first bytes, at most limit, into bufs and leave them."""
        done = 0
        head = self._head
        at = end = 0
        target = iter(bufs)
        buf = memoryview(b"")
        for chunk in self._chunks:
            view = memoryview(chunk)[head:]
            head = 0
            while len(view) and done < limit:
                while at == end:
                    following = next(target, None)
                    if following is None:
                        return done
                    buf, at, end = following, 0, len(following)
                take = min(len(view), end - at, limit - done)
                buf[at : at + take] = view[:take]
                view = view[take:]
                at += take
                done += take
        return done

    def take(self, bufs: list[memoryview], limit: int) -> int:
        """Move the first bytes, at most limit, into bufs."""
        done, self._head = take_bytes(self._chunks, self._head, bufs, limit)
        self.size -= done
        self.taken += done
        if self.marks:
            self._pass_marks()
        return done

    def skip(self, count: int) -> None:
        """Drop the first count bytes (MSG_TRUNC on a TCP socket)."""
        scratch = memoryview(bytearray(min(count, 1 << 16)))
        while count:
            count -= self.take([scratch[: min(len(scratch), count)]], count)

    def _pass_marks(self) -> None:
        """Drop the marks that were read, and the descriptions of one that was read in part: the reader has them."""
        marks = self.marks
        while marks and marks[0].end <= self.taken:
            marks.popleft()
        if marks and marks[0].start < self.taken:
            marks[0].control = marks[0].control._replace(files=())

    def clear(self) -> list[FileDescription]:
        """Empty the queue; return the descriptions that were in it."""
        files = [file for mark in self.marks for file in mark.control.files]
        self.marks.clear()
        self._chunks.clear()
        self._head = 0
        self.taken += self.size
        self.size = 0
        return files

    def files(self) -> list[FileDescription]:
        """Return the descriptions in it."""
        return [file for mark in self.marks for file in mark.control.files]
