"""Reading and writing.

The guest's memory is given to a file as views, so that bytes move once. How much room is prepared for a read is what
the file says it could give now (`clamp`): preparing breaks copy-on-write. Source: Linux fs/read_write.c, fs/splice.c.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, Fd, FdNum, Flags, Int, Long, Ptr, Size
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
    LinuxError,
)
from sentry_abi.fcntl import MAX_RW_COUNT, O_APPEND, O_NONBLOCK, SEEK_CUR, SEEK_HOLE, UIO_MAXIOV
from sentry_abi.stat import S_IFDIR, S_IFMT, S_IFREG
from sentry_fs import HostFile
from sentry_usermem import gather, import_iovec, scatter
from sentry_vfs import SLOT, FileDescription, PipeFile, TtyFile, accessed, modified

if TYPE_CHECKING:
    from sentry.kernel.task import Task

calls = Calls("reading and writing")

SIGPIPE: Final = 13
SIGXFSZ: Final = 25
RLIMIT_FSIZE: Final = 1
SPLICE_F_NONBLOCK: Final = 2
SPLICE_F_ALL: Final = 15
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
    except EFAULT:
        raise _before_fault(file) from None
    except EAGAIN:
        if isinstance(file, TtyFile):
            return _wait_for_typing(t, file, buf, count)
        return wait_io(t, read_on, Transfer(file, buf, count, 0), file, FOR_READ)


def _before_fault(file: FileDescription) -> LinuxError:
    """Return the error of a read that has no good buffer: what is wrong with the file comes first."""
    if not file.readable:
        return EBADF()
    return EISDIR() if _is_directory(file) else EFAULT()


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
    if not file.readable:
        raise EBADF
    if not file.reads_nothing:
        return file.read([])
    if _is_directory(file):
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
    except EFAULT:
        if isinstance(file, PipeFile) and file.writable and not file.pipe.readers:
            broken_pipe(t, file)
            raise EPIPE from None
        raise
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


@calls.call
def pread64(t: "Task", fd: FdNum, buf: Ptr, count: Size, pos: Long) -> Result:
    """pread(2)."""
    if pos < 0:
        raise EINVAL
    file = t.files.get(fd)
    count = min(count, MAX_RW_COUNT)
    room = file.clamp_at(count, pos)
    try:
        return seen(file, file.pread(t.mm.writable(buf, room) if room else [], pos))
    except EFAULT:
        raise _before_fault(file) from None


@calls.call
def pwrite64(t: "Task", fd: FdNum, buf: Ptr, count: Size, pos: Long) -> Result:
    """pwrite(2)."""
    if pos < 0:
        raise EINVAL
    file = t.files.get(fd)
    if not file.writable:
        raise EBADF if _has_positions(file) else ESPIPE
    count = allowed(t, file, pos, min(count, MAX_RW_COUNT))
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


def _whole_slots(data: list[memoryview | bytes], wanted: int) -> list[memoryview | bytes]:
    """Cut data where a slot ends if it has less than what is wanted: of a page that faults a pipe takes nothing.

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
    """Return a file to be read or written at pos. Raises: EINVAL, EBADF, ESPIPE."""
    if pos < 0:
        raise EINVAL
    file = t.files.get(fd)
    if not _has_positions(file):
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
    _check_rwf(flags)
    if flags & ~RWF_HIPRI and _is_directory(file):
        raise EOPNOTSUPP
    if pos == -1:
        return read_vector_on(t, VectorTransfer(file, pieces, 0))
    return seen(file, file.pread(scatter(t.mm, pieces, 0, file.clamp_at(total(pieces), pos)), pos))


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
    _check_rwf(flags)
    own = pos == -1
    if flags & RWF_APPEND and file.seekable:
        pos = file.size()
    if pos == -1:
        return write_vector_on(t, VectorTransfer(file, pieces, 0))
    done = changed(file, file.pwrite(gather(t.mm, pieces, 0, allowed(t, file, pos, total(pieces))), pos))
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
def sendfile(t: "Task", out_fd: FdNum, in_fd: FdNum, offset: Ptr, count: Size) -> Result:
    """sendfile(2)."""
    pos = int.from_bytes(t.mm.copy_in(offset, 8), "little", signed=True) if offset else -1
    source = t.files.get(in_fd)
    if not source.readable:
        raise EBADF
    seekable = _has_positions(source)
    if offset and not seekable:
        raise ESPIPE
    if offset and pos < 0:
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
    if not seekable or _is_directory(source):
        raise EINVAL
    return sendfile_on(t, Copy(target, source, offset, pos, min(count, MAX_RW_COUNT), 0))


