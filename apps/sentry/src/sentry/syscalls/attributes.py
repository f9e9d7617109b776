"""Attributes of files by path and descriptor: mode, owner, times, size, access."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, Fd, FdNum, Flags, Int, Long, Mode, PathPtr, Ptr, UInt
from sentry.syscalls.filelimit import inode_newsize_ok
from sentry.syscalls.pathargs import path_at, place_of, start_at
from sentry.syscalls.paths import find
from sentry_abi.errors import EBADF, EFAULT, EINVAL
from sentry_abi.fcntl import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
)
from sentry_abi.stat import S_IFMT, S_IFREG
from sentry_abi.structs import TIMESPEC, UTIMBUF
from sentry_auth import securebits
from sentry_usermem import read_array, read_struct
from sentry_vfs import (
    FOLLOW,
    WRITE,
    FileDescription,
    chmod_common,
    chown_common,
    filename_lookup,
    path_permission,
    vfs_truncate,
    vfs_utimes,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_auth import Credentials

calls = Calls("attributes")

UTIME_NOW: Final = 0x3FFF_FFFF
UTIME_OMIT: Final = 0x3FFF_FFFE


@calls.call
def fchmodat(t: "Task", dirfd: FdNum, path: PathPtr, mode: Mode) -> Result:
    """fchmodat(2)."""
    chmod_common(find(t, dirfd, path_at(t, path)), mode, t.creds)
    return 0


@calls.call
def fchmodat2(t: "Task", dirfd: FdNum, path: PathPtr, mode: Mode, flags: Flags) -> Result:
    """fchmodat2(2)."""
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    follow, empty = not flags & AT_SYMLINK_NOFOLLOW, bool(flags & AT_EMPTY_PATH)
    chmod_common(find(t, dirfd, path_at(t, path), follow=follow, empty=empty), mode, t.creds)
    return 0


@calls.call
def chmod(t: "Task", path: PathPtr, mode: Mode) -> Result:
    """chmod(2)."""
    return fchmodat(t, AT_FDCWD, path, mode)


@calls.call
def fchmod(t: "Task", file: Fd, mode: Mode) -> Result:
    """fchmod(2)."""
    if file.where is None:
        return _nameless(file)
    chmod_common(place_of(file), mode, t.creds)
    return 0


def _nameless(file: FileDescription) -> int:
    """Do nothing for a pipe or the like, whose mode and owner no other process can read."""
    if file.inode is None:
        raise EBADF
    return 0


def _id(register: int) -> int:
    return -1 if register == 0xFFFF_FFFF else register


@calls.call
def fchownat(t: "Task", dirfd: FdNum, path: PathPtr, uid: UInt, gid: UInt, flags: Flags) -> Result:
    """fchownat(2)."""
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    follow, empty = not flags & AT_SYMLINK_NOFOLLOW, bool(flags & AT_EMPTY_PATH)
    chown_common(find(t, dirfd, path_at(t, path), follow=follow, empty=empty), _id(uid), _id(gid), t.creds)
    return 0


@calls.call
def chown(t: "Task", path: PathPtr, uid: UInt, gid: UInt) -> Result:
    """chown(2)."""
    return fchownat(t, AT_FDCWD, path, uid, gid, 0)


@calls.call
def lchown(t: "Task", path: PathPtr, uid: UInt, gid: UInt) -> Result:
    """lchown(2)."""
    return fchownat(t, AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW)


@calls.call
def fchown(t: "Task", file: Fd, uid: UInt, gid: UInt) -> Result:
    """fchown(2)."""
    if file.where is None:
        return _nameless(file)
    chown_common(place_of(file), _id(uid), _id(gid), t.creds)
    return 0


class Stamps(NamedTuple):
    """Access and change time in ns, None to leave one; whether both are now; whether the nanoseconds make sense."""

    atime: int | None
    mtime: int | None
    now: bool = False
    valid: bool = True


def _stamps(t: "Task", pointer: int, scale: int) -> Stamps:
    """Read two struct timespec, or with a scale of 1000 two struct timeval. Raises: EFAULT, EINVAL for timeval."""
    now = t.kernel.clock.realtime_ns()
    if not pointer:
        return Stamps(now, now, now=True)
    found: list[int | None] = []
    nows, valid = 0, True
    for seconds, part in read_array(t.mm, pointer, TIMESPEC, 2):
        if scale == 1 and part == UTIME_NOW:
            found.append(now)
            nows += 1
        elif scale == 1 and part == UTIME_OMIT:
            found.append(None)
        elif not 0 <= part < 1_000_000_000 // scale and scale != 1:
            raise EINVAL
        else:
            valid &= 0 <= part < 1_000_000_000
            found.append(seconds * 1_000_000_000 + part * scale)
    return Stamps(found[0], found[1], nows == 2, valid)


def _set_times(t: "Task", dirfd: int, path: int, stamps: Stamps, flags: int = 0) -> int:
    if stamps.atime is None and stamps.mtime is None:
        return 0
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    if not path:
        if dirfd == AT_FDCWD:
            raise EFAULT
        if flags:
            raise EINVAL
        file = t.files.get(dirfd)
        place = None if file.where is None else place_of(file)
    else:
        follow, empty = not flags & AT_SYMLINK_NOFOLLOW, bool(flags & AT_EMPTY_PATH)
        place = find(t, dirfd, path_at(t, path), follow=follow, empty=empty)
    if not stamps.valid:
        raise EINVAL
    if place is None:
        return _nameless(file)
    vfs_utimes(place, stamps.atime, stamps.mtime, t.creds, now=stamps.now)
    return 0


@calls.call
def utimensat(t: "Task", dirfd: FdNum, path: PathPtr, times: Ptr, flags: Flags) -> Result:
    """utimensat(2); a null path is the descriptor itself (futimens)."""
    return _set_times(t, dirfd, path, _stamps(t, times, 1), flags)


@calls.call
def futimesat(t: "Task", dirfd: FdNum, path: PathPtr, times: Ptr) -> Result:
    """futimesat(2)."""
    return _set_times(t, dirfd, path, _stamps(t, times, 1000))


@calls.call
def utimes(t: "Task", path: PathPtr, times: Ptr) -> Result:
    """utimes(2)."""
    return _set_times(t, AT_FDCWD, path, _stamps(t, times, 1000))


@calls.call
def utime(t: "Task", path: PathPtr, times: Ptr) -> Result:
    """utime(2): whole seconds."""
    if times:
        atime, mtime = read_struct(t.mm, times, UTIMBUF)
        stamps = Stamps(atime * 1_000_000_000, mtime * 1_000_000_000)
    else:
        stamps = _stamps(t, 0, 1)
    return _set_times(t, AT_FDCWD, path, stamps)


@calls.call
def truncate(t: "Task", path: PathPtr, length: Long) -> Result:
    """truncate(2)."""
    if length < 0:
        raise EINVAL
    place = find(t, AT_FDCWD, path_at(t, path))
    inode = place.dentry.positive()
    if inode.mode & S_IFMT == S_IFREG:
        path_permission(place, WRITE, t.creds)
        inode_newsize_ok(t, length)
    vfs_truncate(place, length, t.creds)
    return 0


class RealIds:
    """Credentials as access(2) uses them: the real ids, with what a program of theirs would be capable of.

    That is all that is permitted for the superuser and nothing for others (access_override_creds).
    """

    __slots__ = ("_creds", "fsgid", "fsuid", "groups")

    def __init__(self, creds: "Credentials") -> None:
        """Check with the real ids of these."""
        self._creds = creds
        self.fsuid = creds.uid
        self.fsgid = creds.gid
        self.groups = creds.groups

    def capable(self, capability: int, /) -> bool:
        """Return whether the capability counts."""
        if self._creds.securebits & securebits.NO_SETUID_FIXUP:
            return self._creds.capable(capability)
        return self.fsuid == 0 and self._creds.permitted >> capability & 1 == 1


def _access(t: "Task", dirfd: int, path: int, mode: int, flags: int) -> int:
    if mode & ~7 or flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise EINVAL
    follow, empty = not flags & AT_SYMLINK_NOFOLLOW, bool(flags & AT_EMPTY_PATH)
    creds = t.creds
    same = creds.uid == creds.fsuid and creds.gid == creds.fsgid
    usual = creds.effective == (creds.permitted if creds.uid == 0 else 0)
    asking = creds if flags & AT_EACCESS or (same and usual) else RealIds(creds)
    text = path_at(t, path)
    if not text and empty:
        place = find(t, dirfd, text, empty=True)
    else:
        place = filename_lookup(start_at(t, dirfd, text), text, t.fs, asking, FOLLOW if follow else 0)
    path_permission(place, mode, asking)
    return 0


@calls.call
def access(t: "Task", path: PathPtr, mode: Int) -> Result:
    """access(2)."""
    return _access(t, AT_FDCWD, path, mode, 0)


@calls.call
def faccessat(t: "Task", dirfd: FdNum, path: PathPtr, mode: Int) -> Result:
    """faccessat(2), the kernel's own, without flags."""
    return _access(t, dirfd, path, mode, 0)


@calls.call
def faccessat2(t: "Task", dirfd: FdNum, path: PathPtr, mode: Int, flags: Flags) -> Result:
    """faccessat2(2)."""
    return _access(t, dirfd, path, mode, flags)
