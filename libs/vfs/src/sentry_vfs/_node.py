"""Inodes, dentries, mounts and file systems: what the path walk moves through (Linux include/linux/fs.h).

The dentry tree of an in-memory file system is its directory structure: there is no second table. A file system that
finds names elsewhere (a host directory, /proc) implements `Inode.lookup`, and sets `Dentry.check` on an entry that must
be revalidated at each use.

States of a dentry::

    positive    inode is set
    negative    inode is None: the name is known not to exist (a whiteout is a negative dentry that is pinned)
    hashed      in its parent's `children`; `dead` is False
    dead        not in the tree (not yet, or no longer). The path cache uses an entry only while its dentry is not dead

`pinned` entries cannot be looked up again and stay; others may be dropped between calls while nothing counts them
(`Dentry.count`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol

from sentry_abi.errors import EINVAL, ENODATA, ENODEV, ENOENT, ENOTDIR, EOPNOTSUPP, EPERM, EROFS
from sentry_abi.stat import S_IFMT
from sentry_abi.structs import STAT, STATFS
from sentry_host import Host

if TYPE_CHECKING:
    from sentry_vfs._locks import LockTable

BLOCK_SIZE: Final = 4096
SECOND: Final = 1_000_000_000


class Credentials(Protocol):
    """The identity that permission checks use. Immutable: a change of identity makes a new object."""

    @property
    def fsuid(self) -> int:
        """User id for file access."""
        ...

    @property
    def fsgid(self) -> int:
        """Group id for file access."""
        ...

    @property
    def groups(self) -> "tuple[int, ...] | frozenset[int] | list[int]":
        """Supplementary groups."""
        ...

    def capable(self, capability: int, /) -> bool:
        """Return whether the capability is effective."""
        ...


class Watches(Protocol):
    """The watches of one inode: where `fsnotify_*` delivers events (Linux: i_fsnotify_marks)."""

    def handle_event(self, mask: int, cookie: int, name: bytes, *, unlinked: bool) -> None:
        """Queue an event for each watch whose mask has it; unlinked: the name that it came by is gone."""
        ...

    def inode_delete(self) -> None:
        """Queue IN_DELETE_SELF where it is asked for; remove all watches."""
        ...

    def unmount(self) -> None:
        """Queue IN_UNMOUNT; remove all watches."""
        ...


class OpenFile(Protocol):
    """An open file description, as far as inodes know it: see `dentry_open` for the whole type."""

    refs: int

    def incref(self) -> None:
        """Count one more holder."""
        ...

    def decref(self) -> None:
        """Count one holder less; the last one releases."""
        ...


class KernelWide(Protocol):
    """What file systems and mounts take from the kernel they belong to; `VirtualFilesystem` implements it."""

    host: Host
    super_blocks: "dict[Filesystem, None]"
    """The file systems that are not shut down."""
    generation: int
    """Counts renames, mounts and what else makes a path that was found lead elsewhere."""

    def get_anon_bdev(self) -> int:
        """Return an unused device number with major 0."""
        ...

    def alloc_mount_id(self) -> int:
        """Return the next mount id."""
        ...

    def fsnotify_get_cookie(self) -> int:
        """Return a number, never 0, that ties the two events of a rename together."""
        ...

    def is_executed(self, inode: "Inode") -> bool:
        """Return whether a process executes the file now."""
        ...

    def defer_trim(self, fs: "Filesystem") -> None:
        """Call `fs.trim` once the present call is over."""
        ...


class Filesystem:
    """A mounted or mountable file system (struct super_block): device number, inode numbers, statfs(2)."""

    __slots__ = ("active", "dev", "next_ino", "now", "options", "readonly", "source", "vfs", "watched")

    name: ClassVar[bytes] = b"none"
    magic: ClassVar[int] = 0
    volatile: ClassVar[bool] = False
    """A name may lead elsewhere the next time, or for another caller (/proc/self): the path cache keeps none of it."""
    now: Callable[[], int]
    """The time for time stamps, nanoseconds of CLOCK_REALTIME: the host's own function."""

    def __init__(self, vfs: KernelWide, source: bytes = b"none", options: bytes = b"rw") -> None:
        """Take the next anonymous device number; vfs lists the file system until it is shut down."""
        self.vfs = vfs
        self.now = vfs.host.realtime_ns
        self.dev = vfs.get_anon_bdev()
        self.next_ino = 1
        self.readonly = False
        self.source = source
        self.options = options
        self.active = 0
        """Mounts in use, attached or with an open file, and mapped files (s_active)."""
        vfs.super_blocks[self] = None
        self.watched: dict[Watches, None] = {}
        """The watches of its inodes, oldest first. While it is empty an operation calls nothing of fsnotify."""

    def after_load(self) -> None:
        """Take the clock of the host that the kernel was loaded on."""
        self.now = self.vfs.host.realtime_ns

    def new_ino(self) -> int:
        """Return an inode number that was not used before."""
        ino = self.next_ino
        self.next_ino = ino + 1
        return ino

    def statfs(self) -> bytes:
        """Return struct statfs."""
        free = 1 << 22
        fsid = self.dev.to_bytes(8, "little")
        return STATFS.pack(self.magic, BLOCK_SIZE, free, free, free, free, free, fsid, 255, BLOCK_SIZE, 0x1020)

    def rename(self, old: "Dentry", new: "Dentry", *, exchange: bool = False) -> None:
        """Move old to the place of new, which may be positive and is then replaced; permissions are already checked.

        Raises: EPERM unless the file system can; ENOTEMPTY.
        """
        raise EPERM

    def trim(self) -> None:
        """Drop dentries that nothing uses and that can be looked up again. Requires: no walk, and no result of one."""

    def deactivate(self) -> None:
        """Count one mount or mapped file in use less; the last one shuts the file system down (deactivate_super)."""
        self.active -= 1
        if not self.active:
            self.shutdown()

    def shutdown(self) -> None:
        """Release what the files hold: nothing reaches them any more (generic_shutdown_super)."""
        self.vfs.super_blocks.pop(self, None)


