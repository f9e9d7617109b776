"""The operations of names: opening, making, removing, moving, and the attributes of what a path leads to.

Order of checks follows Linux fs/namei.c (6.1): do_open, do_mkdirat, do_unlinkat, do_rmdir, do_renameat2, do_linkat.
"""

from typing import Final

from sentry_abi.errors import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    EMLINK,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    ENXIO,
    EPERM,
    EROFS,
    ETXTBSY,
    EXDEV,
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
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
)
from sentry_abi.poll import (
    IN_ACCESS,
    IN_ATTRIB,
    IN_CREATE,
    IN_DELETE,
    IN_ISDIR,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_OPEN,
)
from sentry_abi.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK
from sentry_vfs import _inotify
from sentry_vfs._context import FSContext
from sentry_vfs._file import FileDescription, PathFile, path_of
from sentry_vfs._node import Credentials, Dentry, Inode, Path
from sentry_vfs._permission import (
    CAP_FSETID,
    CAP_MKNOD,
    EXECUTE,
    READ,
    WRITE,
    in_group,
    may,
    may_delete,
    new_owner,
    owns,
)
from sentry_vfs._walk import FOLLOW, NAME, Start, Walk

_ACCESS = (READ, WRITE, READ | WRITE, READ | WRITE)
MAX_NLINK: Final = 65000
_NO_NAMES: Final = frozenset({b"", b".", b".."})


