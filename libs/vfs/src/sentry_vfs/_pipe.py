"""Pipes and FIFOs.

Content is in slots of a page, as in Linux: capacity is counted in slots, a small write is merged into the last page if
it fits there whole, and a packet (O_DIRECT) has slots of its own. The bytes of neighbouring slots are one string, so
that one write is one copy in and one read one copy out, whatever the sizes; a read of a part of a string copies nothing
else, only `_head` advances.

Sources: Linux fs/pipe.c, fs/splice.c, pipe(7); gVisor pkg/sentry/kernel/pipe.
"""

from collections import deque
from collections.abc import Sequence
from typing import ClassVar, Final

from sentry_abi.errors import EAGAIN, EBADF, EBUSY, EINVAL, ENOTTY, ENXIO, EPERM, EPIPE
from sentry_abi.fcntl import O_ACCMODE, O_DIRECT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY
from sentry_abi.ioctl import FIONREAD
from sentry_abi.stat import PIPEFS_MAGIC, S_IFIFO
from sentry_vfs._buffers import Buffer
from sentry_vfs._file import FileDescription, UserMemory
from sentry_vfs._node import Filesystem, Inode, KernelWide, Path
from sentry_waiter import ERR, HUP, IN, OUT, RDNORM, WRNORM, Queue

SLOT: Final = 4096
"""The size of a slot in bytes, and PIPE_BUF: a write up to this size goes in whole or not at all."""
DEFAULT_CAPACITY: Final = 65536
MAX_CAPACITY: Final = 1 << 20
"""fs.pipe-max-size, for callers without CAP_SYS_RESOURCE."""


class Packet(bytes):
    """The bytes of one write through O_DIRECT: at most a slot, read by one read, which drops what does not fit."""

    __slots__ = ()


