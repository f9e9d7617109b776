"""Reading and writing.

The guest's memory is given to a file as views, so that bytes move once. How much room is prepared for a read is what
the file says it could give now (`clamp`): preparing breaks copy-on-write. Source: Linux fs/read_write.c, fs/splice.c.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, Fd, Flags, Int, Long, Ptr, Size
from sentry.syscalls.waits import FOR_READ, FOR_WRITE, wait_io
from sentry_abi.errors import (
    EAGAIN,
    EBADF,
    EFAULT,
    EFBIG,
    EINVAL,
    EISDIR,
    EOPNOTSUPP,
    EOVERFLOW,
    EPIPE,
    ESPIPE,
    EXDEV,
)
from sentry_abi.fcntl import MAX_RW_COUNT, O_APPEND, O_NONBLOCK, SEEK_CUR, UIO_MAXIOV
from sentry_abi.stat import S_IFDIR, S_IFMT, S_IFREG
from sentry_fs import HostFile
from sentry_usermem import gather, import_iovec, scatter
from sentry_vfs import FileDescription, PathFile, PipeFile, TtyFile, accessed, modified

if TYPE_CHECKING:
    from sentry.kernel.task import Task

calls = Calls("reading and writing")

SIGPIPE: Final = 13
SIGXFSZ: Final = 25
RLIMIT_FSIZE: Final = 1
SPLICE_F_NONBLOCK: Final = 2
RWF_HIPRI: Final = 1
RWF_NOWAIT: Final = 8
RWF_APPEND: Final = 16
RWF_KNOWN: Final = 31
_SIGN: Final = 1 << 63
_PIECE: Final = 1 << 16
_MOST: Final = 1 << 24
"""A copy between files gives up the kernel after this much; the caller goes on by itself."""


class Transfer(NamedTuple):
    """A read or write under way."""

    file: FileDescription
    addr: int
    length: int
    done: int


class VectorTransfer(NamedTuple):
    """A readv or writev under way."""

    file: FileDescription
    pieces: tuple[tuple[int, int], ...]
    done: int


@calls.call
def read(t: "Task", file: Fd, buf: Ptr, count: Size) -> Result:
    """read(2)."""
    if count > MAX_RW_COUNT:
        if count >= _SIGN:
            raise EINVAL
        count = MAX_RW_COUNT
    try:
        room = file.clamp(count)
        if room:
            done = file.read(t.mm.writable(buf, room))
            inode = file.inode
            if inode is not None and inode.fs.watched:
                accessed(file)
            return done
        return file.read([]) if count else _nothing(file)
    except EAGAIN:
        if isinstance(file, TtyFile):
            return _wait_for_typing(t, file, buf, count)
        return wait_io(t, read_on, Transfer(file, buf, count, 0), file, FOR_READ)


class Typing(NamedTuple):
    """A read of a terminal under way; deadline is where VTIME ends it."""

    file: TtyFile
    addr: int
    size: int
    deadline: int


def _wait_for_typing(t: "Task", file: TtyFile, addr: int, count: int) -> Result:
    wait_ns = file.read_wait_ns()
    if wait_ns is None or file.flags & O_NONBLOCK:
        return wait_io(t, read_on, Transfer(file, addr, count, 0), file, FOR_READ)
    return type_on(t, Typing(file, addr, count, t.kernel.clock.monotonic_ns() + wait_ns))


@attempt
def type_on(t: "Task", state: Typing) -> Result:
    """Read what was typed, or nothing once VTIME is over."""
    file, addr, count, deadline = state
    try:
        return file.read(t.mm.writable(addr, file.clamp(count)))
    except EAGAIN:
        if t.timed_out:
            return 0
    return Pending(type_on, state, ((file.tty.queue, FOR_READ),), deadline)


def _nothing(file: FileDescription) -> int:
    """Answer a read of no bytes. Raises: EBADF, EISDIR."""
    if not file.readable or isinstance(file, PathFile):
        raise EBADF
    inode = file.inode
    if inode is not None and inode.mode & S_IFMT == S_IFDIR:
        raise EISDIR
    return 0


@attempt
def read_on(t: "Task", state: Transfer) -> Result:
    """Try a read again."""
    file, buf, count, _ = state
    try:
        room = file.clamp(count)
        return seen(file, file.read(t.mm.writable(buf, room) if room else []))
    except EAGAIN:
        return wait_io(t, read_on, state, file, FOR_READ)


@calls.call
def write(t: "Task", file: Fd, buf: Ptr, count: Size) -> Result:
    """write(2)."""
    if count > MAX_RW_COUNT:
        if count >= _SIGN:
            raise EINVAL
        count = MAX_RW_COUNT
    if file.seekable:
        if not file.writable:
            raise EBADF
        count = allowed(t, file, file.pos, count)
    try:
        done = file.write(t.mm.readable(buf, count) if count else [])
    except EAGAIN:
        return wait_io(t, write_on, Transfer(file, buf, count, 0), file, FOR_WRITE)
    except EPIPE:
        broken_pipe(t, file)
        raise
    inode = file.inode
    if inode is not None and inode.fs.watched and done:
        modified(file)
    if done == count or file.queue is None or file.flags & O_NONBLOCK:
        return done
    return write_on(t, Transfer(file, buf, count, done))


@attempt
def write_on(t: "Task", state: Transfer) -> Result:
    """Go on with a write that was taken in part or not at all."""
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
    """Send SIGPIPE for a write that nobody will read, unless the file's kind only answers EPIPE."""
    if file.breaks_with_signal:
        t.send_signal(SIGPIPE)