def _is_directory(file: FileDescription) -> bool:
    return file.inode is not None and file.inode.mode & S_IFMT == S_IFDIR


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
            if isinstance(target, PipeFile):
                got = target.pipe.give(_slots(piece[:got], at % SLOT))
            else:
                got = target.write([piece[:got]])
            seen(source, got)
            done += changed(target, got)
            if inherited:
                source.seek(got, SEEK_CUR)
            elif pos < 0:
                if source is not target:  # else the write has moved it
                    source.pos += got
            else:
                pos += got
    except EAGAIN:
        # a pipe takes what it has room for, as splice
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
    pos = int.from_bytes(t.mm.copy_in(pointer, 8), "little", signed=True)
    if pos < 0:
        raise EINVAL
    return pos


@calls.call
def copy_file_range(t: "Task", in_fd: Fd, off_in: Ptr, out_fd: Fd, off_out: Ptr, count: Size, flags: Flags) -> Result:
    """copy_file_range(2)."""
    if flags:
        raise EINVAL
    kinds = [file.inode.mode & S_IFMT if file.inode is not None else 0 for file in (in_fd, out_fd)]
    if S_IFDIR in kinds:
        raise EISDIR
    if kinds != [S_IFREG, S_IFREG]:
        raise EINVAL
    if not in_fd.readable or not out_fd.writable or out_fd.flags & O_APPEND:
        raise EBADF
    assert in_fd.inode is not None
    assert out_fd.inode is not None
    # an inherited file, whose position is the host's, is on another file system, too
    if not (in_fd.seekable and out_fd.seekable) or in_fd.inode.fs is not out_fd.inode.fs:
        raise EXDEV
    read_at, write_at = (
        int.from_bytes(t.mm.copy_in(pointer, 8), "little", signed=True) if pointer else file.pos
        for file, pointer in ((in_fd, off_in), (out_fd, off_out))
    )
    count = min(count, MAX_RW_COUNT)
    if any(at + count >= _SIGN or -count <= at < 0 for at in (read_at, write_at)):
        raise EOVERFLOW
    if read_at < 0 or write_at < 0:
        raise EINVAL
    count = min(count, max(0, in_fd.size() - read_at))
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
    if not source.readable or not target.writable:
        raise EBADF
    if not any(pipes) or (all(pipes) and source.inode is target.inode):
        raise EINVAL
    if (off_out and not target.seekable) or (off_in and not source.seekable):
        raise EINVAL
    if (not pipes[1] and target.flags & O_APPEND) or _is_directory(source):
        raise EINVAL
    _offset(t, off_in or off_out)
    return splice_on(t, Splice(source, off_in, target, off_out, min(count, MAX_RW_COUNT), flags, 0))


@attempt
def splice_on(t: "Task", state: Splice) -> Result:
    """Move what can be moved now."""
    source, source_pointer, target, target_pointer, count, flags, _ = state
    blocker, mask = source, FOR_READ
    try:
        if isinstance(source, PipeFile):
            if not source.pipe.size:
                if not source.pipe.writers:
                    return 0
                raise EAGAIN
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
    """Cut data, whose first byte lies at begins in its page, where pages end."""
    cuts = [0, *range(SLOT - begins, len(data), SLOT), len(data)]
    return [data[start:end] for start, end in pairwise(cuts) if end > start]


class Tee(NamedTuple):
    """A tee under way."""

    source: FileDescription
    target: FileDescription
    length: int
    flags: int
    done: int


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
    return tee_on(t, Tee(source, target, min(count, MAX_RW_COUNT), flags, 0))


@attempt
def tee_on(t: "Task", state: Tee) -> Result:
    """Copy what lies in one pipe to another."""
    source, target, count, flags, _ = state
    assert isinstance(source, PipeFile)
    assert isinstance(target, PipeFile)
    blocker, mask = source, FOR_READ
    try:
        if not source.pipe.size and source.pipe.writers:
            raise EAGAIN
        if not target.pipe.readers:
            raise EPIPE
        if not source.pipe.size:
            return 0
        blocker, mask = target, FOR_WRITE
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
    """vmsplice(2): pages are copied, not given."""
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
    """A vmsplice under way; nothing is done before it waits."""

    file: PipeFile
    pieces: tuple[tuple[int, int], ...]
    flags: int


@attempt
def take_on(t: "Task", state: Giving) -> Result:
    """Copy what lies in a pipe to memory, packets or not."""
    file, pieces, flags = state
    pipe = file.pipe
    try:
        return pipe.read(scatter(t.mm, pieces, 0, pipe.size or 1), across=True)
    except EAGAIN:
        if flags & SPLICE_F_NONBLOCK:
            raise
        return wait_io(t, take_on, state, file, FOR_READ)


@attempt
def give_on(t: "Task", state: Giving) -> Result:
    """Put memory into a pipe, a slot for each page that it lies in."""
    file, pieces, flags = state
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
