"""Names: making, removing, moving and reading what a path leads to."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, FdNum, Flags, Int, Mode, PathPtr, Ptr, UInt
from sentry.syscalls.pathargs import path_at, place_of, start_at
from sentry_abi.capability import CAP_DAC_READ_SEARCH
from sentry_abi.errors import EINVAL, ENOENT, ENOTDIR, EPERM, LinuxError
from sentry_abi.fcntl import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
)
from sentry_abi.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK
from sentry_vfs import (
    FOLLOW,
    Path,
    do_linkat,
    do_mkdirat,
    do_mknodat,
    do_renameat2,
    do_rmdir,
    do_symlinkat,
    do_unlinkat,
    filename_lookup,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("names")

MAKEABLE: Final = frozenset({0, S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK})
"""What mknod(2) makes; 0 is a regular file."""


def find(t: "Task", dirfd: int, path: bytes, *, follow: bool = True, empty: bool = False) -> Path:
    """Return the place of an existing file; with empty, an empty path is the descriptor's own place.

    Raises: EBADF, ENOENT, ENOTDIR and what the walk raises.
    """
    if not path and empty:
        return t.fs.cwd if dirfd == AT_FDCWD else place_of(t.files.get_any(dirfd))
    return filename_lookup(start_at(t, dirfd, path), path, t.fs, t.creds, FOLLOW if follow else 0)


@calls.call
def mkdirat(t: "Task", dirfd: FdNum, path: PathPtr, mode: Mode) -> Result:
    """mkdirat(2)."""
    text = path_at(t, path)
    do_mkdirat(start_at(t, dirfd, text), text, mode, t.fs, t.creds)
    return 0


@calls.call
def mkdir(t: "Task", path: PathPtr, mode: Mode) -> Result:
    """mkdir(2)."""
    return mkdirat(t, AT_FDCWD, path, mode)


@calls.call
def mknodat(t: "Task", dirfd: FdNum, path: PathPtr, mode: Mode, dev: UInt) -> Result:
    """mknodat(2)."""
    kind = mode & S_IFMT
    if kind not in MAKEABLE:
        raise EPERM if kind == S_IFDIR else EINVAL
    text = path_at(t, path)
    do_mknodat(start_at(t, dirfd, text), text, mode, dev, t.fs, t.creds)
    return 0


@calls.call
def mknod(t: "Task", path: PathPtr, mode: Mode, dev: UInt) -> Result:
    """mknod(2)."""
    return mknodat(t, AT_FDCWD, path, mode, dev)


@calls.call
def unlinkat(t: "Task", dirfd: FdNum, path: PathPtr, flags: Int) -> Result:
    """unlinkat(2)."""
    if flags & ~AT_REMOVEDIR:
        raise EINVAL
    text = path_at(t, path)
    remove = do_rmdir if flags else do_unlinkat
    remove(start_at(t, dirfd, text), text, t.fs, t.creds)
    return 0


@calls.call
def unlink(t: "Task", path: PathPtr) -> Result:
    """unlink(2)."""
    return unlinkat(t, AT_FDCWD, path, 0)


@calls.call
def rmdir(t: "Task", path: PathPtr) -> Result:
    """rmdir(2)."""
    return unlinkat(t, AT_FDCWD, path, AT_REMOVEDIR)


def _find_parent(t: "Task", dirfd: int, path: bytes) -> None:
    """Walk to the directory that a name is in. Raises: ENOENT, EBADF, ENOTDIR, EACCES."""
    if not path:
        raise ENOENT
    parent = path.rstrip(b"/").rpartition(b"/")[0]
    place = find(t, dirfd, parent or (b"/" if path[:1] == b"/" else b"."))
    if not place.dentry.positive().is_dir:
        raise ENOTDIR


@calls.call
def renameat2(t: "Task", old_fd: FdNum, old: PathPtr, new_fd: FdNum, new: PathPtr, flags: Flags) -> Result:
    """renameat2(2)."""
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT):
        raise EINVAL
    if flags & RENAME_EXCHANGE and flags & (RENAME_NOREPLACE | RENAME_WHITEOUT):
        raise EINVAL
    source = path_at(t, old)
    try:
        target = path_at(t, new)
    except LinuxError:  # the way to the old name counts first
        _find_parent(t, old_fd, source)
        raise
    starts = start_at(t, old_fd, source), start_at(t, new_fd, target)
    do_renameat2(starts[0], source, starts[1], target, flags, t.fs, t.creds)
    return 0


@calls.call
def renameat(t: "Task", old_fd: FdNum, old: PathPtr, new_fd: FdNum, new: PathPtr) -> Result:
    """renameat(2)."""
    return renameat2(t, old_fd, old, new_fd, new, 0)


@calls.call
def rename(t: "Task", old: PathPtr, new: PathPtr) -> Result:
    """rename(2)."""
    return renameat2(t, AT_FDCWD, old, AT_FDCWD, new, 0)


@calls.call
def linkat(t: "Task", old_fd: FdNum, old: PathPtr, new_fd: FdNum, new: PathPtr, flags: Flags) -> Result:
    """linkat(2)."""
    if flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    source = path_at(t, old)
    empty = bool(flags & AT_EMPTY_PATH)
    if empty and not source and not t.creds.capable(CAP_DAC_READ_SEARCH):
        raise ENOENT
    place = find(t, old_fd, source, follow=bool(flags & AT_SYMLINK_FOLLOW), empty=empty)
    target = path_at(t, new)
    do_linkat(place, start_at(t, new_fd, target), target, t.fs, t.creds)
    return 0


@calls.call
def link(t: "Task", old: PathPtr, new: PathPtr) -> Result:
    """link(2)."""
    return linkat(t, AT_FDCWD, old, AT_FDCWD, new, 0)


@calls.call
def symlinkat(t: "Task", target: PathPtr, dirfd: FdNum, path: PathPtr) -> Result:
    """symlinkat(2)."""
    content = path_at(t, target)
    if not content:
        raise ENOENT
    text = path_at(t, path)
    do_symlinkat(start_at(t, dirfd, text), text, content, t.fs, t.creds)
    return 0


@calls.call
def symlink(t: "Task", target: PathPtr, path: PathPtr) -> Result:
    """symlink(2)."""
    return symlinkat(t, target, AT_FDCWD, path)


@calls.call
def readlinkat(t: "Task", dirfd: FdNum, path: PathPtr, buf: Ptr, size: Int) -> Result:
    """readlinkat(2); an empty path is the link that dirfd was opened on with O_PATH | O_NOFOLLOW."""
    if size <= 0:
        raise EINVAL
    text = path_at(t, path)
    inode = find(t, dirfd, text, follow=False, empty=dirfd != AT_FDCWD).dentry.positive()
    if not inode.is_symlink:
        raise EINVAL if text else ENOENT
    target = inode.readlink()[:size]
    t.mm.copy_out(buf, target)
    return len(target)


@calls.call
def readlink(t: "Task", path: PathPtr, buf: Ptr, size: Int) -> Result:
    """readlink(2)."""
    return readlinkat(t, AT_FDCWD, path, buf, size)