def seen(file: FileDescription, done: int) -> int:
    """Tell who watches of a read; return its count."""
    if done > 0 and file.inode is not None and file.inode.fs.watched:
        accessed(file)
    return done


def changed(file: FileDescription, done: int) -> int:
    """Tell who watches of a write; return its count."""
    if done > 0 and file.inode is not None and file.inode.fs.watched:
        modified(file)
    return done


def allowed(t: "Task", file: FileDescription, pos: int, count: int) -> int:
    """Return how much of a write at pos the file-size limit lets through. Raises: EFBIG, with SIGXFSZ."""
    limit = t.limits.soft(RLIMIT_FSIZE)
    if limit >= _SIGN or not count or file.inode is None or file.inode.mode & S_IFMT != S_IFREG:
        return count
    if file.flags & O_APPEND:
        pos = file.size()
    if pos >= limit:
        t.send_signal(SIGXFSZ)
        raise EFBIG
    return min(count, limit - pos)


def _position(pos: int) -> int:
    if pos < 0:
        raise EINVAL
    return pos


@calls.call
def pread64(t: "Task", file: Fd, buf: Ptr, count: Size, pos: Long) -> Result:
    """pread(2)."""
    pos = _position(pos)
    count = min(count, MAX_RW_COUNT)
    room = file.clamp_at(count, pos)
    return seen(file, file.pread(t.mm.writable(buf, room) if room else [], pos))


@calls.call
def pwrite64(t: "Task", file: Fd, buf: Ptr, count: Size, pos: Long) -> Result:
    """pwrite(2)."""
    pos = _position(pos)
    count = min(count, MAX_RW_COUNT)
    if file.writable:
        count = allowed(t, file, pos, count)
    return changed(file, file.pwrite(t.mm.readable(buf, count) if count else [], pos))


# vectors


def total(pieces: tuple[tuple[int, int], ...]) -> int:
    """Return how many bytes a vector stands for."""
    return sum(length for _, length in pieces)


@calls.call
def readv(t: "Task", file: Fd, iov: Ptr, count: Int) -> Result:
    """readv(2)."""
    return read_vector_on(t, VectorTransfer(file, import_iovec(t.mm, iov, count), 0))


