"""Root and working directory: chdir(2), chroot(2), getcwd(2), umask(2)."""

from typing import TYPE_CHECKING

from sentry.kernel.pending import Result
from sentry.syscalls.binder import AnyFd, Calls, Mode, PathPtr, Ptr, Size
from sentry.syscalls.pathargs import path_at
from sentry.syscalls.paths import find
from sentry_abi.capability import CAP_SYS_CHROOT
from sentry_abi.errors import ENOENT, ENOTDIR, EPERM, ERANGE
from sentry_abi.fcntl import (
    AT_FDCWD,
)
from sentry_vfs import (
    EXECUTE,
    Path,
    d_path,
    may,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("working directory")


def _enter(t: "Task", place: Path) -> Path:
    inode = place.dentry.positive()
    if not inode.is_dir:
        raise ENOTDIR
    may(inode, t.creds, EXECUTE)
    return place


@calls.call
def chdir(t: "Task", path: PathPtr) -> Result:
    """chdir(2)."""
    t.fs.cwd = _enter(t, find(t, AT_FDCWD, path_at(t, path)))
    return 0


@calls.call
def fchdir(t: "Task", file: AnyFd) -> Result:
    """fchdir(2)."""
    if file.where is None:
        raise ENOTDIR
    t.fs.cwd = _enter(t, file.where)
    return 0


@calls.call
def chroot(t: "Task", path: PathPtr) -> Result:
    """chroot(2)."""
    place = _enter(t, find(t, AT_FDCWD, path_at(t, path)))
    if not t.creds.capable(CAP_SYS_CHROOT):
        raise EPERM
    t.fs.root = place
    return 0


@calls.call
def getcwd(t: "Task", buf: Ptr, size: Size) -> Result:
    """getcwd(2): the length with its NUL."""
    cwd = t.fs.cwd
    if cwd.dentry.dead:
        raise ENOENT
    text = d_path(cwd, t.fs.root) + b"\0"
    if len(text) > size:
        raise ERANGE
    t.mm.copy_out(buf, text)
    return len(text)


@calls.call
def umask(t: "Task", mask: Mode) -> Result:
    """umask(2)."""
    before, t.fs.umask = t.fs.umask, mask & 0o777
    return before
