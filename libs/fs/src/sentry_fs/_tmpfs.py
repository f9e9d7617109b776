"""tmpfs: files that live in memory.

The dentry tree is the directory structure. Regular files keep their bytes in `FileData`; the inode is what mmap maps.
The overlay derives from these classes: a tmpfs is an overlay over nothing.

Source: Linux mm/shmem.c, fs/libfs.c (simple_*). Extended attributes as Linux's tmpfs has them since 6.6: user.*,
trusted.*, security.*.
"""

import os
from collections.abc import Sequence
from typing import ClassVar, Final

from sentry_abi.errors import (
    EBADF,
    EEXIST,
    EINVAL,
    ENODATA,
    ENOSPC,
    ENOTEMPTY,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
)
from sentry_abi.fcntl import (
    F_SEAL_FUTURE_WRITE,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    F_SEAL_WRITE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    O_APPEND,
    O_RDWR,
    O_WRONLY,
    SEEK_DATA,
)
from sentry_abi.memory import page_up
from sentry_abi.stat import (
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    TMPFS_MAGIC,
)
from sentry_abi.structs import STATFS
from sentry_fs._data import MAX_SIZE, FileData, Memory
from sentry_fs._device import open_device
from sentry_mm import Extent, Mapper, Mappers
from sentry_pgalloc import MemoryKind
from sentry_vfs import Buffer, Dentry, DirectoryFile, FileDescription, Filesystem, Inode, KernelWide, Path, PipeInode

TMPFS_KIND: Final = MemoryKind.TMPFS
SEALED_WRITE: Final = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
"""With one of these nobody may write any more; with the second alone mappings made before may."""
XATTR_CREATE: Final = 1
XATTR_REPLACE: Final = 2


def half_of_memory() -> int:
    """Return half of the host's memory in bytes: what Linux lets a tmpfs take."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


class Quota:
    """How much the files of one file system may take. Differs: pages written through a mapping are not counted."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        """Allow limit bytes."""
        self.limit = limit
        self.used = 0

    def room(self) -> int:
        """Return how many bytes are left."""
        return max(self.limit - self.used, 0)


class Tmpfs(Filesystem):
    """A file system in memory. What its files hold is limited by `quota`, None is no limit."""

    __slots__ = ("memory", "quota", "root")

    name: ClassVar[bytes] = b"tmpfs"
    magic: ClassVar[int] = TMPFS_MAGIC

    def __init__(
        self,
        vfs: KernelWide,
        memory: Memory,
        mode: int = 0o777,
        *,
        source: bytes = b"tmpfs",
        uid: int = 0,
        gid: int = 0,
        limit: int | None = None,
    ) -> None:
        """Make an empty file system whose root has a mode and an owner; limit is in bytes, half of the memory if None.

        A negative limit is none at all.
        """
        super().__init__(vfs, source)
        self.memory = memory
        limit = half_of_memory() if limit is None else limit
        self.quota = Quota(limit) if limit >= 0 else None
        self.root = Dentry(b"", None, self.new_directory(S_IFDIR | mode, uid, gid))
        self.root.pinned = True

    def new_directory(self, mode: int, uid: int, gid: int) -> "Directory":
        """Return a new directory inode."""
        return Directory(self, self.new_ino(), mode, uid, gid)

    def new_regular(self, mode: int, uid: int, gid: int) -> "Regular":
        """Return a new, empty regular file."""
        return Regular(self, self.new_ino(), mode, uid, gid)

    def statfs(self) -> bytes:
        """Return struct statfs: the limit and what is left of it."""
        quota = self.quota
        if quota is None:
            return super().statfs()
        fsid = self.dev.to_bytes(8, "little")
        blocks, free = quota.limit >> 12, quota.room() >> 12
        return STATFS.pack(self.magic, 4096, blocks, free, free, blocks, free, fsid, 255, 4096, 0x1020)

    def shutdown(self) -> None:
        """Give the contents of all files back."""
        stack = [self.root]
        while stack:
            dentry = stack.pop()
            if dentry.children:
                stack += dentry.children.values()
            elif isinstance(dentry.inode, Regular):
                dentry.inode.evict()

    def rename(self, old: Dentry, new: Dentry, *, exchange: bool = False) -> None:
        """Move old to new's place; the dentry object moves, so that open files keep their place."""
        source, target = old.parent, new.parent
        moved, victim = old.positive(), new.inode
        source_inode, target_inode = source.positive(), target.positive()
        assert isinstance(source_inode, Directory)
        assert isinstance(target_inode, Directory)
        for dentry in (source, target, old):
            dentry.positive().change(dentry)
        now = self.now()
        name, old_name = new.name, old.name
        old.unhash()
        if victim is not None:
            victim.change(new)
            new.unhash()
        if exchange:
            new.parent, new.name = source, old_name
            new.hash()
            new.pin()
        old.parent, old.name = target, name
        old.hash()
        old.pin()
        if not exchange:
            source_inode.vanished(source, old_name)
            if victim is not None:
                victim.nlink -= 2 if victim.is_dir else 1
                victim.ctime = now
                dropped(victim)
        if source is not target:
            arrives = int(moved.is_dir) - int(victim is not None and victim.is_dir)
            leaves = int(moved.is_dir) - int(exchange and victim is not None and victim.is_dir)
            target_inode.nlink += arrives
            source_inode.nlink -= leaves
        elif victim is not None and victim.is_dir and not exchange:
            source_inode.nlink -= 1
        source_inode.mtime = source_inode.ctime = target_inode.mtime = target_inode.ctime = moved.ctime = now