class Inode:
    """A file of any kind. The defaults refuse; each file system overrides what it implements."""

    __slots__ = (
        "atime",
        "ctime",
        "fs",
        "gid",
        "ino",
        "locks",
        "mode",
        "mtime",
        "nlink",
        "rdev",
        "uid",
        "watches",
    )

    is_dir: ClassVar[bool] = False
    is_symlink: ClassVar[bool] = False

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Make an inode with one link and the present time in all stamps."""
        self.fs = fs
        self.ino = ino
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.nlink = 1
        self.rdev = 0
        self.atime = self.mtime = self.ctime = fs.now()
        self.locks: LockTable | None = None
        self.watches: Watches | None = None

    # attributes

    def size(self) -> int:
        """Return the size in bytes as stat(2) shows it."""
        return 0

    def blocks(self) -> int:
        """Return how many 512-byte blocks are in use."""
        return (self.size() + 511) >> 9

    def stat(self) -> bytes:
        """Return struct stat (144 bytes)."""
        atime, mtime, ctime = self.atime, self.mtime, self.ctime
        return STAT.pack(
            self.fs.dev,
            self.ino,
            self.nlink,
            self.mode,
            self.uid,
            self.gid,
            self.rdev,
            self.size(),
            BLOCK_SIZE,
            self.blocks(),
            atime // SECOND,
            atime % SECOND,
            mtime // SECOND,
            mtime % SECOND,
            ctime // SECOND,
            ctime % SECOND,
        )

    def in_use(self) -> bool:
        """Return whether a file without a name is still open or mapped."""
        return False

    def is_written(self) -> bool:
        """Return whether it is open for writing: execve then fails with ETXTBSY."""
        return False

    def unlinked(self) -> None:
        """Release the contents if that was the last name and nothing uses them: called after `nlink` was lowered."""

    def evict(self) -> None:
        """Release the contents: nothing reaches them any more."""

    def change(self, dentry: "Dentry | None") -> None:
        """Prepare for a change of an attribute or of the content; dentry is the name that the inode is reached by."""

    def set_mode(self, dentry: "Dentry | None", mode: int) -> None:
        """Set the permission bits."""
        self.change(dentry)
        self.mode = self.mode & S_IFMT | mode & 0o7777
        self.ctime = self.fs.now()

    def drop_ids(self) -> None:
        """Clear set-user-id, and an executable's set-group-id: a write without CAP_FSETID (file_remove_privs)."""
        if self.mode & 0o6000 and not self.is_dir:
            self.mode &= ~(0o4000 | (0o2000 if self.mode & 0o010 else 0))

    def set_owner(self, dentry: "Dentry | None", uid: int, gid: int) -> None:
        """Set owner and group; -1 leaves one as it is."""
        self.change(dentry)
        if uid != -1:
            self.uid = uid
        if gid != -1:
            self.gid = gid
        self.ctime = self.fs.now()

    def set_times(self, dentry: "Dentry | None", atime: int | None, mtime: int | None) -> None:
        """Set time stamps in nanoseconds; None leaves one as it is."""
        self.change(dentry)
        if atime is not None:
            self.atime = atime
        if mtime is not None:
            self.mtime = mtime
        self.ctime = self.fs.now()

    # content

    def open(self, where: "Path", flags: int) -> OpenFile:
        """Return a new open file description; permissions are already checked."""
        raise ENODEV

    def truncate(self, dentry: "Dentry | None", length: int) -> None:
        """Set the size."""
        raise EINVAL

    def readlink(self) -> bytes:
        """Return the target of a symbolic link."""
        raise EINVAL

    def follow(self) -> "bytes | Path":
        """Return where the walk continues: a target text, or the place itself for the magic links of /proc."""
        return self.readlink()

    def get_seals(self) -> int:
        """Return the seals (F_GET_SEALS). Raises: EINVAL for a file that cannot have any."""
        raise EINVAL

    def add_seals(self, seals: int) -> None:
        """Add seals (F_ADD_SEALS). Raises: EINVAL for a file that cannot have any, EPERM, EBUSY."""
        raise EINVAL

    def denies_writes(self) -> bool:
        """Return whether a seal forbids writes and new writable mappings."""
        return False

    # directories

    def lookup(self, parent: "Dentry", name: bytes) -> "Dentry":
        """Return the dentry of a name that is not among the children; negative if there is no such file.

        It is hashed if it may be used again.
        """
        if not self.is_dir:
            raise ENOTDIR
        return Dentry(name, parent, None)

    def alive(self) -> bool:
        """Return whether the inode still is what its name says; asked of the entries of generated directories."""
        return True

    def recheck(self, dentry: "Dentry") -> "Dentry":
        """Return the dentry to use for a child whose `check` is set (d_revalidate)."""
        return dentry

    def entries(self, dentry: "Dentry") -> "list[tuple[bytes, int, int]]":
        """Return (name, inode number, DT_*) of all files in this directory, without `.` and `..`."""
        raise ENOTDIR

    def is_empty(self, dentry: "Dentry") -> bool:
        """Return whether a directory has no entries."""
        return not self.entries(dentry)

    def create(self, dentry: "Dentry", mode: int, uid: int, gid: int) -> "Inode":
        """Make a regular file of a negative dentry."""
        raise self._refuse()

    def mkdir(self, dentry: "Dentry", mode: int, uid: int, gid: int) -> "Inode":
        """Make a directory of a negative dentry."""
        raise self._refuse()

    def mknod(self, dentry: "Dentry", mode: int, rdev: int, uid: int, gid: int) -> "Inode":
        """Make a special file of a negative dentry."""
        raise self._refuse()

    def symlink(self, dentry: "Dentry", target: bytes, uid: int, gid: int) -> "Inode":
        """Make a symbolic link of a negative dentry."""
        raise self._refuse()

    def link(self, dentry: "Dentry", old: "Dentry") -> None:
        """Make a negative dentry another name of old's inode."""
        raise self._refuse()

    def unlink(self, dentry: "Dentry") -> None:
        """Remove the name of anything but a directory."""
        raise self._refuse()

    def rmdir(self, dentry: "Dentry") -> None:
        """Remove an empty directory. Raises: ENOTEMPTY."""
        raise self._refuse()

    def tmpfile(self, parent: "Dentry", mode: int, uid: int, gid: int) -> "Dentry":
        """Return a dentry outside the tree with a new regular file (O_TMPFILE)."""
        raise EOPNOTSUPP

    def _refuse(self) -> Exception:
        return EROFS() if self.fs.readonly else EPERM()

    # extended attributes

    def getxattr(self, name: bytes) -> bytes:
        """Return an extended attribute. Raises: ENODATA, EOPNOTSUPP."""
        raise ENODATA

    def setxattr(self, dentry: "Dentry | None", name: bytes, value: bytes, flags: int) -> None:
        """Set an extended attribute. Raises: EOPNOTSUPP."""
        raise EOPNOTSUPP

    def listxattr(self) -> list[bytes]:
        """Return the names of the extended attributes."""
        return []

    def removexattr(self, dentry: "Dentry | None", name: bytes) -> None:
        """Remove an extended attribute. Raises: ENODATA, EOPNOTSUPP."""
        raise EOPNOTSUPP