class Pipe:
    """The buffer between the ends, and how many of each are open (struct pipe_inode_info)."""

    __slots__ = (
        "_chunks",
        "_head",
        "_saved",
        "_used",
        "capacity",
        "queue",
        "reader_opens",
        "readers",
        "size",
        "writer_opens",
        "writers",
    )

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        """Make an empty pipe without ends."""
        self._chunks: deque[bytes | bytearray] = deque()
        """A bytearray's last slot may be merged into; bytes came by splice, tee or vmsplice, or are a Packet."""
        self._head = 0
        self._used = 0
        self._saved: list[tuple[bool, bytes | bytearray]] = []
        """While a pipe is saved: whether a chunk is a packet, and its bytes."""
        self.size = 0
        self.capacity = capacity
        self.queue = Queue()
        self.readers = self.writers = 0
        self.reader_opens = self.writer_opens = 0

    def before_save(self) -> None:
        """Make plain bytes of packets."""
        self._saved = [(True, bytes(chunk)) if isinstance(chunk, Packet) else (False, chunk) for chunk in self._chunks]

    def after_load(self) -> None:
        """Make packets again."""
        self._chunks = deque(Packet(data) if packet else data for packet, data in self._saved)
        self._saved = []

    @property
    def free_slots(self) -> int:
        """Return how many slots are empty."""
        return self.capacity // SLOT - self._used

    def read(self, bufs: list[memoryview], *, across: bool = False) -> int:
        """Take bytes into bufs, at most one packet unless across; 0 if there are none and no writer.

        Raises: EAGAIN.
        """
        if not self.size:
            if not self.writers or not any(len(buf) for buf in bufs):
                return 0
            raise EAGAIN
        chunks = self._chunks
        only = 0
        """The count at which a packet ends the read."""
        done = 0
        for buf in bufs:
            size = len(buf)
            at = 0
            while at < size and chunks:
                chunk, head = chunks[0], self._head
                if isinstance(chunk, Packet) and not only and not across:
                    only = done + at + len(chunk) - head
                part = min(len(chunk) - head, size - at)
                buf[at : at + part] = memoryview(chunk)[head : head + part] if part != len(chunk) else chunk
                at += part
                self._advance(part)
                if done + at == only:
                    break
            done += at
            if only and done == only:
                break
        if only > done:
            self._advance(only - done)
        if done:
            self.queue.notify(OUT | WRNORM)
        return done

    def _advance(self, count: int) -> None:
        """Take count bytes of the first chunk."""
        chunk, head = self._chunks[0], self._head
        self.size -= count
        if head + count < len(chunk):
            self._used -= (head + count) // SLOT - head // SLOT
            self._head = head + count
        else:
            self._used -= -(-len(chunk) // SLOT) - head // SLOT
            self._head = 0
            self._chunks.popleft()

    def peek(self, count: int, slots: int = 1 << 31) -> list[memoryview]:
        """Return views of the first bytes without taking them, one a slot: at most count bytes and slots views."""
        views: list[memoryview] = []
        head = self._head
        for chunk in self._chunks:
            view = memoryview(chunk).toreadonly()
            while head < len(chunk) and count > 0 and len(views) < slots:
                end = min(len(chunk), head // SLOT * SLOT + SLOT, head + count)
                views.append(view[head:end])
                count -= end - head
                head = end
            head = 0
        return views

    def discard(self, count: int) -> None:
        """Drop the first count bytes, at most as many as there are."""
        count = min(count, self.size)
        while count:
            part = min(len(self._chunks[0]) - self._head, count)
            self._advance(part)
            count -= part
        self.queue.notify(OUT | WRNORM)

    def write(self, bufs: Sequence[Buffer], *, packets: bool = False) -> int:
        """Append as much of bufs as fits; all or nothing up to a slot in total.

        Raises: EPIPE without a reader, EAGAIN.
        """
        total = sum(map(len, bufs))
        if not total:
            return 0
        if not self.readers:
            raise EPIPE
        data = memoryview(bufs[0] if len(bufs) == 1 else b"".join(bufs))
        done = self._fill_last(data[: total % SLOT])
        space = min(total - done, self.free_slots * SLOT)
        if space > 0:
            part = data[done : done + space]
            if packets:
                self._chunks.extend(Packet(part[at : at + SLOT]) for at in range(0, space, SLOT))
            else:
                self._chunks.append(bytearray(part))
            self._used += -(-space // SLOT)
            done += space
        if not done:
            raise EAGAIN
        self.size += done
        self.queue.notify(IN | RDNORM)
        return done

    def _fill_last(self, data: memoryview) -> int:
        """Merge data into the last slot if it fits there whole; return its length or 0."""
        if not data or not self._chunks:
            return 0
        last = self._chunks[-1]
        full = len(last) % SLOT
        if type(last) is not bytearray or not full or full + len(data) > SLOT:
            return 0
        last += data
        return len(data)

    def send(self, target: "Pipe", count: int, *, take: bool) -> int:
        """Append the first count bytes to another pipe, slot by slot, as many as fit (tee, splice).

        Raises: EPIPE without a reader, EAGAIN.
        """
        slots: list[Buffer] = []
        head, left, space = self._head, count, target.free_slots
        for chunk in self._chunks:
            kind: type[bytes | bytearray] = Packet if isinstance(chunk, Packet) else bytes
            if take and isinstance(chunk, bytearray):
                kind = bytearray
            while head < len(chunk) and left > 0 and len(slots) < space:
                end = min(len(chunk), head // SLOT * SLOT + SLOT, head + left)
                slots.append(kind(memoryview(chunk)[head:end]))
                left -= end - head
                head = end
            head = 0
        done = target.give(slots)
        if take:
            self.discard(done)
        return done

    def give(self, views: Sequence[Buffer]) -> int:
        """Append each of views, at most a slot long, in a slot of its own, as many as there are slots for.

        Raises: EPIPE without a reader, EAGAIN.
        """
        if not self.readers:
            raise EPIPE
        given = [
            view if isinstance(view, bytes | bytearray) else bytes(view) for view in views[: max(0, self.free_slots)]
        ]
        if not given:
            raise EAGAIN
        done = sum(map(len, given))
        self._chunks.extend(given)
        self._used += len(given)
        self.size += done
        self.queue.notify(IN | RDNORM)
        return done

    def set_capacity(self, wanted: int, *, privileged: bool = False) -> int:
        """Set the capacity, rounded up to a power of two pages; return it.

        Raises: EINVAL, EPERM (beyond the limit), EBUSY (the content needs more).
        """
        if wanted > 1 << 31:
            raise EINVAL
        size = 1 << (max(wanted, SLOT) - 1).bit_length()
        if size > MAX_CAPACITY and not privileged and size > self.capacity:
            raise EPERM
        if size // SLOT < self._used:
            raise EBUSY
        self.capacity = size
        self.queue.notify(OUT | WRNORM)
        return size


class PipeFile(FileDescription):
    """One end of a pipe, or both (a FIFO opened O_RDWR)."""

    __slots__ = ("_reads", "_waits_for", "_writes", "pipe")

    is_pipe: ClassVar[bool] = True

    def __init__(self, pipe: Pipe, flags: int, where: Path | None, inode: Inode) -> None:
        """Open an end; wake opens that wait for it."""
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
    def opening(self) -> bool:  # type: ignore[override]  # a class variable there: few opens block
        """Whether open(2) still blocks: until the other end was opened, be it closed again."""
        if self._waits_for < 0:
            return False
        return (self.pipe.reader_opens if self._writes else self.pipe.writer_opens) == self._waits_for

    def wait_for_peer(self) -> None:
        """Set `opening` until the other end is opened."""
        self._waits_for = self.pipe.reader_opens if self._writes else self.pipe.writer_opens

    def release(self) -> None:
        """Close this end; wake the other side."""
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
        """Return how much a read could take now."""
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
        """Append bytes. Raises: EBADF, EPIPE, EAGAIN."""
        if not self._writes:
            raise EBADF
        return self.pipe.write(bufs, packets=bool(self.flags & O_DIRECT))

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
            if pipe.free_slots > 0:
                mask |= OUT | WRNORM
            if not pipe.readers:
                mask |= ERR
        return mask

    def ioctl(self, command: int, arg: int, mm: UserMemory) -> int:
        """Do FIONREAD. Raises: ENOTTY, EFAULT."""
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
    """The file system of nameless pipes."""

    __slots__ = ()
    name = b"pipefs"
    magic = PIPEFS_MAGIC

    def __init__(self, vfs: KernelWide) -> None:
        """Make the file system."""
        super().__init__(vfs)


class PipeInode(Inode):
    """The inode of a nameless pipe or a FIFO; the buffer exists while an end is open."""

    __slots__ = ("pipe",)

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Make a pipe inode."""
        super().__init__(fs, ino, S_IFIFO | mode & 0o7777, uid, gid)
        self.pipe: Pipe | None = None

    def open(self, where: Path, flags: int) -> PipeFile:
        """Open an end of the FIFO; see `open_fifo`."""
        return open_fifo(self, where, flags)


def open_fifo(inode: PipeInode, where: Path, flags: int) -> PipeFile:
    """Open a FIFO; the file's `opening` says whether open(2) blocks until the other end is opened.

    Raises: EINVAL (neither to read nor to write), ENXIO (write-only and nonblocking without a reader).
    """
    if flags & O_ACCMODE == O_ACCMODE:
        raise EINVAL
    pipe = inode.pipe
    if pipe is None or not (pipe.readers or pipe.writers):
        pipe = inode.pipe = Pipe()
    mode = flags & O_ACCMODE
    # A nameless pipe, opened again through /proc/PID/fd, does not block (Linux fs/pipe.c fifo_open, is_pipe).
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