def dropped(inode: Inode) -> None:
    """Give back the contents of a file that has neither a name nor a user."""
    if isinstance(inode, Regular):
        inode.let_go()


class _Attributes(Inode):
    """What all inodes in memory have: extended attributes."""

    __slots__ = ("xattrs",)

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        super().__init__(fs, ino, mode, uid, gid)
        self.xattrs: dict[bytes, bytes] | None = None

    def getxattr(self, name: bytes) -> bytes:
        """Return an extended attribute. Raises: ENODATA."""
        if self.xattrs is None or name not in self.xattrs:
            raise ENODATA
        return self.xattrs[name]

    def setxattr(self, dentry: Dentry | None, name: bytes, value: bytes, flags: int) -> None:
        """Set an extended attribute. Raises: EEXIST, ENODATA, ENOSPC."""
        known = self.xattrs or {}
        if flags & XATTR_CREATE and name in known:
            raise EEXIST
        if flags & XATTR_REPLACE and name not in known:
            raise ENODATA
        if sum(map(len, known.values())) + len(value) > 1 << 20:
            raise ENOSPC
        self.change(dentry)
        if self.xattrs is None:
            self.xattrs = {}
        self.xattrs[name] = value
        self.ctime = self.fs.now()

    def listxattr(self) -> list[bytes]:
        """Return the names."""
        return sorted(self.xattrs or ())

    def removexattr(self, dentry: Dentry | None, name: bytes) -> None:
        """Remove an extended attribute. Raises: ENODATA."""
        if self.xattrs is None or name not in self.xattrs:
            raise ENODATA
        self.change(dentry)
        del self.xattrs[name]


