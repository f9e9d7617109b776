"""Moving bytes between files: sendfile, copy_file_range, splice, tee and vmsplice.

Source: Linux fs/splice.c, fs/read_write.c. Differs: bytes are copied, so that the content of a pipe does not change
with the file or the memory that it came from.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, Fd, FdNum, Flags, Ptr, Size
from sentry.syscalls.filelimit import write_check_limits
from sentry.syscalls.guest import LOFF_T, read_one
from sentry.syscalls.io import MAX_OFFSET, broken_pipe, changed, has_positions, is_directory, seen, total
from sentry.syscalls.waits import FOR_READ, FOR_WRITE, wait_io
from sentry_abi.errors import EAGAIN, EBADF, EINVAL, EISDIR, EOVERFLOW, EPIPE, ERESTARTSYS, ESPIPE, EXDEV
from sentry_abi.fcntl import MAX_RW_COUNT, O_APPEND, O_NONBLOCK, SPLICE_F_NONBLOCK, UIO_MAXIOV
from sentry_abi.stat import S_IFDIR, S_IFMT, S_IFREG
from sentry_usermem import import_iovec, scatter
from sentry_vfs import SLOT, FileDescription, PipeFile

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("between files")

SPLICE_F_ALL: Final = 15
_PIECE: Final = 1 << 16
_MOST: Final = 1 << 24
"""A copy between files returns after this much, so that other tasks run; the caller calls again."""


class Copy(NamedTuple):
    """State of a sendfile: pos is the position of the next byte of source, -1 for the file's own."""

    target: FileDescription
    source: FileDescription
    pointer: int
    pos: int
    length: int
    done: int


@calls.call
def sendfile(t: "Task", out_fd: FdNum, in_fd: FdNum, offset: Ptr, count: Size) -> Result:
    """sendfile(2)."""
    pos = read_one(t, offset, LOFF_T) if offset else -1
    source = t.files.get(in_fd)
    if not source.readable:
        raise EBADF
    seekable = has_positions(source)
    if offset and not seekable:
        raise ESPIPE
    if (offset and pos < 0) or max(pos, 0) + count >= MAX_OFFSET:
        raise EINVAL
    target = t.files.get(out_fd)
    if not target.writable:
        raise EBADF
    if isinstance(target, PipeFile):
        if not target.pipe.readers:
            broken_pipe(t, target)
            raise EPIPE
        if target.flags & O_NONBLOCK and target.pipe.free_slots <= 0:
            raise EAGAIN
        if not count:
            return 0
    elif target.flags & O_APPEND:
        raise EINVAL
    if not seekable:
        raise EINVAL
    if not count:
        return 0
    if is_directory(source):
        raise EINVAL
    return sendfile_on(t, Copy(target, source, offset, pos, min(count, MAX_RW_COUNT), 0))


@attempt
def sendfile_on(t: "Task", state: Copy) -> Result:
    """Copy from a file with positions to any file."""
    target, source, pointer, pos, count, done = state
    piece = memoryview(bytearray(min(_PIECE, count)))
    try:
        while done < count and done < _MOST:
            at = pos if pos >= 0 else source.position()
            got = source.pread([piece[: count - done]], at)
            if not got:
                break
            if isinstance(target, PipeFile):
                got = target.pipe.give(_slots(piece[:got], at % SLOT))
            else:
                got = target.write([piece[:got]])
            seen(source, got)
            done += changed(target, got)
            if pos < 0:
                if source is not target:  # then the write has moved it
                    source.advance(got)
            else:
                pos += got
    except EAGAIN:
        # A pipe takes what fits, as splice does.
        if not done or not (target.flags & O_NONBLOCK or isinstance(target, PipeFile)):
            return wait_io(t, sendfile_on, Copy(target, source, pointer, pos, count, done), target, FOR_WRITE)
    except EPIPE:
        broken_pipe(t, target)
        if not done:
            raise
    if pointer:
        t.mm.copy_out(pointer, pos.to_bytes(8, "little"))
    return done


def _offset(t: "Task", pointer: int) -> int:
    """Return the offset at a pointer, -1 for none. Raises: EFAULT, EINVAL."""
    if not pointer:
        return -1
    pos = read_one(t, pointer, LOFF_T)
    if pos < 0:
        raise EINVAL
    return pos


