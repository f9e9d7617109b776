"""Reading and writing.

A file gets the guest's memory as views, so that bytes are copied once. Only as much of the buffer is prepared for a
read as the file could return now (`clamp`): preparing it breaks copy-on-write. Source: Linux fs/read_write.c.
"""

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from sentry.kernel.pending import Pending, Result, attempt
from sentry.kernel.signal import send_sig
from sentry.syscalls.binder import Calls, Fd, FdNum, Flags, Int, Long, Ptr, Size
from sentry.syscalls.filelimit import write_check_limits
from sentry.syscalls.waits import FOR_READ, FOR_WRITE, wait_io
from sentry_abi.errors import EAGAIN, EBADF, EFAULT, EINVAL, EISDIR, EOPNOTSUPP, EPIPE, ESPIPE, LinuxError
from sentry_abi.fcntl import MAX_RW_COUNT, O_NONBLOCK, RWF_APPEND, RWF_HIPRI, RWF_NOWAIT, SEEK_HOLE
from sentry_abi.memory import TASK_SIZE
from sentry_abi.signal import SIGPIPE
from sentry_abi.stat import S_IFDIR, S_IFMT
from sentry_usermem import gather, import_iovec, scatter
from sentry_vfs import SLOT, FileDescription, PipeFile, fsnotify_access, fsnotify_modify

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_tty import TtyFile

calls = Calls("reading and writing")

RWF_KNOWN: Final = 31
MAX_OFFSET: Final = 1 << 63
"""All positions and counts are less."""


class Transfer(NamedTuple):
    """State of a read or write."""

    file: FileDescription
    addr: int
    length: int
    done: int


class VectorTransfer(NamedTuple):
    """State of a readv or writev."""

    file: FileDescription
    pieces: tuple[tuple[int, int], ...]
    done: int


@calls.call
def read(t: "Task", file: Fd, buf: Ptr, count: Size) -> Result:
    """read(2)."""
    if count > MAX_RW_COUNT:
        count = _access_ok(buf, count, open_for=file.readable)
    try:
        size = file.clamp(count)
        if size:
            done = file.read(t.mm.writable(buf, size))
            inode = file.inode
            if inode is not None and inode.fs.watched:
                fsnotify_access(file)
            return done
        return file.read([]) if count else _nothing(file)
    except EFAULT:
        raise _before_fault(file) from None
    except EAGAIN:
        if file.is_tty:
            return _wait_for_typing(t, cast("TtyFile", file), buf, count)
        return wait_io(t, read_on, Transfer(file, buf, count, 0), file, FOR_READ)


def _access_ok(buf: int, count: int, *, open_for: bool) -> int:
    """Return how much of a huge buffer counts. Raises: EBADF, EFAULT if it reaches beyond user space."""
    if not open_for:
        raise EBADF
    if buf + count > TASK_SIZE:
        raise EFAULT
    return MAX_RW_COUNT


def _rw_verify_area(file: FileDescription, *, wants_read: bool) -> None:
    """Refuse a transfer that ends beyond the largest position. Raises: ESPIPE, EBADF, EINVAL."""
    if not has_positions(file):
        raise ESPIPE
    if not (file.readable if wants_read else file.writable):
        raise EBADF
    raise EINVAL


def _before_fault(file: FileDescription) -> LinuxError:
    """Return the error of a read into a bad buffer: the file's own error comes first."""
    if not file.readable:
        return EBADF()
    return EISDIR() if is_directory(file) else EFAULT()


class Typing(NamedTuple):
    """State of a read of a terminal; VTIME ends it at deadline."""

    file: "TtyFile"
    addr: int
    size: int
    deadline: int


def _wait_for_typing(t: "Task", file: "TtyFile", addr: int, count: int) -> Result:
    wait_ns = file.read_wait_ns()
    if wait_ns is None or file.flags & O_NONBLOCK:
        return wait_io(t, read_on, Transfer(file, addr, count, 0), file, FOR_READ)
    return type_on(t, Typing(file, addr, count, t.kernel.clock.monotonic_ns() + wait_ns))


@attempt
def type_on(t: "Task", state: Typing) -> Result:
    """Read input, or nothing once VTIME has passed."""
    file, addr, count, deadline = state
    try:
        return file.read(t.mm.writable(addr, file.clamp(count)))
    except EAGAIN:
        if t.timed_out:
            return 0
    return Pending(type_on, state, ((file.tty.queue, FOR_READ),), deadline)


def _nothing(file: FileDescription) -> int:
    """Return what a read of no bytes returns. Raises: EBADF, EISDIR."""
    if not file.readable:
        raise EBADF
    if not file.reads_nothing:
        return file.read([])
    if is_directory(file):
        raise EISDIR
    return 0


@attempt
def read_on(t: "Task", state: Transfer) -> Result:
    """Retry a read."""
    file, buf, count, _ = state
    try:
        size = file.clamp(count)
        return seen(file, file.read(t.mm.writable(buf, size) if size else []))
    except EAGAIN:
        return wait_io(t, read_on, state, file, FOR_READ)


