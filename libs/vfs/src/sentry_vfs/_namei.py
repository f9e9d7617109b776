"""The path walk: from text to a place.

The walk is one loop over a stack of names; a symbolic link pushes the names of its target. It returns a place whose
dentry may be negative, so that one walk serves lookup and creation. Costs, Python 3.11 on the machine of
`docs/performance.md`: 0.1 us for a cached path (0.9 if the host is asked whether the file still exists), 1.2 us a name
otherwise.

Order of checks: Linux fs/namei.c (6.1) link_path_walk. Differs: for a cached path the host is asked about the last
name only; that the host has replaced a directory or link above it is noticed after MAX_AGE_NS.
"""

from typing import Final

from sentry_abi.errors import ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV, LinuxError
from sentry_abi.fcntl import NAME_MAX, PATH_MAX, SYMLINK_MAX_FOLLOW
from sentry_vfs._context import FSContext
from sentry_vfs._node import Credentials, Dentry, Mount, Path, follow_mount
from sentry_vfs._pathcache import MAX_PATHS, PathCache
from sentry_vfs._permission import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, EXECUTE, may

FOLLOW: Final = 1
"""LOOKUP_FOLLOW: follow a symbolic link at the end of the path."""
NAME: Final = 2
"""The name itself is wanted, to make or remove it: no link at the end is followed, with or without trailing slashes."""
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
"""Where a relative path begins; None is the working directory. An error is that of a descriptor which is no directory,
raised when the walk needs it, since Linux finds other errors first."""


class NameiData:
    """The state of one walk (struct nameidata)."""

    __slots__ = ("cacheable", "creds", "flags", "max_links", "root", "slashed")

    def __init__(self, root: Path, creds: Credentials, flags: int, max_links: int = SYMLINK_MAX_FOLLOW) -> None:
        """Prepare a walk that ends at root and follows at most max_links symbolic links."""
        self.root = root
        self.creds = creds
        self.flags = flags
        self.max_links = max_links
        self.cacheable = True
        """The walk went through no volatile file system."""
        self.slashed = False
        """The walk ended at a name that is no directory but has a slash after it, in the path or in a link's target."""


def filename_lookup(
    start: Start, path: bytes, ctx: FSContext, creds: Credentials, flags: int = FOLLOW, max_links: int | None = None
) -> Path:
    """Return the place of an existing file, following at most max_links symbolic links; None: Linux's limit.

    Raises: as `path_lookup`; ENOENT if there is none.
    """
    if max_links is None:
        found = path_lookup(start, path, ctx, creds, flags)
    else:
        found = path_lookupat(NameiData(ctx.root, creds, flags, max_links), start, path, ctx)
    if found[1].inode is None:
        raise ENOENT
    return found


def path_lookup(
    start: Start, path: bytes, ctx: FSContext, creds: Credentials, flags: int = FOLLOW, nd: NameiData | None = None
) -> Path:
    """Return the place of path, relative to start; its dentry may be negative. nd shows how a walk ended.

    Raises: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG; what reading a directory of the host raises.
    """
    cache = ctx.paths
    now = cache.monotonic_ns()
    if cache.generation != cache.vfs.generation or cache.creds is not creds or now > cache.expires_ns:
        if cache.creds is not creds:
            cache = ctx.paths = PathCache(cache.vfs, creds)
        cache.clear(now)
    if flags > NAME or (start is not None and path[:1] != b"/"):
        return path_lookupat(nd or NameiData(ctx.root, creds, flags), start, path, ctx)
    known = cache.follow if flags & FOLLOW else cache.nofollow
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
    if nd is None:
        nd = NameiData(ctx.root, creds, flags)
    found = path_lookupat(nd, None, path, ctx)
    dentry = found[1]
    # A path with a slash at the end is not cached: what it follows depends on NAME.
    if nd.cacheable and not dentry.dead and path[-1] != 47 and not flags & NAME:
        if len(known) >= MAX_PATHS:
            known.clear()
        known[path] = found
    return found


def path_lookupat(nd: NameiData, start: Start, path: bytes, ctx: FSContext) -> Path:
    """Walk; return the place of path. Raises: as `path_lookup`."""
    if not path:
        raise ENOENT
    if len(path) >= PATH_MAX:
        raise ENAMETOOLONG
    flags, creds = nd.flags, nd.creds
    if flags & (IN_ROOT | BENEATH):
        if isinstance(start, LinuxError):
            raise start
        nd.root = start or ctx.cwd
    root = nd.root
    if path[0] == 47:
        if flags & BENEATH:
            raise EXDEV
        mount, dentry = root
    elif isinstance(start, LinuxError):
        raise start
    else:
        mount, dentry = start or ctx.cwd
    nd.cacheable = not mount.fs.volatile
    searches_all = creds.capable(CAP_DAC_READ_SEARCH) or creds.capable(CAP_DAC_OVERRIDE)
    must_be_dir = path[-1] == 47
    names = path.rstrip(b"/").split(b"/")
    names.reverse()
    links = 0
    while names:
        name = names.pop()
        if not name:
            continue
        children = dentry.children
        if children is None:
            raise ENOENT if dentry.inode is None else ENOTDIR
        inode = dentry.inode
        if inode is None:
            raise ENOENT
        if not searches_all and inode.mode & 0o111 != 0o111:
            may(inode, creds, EXECUTE)
        if name == b".":
            continue
        if name == b"..":
            mount, dentry = follow_dotdot(nd, mount, dentry)
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
            mount, child = follow_mount(mount, child)
            if mount.fs.volatile:
                nd.cacheable = False
            if flags & NO_MOUNTS and mount is not before:
                raise EXDEV
        found = child.inode
        if found is not None and found.is_symlink and (names or flags & FOLLOW or (must_be_dir and not flags & NAME)):
            links += 1
            if links > nd.max_links or flags & NO_LINKS:
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
            if target[-1] == 47 and not names:
                must_be_dir = True
                nd.slashed = sum(name not in {b"", b"."} for name in more) == 1
            names += more
            continue
        dentry = child
    if must_be_dir and dentry.children is None and not flags & NAME:
        nd.slashed = True
        raise ENOENT if dentry.inode is None else ENOTDIR
    return Path(mount, dentry)


def follow_dotdot(nd: NameiData, mount: Mount, dentry: Dentry) -> Path:
    """Return the place of `..`. Raises: EXDEV."""
    root, flags = nd.root, nd.flags
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
    return follow_mount(mount, dentry.parent)


def last_name(path: bytes) -> bytes:
    """Return the last name of a path, without slashes; empty for the root."""
    return path.rstrip(b"/").rsplit(b"/", 1)[-1]