@attempt
def read_vector_on(t: "Task", state: VectorTransfer) -> Result:
    """Try a readv."""
    file, pieces, _ = state
    wanted = total(pieces)
    if not wanted:
        return _nothing(file)
    try:
        return seen(file, file.read(scatter(t.mm, pieces, 0, file.clamp(wanted))))
    except EAGAIN:
        return wait_io(t, read_vector_on, state, file, FOR_READ)


@calls.call
def writev(t: "Task", file: Fd, iov: Ptr, count: Int) -> Result:
    """writev(2)."""
    pieces = import_iovec(t.mm, iov, count)
    if not file.writable:
        raise EBADF
    return write_vector_on(t, VectorTransfer(file, pieces, 0))


@attempt
def write_vector_on(t: "Task", state: VectorTransfer) -> Result:
    """Write a vector, or the rest of it."""
    file, pieces, done = state
    wanted = total(pieces)
    while True:
        limit = allowed(t, file, file.pos, wanted - done) if file.seekable else _SIGN
        try:
            got = file.write(gather(t.mm, pieces, done, limit))
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
            raise
        done += changed(file, got)
        if done >= wanted or file.queue is None or not got or file.flags & O_NONBLOCK:
            return done


@calls.call
def preadv(t: "Task", file: Fd, iov: Ptr, count: Int, pos: Long) -> Result:
    """preadv(2)."""
    pos = _position(pos)
    pieces = import_iovec(t.mm, iov, count)
    return seen(file, file.pread(scatter(t.mm, pieces, 0, file.clamp_at(total(pieces), pos)), pos))


@calls.call
def pwritev(t: "Task", file: Fd, iov: Ptr, count: Int, pos: Long) -> Result:
    """pwritev(2)."""
    pos = _position(pos)
    pieces = import_iovec(t.mm, iov, count)
    limit = allowed(t, file, pos, total(pieces)) if file.writable else 0
    return changed(file, file.pwrite(gather(t.mm, pieces, 0, limit), pos))


@calls.named("preadv2", partial="RWF_NOWAIT is refused")
def preadv2(t: "Task", file: Fd, iov: Ptr, count: Int, pos: Long, high: Size, flags: Flags) -> Result:
    """preadv2(2); pos -1 is the file position."""
    del high
    _check_rwf(flags)
    return readv(t, file, iov, count) if pos == -1 else preadv(t, file, iov, count, pos)


@calls.named("pwritev2", partial="RWF_NOWAIT is refused")
def pwritev2(t: "Task", file: Fd, iov: Ptr, count: Int, pos: Long, high: Size, flags: Flags) -> Result:
    """pwritev2(2); pos -1 is the file position."""
    del high
    _check_rwf(flags)
    if flags & RWF_APPEND:
        pieces = import_iovec(t.mm, iov, count)
        return changed(file, file.pwrite(gather(t.mm, pieces, 0), file.size()))
    return writev(t, file, iov, count) if pos == -1 else pwritev(t, file, iov, count, pos)


def _check_rwf(flags: int) -> None:
    if flags & ~RWF_KNOWN or flags & RWF_NOWAIT:
        raise EOPNOTSUPP


@calls.call
def lseek(t: "Task", file: Fd, offset: Long, whence: Int) -> Result:
    """lseek(2)."""
    del t
    return file.seek(offset, whence & 0xFFFF_FFFF)


# between files


class Copy(NamedTuple):
    """A sendfile under way: pos is where the next byte of source is, -1 for its own position."""

    target: FileDescription
    source: FileDescription
    pointer: int
    pos: int
    length: int
    done: int


@calls.call
def sendfile(t: "Task", out_fd: Fd, in_fd: Fd, offset: Ptr, count: Size) -> Result:
    """sendfile(2)."""
    if not in_fd.readable or not out_fd.writable:
        raise EBADF
    if not _has_positions(in_fd):
        raise ESPIPE if offset else EINVAL
    if out_fd.flags & O_APPEND:
        raise EINVAL
    pos = -1
    if offset:
        pos = int.from_bytes(t.mm.copy_in(offset, 8), "little", signed=True)
        if pos < 0:
            raise EINVAL
    return sendfile_on(t, Copy(out_fd, in_fd, offset, pos, min(count, MAX_RW_COUNT), 0))


