"""Opening, closing, duplicating and controlling files. Source: Linux fs/open.c, fs/fcntl.c, fs/ioctl.c."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import AnyFd, Calls, Fd, FdNum, Flags, Int, Long, Mode, PathPtr, Ptr, Size, UInt
from sentry.syscalls.filelimit import inode_newsize_ok
from sentry.syscalls.locks import RECORD_COMMANDS, record_lock
from sentry.syscalls.pathargs import path_at, start_at
from sentry_abi.errors import (
    E2BIG,
    EACCES,
    EBADF,
    EFAULT,
    EFBIG,
    EINVAL,
    EMFILE,
    ENODEV,
    EOPNOTSUPP,
    EPERM,
    ERESTARTSYS,
    ESPIPE,
)
from sentry_abi.fcntl import (
    AT_FDCWD,
    F_ADD_SEALS,
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_GET_SEALS,
    F_GETFD,
    F_GETFL,
    F_GETLEASE,
    F_GETOWN,
    F_GETOWN_EX,
    F_GETPIPE_SZ,
    F_GETSIG,
    F_NOTIFY,
    F_SETFD,
    F_SETFL,
    F_SETLEASE,
    F_SETOWN,
    F_SETOWN_EX,
    F_SETPIPE_SZ,
    F_SETSIG,
    F_UNLCK,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FASYNC,
    FD_CLOEXEC,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_LARGEFILE,
    O_NOATIME,
    O_NONBLOCK,
    O_PATH,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
)
from sentry_abi.ioctl import FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD
from sentry_abi.stat import S_IFMT, S_IFREG
from sentry_vfs import (
    BENEATH,
    IN_ROOT,
    NO_LINKS,
    NO_MAGIC,
    NO_MOUNTS,
    FileDescription,
    Pipe,
    PipeFile,
    do_filp_open,
    fsnotify_modify,
)
from sentry_waiter import ERR, HUP, IN, OUT

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("opening and controlling files")

RLIMIT_NOFILE: Final = 7
CAP_SYS_RESOURCE: Final = 24
_SETTABLE: Final = O_APPEND | O_NONBLOCK | FASYNC | O_DIRECT | O_NOATIME
_ALL: Final = IN | OUT | ERR | HUP


def put(t: "Task", file: FileDescription, flags: int, minimum: int = 0) -> int:
    """Give a new description the lowest free number; it is released when there is none. Raises: EMFILE."""
    try:
        return t.files.install(file, minimum, bool(flags & O_CLOEXEC), t.limits.soft(RLIMIT_NOFILE))
    except EMFILE:
        if not file.refs:
            file.incref()
            file.decref()
        raise


def put_pair(t: "Task", pair: tuple[FileDescription, FileDescription], fds: int, flags: int) -> None:
    """Give two new descriptions numbers and write those to fds, or give them none. Raises: EMFILE, EFAULT."""
    first = put(t, pair[0], flags)
    try:
        second = put(t, pair[1], flags)
    except EMFILE:
        t.files.close(first)
        raise
    try:
        t.mm.copy_out(fds, first.to_bytes(4, "little") + second.to_bytes(4, "little"))
    except EFAULT:
        t.files.close(first)
        t.files.close(second)
        raise


class Opening(NamedTuple):
    """The open of a FIFO that waits for the other end; the description is held by this record."""

    file: FileDescription
    flags: int


def open_at(t: "Task", dirfd: int, path: bytes, flags: int, mode: int, resolve: int = 0) -> Result:
    """Open a file and give it a number."""
    if flags & O_CREAT and flags & O_DIRECTORY and flags & O_TMPFILE != O_TMPFILE:
        raise EINVAL
    if not flags & O_PATH:
        flags |= O_LARGEFILE
    if t.files.is_full(t.limits.soft(RLIMIT_NOFILE)):  # found out before a file is made
        raise EMFILE
    file = do_filp_open(start_at(t, dirfd, path), path, flags, mode, t.fs, t.creds, resolve)
    if not file.opening:
        return put(t, file, flags)
    file.incref()
    return open_on(t, Opening(file, flags))


@attempt
def open_on(t: "Task", state: Opening) -> Result:
    """Finish the open of a FIFO, or wait on."""
    file = state.file
    if file.opening:
        assert file.queue is not None
        return Pending(open_on, state, ((file.queue, _ALL),), None, ERESTARTSYS, give_up_open)
    fd = t.files.install(file, 0, bool(state.flags & O_CLOEXEC), t.limits.soft(RLIMIT_NOFILE))
    file.decref()
    return fd


@attempt
def give_up_open(t: "Task", state: Opening) -> Result:
    """Close a FIFO whose open was interrupted."""
    del t
    state.file.decref()
    raise ERESTARTSYS


@calls.call
def open_(t: "Task", path: PathPtr, flags: Int, mode: Mode) -> Result:
    """open(2)."""
    return open_at(t, AT_FDCWD, path_at(t, path), flags, mode)


@calls.call
def openat(t: "Task", dirfd: FdNum, path: PathPtr, flags: Int, mode: Mode) -> Result:
    """openat(2)."""
    return open_at(t, dirfd, path_at(t, path), flags, mode)


@calls.call
def creat(t: "Task", path: PathPtr, mode: Mode) -> Result:
    """creat(2)."""
    return open_at(t, AT_FDCWD, path_at(t, path), O_CREAT | O_WRONLY | O_TRUNC, mode)


_RESOLVE: Final = ((1, NO_MOUNTS), (2, NO_MAGIC), (4, NO_LINKS), (8, BENEATH), (16, IN_ROOT), (32, 0))


@calls.call
def openat2(t: "Task", dirfd: FdNum, path: PathPtr, how: Ptr, size: Size) -> Result:
    """openat2(2)."""
    if size < 24:
        raise EINVAL
    if size > 4096:
        raise E2BIG
    raw = t.mm.copy_in(how, size)
    if any(raw[24:]):
        raise E2BIG
    flags, mode, resolve = (int.from_bytes(raw[at : at + 8], "little") for at in (0, 8, 16))
    creating = flags & O_CREAT or flags & O_TMPFILE == O_TMPFILE
    if flags >> 32 or resolve & ~63 or mode & ~0o7777 or (mode and not creating) or resolve & 24 == 24:
        raise EINVAL
    bits = 0
    for bit, ours in _RESOLVE:
        bits |= ours if resolve & bit else 0
    return open_at(t, dirfd, path_at(t, path), flags, mode, bits)


@calls.call
def close(t: "Task", fd: FdNum) -> Result:
    """close(2)."""
    t.files.close(fd)
    return 0


@calls.named("close_range", partial="CLOSE_RANGE_UNSHARE copies the table first, whatever is closed")
def close_range(t: "Task", first: UInt, last: UInt, flags: Flags) -> Result:
    """close_range(2)."""
    if flags & ~6 or first > last:
        raise EINVAL
    if flags & 2 and t.files.users > 1:
        table = t.files.fork()
        t.files.release()
        t.files = table
    if flags & 4:
        for fd, _ in tuple(t.files):
            if first <= fd <= last:
                t.files.set_cloexec(fd)
    else:
        t.files.close_range(first, last)
    return 0


@calls.call
def dup(t: "Task", file: AnyFd) -> Result:
    """dup(2)."""
    return put(t, file, 0)


@calls.call
def dup2(t: "Task", old: FdNum, new: FdNum) -> Result:
    """dup2(2)."""
    file = t.files.get_any(old)
    if old != new:
        t.files.install_at(file, new, False, t.limits.soft(RLIMIT_NOFILE))  # noqa: FBT003  (no cloexec)
    return new


@calls.call
def dup3(t: "Task", old: FdNum, new: FdNum, flags: Int) -> Result:
    """dup3(2)."""
    if flags & ~O_CLOEXEC or old == new:
        raise EINVAL
    file = t.files.get_any(old)
    t.files.install_at(file, new, bool(flags & O_CLOEXEC), t.limits.soft(RLIMIT_NOFILE))
    return new


# fcntl


@calls.call
def fcntl(t: "Task", fd: FdNum, command: Int, arg: Size) -> Result:
    """fcntl(2)."""
    file = t.files.get_any(fd)
    if file.is_place and command not in {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL}:
        raise EBADF
    if command in {F_DUPFD, F_DUPFD_CLOEXEC}:
        minimum = (arg & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
        if minimum < 0 or minimum >= t.limits.soft(RLIMIT_NOFILE):
            raise EINVAL
        return put(t, file, O_CLOEXEC if command == F_DUPFD_CLOEXEC else 0, minimum)
    if command == F_GETFD:
        return FD_CLOEXEC if t.files.cloexec(fd) else 0
    if command == F_SETFD:
        t.files.set_cloexec(fd, bool(arg & FD_CLOEXEC))
        return 0
    if command == F_GETFL:
        return file.flags & ~O_CLOEXEC
    if command == F_SETFL:
        file.set_flags(file.flags & ~_SETTABLE | arg & _SETTABLE)
        return 0
    if command in RECORD_COMMANDS:
        return record_lock(t, file, command, arg)
    return _control_more(t, file, command, arg)


def _control_more(t: "Task", file: FileDescription, command: int, arg: int) -> int:
    if command == F_SETPIPE_SZ:
        return _pipe(file).set_capacity(arg & 0xFFFF_FFFF, privileged=t.creds.capable(CAP_SYS_RESOURCE))
    if command == F_GETPIPE_SZ:
        return _pipe(file).capacity
    if command in {F_ADD_SEALS, F_GET_SEALS}:
        return _seals(file, command, arg)
    if command == F_SETOWN:
        file.owner = (arg & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
        return 0
    if command == F_GETOWN:
        return file.owner
    if command == F_SETSIG:
        if arg > 64:
            raise EINVAL
        file.signal = arg
        return 0
    if command == F_GETSIG:
        return file.signal
    if command == F_SETOWN_EX:
        raw = t.mm.copy_in(arg, 8)
        file.owner = int.from_bytes(raw[4:], "little", signed=True)
        return 0
    if command == F_GETOWN_EX:
        t.mm.copy_out(arg, (1).to_bytes(4, "little") + abs(file.owner).to_bytes(4, "little"))
        return 0
    if command == F_GETLEASE:
        return F_UNLCK
    if command in {F_SETLEASE, F_NOTIFY}:
        raise EINVAL
    raise EINVAL


def _pipe(file: FileDescription) -> Pipe:
    if not isinstance(file, PipeFile):
        raise EBADF
    return file.pipe


def _seals(file: FileDescription, command: int, arg: int) -> int:
    if command == F_ADD_SEALS:
        if not file.writable:
            raise EPERM
        if arg & ~63:
            raise EINVAL
    inode = file.inode
    if inode is None:
        raise EINVAL
    if command == F_GET_SEALS:
        return inode.get_seals()
    inode.add_seals(arg)
    return 0


@calls.call
def ioctl(t: "Task", fd: FdNum, command: UInt, arg: Ptr) -> Result:
    """ioctl(2): what concerns the descriptor here, the rest is the file's."""
    file = t.files.get(fd)
    if command == FIOCLEX:
        t.files.set_cloexec(fd)
    elif command == FIONCLEX:
        t.files.set_cloexec(fd, False)  # noqa: FBT003  (the flag is the value)
    elif command in {FIONBIO, FIOASYNC}:
        bit = O_NONBLOCK if command == FIONBIO else FASYNC
        on = any(t.mm.copy_in(arg, 4))
        file.set_flags(file.flags | bit if on else file.flags & ~bit)
    elif command == FIONREAD and file.inode is not None and file.inode.mode & S_IFMT == S_IFREG and file.seekable:
        t.mm.copy_out(arg, (file.size() - file.pos & 0xFFFF_FFFF).to_bytes(4, "little"))
    else:
        return file.ioctl(command, arg, t.mm)
    return 0