class Tree(Walk):
    """All mounts of a namespace, and what is done to names in them."""

    __slots__ = ()

    # opening and making

    def open(
        self,
        start: Start,
        path: bytes,
        flags: int,
        mode: int,
        ctx: FSContext,
        creds: Credentials,
        resolve: int = 0,
    ) -> FileDescription:
        """Open or make a file, as openat(2); resolve are bits of this module.

        Raises: what walk raises, EEXIST, EISDIR, ENOTDIR, ELOOP, EROFS, ETXTBSY, ENXIO, EPERM.
        """
        if flags & O_PATH:
            flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        elif flags & O_TMPFILE == O_TMPFILE:
            return self._open_tmpfile(start, path, flags, mode, ctx, creds)
        if not flags & O_NOFOLLOW and flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL:
            resolve |= FOLLOW
        if flags & O_CREAT and path and (path[-1] == 47 or self._last(path) in _NO_NAMES):
            self.walk(start, path, ctx, creds, resolve & ~FOLLOW | NAME)
            raise EEXIST if flags & O_EXCL and path[-1] != 47 else EISDIR
        try:
            where = self.walk(start, path, ctx, creds, resolve)
        except (ENOENT, ENOTDIR, ELOOP):
            if flags & O_CREAT and self.slashed:  # a link leads to a name with a slash after it
                raise EISDIR from None
            raise
        dentry = where.dentry
        inode = dentry.inode
        want = _ACCESS[flags & O_ACCMODE] | (WRITE if flags & O_TRUNC else 0)
        if inode is None:
            if not flags & O_CREAT:
                raise ENOENT
            inode = self._make_place(where, creds)
            uid, gid = new_owner(inode, creds)
            inode = inode.create(dentry, S_IFREG | mode & 0o7777 & ~ctx.umask, uid, gid)
            file = inode.open(where, flags)
            if inode.fs.watched:
                _inotify.in_directory(dentry.parent, IN_CREATE, dentry.name)
                _inotify.happened(dentry, inode, IN_OPEN)
            return file
        if flags & O_CREAT:
            if flags & O_EXCL:
                raise EEXIST
            if inode.is_dir:
                raise EISDIR
        if flags & O_DIRECTORY and not inode.is_dir:
            raise ENOTDIR
        if inode.is_symlink:
            if not flags & O_PATH:
                raise ELOOP
        elif inode.is_dir and want & WRITE and not flags & O_PATH:
            raise EISDIR
        if flags & O_PATH:
            return PathFile(flags, where, inode)
        self._may_open(where, inode, flags, want, creds)
        file = inode.open(where, flags)
        if want & WRITE and inode.mode & 0o6000 and not creds.capable(CAP_FSETID):
            file.drops_ids = True
        if flags & O_TRUNC and inode.mode & S_IFMT == S_IFREG:
            inode.truncate(dentry, 0)
        if inode.fs.watched:
            _inotify.happened(dentry, inode, IN_OPEN)
            if flags & O_TRUNC and inode.mode & S_IFMT == S_IFREG:
                _inotify.happened(dentry, inode, IN_MODIFY)
        return file

    def _may_open(self, where: Path, inode: Inode, flags: int, want: int, creds: Credentials) -> None:
        mode = inode.mode
        kind = mode & S_IFMT
        # the common case first: everybody may read it
        if want != READ or mode & 0o444 != 0o444:
            may(inode, creds, want)
        if want & WRITE:
            if kind in {S_IFREG, S_IFDIR} and where.mount.readonly:
                raise EROFS
            self._may_change(inode)
        if kind == S_IFSOCK:
            raise ENXIO
        if kind in {S_IFCHR, S_IFBLK} and where.mount.flags & 4:
            raise EACCES
        if flags & O_NOATIME and not owns(inode, creds):
            raise EPERM

    def _may_change(self, inode: Inode) -> None:
        """Refuse to write to a program that runs (deny_write_access). Raises: ETXTBSY.

        Derived from who executes what instead of counted, so that no count can go wrong; asked of executables only.
        """
        mode = inode.mode
        if mode & 0o111 and mode & S_IFMT == S_IFREG and self.owner is not None and self.owner.is_executed(inode):
            raise ETXTBSY

    def _open_tmpfile(
        self, start: Start, path: bytes, flags: int, mode: int, ctx: FSContext, creds: Credentials
    ) -> FileDescription:
        if flags & O_ACCMODE == O_RDONLY:
            raise EINVAL
        mount, parent = self.lookup(start, path, ctx, creds)
        inode = parent.positive()
        if not inode.is_dir:
            raise ENOTDIR
        may(inode, creds, WRITE | EXECUTE)
        if mount.readonly:
            raise EROFS
        uid, gid = new_owner(inode, creds)
        dentry = inode.tmpfile(parent, S_IFREG | mode & 0o7777 & ~ctx.umask, uid, gid)
        return dentry.positive().open(Path(mount, dentry), flags & ~O_DIRECTORY)

    @staticmethod
    def _make_place(where: Path, creds: Credentials) -> Inode:
        """Check that a file may be made at a negative place; return the directory's inode."""
        directory = where.dentry.parent
        inode = directory.positive()
        if directory.dead:
            raise ENOENT
        if where.mount.readonly:
            raise EROFS
        may(inode, creds, WRITE | EXECUTE)
        return inode

    def _new(self, start: Start, path: bytes, ctx: FSContext, creds: Credentials) -> Path:
        """Return the negative place of a file to be made. Raises: EEXIST."""
        where = self.walk(start, path, ctx, creds, NAME)
        if where.dentry.inode is not None:
            raise EEXIST
        return where

    def mkdir(self, start: Start, path: bytes, mode: int, ctx: FSContext, creds: Credentials) -> None:
        """Make a directory. Raises: as walk; EEXIST, EROFS, EACCES."""
        where = self._new(start, path, ctx, creds)
        parent = self._make_place(where, creds)
        uid, gid = new_owner(parent, creds)
        mode = mode & 0o1777 & ~ctx.umask | parent.mode & 0o2000
        parent.mkdir(where.dentry, S_IFDIR | mode, uid, gid)
        self._made(where.dentry, IN_ISDIR)

    @staticmethod
    def _made(dentry: Dentry, mask: int = 0) -> None:
        """Tell of a new name."""
        directory = dentry.parent.inode
        if directory is not None and directory.fs.watched:
            _inotify.in_directory(dentry.parent, IN_CREATE | mask, dentry.name)

    def mknod(self, start: Start, path: bytes, mode: int, rdev: int, ctx: FSContext, creds: Credentials) -> Dentry:
        """Make a file of any kind but a directory or link; return its dentry.

        Raises: as walk; EEXIST, EINVAL, EPERM.
        """
        kind = mode & S_IFMT or S_IFREG
        if kind == S_IFDIR:
            raise EPERM
        if kind not in {S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK}:
            raise EINVAL
        where = self._new(start, path, ctx, creds)
        if path[-1] == 47:
            raise ENOENT
        parent = self._make_place(where, creds)
        if kind in {S_IFCHR, S_IFBLK} and not creds.capable(CAP_MKNOD):
            raise EPERM
        uid, gid = new_owner(parent, creds)
        mode = kind | mode & 0o7777 & ~ctx.umask
        if kind == S_IFREG:
            parent.create(where.dentry, mode, uid, gid)
        else:
            parent.mknod(where.dentry, mode, rdev, uid, gid)
        self._made(where.dentry)
        return where.dentry

    def symlink(self, start: Start, path: bytes, target: bytes, ctx: FSContext, creds: Credentials) -> None:
        """Make a symbolic link. Raises: as walk; EEXIST, ENOENT for an empty target."""
        if not target:
            raise ENOENT
        where = self._new(start, path, ctx, creds)
        if path[-1] == 47:
            raise ENOENT
        parent = self._make_place(where, creds)
        uid, gid = new_owner(parent, creds)
        parent.symlink(where.dentry, target, uid, gid)
        self.generation += 1  # a find of the missing name would now end at the link instead of following it
        self._made(where.dentry)

    def link(self, old: Path, start: Start, path: bytes, ctx: FSContext, creds: Credentials) -> None:
        """Give the file at old another name. Raises: as walk; EEXIST, EXDEV, EPERM for directories, EMLINK."""
        where = self._new(start, path, ctx, creds)
        if path[-1] == 47:
            raise ENOENT
        inode = old.dentry.positive()
        if where.mount is not old.mount:
            raise EXDEV
        parent = self._make_place(where, creds)
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
            self.generation += 1  # as in symlink
        if inode.fs.watched:
            _inotify.links_changed(inode)
            self._made(where.dentry)

    # removing and moving

    @staticmethod
    def _last(path: bytes) -> bytes:
        return path.rstrip(b"/").rsplit(b"/", 1)[-1]

    def unlink(self, start: Start, path: bytes, ctx: FSContext, creds: Credentials) -> None:
        """Remove a name of anything but a directory. Raises: as walk; EISDIR, ENOTDIR, EROFS, EPERM, EBUSY."""
        mount, dentry = self.walk(start, path, ctx, creds, NAME)
        if self._last(path) in _NO_NAMES:
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
            self.generation += 1
        if inode.fs.watched:
            _inotify.links_changed(inode)
            if inode.nlink <= 0 and not inode.in_use():
                _inotify.gone(inode)
            _inotify.in_directory(dentry.parent, IN_DELETE, dentry.name)

    def rmdir(self, start: Start, path: bytes, ctx: FSContext, creds: Credentials) -> None:
        """Remove an empty directory. Raises: as walk; EINVAL, ENOTEMPTY, EBUSY, ENOTDIR, EROFS, EPERM."""
        mount, dentry = self.walk(start, path, ctx, creds, NAME)
        last = self._last(path)
        if last in _NO_NAMES:
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
        self.generation += 1
        if inode.fs.watched:
            _inotify.gone(inode)
            _inotify.in_directory(dentry.parent, IN_DELETE | IN_ISDIR, dentry.name)

    def rename(
        self,
        old_start: Start,
        old_path: bytes,
        new_start: Start,
        new_path: bytes,
        flags: int,
        ctx: FSContext,
        creds: Credentials,
    ) -> None:
        """Move a file. Raises: as walk; EBUSY, EXDEV, EROFS, EINVAL, EEXIST, ENOTEMPTY, EISDIR, ENOTDIR, EPERM."""
        if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) or flags == RENAME_NOREPLACE | RENAME_EXCHANGE:
            # Differs: RENAME_WHITEOUT makes a device node that only overlay file systems read.
            raise EINVAL if not flags & RENAME_WHITEOUT else EPERM
        old_mount, old = self.walk(old_start, old_path, ctx, creds, NAME)
        new_mount, new = self.walk(new_start, new_path, ctx, creds, NAME)
        if self._last(old_path) in _NO_NAMES:
            raise EBUSY
        if self._last(new_path) in _NO_NAMES:
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
        source, target = old.parent.positive(), new.parent.positive()
        may_delete(source, moved, creds)
        if victim is not None:
            may_delete(target, victim, creds)
        else:
            may(target, creds, WRITE | EXECUTE)
        if victim is not None and not flags & RENAME_EXCHANGE:
            if moved.is_dir and not victim.is_dir:
                raise ENOTDIR
            if victim.is_dir and not moved.is_dir:
                raise EISDIR
            if victim.is_dir and not victim.is_empty(new):
                raise ENOTEMPTY
        if source is not target:
            for inode in (moved, victim) if flags & RENAME_EXCHANGE else (moved,):
                if inode is not None and inode.is_dir:
                    may(inode, creds, WRITE)
        was = old.parent, old.name, new.parent, new.name
        old_mount.fs.rename(old, new, exchange=bool(flags & RENAME_EXCHANGE))
        self.generation += 1
        if old_mount.fs.watched:
            self._moved(*was, moved, None if flags & RENAME_EXCHANGE else victim)
            if flags & RENAME_EXCHANGE and victim is not None:
                self._moved(was[2], was[3], was[0], was[1], victim, None)

    def _moved(
        self, source: Dentry, old: bytes, target: Dentry, new: bytes, moved: Inode, victim: Inode | None
    ) -> None:
        """Tell of a rename: one cookie ties the two names together."""
        cookie = self.owner.generate_inotify_cookie() if self.owner is not None else 1
        kind = IN_ISDIR if moved.is_dir else 0
        _inotify.in_directory(source, IN_MOVED_FROM | kind, old, cookie)
        _inotify.in_directory(target, IN_MOVED_TO | kind, new, cookie)
        if victim is not None:
            _inotify.links_changed(victim)
        if moved.watches is not None:
            _inotify.told(moved.watches, IN_MOVE_SELF)
        if victim is not None and victim.nlink <= 0 and not victim.in_use():
            _inotify.gone(victim)

    # attributes

    def chmod(self, where: Path, mode: int, creds: Credentials) -> None:
        """Set permission bits. Raises: EROFS, EPERM."""
        inode = self._changeable(where)
        if not owns(inode, creds):
            raise EPERM
        if inode.is_symlink:
            from sentry_abi.errors import EOPNOTSUPP  # noqa: PLC0415  (rare)

            raise EOPNOTSUPP
        if not in_group(creds, inode.gid) and not creds.capable(CAP_FSETID):
            mode &= ~0o2000
        inode.set_mode(where.dentry, mode)
        if inode.is_dir:
            self.generation += 1
        if inode.fs.watched:
            _inotify.happened(where.dentry, inode, IN_ATTRIB)

    def chown(self, where: Path, uid: int, gid: int, creds: Credentials) -> None:
        """Set owner and group, -1 leaves one. Raises: EROFS, EPERM."""
        inode = self._changeable(where)
        if not creds.capable(0):
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
            self.generation += 1
        if inode.fs.watched:
            _inotify.happened(where.dentry, inode, IN_ATTRIB)

    def utimens(
        self, where: Path, atime: int | None, mtime: int | None, creds: Credentials, *, now: bool = False
    ) -> None:
        """Set time stamps, None leaves one; now: both are the present time, so that write permission is enough."""
        inode = self._changeable(where)
        if not owns(inode, creds):
            if not now:
                raise EPERM
            may(inode, creds, WRITE)
        inode.set_times(where.dentry, atime, mtime)
        if inode.fs.watched and (atime is not None or mtime is not None):
            mask = IN_MODIFY if atime is None else IN_ACCESS if mtime is None else IN_ATTRIB
            _inotify.happened(where.dentry, inode, mask)

    def truncate(self, where: Path, length: int, creds: Credentials) -> None:
        """Set a regular file's size by name. Raises: EISDIR, EINVAL, EROFS, EACCES, ETXTBSY."""
        inode = where.dentry.positive()
        if inode.is_dir:
            raise EISDIR
        if inode.mode & S_IFMT != S_IFREG:
            raise EINVAL
        self._changeable(where)
        may(inode, creds, WRITE)
        self._may_change(inode)
        inode.truncate(where.dentry, length)
        if not creds.capable(CAP_FSETID):
            inode.drop_ids()
        if inode.fs.watched:
            _inotify.happened(where.dentry, inode, IN_MODIFY)

    @staticmethod
    def _changeable(where: Path) -> Inode:
        if where.mount.readonly:
            raise EROFS
        return where.dentry.positive()

    def access(self, where: Path, mask: int, creds: Credentials) -> None:
        """Check READ, WRITE, EXECUTE as access(2). Raises: EROFS, EACCES."""
        inode = where.dentry.positive()
        kind = inode.mode & S_IFMT
        if mask & EXECUTE and kind == S_IFREG and where.mount.flags & 8:
            raise EACCES
        may(inode, creds, mask)
        if mask & WRITE and where.mount.readonly and kind in {S_IFREG, S_IFDIR, 0o120000}:
            raise EROFS

    def path_of(self, where: Path, root: Path | None = None) -> bytes:
        """Return the path text of a place; see `path_of`."""
        return path_of(where, root)
