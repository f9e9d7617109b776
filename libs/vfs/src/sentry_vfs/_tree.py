"""The tree of mounts, the path walk, and the operations of names.

The walk is one loop over a stack of components; a symbolic link puts its target's components on the stack. It answers
a place whose dentry may be negative, so that one walk serves looking up and creating. Costs, Python 3.11 on the
machine of `docs/performance.md`: 0.1 us a path that was found before (0.9 if the host is asked whether the file is
still there), 1.2 us a component otherwise.

Order of checks follows Linux fs/namei.c (6.1): link_path_walk, do_open, do_mkdirat, do_unlinkat, do_rmdir,
do_renameat2, do_linkat. Differs: when a kept find is used, the host is asked about its last name only; a directory or
link above it that the host has replaced by another is seen FINDS_S later.
"""

from time import monotonic
from typing import Final, Protocol

from sentry_abi.errors import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    EMLINK,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    ENXIO,
    EPERM,
    EROFS,
    ETXTBSY,
    EXDEV,
    LinuxError,
)
from sentry_abi.fcntl import (
    NAME_MAX,
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
    PATH_MAX,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    SYMLINK_MAX_FOLLOW,
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
from sentry_abi.stat import (
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
)
from sentry_vfs import _inotify
from sentry_vfs._context import FINDS_S, MAX_FINDS, FSContext
from sentry_vfs._eventfd import AnonymousFilesystem
from sentry_vfs._file import FileDescription, PathFile, path_of
from sentry_vfs._node import Credentials, Dentry, Filesystem, Inode, Mount, Path
from sentry_vfs._permission import (
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
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
from sentry_vfs._pipe import PipeFilesystem

FOLLOW: Final = 1
"""Go through a symbolic link at the end of the path."""
NAME: Final = 2
"""The name itself is wanted, for making or removing it: no link at the end is followed, trailing slashes or not."""
NO_LINKS: Final = 4
"""RESOLVE_NO_SYMLINKS: ELOOP at any link."""
NO_MOUNTS: Final = 8
"""RESOLVE_NO_XDEV: EXDEV at any mount."""
BENEATH: Final = 16
"""RESOLVE_BENEATH: EXDEV when the walk leaves its start."""
IN_ROOT: Final = 32
"""RESOLVE_IN_ROOT: the start is the root."""
NO_MAGIC: Final = 64
"""RESOLVE_NO_MAGICLINKS: ELOOP at the links of /proc."""

_ACCESS = (READ, WRITE, READ | WRITE, READ | WRITE)
MAX_NLINK: Final = 65000
Start = Path | LinuxError | None
"""Where a relative path begins; None: the working directory. An error: a descriptor that nothing can begin at, raised
when the walk gets there, since Linux finds other errors first."""
_NO_NAMES: Final = frozenset({b"", b".", b".."})


class Owner(Protocol):
    """The kernel that a tree is part of."""

    def is_executed(self, inode: Inode) -> bool:
        """Return whether a process executes the file now."""
        ...

    def generate_inotify_cookie(self) -> int:
        """Return a number that was not used before, never 0."""
        ...


class Tree:
    """All mounts of a namespace."""

    __slots__ = ("anonymous", "generation", "keep", "memfds", "mounts", "owner", "pipes", "root_mount", "slashed")

    def __init__(self, fs: Filesystem, root: Dentry, flags: int = 0) -> None:
        """Make a tree with one mount."""
        self.root_mount = Mount(fs, root, flags)
        self.mounts: dict[tuple[Mount, Dentry], Mount] = {}
        self.generation = 0
        self.keep = True
        """Whether what the last walk found may be kept: it did not go through a volatile file system."""
        self.slashed = False
        """Whether the last walk ended at a name that is no directory and has a slash after it, be it a link's."""
        self.pipes = PipeFilesystem()
        self.anonymous = AnonymousFilesystem()
        self.owner: Owner | None = None
        """What numbers the renames that inotify tells of."""
        self.memfds: Filesystem | None = None
        """Where memfd_create(2) makes files; whoever builds the tree sets it."""

    @property
    def root(self) -> Path:
        """The topmost place at the root."""
        return self._over(self.root_mount, self.root_mount.root)

    # mounts

    def mount(self, fs: Filesystem, root: Dentry, where: Path, flags: int = 0) -> Mount:
        """Put a file system, from root on, over a place. Raises: ENOTDIR if only one of the two is a directory."""
        mount, dentry = self._over(*where)
        if (dentry.children is None) != (root.children is None):
            raise ENOTDIR
        made = Mount(fs, root, flags)
        made.parent, made.point = mount, dentry
        self.mounts[mount, dentry] = made
        dentry.mounted += 1
        dentry.pin()
        self.generation += 1
        return made

    def unmount(self, where: Path) -> None:
        """Take away the mount whose root is at where. Raises: EINVAL (not a mount's root), EBUSY (mounts below it)."""
        mount, dentry = where
        if dentry is not mount.root or mount.parent is None or mount.point is None:
            raise EINVAL
        if any(other.parent is mount for other in self.mounts.values()):
            raise EBUSY
        del self.mounts[mount.parent, mount.point]
        mount.point.mounted -= 1
        fs = mount.fs
        if fs.watched and all(other.fs is not fs for other in self.all_mounts()):
            _inotify.unmounted(fs)
        mount.parent = mount.point = None
        self.generation += 1

    def _over(self, mount: Mount, dentry: Dentry) -> Path:
        """Return the topmost place at a dentry."""
        while dentry.mounted:
            above = self.mounts.get((mount, dentry))
            if above is None:
                break
            mount, dentry = above, above.root
        return Path(mount, dentry)

    def all_mounts(self) -> list[Mount]:
        """Return the mounts, parents first."""
        return sorted([self.root_mount, *self.mounts.values()], key=lambda mount: mount.id)

    # walking

    def walk(self, start: Start, path: bytes, ctx: FSContext, creds: Credentials, flags: int = FOLLOW) -> Path:
        """Return the place of path, relative to start or else the working directory; its dentry may be negative.

        Raises: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG; what reading a directory of the host raises.
        """
        finds = ctx.finds
        now = monotonic()
        if finds.generation != self.generation or finds.creds is not creds or now > finds.until:
            if finds.creds is not creds:
                finds = ctx.finds = type(finds)()
                finds.creds = creds
            else:
                finds.follow.clear()
                finds.nofollow.clear()
            finds.generation = self.generation
            finds.until = now + FINDS_S
        if flags > NAME or (start is not None and path[:1] != b"/"):
            return self._walk(start, path, ctx, creds, flags)
        known = finds.follow if flags & FOLLOW else finds.nofollow
        found = known.get(path)
        if found is not None:
            dentry = found[1]
            if not dentry.dead:
                if not dentry.check:
                    return found
                fresh = dentry.parent.inode.recheck(dentry)  # type: ignore[union-attr]  # a hashed dentry's parent is positive
                if fresh is dentry:
                    return found
            del known[path]
        found = self._walk(None, path, ctx, creds, flags)
        dentry = found[1]
        # not with a slash at the end: what it follows depends on NAME
        if self.keep and not dentry.dead and path[-1] != 47 and not flags & NAME:
            if len(known) >= MAX_FINDS:
                known.clear()
            known[path] = found
        return found

    def lookup(self, start: Start, path: bytes, ctx: FSContext, creds: Credentials, flags: int = FOLLOW) -> Path:
        """Return the place of an existing file. Raises: as walk."""
        found = self.walk(start, path, ctx, creds, flags)
        if found[1].inode is None:
            raise ENOENT
        return found

    def _walk(self, start: Start, path: bytes, ctx: FSContext, creds: Credentials, flags: int) -> Path:
        self.slashed = False
        if not path:
            raise ENOENT
        if len(path) >= PATH_MAX:
            raise ENAMETOOLONG
        root = ctx.root
        if flags & (IN_ROOT | BENEATH):
            if isinstance(start, LinuxError):
                raise start
            root = start or ctx.cwd
        if path[0] == 47:
            if flags & BENEATH:
                raise EXDEV
            mount, dentry = root
        elif isinstance(start, LinuxError):
            raise start
        else:
            mount, dentry = start or ctx.cwd
        self.keep = not mount.fs.volatile
        free = creds.capable(CAP_DAC_READ_SEARCH) or creds.capable(CAP_DAC_OVERRIDE)
        must_be_dir = path[-1] == 47
        todo = path.rstrip(b"/").split(b"/")
        todo.reverse()
        links = 0
        while todo:
            name = todo.pop()
            if not name:
                continue
            children = dentry.children
            if children is None:
                raise ENOENT if dentry.inode is None else ENOTDIR
            inode = dentry.inode
            if inode is None:
                raise ENOENT
            if not free and inode.mode & 0o111 != 0o111:
                may(inode, creds, EXECUTE)
            if name == b".":
                continue
            if name == b"..":
                mount, dentry = self._up(mount, dentry, root, flags)
                continue
            child = children.get(name)
            if child is None:
                if len(name) > NAME_MAX:
                    raise ENAMETOOLONG
                child = inode.lookup(dentry, name)
            elif child.check:
                child = inode.recheck(child)
            if child.mounted:
                before = mount
                mount, child = self._over(mount, child)
                if mount.fs.volatile:
                    self.keep = False
                if flags & NO_MOUNTS and mount is not before:
                    raise EXDEV
            found = child.inode
            if (
                found is not None
                and found.is_symlink
                and (todo or flags & FOLLOW or (must_be_dir and not flags & NAME))
            ):
                links += 1
                if links > SYMLINK_MAX_FOLLOW or flags & NO_LINKS:
                    raise ELOOP
                target = found.follow()
                if isinstance(target, Path):
                    if flags & (BENEATH | IN_ROOT | NO_MAGIC):
                        raise ELOOP if flags & NO_MAGIC else EXDEV
                    mount, dentry = target
                    continue
                if not target:
                    raise ENOENT
                if target[0] == 47:
                    if flags & BENEATH:
                        raise EXDEV
                    mount, dentry = root
                more = target.rstrip(b"/").split(b"/")
                more.reverse()
                if target[-1] == 47 and not todo:
                    must_be_dir = True
                    self.slashed = sum(name not in {b"", b"."} for name in more) == 1
                todo += more
                continue
            dentry = child
        if must_be_dir and dentry.children is None and not flags & NAME:
            self.slashed = True
            raise ENOENT if dentry.inode is None else ENOTDIR
        return Path(mount, dentry)

    def _up(self, mount: Mount, dentry: Dentry, root: Path, flags: int) -> Path:
        """Return the place of `..`."""
        if mount is root.mount and dentry is root.dentry:
            if flags & BENEATH:
                raise EXDEV
            return root
        while dentry is mount.root:
            if mount.parent is None or mount.point is None:
                return Path(mount, dentry)
            if flags & NO_MOUNTS:
                raise EXDEV
            dentry, mount = mount.point, mount.parent
            if mount is root.mount and dentry is root.dentry:
                return root
        return self._over(mount, dentry.parent)

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