def _has_positions(file: FileDescription) -> bool:
    """Return whether a file can be read at a position; an inherited one keeps its own on the host."""
    return file.seekable or (isinstance(file, HostFile) and file.seeks)


@attempt
def sendfile_on(t: "Task", state: Copy) -> Result:
    """Copy from a file that can be read at a position to any file."""
    target, source, pointer, pos, count, done = state
    piece = memoryview(bytearray(min(_PIECE, count)))
    try:
        while done < count and done < _MOST:
            inherited = isinstance(source, HostFile) and pos < 0
            at = pos if pos >= 0 else source.seek(0, SEEK_CUR) if inherited else source.pos
            got = source.pread([piece[: count - done]], at)
            if not got:
                break
            got = target.write([piece[:got]])
            seen(source, got)
            done += changed(target, got)
            if inherited:
                source.seek(got, SEEK_CUR)
            elif pos < 0:
                source.pos += got
            else:
                pos += got
    except EAGAIN:
        if not done or not target.flags & O_NONBLOCK:
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
    pos = int.from_bytes(t.mm.copy_in(pointer, 8), "little", signed=True)
    if pos < 0:
        raise EINVAL
    return pos


@calls.call
def copy_file_range(t: "Task", in_fd: Fd, off_in: Ptr, out_fd: Fd, off_out: Ptr, count: Size, flags: Flags) -> Result:
    """copy_file_range(2)."""
    if flags:
        raise EINVAL
    if not in_fd.readable or not out_fd.writable or out_fd.flags & O_APPEND:
        raise EBADF
    for file in (in_fd, out_fd):
        mode = file.inode.mode & S_IFMT if file.inode is not None else 0
        if mode == S_IFDIR:
            raise EISDIR
        if mode != S_IFREG:
            raise EINVAL
    if not (in_fd.seekable and out_fd.seekable):
        raise EXDEV  # an inherited file, whose position is the host's
    source, target = _offset(t, off_in), _offset(t, off_out)
    read_at = in_fd.pos if source < 0 else source
    write_at = out_fd.pos if target < 0 else target
    count = min(count, MAX_RW_COUNT)
    if read_at + count >= _SIGN or write_at + count >= _SIGN:
        raise EOVERFLOW
    if in_fd.inode is out_fd.inode and read_at < write_at + count and write_at < read_at + count and count:
        raise EINVAL
    count = allowed(t, out_fd, write_at, min(count, _MOST))
    piece = memoryview(bytearray(min(1 << 20, count)))
    done = 0
    while done < count:
        got = in_fd.pread([piece[: count - done]], read_at + done)
        if not got:
            break
        seen(in_fd, got)
        done += changed(out_fd, out_fd.pwrite([piece[:got]], write_at + done))
    for file, pointer, at in ((in_fd, off_in, read_at), (out_fd, off_out, write_at)):
        if pointer:
            t.mm.copy_out(pointer, (at + done).to_bytes(8, "little"))
        else:
            file.pos = at + done
    return done


class Splice(NamedTuple):
    """A splice under way; offsets are -1 for the files' own positions. Nothing is done before it waits."""

    source: FileDescription
    source_pointer: int
    target: FileDescription
    target_pointer: int
    length: int
    flags: int
    done: int


@calls.call
def splice(t: "Task", in_fd: Fd, off_in: Ptr, out_fd: Fd, off_out: Ptr, count: Size, flags: Flags) -> Result:
    """splice(2)."""
    if flags & ~15:
        raise EINVAL
    if not in_fd.readable or not out_fd.writable:
        raise EBADF
    pipes = isinstance(in_fd, PipeFile), isinstance(out_fd, PipeFile)
    if not any(pipes):
        raise EINVAL
    if (pipes[0] and off_in) or (pipes[1] and off_out):
        raise ESPIPE
    if all(pipes) and in_fd.inode is out_fd.inode:
        raise EINVAL
    if (off_out and not out_fd.seekable) or (off_in and not in_fd.seekable):
        raise EINVAL
    if not pipes[1] and out_fd.flags & O_APPEND:
        raise EINVAL
    if not count:
        return 0
    return splice_on(t, Splice(in_fd, off_in, out_fd, off_out, min(count, MAX_RW_COUNT), flags, 0))