class Directory(_Attributes):
    """A directory; its entries are the positive children of its dentry."""

    __slots__ = ()

    is_dir = True
    fs: Tmpfs

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Make an empty directory."""
        super().__init__(fs, ino, S_IFDIR | mode & 0o7777, uid, gid)
        self.nlink = 2

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open for listing."""
        return DirectoryFile(flags, where, self)

    def size(self) -> int:
        """Return a page, as most file systems show."""
        return 4096

    def entries(self, dentry: Dentry) -> list[tuple[bytes, int, int]]:
        """Return what is in it."""
        assert dentry.children is not None
        return [
            (name, child.inode.ino, child.inode.mode >> 12 & 15)
            for name, child in dentry.children.items()
            if child.inode is not None
        ]

    def is_empty(self, dentry: Dentry) -> bool:
        """Return whether nothing is in it."""
        assert dentry.children is not None
        return all(child.inode is None for child in dentry.children.values())

    def vanished(self, parent: Dentry, name: bytes) -> None:
        """Be told that a name was removed; an overlay hides what lies below."""

    def _enter(self, dentry: Dentry, inode: Inode) -> None:
        self.change(dentry.parent)
        self.mtime = self.ctime = self.fs.now()
        dentry.instantiate(inode)
        if inode.is_dir:
            self.nlink += 1

    def create(self, dentry: Dentry, mode: int, uid: int, gid: int) -> Inode:
        """Make a regular file."""
        inode = self.fs.new_regular(mode, uid, gid)
        self._enter(dentry, inode)
        return inode

    def mkdir(self, dentry: Dentry, mode: int, uid: int, gid: int) -> Inode:
        """Make a directory."""
        inode = self.fs.new_directory(mode, uid, gid)
        self._enter(dentry, inode)
        return inode

    def mknod(self, dentry: Dentry, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        """Make a FIFO, a socket or a device node."""
        inode: Inode
        if mode & S_IFMT == S_IFIFO:
            inode = PipeInode(self.fs, self.fs.new_ino(), mode, uid, gid)
        else:
            inode = Special(self.fs, self.fs.new_ino(), mode, uid, gid)
            inode.rdev = rdev
        self._enter(dentry, inode)
        return inode

    def symlink(self, dentry: Dentry, target: bytes, uid: int, gid: int) -> Inode:
        """Make a symbolic link."""
        inode = Symlink(self.fs, self.fs.new_ino(), target, uid, gid)
        self._enter(dentry, inode)
        return inode

    def link(self, dentry: Dentry, old: Dentry) -> None:
        """Make a hard link."""
        inode = old.positive()
        inode.change(old)
        self._enter(dentry, inode)
        inode.nlink += 1
        inode.ctime = self.fs.now()

    def unlink(self, dentry: Dentry) -> None:
        """Remove a name."""
        inode = dentry.positive()
        self.change(dentry.parent)
        inode.change(dentry)
        dentry.unhash()
        self.vanished(dentry.parent, dentry.name)
        inode.nlink -= 1
        self.mtime = self.ctime = inode.ctime = self.fs.now()
        dropped(inode)

    def rmdir(self, dentry: Dentry) -> None:
        """Remove an empty directory. Raises: ENOTEMPTY."""
        inode = dentry.positive()
        if not inode.is_empty(dentry):
            raise ENOTEMPTY
        self.change(dentry.parent)
        inode.change(dentry)
        dentry.unhash()
        self.vanished(dentry.parent, dentry.name)
        inode.nlink = 0
        self.nlink -= 1
        self.mtime = self.ctime = self.fs.now()

    def tmpfile(self, parent: Dentry, mode: int, uid: int, gid: int) -> Dentry:
        """Return a nameless regular file."""
        inode = self.fs.new_regular(mode, uid, gid)
        inode.nlink = 0
        return Dentry(b"#%d" % inode.ino, parent, inode)


class Regular(_Attributes):
    """A regular file; also what mmap maps."""

    counts_vmas = False

    __slots__ = ("charged", "data", "mappers", "seals", "users", "writers")

    fs: Tmpfs

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Make an empty file."""
        super().__init__(fs, ino, S_IFREG | mode & 0o7777, uid, gid)
        self.data: FileData | None = None
        self.charged = 0
        """How many bytes count against the limit of the file system."""
        self.users = 0
        """How many descriptions there are."""
        self.writers = 0
        """How many of them are open for writing."""
        self.seals = F_SEAL_SEAL
        self.mappers = Mappers()

    # life: contents go when the last name, the last description and the last mapping are gone

    def in_use(self) -> bool:
        """Return whether it is open or mapped."""
        return bool(self.users or self.mappers)

    def is_written(self) -> bool:
        """Return whether it is open for writing."""
        return self.writers > 0

    def let_go(self) -> None:
        """Give the contents back if no name, description or mapping is left."""
        if self.nlink <= 0 and not self.users and not self.mappers:
            self.evict()

    def evict(self) -> None:
        """Give the contents back. Linux: shmem_evict_inode."""
        if self.data is not None:
            self.data.release()
            self.charge(-self.charged)

    # the limit of the file system

    def charge(self, count: int) -> None:
        """Count bytes against the limit, or (negative) give them back."""
        quota = self.fs.quota
        if quota is not None and count:
            quota.used += count
            self.charged += count

    def reserve(self, data: FileData, pos: int, count: int) -> int:
        """Charge what a write of count bytes at pos adds; return how many of them fit. Raises: ENOSPC if none does."""
        quota = self.fs.quota
        if quota is None:
            return count
        end, held = page_up(pos + count), page_up(data.size)
        added = min(end - held, end - pos // 4096 * 4096)  # a hole before pos takes nothing
        if added > quota.limit - quota.used:
            room = quota.room() & -4096
            count = room + (max(held - pos, 0) if pos < held else -(pos & 4095))
            if count <= 0:
                raise ENOSPC
            added = room
        self.charge(added)
        return count

    # content

    def own(self, dentry: Dentry | None) -> FileData:
        """Return the contents for writing, making them first."""
        data = self.data
        if data is None:
            data = self.data = FileData(self.fs.memory, TMPFS_KIND)
        return data

    def size(self) -> int:
        """Return the size in bytes."""
        return 0 if self.data is None else self.data.size

    def current_size(self) -> int:
        """Return the size, asking whoever else may have changed it."""
        return self.size()

    def blocks(self) -> int:
        """Return how many 512-byte blocks are set aside."""
        return 0 if self.data is None else self.data.allocated() >> 9

    def read(self, bufs: list[memoryview], pos: int) -> int:
        """Read at pos."""
        return 0 if self.data is None else self.data.read(bufs, pos)

    def write(self, dentry: Dentry | None, bufs: Sequence[Buffer], pos: int) -> int:
        """Write at pos. Raises: EFBIG, EPERM (sealed)."""
        if self.seals & ~F_SEAL_SEAL:
            self._check_seals(pos + sum(map(len, bufs)))
        data = self.own(dentry)
        count = sum(map(len, bufs))
        if count and data.size < pos + count <= MAX_SIZE:
            fits = self.reserve(data, pos, count)
            if fits < count:
                bufs = _first(bufs, fits)
        done = data.write(bufs, pos)
        self.mtime = self.ctime = self.fs.now()
        return done

    def _check_seals(self, end: int) -> None:
        if self.seals & SEALED_WRITE or (self.seals & F_SEAL_GROW and end > self.size()):
            raise EPERM

    def truncate(self, dentry: Dentry | None, length: int) -> None:
        """Set the size. Raises: EINVAL, EFBIG, EPERM (sealed)."""
        if length < 0:
            raise EINVAL
        before = self.size()
        if (self.seals & F_SEAL_SHRINK and length < before) or (self.seals & F_SEAL_GROW and length > before):
            raise EPERM
        self.own(dentry).truncate(length)
        if length < before:
            self.charge(min(page_up(length) - self.charged, 0))
        self.mtime = self.ctime = self.fs.now()
        if length < before and self.mappers:
            self.mappers.invalidate(self, length)

    def allocate(self, dentry: Dentry | None, mode: int, offset: int, length: int) -> None:
        """Reserve, clear or punch a range. Raises: EOPNOTSUPP, EFBIG, EPERM (sealed)."""
        if mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE):
            raise EOPNOTSUPP
        if mode & FALLOC_FL_PUNCH_HOLE and not mode & FALLOC_FL_KEEP_SIZE:
            raise EOPNOTSUPP
        if self.seals & SEALED_WRITE and mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE):
            raise EPERM
        end = offset + length
        data = self.own(dentry)
        if mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE):
            data.punch(offset, length)
        if not mode & FALLOC_FL_KEEP_SIZE and end > data.size:
            if self.seals & F_SEAL_GROW:
                raise EPERM
            if self.reserve(data, data.size, end - data.size) < end - data.size:
                self.charge(min(page_up(data.size) - self.charged, 0))
                raise ENOSPC
            data.truncate(end)
        self.mtime = self.ctime = self.fs.now()

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open it."""
        return RegularFile(flags, where, self)

    # mapping

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return the memory behind a range, up to the last page of the file."""
        data = self.own(None)
        length = min(length, page_up(data.size) - offset)
        if length <= 0:
            return []
        return [Extent(data.memory, at, size) for at, size in data.pieces(offset, length)]

    def mapped_size(self) -> int:
        """Return the size in bytes now."""
        return self.size()

    def mapping_identity(self) -> object:
        """Return the inode: one file, whatever its name."""
        return self

    def mapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """See `sentry_mm.Mappable`."""
        if not self.mappers:
            self.fs.active += 1
        self.mappers.add(mm, length, writable=writable)

    def unmapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """See `sentry_mm.Mappable`."""
        self.mappers.remove(mm, length, writable=writable)
        if not self.mappers:
            self.let_go()
            self.fs.deactivate()

    def seek(self, pos: int, *, data: bool) -> int:
        """Return the next data or hole. Raises: ENXIO."""
        if self.data is None:
            if not 0 <= pos < self.size():
                raise ENXIO
            return pos if data else self.size()
        return self.data.seek(pos, data=data)


def _first(bufs: Sequence[Buffer], count: int) -> list[Buffer]:
    """Return the first count bytes of bufs."""
    found: list[Buffer] = []
    for buf in bufs:
        found.append(memoryview(buf)[:count])
        count -= len(found[-1])
        if not count:
            break
    return found


class Symlink(_Attributes):
    """A symbolic link."""

    __slots__ = ("target",)

    is_symlink = True

    def __init__(self, fs: Filesystem, ino: int, target: bytes, uid: int = 0, gid: int = 0) -> None:
        """Make a link to target."""
        super().__init__(fs, ino, S_IFLNK | 0o777, uid, gid)
        self.target = target

    def size(self) -> int:
        """Return the length of the target."""
        return len(self.target)

    def readlink(self) -> bytes:
        """Return the target."""
        return self.target


class Special(_Attributes):
    """A socket's name or a device node."""

    __slots__ = ()

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open the device that the number names. Raises: ENXIO."""
        if self.mode & S_IFMT in {S_IFCHR, S_IFBLK}:
            return open_device(self, where, flags)
        raise ENXIO


class RegularFile(FileDescription):
    """An open regular file."""

    __slots__ = ()

    seekable = True
    inode: Regular
    where: Path

    def __init__(self, flags: int, where: Path, inode: Regular) -> None:
        """Open the file."""
        super().__init__(flags, where, inode)
        inode.users += 1
        inode.writers += self.writable

    def release(self) -> None:
        """Let go of the contents if this was the last to reach them."""
        inode = self.inode
        inode.users -= 1
        inode.writers -= self.writable
        if inode.nlink <= 0:
            inode.let_go()

    def clamp(self, count: int) -> int:
        """Return how much is left before the end."""
        return self.clamp_at(count, self.pos)

    def clamp_at(self, count: int, pos: int) -> int:
        """Return how much is left after pos."""
        left = self.inode.size() - pos
        if left >= count:
            return count
        left = self.inode.current_size() - pos
        return min(count, left) if left > 0 else 0

    def read(self, bufs: list[memoryview]) -> int:
        """Read at the position. Raises: EBADF."""
        if self.flags & O_WRONLY:
            raise EBADF
        done = self.inode.read(bufs, self.pos)
        self.pos += done
        return done

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Read at pos. Raises: EBADF."""
        if self.flags & O_WRONLY:
            raise EBADF
        return self.inode.read(bufs, pos)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Write at the position, or at the end with O_APPEND. Raises: EBADF, EFBIG."""
        flags = self.flags
        if not (flags + 1) & O_RDWR:
            raise EBADF
        if not bufs:
            return 0
        inode = self.inode
        if flags & O_APPEND:
            self.pos = inode.size()
        done = inode.write(self.where.dentry, bufs, self.pos)
        if self.drops_ids:
            inode.drop_ids()
        self.pos += done
        return done

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Write at pos; with O_APPEND at the end (Linux does, POSIX does not). Raises: EBADF, EFBIG."""
        if not (self.flags + 1) & O_RDWR:
            raise EBADF
        if not bufs:
            return 0
        inode = self.inode
        if self.drops_ids:
            inode.drop_ids()
        return inode.write(self.where.dentry, bufs, inode.size() if self.flags & O_APPEND else pos)

    def size(self) -> int:
        """Return the size that SEEK_END counts from."""
        return self.inode.current_size()

    def seek_hole(self, offset: int, whence: int) -> int:
        """Return the next data or hole. Raises: ENXIO."""
        return self.inode.seek(offset, data=whence == SEEK_DATA)

    def mappable(self) -> Regular:
        """Return the inode."""
        return self.inode

    def sync(self) -> None:
        """Do nothing: memory is where it belongs."""

    def truncate(self, length: int) -> None:
        """Set the size. Raises: EINVAL (not open for writing)."""
        if not (self.flags + 1) & O_RDWR:
            raise EINVAL
        self.inode.truncate(self.where.dentry, length)

    def allocate(self, mode: int, offset: int, length: int) -> None:
        """Reserve or punch. Raises: EBADF, EOPNOTSUPP."""
        if not (self.flags + 1) & O_RDWR:
            raise EBADF
        self.inode.allocate(self.where.dentry, mode, offset, length)
