"""The tree of mounts, and the path walk.

The walk is one loop over a stack of components; a symbolic link puts its target's components on the stack. It answers
a place whose dentry may be negative, so that one walk serves looking up and creating. Costs, Python 3.11 on the
machine of `docs/performance.md`: 0.1 us a path that was found before (0.9 if the host is asked whether the file is
still there), 1.2 us a component otherwise.

Order of checks: Linux fs/namei.c (6.1) link_path_walk. Differs: when a kept find is used, the host is asked about its
last name only; a directory or link above it that the host has replaced by another is seen FINDS_S later.
"""

from time import monotonic
from typing import Final, Protocol

from sentry_abi.errors import EBUSY, EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV, LinuxError
from sentry_abi.fcntl import NAME_MAX, PATH_MAX, SYMLINK_MAX_FOLLOW
from sentry_vfs import _inotify
from sentry_vfs._context import FINDS_S, MAX_FINDS, FSContext
from sentry_vfs._eventfd import AnonymousFilesystem
from sentry_vfs._node import Credentials, Dentry, Filesystem, Inode, Mount, Path
from sentry_vfs._permission import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, EXECUTE, may
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

Start = Path | LinuxError | None
"""Where a relative path begins; None: the working directory. An error: a descriptor that nothing can begin at, raised
when the walk gets there, since Linux finds other errors first."""


class Owner(Protocol):
    """The kernel that a tree is part of."""

    def is_executed(self, inode: Inode) -> bool:
        """Return whether a process executes the file now."""
        ...

    def generate_inotify_cookie(self) -> int:
        """Return a number that was not used before, never 0."""
        ...


class Walk:
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