@calls.call
def write(t: "Task", file: Fd, buf: Ptr, count: Size) -> Result:
    """write(2)."""
    if count > MAX_RW_COUNT:
        count = _access_ok(buf, count, open_for=file.writable)
    if file.seekable:
        if not file.writable:
            raise EBADF
        count = write_check_limits(t, file, file.pos, count)
    try:
        done = file.write(t.mm.readable(buf, count) if count else [])
    except EAGAIN:
        return wait_io(t, write_on, Transfer(file, buf, count, 0), file, FOR_WRITE)
    except EFAULT:
        if not file.writable:
            raise EBADF from None
        if isinstance(file, PipeFile) and not file.pipe.readers:
            broken_pipe(t, file)
            raise EPIPE from None
        raise
    except EPIPE:
        broken_pipe(t, file)
        raise
    inode = file.inode
    if inode is not None and inode.fs.watched and done:
        fsnotify_modify(file)
    if done == count or file.queue is None or file.flags & O_NONBLOCK:
        return done
    return write_on(t, Transfer(file, buf, count, done))


@attempt
def write_on(t: "Task", state: Transfer) -> Result:
    """Continue a write that was accepted in part or not at all."""
    file, buf, count, done = state
    while done < count:
        try:
            done += changed(file, file.write(t.mm.readable(buf + done, count - done)))
        except EAGAIN:
            if done and file.flags & O_NONBLOCK:
                return done
            return wait_io(t, write_on, Transfer(file, buf, count, done), file, FOR_WRITE)
        except EPIPE:
            broken_pipe(t, file)
            if done:
                return done
            raise
        except EFAULT:
            if done:
                return done
            raise
    return done


def broken_pipe(t: "Task", file: FileDescription) -> None:
    """Send SIGPIPE for a write without a reader, if files of this kind send it."""
    if file.breaks_with_signal:
        send_sig(t, SIGPIPE)


def seen(file: FileDescription, done: int) -> int:
    """Report a read of done bytes to inotify; return done."""
    if done > 0 and file.inode is not None and file.inode.fs.watched:
        fsnotify_access(file)
    return done


def changed(file: FileDescription, done: int) -> int:
    """Report a write of done bytes to inotify; return done."""
    if done > 0 and file.inode is not None and file.inode.fs.watched:
        fsnotify_modify(file)
    return done


@calls.call
def pread64(t: "Task", fd: FdNum, buf: Ptr, count: Size, pos: Long) -> Result:
    """pread(2)."""
    if pos < 0:
        raise EINVAL
    file = t.files.get(fd)
    if count > MAX_RW_COUNT and has_positions(file):
        count = _access_ok(buf, count, open_for=file.readable)
    if pos + count >= MAX_OFFSET:
        _rw_verify_area(file, wants_read=True)
    size = file.clamp_at(count, pos)
    try:
        return seen(file, file.pread(t.mm.writable(buf, size) if size else [], pos))
    except EFAULT:
        raise _before_fault(file) if has_positions(file) else ESPIPE from None


@calls.call
def pwrite64(t: "Task", fd: FdNum, buf: Ptr, count: Size, pos: Long) -> Result:
    """pwrite(2)."""
    if pos < 0:
        raise EINVAL
    file = t.files.get(fd)
    if not has_positions(file):
        raise ESPIPE
    if not file.writable:
        raise EBADF
    if count > MAX_RW_COUNT:
        count = _access_ok(buf, count, open_for=True)
    if pos + count >= MAX_OFFSET:
        _rw_verify_area(file, wants_read=False)
    count = write_check_limits(t, file, pos, count)
    return changed(file, file.pwrite(t.mm.readable(buf, count) if count else [], pos))


# vectors


def total(pieces: tuple[tuple[int, int], ...]) -> int:
    """Return the total length of a vector."""
    return sum(length for _, length in pieces)


@calls.call
def readv(t: "Task", file: Fd, iov: Ptr, count: Int) -> Result:
    """readv(2)."""
    if not file.readable:
        raise EBADF
    return read_vector_on(t, VectorTransfer(file, import_iovec(t.mm, iov, count), 0))


@attempt
def read_vector_on(t: "Task", state: VectorTransfer) -> Result:
    """Do a readv, or retry it."""
    file, pieces, _ = state
    wanted = total(pieces)
    if not wanted:
        return 0
    try:
        return seen(file, file.read(scatter(t.mm, pieces, 0, file.clamp(wanted))))
    except EFAULT:
        raise _before_fault(file) from None
    except EAGAIN:
        return wait_io(t, read_vector_on, state, file, FOR_READ)


