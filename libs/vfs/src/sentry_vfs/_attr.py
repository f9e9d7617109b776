"""Attributes of the file at a place. Order of checks: Linux fs/open.c, fs/attr.c, fs/utimes.c (6.1)."""

from sentry_abi.errors import EACCES, EINVAL, EISDIR, EOPNOTSUPP, EPERM, EROFS
from sentry_abi.poll import IN_ACCESS, IN_ATTRIB, IN_MODIFY
from sentry_abi.stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from sentry_vfs._fsnotify import fsnotify_dentry
from sentry_vfs._node import Credentials, Inode, Path
from sentry_vfs._open import get_write_access
from sentry_vfs._permission import CAP_CHOWN, CAP_FSETID, EXECUTE, WRITE, in_group, may, owns


def _want_write(where: Path) -> Inode:
    """Return the inode of a place on a writable mount (mnt_want_write). Raises: EROFS."""
    if where.mount.readonly:
        raise EROFS
    return where.dentry.positive()


def chmod_common(where: Path, mode: int, creds: Credentials) -> None:
    """Set the permission bits. Raises: EROFS, EPERM, EOPNOTSUPP for a symbolic link."""
    inode = _want_write(where)
    if not owns(inode, creds):
        raise EPERM
    if inode.is_symlink:
        raise EOPNOTSUPP
    if not in_group(creds, inode.gid) and not creds.capable(CAP_FSETID):
        mode &= ~0o2000
    inode.set_mode(where.dentry, mode)
    if inode.is_dir:
        inode.fs.vfs.generation += 1
    if inode.fs.watched:
        fsnotify_dentry(where.dentry, inode, IN_ATTRIB)


def chown_common(where: Path, uid: int, gid: int, creds: Credentials) -> None:
    """Set owner and group; -1 leaves one as it is. Raises: EROFS, EPERM."""
    inode = _want_write(where)
    if not creds.capable(CAP_CHOWN):
        if uid not in {-1, inode.uid} or (uid == inode.uid and creds.fsuid != uid):
            raise EPERM
        if gid != -1 and (creds.fsuid != inode.uid or (gid != inode.gid and not in_group(creds, gid))):
            raise EPERM
    drop = 0
    if not inode.is_dir and not inode.is_symlink:
        keeps = not inode.mode & 0o010 and (in_group(creds, inode.gid) or creds.capable(CAP_FSETID))
        drop = inode.mode & (0o4000 if keeps else 0o6000)
    if drop and not owns(inode, creds):
        raise EPERM
    inode.set_owner(where.dentry, uid, gid)
    if drop:
        inode.set_mode(where.dentry, inode.mode & ~drop)
    if inode.is_dir:
        inode.fs.vfs.generation += 1
    if inode.fs.watched:
        fsnotify_dentry(where.dentry, inode, IN_ATTRIB)


def vfs_utimes(where: Path, atime: int | None, mtime: int | None, creds: Credentials, *, now: bool = False) -> None:
    """Set time stamps; None leaves one as it is. now: both are the present time, for which write permission is enough.

    Raises: EROFS, EPERM, EACCES.
    """
    inode = _want_write(where)
    if not owns(inode, creds):
        if not now:
            raise EPERM
        may(inode, creds, WRITE)
    inode.set_times(where.dentry, atime, mtime)
    if inode.fs.watched and (atime is not None or mtime is not None):
        fsnotify_dentry(where.dentry, inode, IN_MODIFY if atime is None else IN_ACCESS if mtime is None else IN_ATTRIB)


def vfs_truncate(where: Path, length: int, creds: Credentials) -> None:
    """Set the size of a regular file. Raises: EISDIR, EINVAL, EROFS, EACCES, ETXTBSY."""
    inode = where.dentry.positive()
    if inode.is_dir:
        raise EISDIR
    if inode.mode & S_IFMT != S_IFREG:
        raise EINVAL
    _want_write(where)
    may(inode, creds, WRITE)
    get_write_access(inode)
    inode.truncate(where.dentry, length)
    if not creds.capable(CAP_FSETID):
        inode.drop_ids()
    if inode.fs.watched:
        fsnotify_dentry(where.dentry, inode, IN_MODIFY)


def path_permission(where: Path, mask: int, creds: Credentials) -> None:
    """Check READ, WRITE and EXECUTE permission of the file at a place, as access(2). Raises: EROFS, EACCES."""
    inode = where.dentry.positive()
    kind = inode.mode & S_IFMT
    if mask & EXECUTE and kind == S_IFREG and where.mount.flags & 8:
        raise EACCES
    may(inode, creds, mask)
    if mask & WRITE and where.mount.readonly and kind in {S_IFREG, S_IFDIR, S_IFLNK}:
        raise EROFS
