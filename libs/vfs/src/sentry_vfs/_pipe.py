"""Pipes and FIFOs.

Content is a queue of byte strings: one write is one copy in, one read one copy out, whatever the sizes; small writes
are gathered in a page, so that a byte costs a byte. Nothing is moved when a part of a string is read, only `_head`
advances.

Sources: Linux fs/pipe.c, pipe(7); gVisor pkg/sentry/kernel/pipe. Differs: capacity is counted in bytes, Linux counts
pages, so that a pipe full of one-byte writes through O_DIRECT holds more here.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from sentry_abi.errors import EAGAIN, EBADF, EBUSY, EINVAL, ENOTTY, ENXIO, EPERM, EPIPE
from sentry_abi.fcntl import O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY
from sentry_abi.ioctl import FIONREAD
from sentry_abi.stat import PIPEFS_MAGIC, S_IFIFO
from sentry_vfs._chunks import Chunks, put_bytes, take_bytes
from sentry_vfs._file import Buffer, FileDescription
from sentry_vfs._node import Filesystem, Inode, Path
from sentry_waiter import ERR, HUP, IN, OUT, RDNORM, WRNORM, Queue

ATOMIC: Final = 4096
"""PIPE_BUF: a write up to this size goes in whole or not at all."""
DEFAULT_CAPACITY: Final = 65536
MAX_CAPACITY: Final = 1 << 20
"""fs.pipe-max-size, for callers without CAP_SYS_RESOURCE."""


class Pipe:
    """The buffer between the ends, and who holds the ends."""

    __slots__ = ("_chunks", "_head", "capacity", "queue", "reader_opens", "readers", "size", "writer_opens", "writers")

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        """Make an empty pipe without ends."""
        self._chunks: Chunks = deque()
        self._head = 0
        self.size = 0
        self.capacity = capacity
        self.queue = Queue()
        self.readers = self.writers = 0
        self.reader_opens = self.writer_opens = 0

    def read(self, bufs: list[memoryview]) -> int:
        """Take bytes into bufs; 0 if there are none and no writer.

        Raises: EAGAIN.
        """
        if not self.size:
            if not self.writers or not any(len(buf) for buf in bufs):
                return 0
            raise EAGAIN
        done, self._head = take_bytes(self._chunks, self._head, bufs, self.size)
        self.size -= done
        if done:
            self.queue.notify(OUT | WRNORM)
        return done

    def peek(self, count: int) -> list[memoryview]:
        """Return views of the first count bytes (or all there are) without taking them."""
        views = []
        head = self._head
        for chunk in self._chunks:
            if count <= 0:
                break
            view = memoryview(chunk)[head : head + count].toreadonly()
            views.append(view)
            count -= len(view)
            head = 0
        return views

    def discard(self, count: int) -> None:
        """Take count bytes, at most as many as there are, and forget them."""
        count = min(count, self.size)
        self.size -= count
        while count:
            left = len(self._chunks[0]) - self._head
            if left > count:
                self._head += count
                break
            self._chunks.popleft()
            self._head = 0
            count -= left
        self.queue.notify(OUT | WRNORM)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Put as much of bufs in as fits; all or nothing up to `ATOMIC` bytes in total.

        Raises: EPIPE without a reader, EAGAIN.
        """
        if not self.readers:
            raise EPIPE
        total = sum(map(len, bufs))
        if not total:
            return 0
        room = self.capacity - self.size
        if room <= 0 or (total <= ATOMIC and room < total):
            raise EAGAIN
        done = 0
        for buf in bufs:
            part = buf if len(buf) <= room - done else memoryview(buf)[: room - done]
            self._head = put_bytes(self._chunks, self._head, part)
            done += len(part)
            if done == room:
                break
        self.size += done
        self.queue.notify(IN | RDNORM)
        return done

    def set_capacity(self, wanted: int, *, privileged: bool = False) -> int:
        """Set the capacity, rounded up to a power of two pages; return it.

        Raises: EINVAL, EPERM (beyond the limit), EBUSY (more than that is in it).
        """
        if not 0 < wanted <= 1 << 31:
            raise EINVAL
        size = max(4096, 1 << (wanted - 1).bit_length())
        if size > MAX_CAPACITY and not privileged and size > self.capacity:
            raise EPERM
        if size < self.size:
            raise EBUSY
        self.capacity = size
        self.queue.notify(OUT | WRNORM)
        return size


