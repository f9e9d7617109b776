"""inotify(7): events of files. Source: Linux fs/notify/inotify/inotify_user.c."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, FdNum, Flags, Int, PathPtr
from sentry.syscalls.files import put
from sentry.syscalls.pathargs import path_at
from sentry.syscalls.paths import find
from sentry_abi.errors import EINVAL, ENOTDIR
from sentry_abi.fcntl import AT_FDCWD, O_CLOEXEC, O_NONBLOCK
from sentry_abi.poll import (
    IN_ALL_EVENTS,
    IN_DONT_FOLLOW,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_ONESHOT,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
)
from sentry_vfs import READ, InotifyFile, may

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("file notification")

KNOWN: Final = (
    IN_ALL_EVENTS
    | IN_DONT_FOLLOW
    | IN_EXCL_UNLINK
    | IN_IGNORED
    | IN_ISDIR
    | IN_MASK_ADD
    | IN_MASK_CREATE
    | IN_ONESHOT
    | IN_ONLYDIR
    | IN_Q_OVERFLOW
    | IN_UNMOUNT
)


@calls.call
def inotify_init1(t: "Task", flags: Int) -> Result:
    """inotify_init1(2)."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK):
        raise EINVAL
    return put(t, InotifyFile(t.kernel.vfs.anonymous, flags & O_NONBLOCK), flags)


@calls.call
def inotify_init(t: "Task") -> Result:
    """inotify_init(2)."""
    return inotify_init1(t, 0)


def _instance(t: "Task", fd: int) -> InotifyFile:
    file = t.files.get(fd)
    if not isinstance(file, InotifyFile):
        raise EINVAL
    return file


@calls.call
def inotify_add_watch(t: "Task", fd: FdNum, path: PathPtr, mask: Flags) -> Result:
    """inotify_add_watch(2)."""
    if not mask & KNOWN or mask & ~KNOWN:
        raise EINVAL
    if mask & IN_MASK_ADD and mask & IN_MASK_CREATE:
        t.files.get(fd)
        raise EINVAL
    instance = _instance(t, fd)
    dentry = find(t, AT_FDCWD, path_at(t, path), follow=not mask & IN_DONT_FOLLOW).dentry
    inode = dentry.positive()
    if mask & IN_ONLYDIR and not inode.is_dir:
        raise ENOTDIR
    may(inode, t.creds, READ)
    return instance.add(dentry, mask)


@calls.call
def inotify_rm_watch(t: "Task", fd: FdNum, number: Int) -> Result:
    """inotify_rm_watch(2)."""
    _instance(t, fd).remove(number)
    return 0