class Dentry:
    """A name in a directory (struct dentry)."""

    __slots__ = ("check", "children", "count", "dead", "inode", "mounted", "name", "parent", "pinned")

    def __init__(self, name: bytes, parent: "Dentry | None", inode: Inode | None) -> None:
        """Make a dentry outside the tree; the root of a file system is its own parent."""
        self.name = name
        self.parent: Dentry = self if parent is None else parent
        self.inode = inode
        self.children: dict[bytes, Dentry] | None = {} if inode is not None and inode.is_dir else None
        self.dead = parent is not None
        self.check = False
        self.pinned = False
        self.mounted = 0
        self.count = 0
        """Open files, working directories and programs that hold it: see `path_get` (d_count)."""

    def hash(self) -> None:
        """Enter the tree, replacing any entry of the same name."""
        siblings = self.parent.children
        if siblings is None:
            raise ENOTDIR
        before = siblings.get(self.name)
        if before is not None and before is not self:
            before.dead = True
        siblings[self.name] = self
        self.dead = False

    def pin(self) -> None:
        """Keep this entry and its ancestors: looking it up again would find something else."""
        here = self
        while not here.pinned:
            here.pinned = True
            here.check = False
            here = here.parent
        self.check = False

    def unhash(self) -> None:
        """Leave the tree."""
        self.dead = True
        siblings = self.parent.children
        if siblings is not None and siblings.get(self.name) is self:
            del siblings[self.name]

    def instantiate(self, inode: Inode) -> None:
        """Make this the name of inode, hashed and pinned (d_instantiate)."""
        self.inode = inode
        self.children = {} if inode.is_dir else None
        self.hash()
        self.pin()

    def positive(self) -> Inode:
        """Return the inode. Raises: ENOENT for a negative dentry."""
        inode = self.inode
        if inode is None:
            raise ENOENT
        return inode

    def is_below(self, other: "Dentry") -> bool:
        """Return whether other is this dentry or an ancestor of it in the same file system."""
        here = self
        while here is not other:
            if here.parent is here:
                return False
            here = here.parent
        return True