def _whole_slots(data: list[memoryview | bytes], wanted: int) -> list[memoryview | bytes]:
    """Cut data at the end of a slot if it is less than wanted: a pipe takes nothing of a page that faults.

    Raises: EFAULT if nothing is left.
    """
    whole = sum(map(len, data))
    if whole >= wanted:
        return data
    if whole < SLOT:
        raise EFAULT
    return [memoryview(b"".join(data))[: whole // SLOT * SLOT]]


@calls.call
def writev(t: "Task", file: Fd, iov: Ptr, count: Int) -> Result:
    """writev(2)."""
    if not file.writable:
        raise EBADF
    return write_vector_on(t, VectorTransfer(file, import_iovec(t.mm, iov, count), 0))


@attempt
def write_vector_on(t: "Task", state: VectorTransfer) -> Result:
    """Write a vector, or the rest of it."""
    file, pieces, done = state
    wanted = total(pieces)
    while True:
        limit = write_check_limits(t, file, file.pos, wanted - done) if file.seekable else MAX_OFFSET
        try:
            data = gather(t.mm, pieces, done, limit)
            if isinstance(file, PipeFile):
                data = _whole_slots(data, min(wanted - done, limit))
            got = file.write(data)
        except EAGAIN:
            if done and file.flags & O_NONBLOCK:
                return done
            return wait_io(t, write_vector_on, VectorTransfer(file, pieces, done), file, FOR_WRITE)
        except EPIPE:
            broken_pipe(t, file)
            if done:
                return done
            raise
        except EFAULT:
            if done:
                return done
            if isinstance(file, PipeFile) and not file.pipe.readers:
                broken_pipe(t, file)
                raise EPIPE from None
            raise
        done += changed(file, got)
        if done >= wanted or file.queue is None or not got or file.flags & O_NONBLOCK:
            return done


def _at(t: "Task", fd: int, pos: int) -> FileDescription:
    """Return a file that can be read or written at pos. Raises: EINVAL, EBADF, ESPIPE."""
    if pos < 0:
        raise EINVAL
    file = t.files.get(fd)
    if not has_positions(file):
        raise ESPIPE
    return file


@calls.call
def preadv(t: "Task", fd: FdNum, iov: Ptr, count: Int, pos: Long) -> Result:
    """preadv(2)."""
    if pos < 0:
        raise EINVAL
    return preadv2(t, fd, iov, count, pos, 0, 0)


@calls.call
def pwritev(t: "Task", fd: FdNum, iov: Ptr, count: Int, pos: Long) -> Result:
    """pwritev(2)."""
    if pos < 0:
        raise EINVAL
    return pwritev2(t, fd, iov, count, pos, 0, 0)


@calls.named("preadv2", partial="RWF_NOWAIT is refused")
def preadv2(t: "Task", fd: FdNum, iov: Ptr, count: Int, pos: Long, high: Size, flags: Flags) -> Result:
    """preadv2(2); pos -1 is the file position. Raises: EINVAL, EBADF, ESPIPE, EFAULT, EOPNOTSUPP for the flags."""
    del high
    file = t.files.get(fd) if pos == -1 else _at(t, fd, pos)
    if not file.readable:
        raise EBADF
    pieces = import_iovec(t.mm, iov, count)
    if not total(pieces):
        return 0
    if pos + total(pieces) >= MAX_OFFSET:
        raise EINVAL
    _check_rwf(flags)
    if flags & ~RWF_HIPRI and is_directory(file):
        raise EOPNOTSUPP
    if pos == -1:
        return read_vector_on(t, VectorTransfer(file, pieces, 0))
    try:
        return seen(file, file.pread(scatter(t.mm, pieces, 0, file.clamp_at(total(pieces), pos)), pos))
    except EFAULT:
        raise _before_fault(file) from None


@calls.named("pwritev2", partial="RWF_NOWAIT is refused")
def pwritev2(t: "Task", fd: FdNum, iov: Ptr, count: Int, pos: Long, high: Size, flags: Flags) -> Result:
    """pwritev2(2); pos -1 is the file position. Raises: EINVAL, EBADF, ESPIPE, EFAULT, EOPNOTSUPP, EFBIG."""
    del high
    file = t.files.get(fd) if pos == -1 else _at(t, fd, pos)
    if not file.writable:
        raise EBADF
    pieces = import_iovec(t.mm, iov, count)
    if not total(pieces):
        return 0
    if pos + total(pieces) >= MAX_OFFSET:
        raise EINVAL
    _check_rwf(flags)
    own = pos == -1
    if flags & RWF_APPEND and file.seekable:
        pos = file.size()
    if pos == -1:
        return write_vector_on(t, VectorTransfer(file, pieces, 0))
    done = changed(file, file.pwrite(gather(t.mm, pieces, 0, write_check_limits(t, file, pos, total(pieces))), pos))
    if own:
        file.pos = pos + done
    return done


def _check_rwf(flags: int) -> None:
    if flags & ~RWF_KNOWN or flags & RWF_NOWAIT:
        raise EOPNOTSUPP


@calls.call
def lseek(t: "Task", file: Fd, offset: Long, whence: Int) -> Result:
    """lseek(2)."""
    del t
    if not 0 <= whence <= SEEK_HOLE:
        raise EINVAL
    return file.seek(offset, whence)


def is_directory(file: FileDescription) -> bool:
    """Return whether a directory is open."""
    return file.inode is not None and file.inode.mode & S_IFMT == S_IFDIR


def has_positions(file: FileDescription) -> bool:
    """Return whether a file can be read at a position; the position of an inherited one is the host's."""
    return file.has_positions()
