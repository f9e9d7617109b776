"""Names: making, removing, moving, linking; whose they are and what may be done with them.

Source: Linux fs/namei.c, fs/open.c, fs/utimes.c, fs/d_path.c.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Result
from sentry.syscalls.binder import AnyFd, Calls, Fd, FdNum, Flags, Int, Long, Mode, PathPtr, Ptr, Size, UInt
from sentry.syscalls.filelimit import inode_newsize_ok
from sentry.syscalls.pathargs import path_at, place_of, start_at
from sentry_abi.errors import EBADF, EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE
from sentry_abi.fcntl import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
)
from sentry_auth import securebits
from sentry_vfs import (
    EXECUTE,
    FOLLOW,
    FileDescription,
    Path,
    chmod_common,
    chown_common,
    d_path,
    do_linkat,
    do_mkdirat,
    do_mknodat,
    do_renameat2,
    do_rmdir,
    do_symlinkat,
    do_unlinkat,
    filename_lookup,
    may,
    path_permission,
    vfs_truncate,
    vfs_utimes,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task
    from sentry_auth import Credentials

calls = Calls("names and their owners")

CAP_SYS_CHROOT: Final = 18
CAP_DAC_READ_SEARCH: Final = 2
UTIME_NOW: Final = 0x3FFF_FFFF
UTIME_OMIT: Final = 0x3FFF_FFFE


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


@calls.call
def renameat2(t: "Task", old_fd: FdNum, old: PathPtr, new_fd: FdNum, new: PathPtr, flags: Flags) -> Result:
    """renameat2(2)."""
    source, target = path_at(t, old), path_at(t, new)
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
    source, target = path_at(t, old), path_at(t, new)
    empty = bool(flags & AT_EMPTY_PATH)
    if empty and not source and not t.creds.capable(CAP_DAC_READ_SEARCH):
        raise ENOENT
    place = find(t, old_fd, source, follow=bool(flags & AT_SYMLINK_FOLLOW), empty=empty)
    do_linkat(place, start_at(t, new_fd, target), target, t.fs, t.creds)
    return 0


@calls.call
def link(t: "Task", old: PathPtr, new: PathPtr) -> Result:
    """link(2)."""
    return linkat(t, AT_FDCWD, old, AT_FDCWD, new, 0)


@calls.call
def symlinkat(t: "Task", target: PathPtr, dirfd: FdNum, path: PathPtr) -> Result:
    """symlinkat(2)."""
    content, text = path_at(t, target), path_at(t, path)
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


# directories of the task


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


# attributes


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
    """Do nothing for a pipe or the like: nobody else can look, and of the host's own files nothing is changed."""
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
    raw = t.mm.copy_in(pointer, 32)
    found: list[int | None] = []
    nows, valid = 0, True
    for at in (0, 16):
        seconds = int.from_bytes(raw[at : at + 8], "little", signed=True)
        part = int.from_bytes(raw[at + 8 : at + 16], "little", signed=True)
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
        if dirfd == AT_FDCWD or flags & AT_SYMLINK_NOFOLLOW:
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
        raw = t.mm.copy_in(times, 16)
        atime, mtime = (int.from_bytes(raw[at : at + 8], "little", signed=True) for at in (0, 8))
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
    inode_newsize_ok(t, length)
    vfs_truncate(place, length, t.creds)
    return 0


class _Real:
    """Credentials as access(2) uses them: the real ids, with what a program of theirs would be capable of.

    That is all that is permitted for the superuser and nothing for others (access_override_creds).
    """

    __slots__ = ("_creds", "fsgid", "fsuid", "groups")

    def __init__(self, creds: "Credentials") -> None:
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
    asking = creds if flags & AT_EACCESS or (same and usual) else _Real(creds)
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
