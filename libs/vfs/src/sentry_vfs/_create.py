"""Names: making, linking, removing and moving them.

Order of checks: Linux fs/namei.c (6.1) do_mkdirat, do_mknodat, do_symlinkat, do_linkat, do_unlinkat, do_rmdir,
do_renameat2.
"""

from typing import Final

from sentry_abi.errors import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    EMLINK,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    EXDEV,
)
from sentry_abi.fcntl import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT
from sentry_abi.poll import IN_ISDIR
from sentry_abi.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK
from sentry_vfs._context import FSContext
from sentry_vfs._fsnotify import fsnotify_create, fsnotify_link_count, fsnotify_move, fsnotify_rmdir, fsnotify_unlink
from sentry_vfs._namei import NAME, Start, last_name, path_lookup
from sentry_vfs._node import Credentials, Dentry, Inode, Path
from sentry_vfs._permission import CAP_MKNOD, EXECUTE, READ, WRITE, may, may_delete, new_owner, owns

MAX_NLINK: Final = 65000
NOT_NAMES: Final = frozenset({b"", b".", b".."})
"""What the last component of a path can be without being a name (LAST_ROOT, LAST_DOT, LAST_DOTDOT)."""


def may_create(where: Path, creds: Credentials) -> Inode:
    """Check that a file may be made at a negative place; return its directory's inode.

    Raises: ENOENT, EROFS, EACCES.
    """
    directory = where.dentry.parent
    inode = directory.positive()
    if directory.dead:
        raise ENOENT
    if where.mount.readonly:
        raise EROFS
    may(inode, creds, WRITE | EXECUTE)
    return inode


def filename_create(start: Start, path: bytes, ctx: FSContext, creds: Credentials, *, directory: bool = False) -> Path:
    """Return the negative place of a file to be made.

    Raises: as `path_lookup`; EEXIST, ENOENT for a slash at the end of what is no directory.
    """
    where = path_lookup(start, path, ctx, creds, NAME)
    if where.dentry.inode is not None:
        raise EEXIST
    if path[-1] == 47 and not directory:
        raise ENOENT
    return where


def do_mkdirat(start: Start, path: bytes, mode: int, ctx: FSContext, creds: Credentials) -> None:
    """Make a directory. Raises: as `path_lookup`; EEXIST, EROFS, EACCES."""
    where = filename_create(start, path, ctx, creds, directory=True)
    parent = may_create(where, creds)
    uid, gid = new_owner(parent, creds)
    mode = mode & 0o1777 & ~ctx.umask | parent.mode & 0o2000
    parent.mkdir(where.dentry, S_IFDIR | mode, uid, gid)
    fsnotify_create(where.dentry, IN_ISDIR)


def do_mknodat(start: Start, path: bytes, mode: int, rdev: int, ctx: FSContext, creds: Credentials) -> Dentry:
    """Make a file of any kind but a directory or link; return its dentry.

    Raises: as `path_lookup`; EEXIST, EINVAL, EPERM.
    """
    kind = mode & S_IFMT or S_IFREG
    if kind == S_IFDIR:
        raise EPERM
    if kind not in {S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK}:
        raise EINVAL
    where = filename_create(start, path, ctx, creds)
    parent = may_create(where, creds)
    if kind in {S_IFCHR, S_IFBLK} and not creds.capable(CAP_MKNOD):
        raise EPERM
    uid, gid = new_owner(parent, creds)
    mode = kind | mode & 0o7777 & ~ctx.umask
    if kind == S_IFREG:
        parent.create(where.dentry, mode, uid, gid)
    else:
        parent.mknod(where.dentry, mode, rdev, uid, gid)
    fsnotify_create(where.dentry)
    return where.dentry


def do_symlinkat(start: Start, path: bytes, target: bytes, ctx: FSContext, creds: Credentials) -> None:
    """Make a symbolic link. Raises: as `path_lookup`; EEXIST, ENOENT for an empty target."""
    if not target:
        raise ENOENT
    where = filename_create(start, path, ctx, creds)
    parent = may_create(where, creds)
    uid, gid = new_owner(parent, creds)
    parent.symlink(where.dentry, target, uid, gid)
    parent.fs.vfs.generation += 1  # a cached negative dentry would hide the link instead of following it
    fsnotify_create(where.dentry)


def do_linkat(old: Path, start: Start, path: bytes, ctx: FSContext, creds: Credentials) -> None:
    """Give the file at old another name. Raises: as `path_lookup`; EEXIST, EXDEV, EPERM for directories, EMLINK."""
    where = filename_create(start, path, ctx, creds)
    inode = old.dentry.positive()
    if where.mount is not old.mount:
        raise EXDEV
    parent = may_create(where, creds)
    if inode.is_dir:
        raise EPERM
    if not owns(inode, creds):  # fs.protected_hardlinks
        kind = inode.mode & S_IFMT
        if kind != S_IFREG or inode.mode & 0o4000 or inode.mode & 0o2010 == 0o2010:
            raise EPERM
        try:
            may(inode, creds, READ | WRITE)
        except EACCES:
            raise EPERM from None
    if inode.nlink == 0 and old.dentry.dead and inode.fs is not where.mount.fs:
        raise ENOENT
    if inode.nlink >= MAX_NLINK:
        raise EMLINK
    parent.link(where.dentry, old.dentry)
    if inode.is_symlink:
        inode.fs.vfs.generation += 1  # as in do_symlinkat
    if inode.fs.watched:
        fsnotify_link_count(inode)
        fsnotify_create(where.dentry)


