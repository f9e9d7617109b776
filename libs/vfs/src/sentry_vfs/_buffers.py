"""Buffers: copying to scatter lists, and queues of bytes.

A queue of bytes is a deque of chunks and how many bytes of the first one were read. One write is one copy in, one read
one copy out; small writes are gathered in a page. Plain functions: the owner of the deque pays for no object between.
"""

from collections import deque
from typing import Final

Buffer = memoryview | bytes | bytearray
Chunks = deque[bytes | bytearray]
_PAGE: Final = 4096


def put_bytes(chunks: Chunks, head: int, data: Buffer) -> int:
    """Append data; return the new head."""
    length = len(data)
    if length < _PAGE and chunks:
        last = chunks[-1]
        if type(last) is bytearray and len(last) + length <= _PAGE:
            if len(chunks) == 1 and head:
                # The reader keeps up: drop what it has read, else the page fills with it.
                last = chunks[0] = bytearray(memoryview(last)[head:])
                head = 0
            last += data
            return head
    if length:
        chunks.append(bytearray(data) if length < _PAGE // 4 else bytes(data))
    return head


def take_bytes(chunks: Chunks, head: int, bufs: list[memoryview], limit: int) -> tuple[int, int]:
    """Move the first bytes of chunks, at most limit, into bufs; head bytes of the first chunk were read before.

    Return how many bytes were moved, and the new head.
    """
    done = 0
    for buf in bufs:
        end = min(len(buf), limit - done)
        at = 0
        while at < end and chunks:
            chunk = chunks[0]
            left = len(chunk) - head
            if left > end - at:
                left = end - at
                buf[at:end] = memoryview(chunk)[head : head + left]
                head += left
            elif head:
                buf[at : at + left] = memoryview(chunk)[head:]
                head = 0
                chunks.popleft()
            else:
                buf[at : at + left] = chunk
                chunks.popleft()
            at += left
        done += at
        if not chunks or done == limit:
            break
    return done, head


def scatter(bufs: list[memoryview], data: bytes) -> int:
    """Copy data into bufs, as much as fits; return how many bytes."""
    done = 0
    for buf in bufs:
        part = data[done : done + len(buf)]
        buf[: len(part)] = part
        done += len(part)
        if done == len(data):
            break
    return done