class Mount:
    """A file system, or a part of it, at a place in the tree (struct mount)."""

    __slots__ = ("children", "count", "flags", "fs", "id", "parent", "point", "root", "source")

    def __init__(self, fs: Filesystem, root: Dentry, flags: int = 0) -> None:
        """Make a mount that is not attached; flags are MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC."""
        self.id = fs.vfs.alloc_mount_id()
        self.children: dict[Dentry, Mount] = {}
        """The mounts on dentries of this one."""
        self.count = 0
        """Who uses it: the namespace, open files, working directories and programs; see `mntget` (mnt_count)."""
        self.fs = fs
        self.root = root
        self.flags = flags
        self.parent: Mount | None = None
        self.point: Dentry | None = None
        self.source = fs.source

    @property
    def readonly(self) -> bool:
        """Return whether writes through this mount are refused."""
        return bool(self.flags & 1) or self.fs.readonly


class Path(NamedTuple):
    """A place: a dentry as seen through a mount (struct path)."""

    mount: Mount
    dentry: Dentry


def follow_mount(mount: Mount, dentry: Dentry) -> Path:
    """Return the root of the topmost mount at a place, or the place itself."""
    while dentry.mounted:
        above = mount.children.get(dentry)
        if above is None:
            break
        mount, dentry = above, above.root
    return Path(mount, dentry)