@calls.call
def copy_file_range(
    t: "Task", file_in: Fd, off_in: Ptr, file_out: Fd, off_out: Ptr, count: Size, flags: Flags
) -> Result:
    """copy_file_range(2)."""
    pos_in, pos_out = (
        read_one(t, pointer, LOFF_T) if pointer else file.pos
        for file, pointer in ((file_in, off_in), (file_out, off_out))
    )
    if flags:
        raise EINVAL
    kinds = [file.inode.mode & S_IFMT if file.inode is not None else 0 for file in (file_in, file_out)]
    if S_IFDIR in kinds:
        raise EISDIR
    if kinds != [S_IFREG, S_IFREG]:
        raise EINVAL
    if not file_in.readable or not file_out.writable or file_out.flags & O_APPEND:
        raise EBADF
    assert file_in.inode is not None
    assert file_out.inode is not None
    # An inherited file keeps its position on the host: it counts as another file system.
    if not (file_in.seekable and file_out.seekable) or file_in.inode.fs is not file_out.inode.fs:
        raise EXDEV
    count = min(count, MAX_RW_COUNT)
    if any(at + count >= MAX_OFFSET or -count <= at < 0 for at in (pos_in, pos_out)):
        raise EOVERFLOW
    if pos_in < 0 or pos_out < 0:
        raise EINVAL
    count = min(count, max(0, file_in.size() - pos_in))
    if file_in.inode is file_out.inode and pos_in < pos_out + count and pos_out < pos_in + count and count:
        raise EINVAL
    count = write_check_limits(t, file_out, pos_out, min(count, _MOST))
    piece = memoryview(bytearray(min(1 << 20, count)))
    done = 0
    while done < count:
        got = file_in.pread([piece[: count - done]], pos_in + done)
        if not got:
            break
        seen(file_in, got)
        done += changed(file_out, file_out.pwrite([piece[:got]], pos_out + done))
    for file, pointer, at in ((file_in, off_in, pos_in), (file_out, off_out, pos_out)):
        if pointer:
            t.mm.copy_out(pointer, (at + done).to_bytes(8, "little"))
        else:
            file.pos = at + done
    return done


class Splice(NamedTuple):
    """State of a splice; pointers are 0 for the files' own positions."""

    source: FileDescription
    source_pointer: int
    target: FileDescription
    target_pointer: int
    length: int
    flags: int


@calls.call
def splice(t: "Task", in_fd: FdNum, off_in: Ptr, out_fd: FdNum, off_out: Ptr, count: Size, flags: Flags) -> Result:
    """splice(2)."""
    if not count:
        return 0
    if flags & ~SPLICE_F_ALL:
        raise EINVAL
    source, target = t.files.get(in_fd), t.files.get(out_fd)
    pipes = isinstance(source, PipeFile), isinstance(target, PipeFile)
    if (pipes[0] and off_in) or (pipes[1] and off_out):
        raise ESPIPE
    offsets = [read_one(t, pointer, LOFF_T) for pointer in (off_out, off_in) if pointer]
    if not source.readable or not target.writable:
        raise EBADF
    if not any(pipes) or (all(pipes) and source.inode is target.inode):
        raise EINVAL
    if (off_out and not target.seekable) or (off_in and not source.seekable):
        raise EINVAL
    if (not pipes[1] and target.flags & O_APPEND) or is_directory(source):
        raise EINVAL
    if any(offset < 0 for offset in offsets):
        raise EINVAL
    return splice_on(t, Splice(source, off_in, target, off_out, min(count, MAX_RW_COUNT), flags))


@attempt
def splice_on(t: "Task", state: Splice) -> Result:
    """Move as much as possible now."""
    source, source_pointer, target, target_pointer, count, flags = state
    blocker, mask = source, FOR_READ
    try:
        if isinstance(source, PipeFile):
            if not source.pipe.size and source.pipe.writers:
                raise EAGAIN
            if isinstance(target, PipeFile) and not target.pipe.readers:
                raise EPIPE
            if not source.pipe.size:
                return 0
            blocker, mask = target, FOR_WRITE
            if isinstance(target, PipeFile):
                return source.pipe.send(target.pipe, count, take=True)
            views = source.pipe.peek(count)
            at = _offset(t, target_pointer)
            done = target.write(views) if at < 0 else target.pwrite(views, at)
            del views
            source.pipe.discard(done)
            if target_pointer:
                t.mm.copy_out(target_pointer, (at + done).to_bytes(8, "little"))
            return done
        assert isinstance(target, PipeFile)
        if not target.pipe.readers:
            raise EPIPE
        blocker, mask = target, FOR_WRITE
        if target.pipe.free_slots <= 0:
            raise EAGAIN
        blocker, mask = source, FOR_READ
        at = _offset(t, source_pointer)
        begins = (source.pos if at < 0 else at) % SLOT if source.seekable else 0
        piece = memoryview(bytearray(min(count, target.pipe.free_slots * SLOT - begins, _PIECE)))
        got = source.read([piece]) if at < 0 else source.pread([piece], at)
        if source_pointer:
            t.mm.copy_out(source_pointer, (at + got).to_bytes(8, "little"))
        return target.pipe.give(_slots(piece[:got], begins)) if got else 0
    except EAGAIN:
        if flags & SPLICE_F_NONBLOCK:
            raise
        return wait_io(t, splice_on, state, blocker, mask)
    except EPIPE:
        broken_pipe(t, target)
        raise