class PipeFile(FileDescription):
    """One end of a pipe, or both (a FIFO opened O_RDWR)."""

    __slots__ = ("_reads", "_waits_for", "_writes", "pipe")

    is_pipe: ClassVar[bool] = True

    def __init__(self, pipe: Pipe, flags: int, where: Path | None, inode: Inode) -> None:
        """Open an end; who waits for it is told."""
        super().__init__(flags, where, inode, pipe.queue)
        self.pipe = pipe
        mode = flags & O_ACCMODE
        self._reads = mode != O_WRONLY
        self._writes = mode != O_RDONLY
        self._waits_for = -1
        if self._reads:
            pipe.readers += 1
            pipe.reader_opens += 1
        if self._writes:
            pipe.writers += 1
            pipe.writer_opens += 1
        pipe.queue.notify(IN | OUT | HUP | ERR)

    @property
    def opening(self) -> bool:  # type: ignore[override]  # a class variable there, because almost nobody waits
        """Whether open(2) still has to wait for the other end: until one was opened, not until one is there."""
        if self._waits_for < 0:
            return False
        return (self.pipe.reader_opens if self._writes else self.pipe.writer_opens) == self._waits_for

    def wait_for_peer(self) -> None:
        """Make `opening` true until the other end is opened."""
        self._waits_for = self.pipe.reader_opens if self._writes else self.pipe.writer_opens

    def release(self) -> None:
        """Close this end; the other side is told."""
        pipe = self.pipe
        if self._reads:
            pipe.readers -= 1
            if not pipe.readers:
                pipe.queue.notify(OUT | WRNORM | ERR)
        if self._writes:
            pipe.writers -= 1
            if not pipe.writers:
                pipe.queue.notify(IN | RDNORM | HUP)
        if not pipe.readers and not pipe.writers:
            pipe.discard(pipe.size)

    def clamp(self, count: int) -> int:
        """Return how much a read would take now."""
        return min(count, self.pipe.size)

    def read(self, bufs: list[memoryview]) -> int:
        """Take bytes. Raises: EBADF, EAGAIN."""
        if not self._reads:
            raise EBADF
        pipe = self.pipe
        if not pipe.size and pipe.writers and not bufs:
            raise EAGAIN
        return pipe.read(bufs)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Put bytes in. Raises: EBADF, EPIPE, EAGAIN."""
        if not self._writes:
            raise EBADF
        return self.pipe.write(bufs)

    def readiness(self) -> int:
        """Return the poll(2) bits; a hang-up only after a writer has existed."""
        pipe = self.pipe
        mask = 0
        if self._reads:
            if pipe.size:
                mask |= IN | RDNORM
            if not pipe.writers and pipe.writer_opens:
                mask |= HUP
        if self._writes:
            if pipe.capacity - pipe.size >= ATOMIC:
                mask |= OUT | WRNORM
            if not pipe.readers:
                mask |= ERR
        return mask

    def ioctl(self, command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (as in the base class)
        """Do FIONREAD. Raises: ENOTTY."""
        if command == FIONREAD:
            mm.copy_out(arg, self.pipe.size.to_bytes(4, "little"))
            return 0
        raise ENOTTY

    def path(self) -> bytes:
        """Return the link text."""
        if self.where is None and self.inode is not None:
            return b"pipe:[%d]" % self.inode.ino
        return super().path()


class PipeFilesystem(Filesystem):
    """Where nameless pipes have their inodes."""

    __slots__ = ()
    name = b"pipefs"
    magic = PIPEFS_MAGIC


class PipeInode(Inode):
    """A nameless pipe's or a FIFO's inode; the buffer exists while someone has it open."""

    __slots__ = ("pipe",)

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Make a pipe inode."""
        super().__init__(fs, ino, S_IFIFO | mode & 0o7777, uid, gid)
        self.pipe: Pipe | None = None

    def open(self, where: Path, flags: int) -> PipeFile:
        """Open an end of the FIFO; see `open_fifo`."""
        return open_fifo(self, where, flags)


def open_fifo(inode: PipeInode, where: Path, flags: int) -> PipeFile:
    """Open a FIFO; the file's `opening` tells whether open(2) has to wait for the other end.

    Raises: ENXIO (write-only and nonblocking without a reader).
    """
    pipe = inode.pipe
    if pipe is None or not (pipe.readers or pipe.writers):
        pipe = inode.pipe = Pipe()
    mode = flags & O_ACCMODE
    # A nameless pipe, opened again through /proc/PID/fd, waits for nobody (Linux fs/pipe.c fifo_open, is_pipe).
    nameless = isinstance(inode.fs, PipeFilesystem)
    if mode == O_WRONLY and flags & O_NONBLOCK and not pipe.readers and not nameless:
        raise ENXIO
    file = PipeFile(pipe, flags, where, inode)
    if nameless:
        return file
    if mode != O_RDWR and not flags & O_NONBLOCK and not (pipe.readers if mode == O_WRONLY else pipe.writers):
        file.wait_for_peer()
    return file


def make_pipe(fs: PipeFilesystem, uid: int, gid: int, flags: int = 0) -> tuple[PipeFile, PipeFile]:
    """Return the read end and the write end of a new pipe; flags are status flags such as O_NONBLOCK."""
    inode = PipeInode(fs, fs.new_ino(), 0o600, uid, gid)
    pipe = inode.pipe = Pipe()
    return PipeFile(pipe, flags | O_RDONLY, None, inode), PipeFile(pipe, flags | O_WRONLY, None, inode)