@attempt
def splice_on(t: "Task", state: Splice) -> Result:
    """Move what can be moved now."""
    source, source_pointer, target, target_pointer, count, flags, _ = state
    blocker, mask = source, FOR_READ
    try:
        if isinstance(target, PipeFile):
            room = target.pipe.capacity - target.pipe.size
            if not target.pipe.readers:
                raise EPIPE
            if room <= 0:
                blocker, mask = target, FOR_WRITE
                raise EAGAIN
            count = min(count, room)
        else:
            count = min(count, _PIECE)
        if isinstance(source, PipeFile):
            views = source.pipe.peek(count)
            if not views:
                if not source.pipe.writers:
                    return 0
                raise EAGAIN
            blocker, mask = target, FOR_WRITE
            at = _offset(t, target_pointer)
            done = target.write(views) if at < 0 else target.pwrite(views, at)
            del views
            source.pipe.discard(done)
            if target_pointer:
                t.mm.copy_out(target_pointer, (at + done).to_bytes(8, "little"))
            return done
        piece = memoryview(bytearray(min(count, _PIECE)))
        at = _offset(t, source_pointer)
        got = source.read([piece]) if at < 0 else source.pread([piece], at)
        if source_pointer:
            t.mm.copy_out(source_pointer, (at + got).to_bytes(8, "little"))
        return target.write([piece[:got]]) if got else 0
    except EAGAIN:
        if flags & SPLICE_F_NONBLOCK:
            raise
        return wait_io(t, splice_on, state, blocker, mask)
    except EPIPE:
        broken_pipe(t, target)
        raise


class Tee(NamedTuple):
    """A tee under way."""

    source: FileDescription
    target: FileDescription
    length: int
    flags: int
    done: int


@calls.call
def tee(t: "Task", in_fd: Fd, out_fd: Fd, count: Size, flags: Flags) -> Result:
    """tee(2)."""
    if flags & ~15:
        raise EINVAL
    if not in_fd.readable or not out_fd.writable:
        raise EBADF
    if not isinstance(in_fd, PipeFile) or not isinstance(out_fd, PipeFile) or in_fd.pipe is out_fd.pipe:
        raise EINVAL
    return tee_on(t, Tee(in_fd, out_fd, min(count, MAX_RW_COUNT), flags, 0)) if count else 0


@attempt
def tee_on(t: "Task", state: Tee) -> Result:
    """Copy what lies in one pipe to another."""
    source, target, count, flags, _ = state
    assert isinstance(source, PipeFile)
    assert isinstance(target, PipeFile)
    blocker, mask = source, FOR_READ
    try:
        views = source.pipe.peek(min(count, max(0, target.pipe.capacity - target.pipe.size)))
        if not views and not source.pipe.size:
            if not source.pipe.writers:
                return 0
            raise EAGAIN
        blocker, mask = target, FOR_WRITE
        if not views:
            raise EAGAIN
        return target.write(views)
    except EAGAIN:
        if flags & SPLICE_F_NONBLOCK:
            raise
        return wait_io(t, tee_on, state, blocker, mask)
    except EPIPE:
        broken_pipe(t, target)
        raise


@calls.call
def vmsplice(t: "Task", file: Fd, iov: Ptr, count: Size, flags: Flags) -> Result:
    """vmsplice(2): pages are copied, not given."""
    if flags & ~15:
        raise EINVAL
    if not isinstance(file, PipeFile):
        raise EBADF
    if count > UIO_MAXIOV:
        raise EINVAL
    return writev(t, file, iov, count) if file.writable else readv(t, file, iov, count)