def do_unlinkat(start: Start, path: bytes, ctx: FSContext, creds: Credentials) -> None:
    """Remove a name of anything but a directory. Raises: as `path_lookup`; EISDIR, ENOTDIR, EROFS, EPERM, EBUSY."""
    mount, dentry = path_lookup(start, path, ctx, creds, NAME)
    if last_name(path) in NOT_NAMES:
        raise EISDIR
    inode = dentry.positive()
    if path[-1] == 47:
        raise EISDIR if inode.is_dir else ENOTDIR
    if mount.readonly:
        raise EROFS
    parent = dentry.parent.positive()
    if dentry is mount.root or dentry.mounted:
        raise EISDIR if inode.is_dir else EBUSY
    may_delete(parent, inode, creds)
    if inode.is_dir:
        raise EISDIR
    parent.unlink(dentry)
    if inode.is_symlink:
        inode.fs.vfs.generation += 1
    if inode.fs.watched:
        fsnotify_unlink(dentry, inode)


def do_rmdir(start: Start, path: bytes, ctx: FSContext, creds: Credentials) -> None:
    """Remove an empty directory. Raises: as `path_lookup`; EINVAL, ENOTEMPTY, EBUSY, ENOTDIR, EROFS, EPERM."""
    mount, dentry = path_lookup(start, path, ctx, creds, NAME)
    last = last_name(path)
    if last in NOT_NAMES:
        raise EINVAL if last == b"." else ENOTEMPTY if last == b".." else EBUSY
    inode = dentry.positive()
    if mount.readonly:
        raise EROFS
    if dentry is mount.root or dentry.mounted:
        raise EBUSY
    parent = dentry.parent.positive()
    may_delete(parent, inode, creds)
    if not inode.is_dir:
        raise ENOTDIR
    if not inode.is_empty(dentry):
        raise ENOTEMPTY
    parent.rmdir(dentry)
    inode.fs.vfs.generation += 1
    if inode.fs.watched:
        fsnotify_rmdir(dentry, inode)


def do_renameat2(
    old_start: Start,
    old_path: bytes,
    new_start: Start,
    new_path: bytes,
    flags: int,
    ctx: FSContext,
    creds: Credentials,
) -> None:
    """Move a file, as renameat2(2).

    Raises: as `path_lookup`; EBUSY, EXDEV, EROFS, EINVAL, EEXIST, ENOTEMPTY, EISDIR, ENOTDIR, EPERM.
    """
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) or flags == RENAME_NOREPLACE | RENAME_EXCHANGE:
        # Differs: RENAME_WHITEOUT makes a device node that only overlay file systems read.
        raise EINVAL if not flags & RENAME_WHITEOUT else EPERM
    old_mount, old = path_lookup(old_start, old_path, ctx, creds, NAME)
    new_mount, new = path_lookup(new_start, new_path, ctx, creds, NAME)
    if last_name(old_path) in NOT_NAMES:
        raise EBUSY
    if last_name(new_path) in NOT_NAMES:
        raise EEXIST if flags & RENAME_NOREPLACE else EBUSY
    moved = old.positive()
    victim = new.inode
    if old is old_mount.root or new is new_mount.root or old.mounted or new.mounted:
        raise EBUSY
    if old_mount is not new_mount:
        raise EXDEV
    if old_mount.readonly:
        raise EROFS
    if victim is None:
        if flags & RENAME_EXCHANGE or (new.parent.dead and new.parent.parent is not new.parent):
            raise ENOENT
    elif flags & RENAME_NOREPLACE:
        raise EEXIST
    if not moved.is_dir and (old_path[-1] == 47 or (new_path[-1] == 47 and not flags & RENAME_EXCHANGE)):
        raise ENOTDIR
    if flags & RENAME_EXCHANGE and victim is not None and not victim.is_dir and new_path[-1] == 47:
        raise ENOTDIR
    if moved.is_dir and new.is_below(old) and new is not old:
        raise EINVAL
    if victim is not None and old.is_below(new) and new is not old:
        raise EINVAL if flags & RENAME_EXCHANGE else ENOTEMPTY
    if victim is moved:
        return
    _may_rename(old, new, moved, victim, creds, exchange=bool(flags & RENAME_EXCHANGE))
    was = old.parent, old.name, new.parent, new.name
    old_mount.fs.rename(old, new, exchange=bool(flags & RENAME_EXCHANGE))
    old_mount.fs.vfs.generation += 1
    if old_mount.fs.watched:
        fsnotify_move(*was, moved, None if flags & RENAME_EXCHANGE else victim)
        if flags & RENAME_EXCHANGE and victim is not None:
            fsnotify_move(was[2], was[3], was[0], was[1], victim, None)


def _may_rename(
    old: Dentry, new: Dentry, moved: Inode, victim: Inode | None, creds: Credentials, *, exchange: bool
) -> None:
    """Check permissions and kinds (vfs_rename). Raises: EACCES, EPERM, ENOTDIR, EISDIR, ENOTEMPTY."""
    source, target = old.parent.positive(), new.parent.positive()
    may_delete(source, moved, creds)
    if victim is not None:
        may_delete(target, victim, creds)
    else:
        may(target, creds, WRITE | EXECUTE)
    if victim is not None and not exchange:
        if moved.is_dir and not victim.is_dir:
            raise ENOTDIR
        if victim.is_dir and not moved.is_dir:
            raise EISDIR
        if victim.is_dir and not victim.is_empty(new):
            raise ENOTEMPTY
    if source is not target:
        for inode in (moved, victim) if exchange else (moved,):
            if inode is not None and inode.is_dir:
                may(inode, creds, WRITE)