# size and storage


@calls.call
def ftruncate(t: "Task", fd: FdNum, length: Long) -> Result:
    """ftruncate(2)."""
    if length < 0:
        raise EINVAL
    file = t.files.get(fd)
    inode_newsize_ok(t, length)
    file.truncate(length)
    _tell_modified(file)
    return 0


def _tell_modified(file: FileDescription) -> None:
    if file.inode is not None and file.inode.fs.watched:
        fsnotify_modify(file)


@calls.call
def fallocate(t: "Task", file: Fd, mode: Int, offset: Long, length: Long) -> Result:
    """fallocate(2)."""
    if offset < 0 or length <= 0:
        raise EINVAL
    if mode & ~0x7F or mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) == FALLOC_FL_PUNCH_HOLE:
        raise EOPNOTSUPP
    if not file.writable:
        raise EBADF
    if isinstance(file, PipeFile):
        raise ESPIPE
    if offset + length >= 1 << 63:
        raise EFBIG
    if not mode & FALLOC_FL_PUNCH_HOLE:
        inode_newsize_ok(t, offset + length)
    file.allocate(mode, offset, length)
    _tell_modified(file)
    return 0


@calls.call
def fsync(t: "Task", file: Fd) -> Result:
    """fsync(2)."""
    del t
    file.sync()
    return 0


