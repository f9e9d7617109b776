"""Sizes, allocation and advice of open files: ftruncate(2), fallocate(2), fsync(2), fadvise(2)."""

from typing import TYPE_CHECKING

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, Fd, FdNum, Flags, Int, Long
from sentry.syscalls.filelimit import inode_newsize_ok
from sentry_abi.errors import (
    EBADF,
    EFBIG,
    EINVAL,
    EOPNOTSUPP,
    ESPIPE,
)
from sentry_abi.fcntl import (
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
)
from sentry_abi.stat import S_IFBLK, S_IFDIR, S_IFMT, S_IFREG
from sentry_vfs import (
    FileDescription,
    PipeFile,
    fsnotify_modify,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("sizes and syncing")


@calls.call
def ftruncate(t: "Task", fd: FdNum, length: Long) -> Result:
    """ftruncate(2)."""
    if length < 0:
        raise EINVAL
    file = t.files.get(fd)
    if file.writable and _is_regular(file):
        inode_newsize_ok(t, length)
    file.truncate(length)
    _tell_modified(file)
    return 0


def _is_regular(file: FileDescription) -> bool:
    return file.inode is not None and file.inode.mode & S_IFMT == S_IFREG


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
    if _is_regular(file):
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
    if flags & ~7 or offset < 0 or length < 0 or offset + length >= 1 << 63:
        raise EINVAL
    if file.inode is None or file.inode.mode & S_IFMT not in {S_IFREG, S_IFDIR, S_IFBLK}:
        raise ESPIPE
    file.sync()
    return 0


@calls.call
def fadvise64(t: "Task", file: Fd, offset: Long, length: Long, advice: Int) -> Result:
    """posix_fadvise(2): the arguments are checked, the advice is ignored."""
    del t, offset
    if isinstance(file, PipeFile):
        raise ESPIPE
    if length < 0 or not 0 <= advice <= 5:
        raise EINVAL
    return 0


@calls.call
def readahead(t: "Task", file: Fd, offset: Long, count: Long) -> Result:
    """readahead(2): checked, then ignored."""
    del t, offset
    if not file.readable:
        raise EBADF
    if not _is_regular(file) or count < 0:
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
