"""Attributes of files and file systems, entries of directories. Source: Linux fs/stat.c, fs/statfs.c, fs/readdir.c."""

import struct
from typing import TYPE_CHECKING, Final

from sentry.kernel.pending import Result
from sentry.syscalls.binder import AnyFd, Calls, Fd, FdNum, Int, PathPtr, Ptr, UInt
from sentry.syscalls.pathargs import path_at
from sentry.syscalls.paths import find
from sentry_abi.errors import EBADF, EFAULT, EINVAL, ENOENT
from sentry_abi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW
from sentry_abi.structs import STAT, STATFS, STATX
from sentry_vfs import FOLLOW, filename_lookup, fsnotify_access

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import Task

calls = Calls("attributes and directories")

_BASIC: Final = 0x17FF  # STATX_BASIC_STATS | STATX_MNT_ID
_DIRENT: Final = struct.Struct("<QqHB")
_OLD_DIRENT: Final = struct.Struct("<QQH")


@calls.call
def stat(t: "Task", path: PathPtr, buf: Ptr) -> Result:
    """stat(2)."""
    mm = t.mm
    place = filename_lookup(None, mm.cstring(path, 4096), t.fs, t.creds)
    mm.copy_out(buf, place[1].inode.stat())  # type: ignore[union-attr]  # lookup answers positive places
    return 0


@calls.call
def lstat(t: "Task", path: PathPtr, buf: Ptr) -> Result:
    """lstat(2)."""
    mm = t.mm
    place = filename_lookup(None, mm.cstring(path, 4096), t.fs, t.creds, 0)
    mm.copy_out(buf, place[1].inode.stat())  # type: ignore[union-attr]  # lookup answers positive places
    return 0


@calls.call
def fstat(t: "Task", file: AnyFd, buf: Ptr) -> Result:
    """fstat(2)."""
    t.mm.copy_out(buf, file.stat())
    return 0


def _stat_at(t: "Task", dirfd: int, path: int, flags: int) -> bytes:
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE):
        raise EINVAL
    text = path_at(t, path) if path or not flags & AT_EMPTY_PATH else b""
    if not text and flags & AT_EMPTY_PATH and dirfd != AT_FDCWD:
        return t.files.get_any(dirfd).stat()
    place = find(t, dirfd, text, follow=not flags & AT_SYMLINK_NOFOLLOW, empty=bool(flags & AT_EMPTY_PATH))
    return place.dentry.positive().stat()


def _is_empty(t: "Task", path: int) -> bool:
    """Return whether a path is null or empty; one that cannot be read is neither."""
    try:
        return not path or t.mm.copy_in(path, 1) == b"\0"
    except EFAULT:
        return False


@calls.call
def newfstatat(t: "Task", dirfd: FdNum, path: PathPtr, buf: Ptr, flags: Int) -> Result:
    """fstatat(2)."""
    mm = t.mm
    if not flags & ~AT_SYMLINK_NOFOLLOW and dirfd == AT_FDCWD:
        place = filename_lookup(None, mm.cstring(path, 4096), t.fs, t.creds, 0 if flags else FOLLOW)
        mm.copy_out(buf, place[1].inode.stat())  # type: ignore[union-attr]  # lookup answers positive places
    elif flags & AT_EMPTY_PATH and dirfd >= 0 and _is_empty(t, path):
        mm.copy_out(buf, t.files.get_any(dirfd).stat())  # whatever the other flags are, as in Linux
    else:
        mm.copy_out(buf, _stat_at(t, dirfd, path, flags))
    return 0


def _split(dev: int) -> tuple[int, int]:
    """Return major and minor of a device number."""
    return dev >> 8 & 0xFFF | dev >> 32 & ~0xFFF, dev & 0xFF | dev >> 12 & ~0xFF & 0xFFFFFFFF


@calls.named("statx", partial="no birth times")
def statx(t: "Task", dirfd: FdNum, path: PathPtr, flags: Int, mask: UInt, buf: Ptr) -> Result:
    """statx(2)."""
    if mask >> 31 or flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE:
        raise EINVAL
    fields = STAT.unpack(_stat_at(t, dirfd, path, flags))
    dev, ino, nlink, mode, uid, gid, rdev, size, blksize, blocks, asec, ansec, msec, mnsec, csec, cnsec = fields
    times = (asec, ansec, 0, 0, csec, cnsec, msec, mnsec)
    head = (_BASIC, blksize, 0, nlink, uid, gid, mode, ino, size, blocks, 0)
    t.mm.copy_out(buf, STATX.pack(*head, *times, *_split(rdev), *_split(dev), 0, 0, 0))
    return 0


@calls.call
def statfs(t: "Task", path: PathPtr, buf: Ptr) -> Result:
    """statfs(2)."""
    place = find(t, AT_FDCWD, path_at(t, path))
    t.mm.copy_out(buf, _statfs(place.dentry.positive().fs.statfs(), place.mount.flags))
    return 0


@calls.call
def fstatfs(t: "Task", file: AnyFd, buf: Ptr) -> Result:
    """fstatfs(2)."""
    if file.inode is None:
        raise EBADF
    flags = file.where.mount.flags if file.where is not None else 0
    t.mm.copy_out(buf, _statfs(file.inode.fs.statfs(), flags))
    return 0


def _statfs(raw: bytes, flags: int) -> bytes:
    """Return struct statfs with a mount's flags (ST_RDONLY, ST_NOSUID, ST_NODEV, ST_NOEXEC have the values of MS_*)."""
    if not flags & 15:
        return raw
    fields = STATFS.unpack(raw)
    return STATFS.pack(*fields[:-1], fields[-1] | flags & 15)


def _dents(t: "Task", file: Fd, buf: int, count: int, pack: "Callable[[bytes, int, int, int, int], bytes]") -> int:
    """Write as many records as fit, each made by pack(name, inode, position behind it, length, type).

    Raises: ENOENT for a removed directory, EINVAL if not even one fits, EFAULT.
    """
    found = file.entries()
    if file.where is not None and file.where.dentry.dead:
        raise ENOENT
    records: list[bytes] = []
    left = min(count, 1 << 18)
    at = file.pos
    for name, ino, kind in found[at:]:
        length = len(name) + 27 & -8
        left -= length
        if left < 0:
            break
        at += 1
        records.append(pack(name, ino, at, length, kind))
    if not records:
        if at < len(found):
            raise EINVAL
        return 0
    data = b"".join(records)
    t.mm.copy_out(buf, data)
    file.pos = at
    if file.inode is not None and file.inode.fs.watched:
        fsnotify_access(file)
    return len(data)


def _dirent64(name: bytes, ino: int, at: int, length: int, kind: int) -> bytes:
    return _DIRENT.pack(ino, at, length, kind) + name.ljust(length - 19, b"\0")


def _dirent(name: bytes, ino: int, at: int, length: int, kind: int) -> bytes:
    """Return a record of old: the type is its last byte."""
    return _OLD_DIRENT.pack(ino, at, length) + name.ljust(length - 19, b"\0") + bytes((kind,))


@calls.call
def getdents64(t: "Task", file: Fd, buf: Ptr, count: Int) -> Result:
    """getdents64(2)."""
    return _dents(t, file, buf, count, _dirent64)


@calls.call
def getdents(t: "Task", file: Fd, buf: Ptr, count: Int) -> Result:
    """getdents(2)."""
    return _dents(t, file, buf, count, _dirent)