def _slots(data: memoryview, begins: int) -> list[memoryview]:
    """Cut data at page boundaries; its first byte is at offset `begins` in a page."""
    cuts = [0, *range(SLOT - begins, len(data), SLOT), len(data)]
    return [data[start:end] for start, end in pairwise(cuts) if end > start]


class Tee(NamedTuple):
    """State of a tee."""

    source: FileDescription
    target: FileDescription
    length: int
    flags: int


@calls.call
def tee(t: "Task", in_fd: FdNum, out_fd: FdNum, count: Size, flags: Flags) -> Result:
    """tee(2)."""
    if flags & ~SPLICE_F_ALL:
        raise EINVAL
    if not count:
        return 0
    source, target = t.files.get(in_fd), t.files.get(out_fd)
    if not source.readable or not target.writable:
        raise EBADF
    if not isinstance(source, PipeFile) or not isinstance(target, PipeFile) or source.pipe is target.pipe:
        raise EINVAL
    return tee_on(t, Tee(source, target, min(count, MAX_RW_COUNT), flags))


@attempt
def tee_on(t: "Task", state: Tee) -> Result:
    """Copy the content of one pipe to another."""
    source, target, count, flags = state
    assert isinstance(source, PipeFile)
    assert isinstance(target, PipeFile)
    blocker, mask = source, FOR_READ
    try:
        if not source.pipe.size and source.pipe.writers:
            raise EAGAIN
        if not target.pipe.readers:
            raise EPIPE
        blocker, mask = target, FOR_WRITE
        if target.pipe.free_slots <= 0:
            raise EAGAIN
        if not source.pipe.size:
            return 0
        return source.pipe.send(target.pipe, count, take=False)
    except EAGAIN:
        if flags & SPLICE_F_NONBLOCK:
            raise
        return wait_io(t, tee_on, state, blocker, mask)
    except EPIPE:
        broken_pipe(t, target)
        raise


@calls.call
def vmsplice(t: "Task", fd: FdNum, iov: Ptr, count: Size, flags: Flags) -> Result:
    """vmsplice(2). Differs: pages are copied."""
    if flags & ~SPLICE_F_ALL:
        raise EINVAL
    file = t.files.get(fd)
    if not file.writable and not file.readable:
        raise EBADF
    if count > UIO_MAXIOV:
        raise EINVAL
    pieces = import_iovec(t.mm, iov, count)
    if not total(pieces):
        return 0
    if not isinstance(file, PipeFile):
        raise EBADF
    if not file.writable:
        return take_on(t, Giving(file, pieces, flags))
    return give_on(t, Giving(file, pieces, flags))


class Giving(NamedTuple):
    """State of a vmsplice."""

    file: PipeFile
    pieces: tuple[tuple[int, int], ...]
    flags: int
    done: int = 0


@attempt
def take_on(t: "Task", state: Giving) -> Result:
    """Copy the content of a pipe to memory, across packets."""
    file, pieces, flags, _ = state
    pipe = file.pipe
    try:
        if not pipe.size and pipe.writers:
            raise EAGAIN
        return pipe.read(scatter(t.mm, pieces, 0, pipe.size or 1), across=True)
    except EAGAIN:
        if flags & SPLICE_F_NONBLOCK:
            raise
        # O_NONBLOCK of the file does not count here.
        assert file.queue is not None
        return Pending(take_on, state, ((file.queue, FOR_READ),), None, ERESTARTSYS)


@attempt
def give_on(t: "Task", state: Giving) -> Result:
    """Append memory to a pipe, a slot for each page."""
    file, pieces, flags, _ = state
    try:
        views: list[memoryview] = []
        for address, length in pieces:
            if len(views) >= file.pipe.free_slots:
                break
            begins = address % SLOT
            for view in t.mm.readable(address, min(length, file.pipe.capacity)):
                views += _slots(memoryview(view), begins)
                begins = (begins + len(view)) % SLOT
        return file.pipe.give(views)
    except EAGAIN:
        if flags & SPLICE_F_NONBLOCK or file.flags & O_NONBLOCK:
            raise
        return wait_io(t, give_on, state, file, FOR_WRITE)
    except EPIPE:
        broken_pipe(t, file)
        raise