@calls.call
def fdatasync(t: "Task", file: Fd) -> Result:
    """fdatasync(2)."""
    del t
    file.sync()
    return 0


@calls.call
def sync_file_range(t: "Task", file: Fd, offset: Long, length: Long, flags: Flags) -> Result:
    """sync_file_range(2)."""
    del t
    if flags & ~7 or offset < 0 or length < 0:
        raise EINVAL
    if isinstance(file, PipeFile):
        raise ESPIPE
    file.sync()
    return 0


@calls.call
def fadvise64(t: "Task", file: Fd, offset: Long, length: Long, advice: Int) -> Result:
    """posix_fadvise(2): checked, then ignored."""
    del t, offset
    if isinstance(file, PipeFile):
        raise ESPIPE
    if length < 0 or not 0 <= advice <= 5:
        raise EINVAL
    return 0


@calls.call
def readahead(t: "Task", file: Fd, offset: Long, count: Size) -> Result:
    """readahead(2): checked, then ignored."""
    del t, offset, count
    if not file.readable:
        raise EBADF
    if file.inode is None or file.inode.mode & S_IFMT != S_IFREG:
        raise EINVAL
    return 0


@calls.call
def sync(t: "Task") -> Result:
    """sync(2)."""
    del t
    return 0


@calls.call
def syncfs(t: "Task", file: Fd) -> Result:
    """syncfs(2): nothing here is behind the descriptor's file system."""
    del t, file
    return 0


MFD_CLOEXEC: Final = 1
MFD_ALLOW_SEALING: Final = 2
MFD_KNOWN: Final = 0x1F


@calls.call
def memfd_create(t: "Task", name: PathPtr, flags: Flags) -> Result:
    """memfd_create(2)."""
    if flags & ~MFD_KNOWN and not flags & 4:
        raise EINVAL
    if flags & 4:
        raise ENODEV  # huge pages
    text = t.mm.cstring(name, 250)
    maker = t.kernel.vfs.memfds
    if maker is None:
        raise EACCES
    file = maker.new_memfd(text, t.creds.fsuid, t.creds.fsgid, sealable=bool(flags & MFD_ALLOW_SEALING))
    return put(t, file, O_CLOEXEC if flags & MFD_CLOEXEC else 0)
