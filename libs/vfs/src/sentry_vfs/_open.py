"""open(2): from a path to an open file description.

Order of checks: Linux fs/namei.c (6.1) path_openat, do_open, may_open.
"""

from typing import Final

from sentry_abi.errors import (
    EACCES,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENOENT,
    ENOTDIR,
    ENXIO,
    EPERM,
    EROFS,
    ETXTBSY,
    LinuxError,
)
from sentry_abi.fcntl import (
    O_ACCMODE,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_EXCL,
    O_NOATIME,
    O_NOFOLLOW,
    O_PATH,
    O_RDONLY,
    O_TMPFILE,
    O_TRUNC,
)
from sentry_abi.poll import IN_MODIFY, IN_OPEN
from sentry_abi.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG, S_IFSOCK
from sentry_vfs._context import FSContext
from sentry_vfs._create import NOT_NAMES, may_create
from sentry_vfs._file import FileDescription, dentry_open
from sentry_vfs._fsnotify import fsnotify_create, fsnotify_dentry
from sentry_vfs._namei import FOLLOW, NAME, NameiData, Start, filename_lookup, last_name, path_lookup
from sentry_vfs._node import Credentials, Inode, Path
from sentry_vfs._opath import PathFile
from sentry_vfs._permission import CAP_FSETID, EXECUTE, READ, WRITE, may, new_owner, owns

_ACCESS: Final = (READ, WRITE, READ | WRITE, READ | WRITE)


def do_filp_open(
    start: Start, path: bytes, flags: int, mode: int, ctx: FSContext, creds: Credentials, resolve: int = 0
) -> FileDescription:
    """Open or create a file, as openat(2); resolve has bits of `_namei`.

    Raises: as `path_lookup`; EEXIST, EISDIR, ENOTDIR, ELOOP, EROFS, ETXTBSY, ENXIO, EPERM.
    """
    if flags & O_PATH:
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
    elif flags & O_TMPFILE == O_TMPFILE:
        return do_tmpfile(start, path, flags, mode, ctx, creds)
    if not flags & O_NOFOLLOW and flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL:
        resolve |= FOLLOW
    nd = None
    if flags & O_CREAT:
        if path and (path[-1] == 47 or last_name(path) in NOT_NAMES):
            path_lookup(start, path, ctx, creds, resolve & ~FOLLOW | NAME)
            raise EEXIST if flags & O_EXCL and path[-1] != 47 else EISDIR
        nd = NameiData(ctx.root, creds, resolve)
    try:
        where = path_lookup(start, path, ctx, creds, resolve, nd)
    except (ENOENT, ENOTDIR, ELOOP):
        if nd is not None and nd.slashed:  # a link's target is a name with a slash after it
            raise EISDIR from None
        raise
    inode = where.dentry.inode
    if inode is None:
        if not flags & O_CREAT:
            raise ENOENT
        return _create(where, flags, S_IFREG | mode & 0o7777 & ~ctx.umask, creds)
    if flags & O_CREAT:
        if flags & O_EXCL:
            raise EEXIST
        if inode.is_dir:
            raise EISDIR
    want = _ACCESS[flags & O_ACCMODE] | (WRITE if flags & O_TRUNC else 0)
    if flags & O_DIRECTORY and not inode.is_dir:
        raise ENOTDIR
    if inode.is_symlink:
        if not flags & O_PATH:
            raise ELOOP
    elif inode.is_dir and want & WRITE and not flags & O_PATH:
        raise EISDIR
    if flags & O_PATH:
        return PathFile(flags, where, inode)
    may_open(where, inode, flags, want, creds)
    file: FileDescription = inode.open(where, flags)  # type: ignore[assignment]  # `dentry_open`, without its cost
    if want & WRITE and inode.mode & 0o6000 and not creds.capable(CAP_FSETID):
        file.drops_ids = True
    if flags & O_TRUNC and inode.mode & S_IFMT == S_IFREG:
        try:
            inode.truncate(where.dentry, 0)
        except LinuxError:
            file.discard()
            raise
    if inode.fs.watched:
        fsnotify_dentry(where.dentry, inode, IN_OPEN)
        if flags & O_TRUNC and inode.mode & S_IFMT == S_IFREG:
            fsnotify_dentry(where.dentry, inode, IN_MODIFY)
    return file


def _create(where: Path, flags: int, mode: int, creds: Credentials) -> FileDescription:
    parent = may_create(where, creds)
    uid, gid = new_owner(parent, creds)
    inode = parent.create(where.dentry, mode, uid, gid)
    file: FileDescription = inode.open(where, flags)  # type: ignore[assignment]  # as below
    if inode.fs.watched:
        fsnotify_create(where.dentry)
        fsnotify_dentry(where.dentry, inode, IN_OPEN)
    return file


def do_tmpfile(start: Start, path: bytes, flags: int, mode: int, ctx: FSContext, creds: Credentials) -> FileDescription:
    """Open a new file without a name in a directory (O_TMPFILE). Raises: as `do_filp_open`."""
    if flags & O_ACCMODE == O_RDONLY:
        raise EINVAL
    mount, parent = filename_lookup(start, path, ctx, creds)
    inode = parent.positive()
    if not inode.is_dir:
        raise ENOTDIR
    may(inode, creds, WRITE | EXECUTE)
    if mount.readonly:
        raise EROFS
    uid, gid = new_owner(inode, creds)
    dentry = inode.tmpfile(parent, S_IFREG | mode & 0o7777 & ~ctx.umask, uid, gid)
    return dentry_open(Path(mount, dentry), flags & ~O_DIRECTORY)


def may_open(where: Path, inode: Inode, flags: int, want: int, creds: Credentials) -> None:
    """Check that a file may be opened to READ and WRITE it. Raises: EACCES, EROFS, ETXTBSY, ENXIO, EPERM."""
    mode = inode.mode
    kind = mode & S_IFMT
    # The common case first: everybody may read it.
    if want != READ or mode & 0o444 != 0o444:
        may(inode, creds, want)
    if want & WRITE:
        if kind in {S_IFREG, S_IFDIR} and where.mount.readonly:
            raise EROFS
        get_write_access(inode)
    if kind == S_IFSOCK:
        raise ENXIO
    if kind in {S_IFCHR, S_IFBLK} and where.mount.flags & 4:
        raise EACCES
    if flags & O_NOATIME and not owns(inode, creds):
        raise EPERM


def get_write_access(inode: Inode) -> None:
    """Refuse to write to a file that is executed.

    Derived from what processes execute instead of counted; asked of executables only. Raises: ETXTBSY.
    """
    mode = inode.mode
    if mode & 0o111 and mode & S_IFMT == S_IFREG and inode.fs.vfs.is_executed(inode):
        raise ETXTBSY
