"""Regular files in memory. Source: Linux mm/shmem.c; seals: mm/memfd.c."""

from collections.abc import Sequence
from typing import Final

from sentry_abi.errors import EBADF, EBUSY, EINVAL, ENOSPC, ENXIO, EOPNOTSUPP, EPERM
from sentry_abi.fcntl import (
    F_SEAL_EXEC,
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
from sentry_abi.stat import S_IFREG
from sentry_fs._counted import CountedFile, CountedInode
from sentry_fs._data import MAX_SIZE, FileData
from sentry_fs._quota import MemoryFilesystem
from sentry_mm import Extent
from sentry_pgalloc import MemoryKind
from sentry_vfs import Buffer, Dentry, FileDescription, Filesystem, Path

TMPFS_KIND: Final = MemoryKind.TMPFS
SEALED_WRITE: Final = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
"""With one of these no write is possible any more; with the second alone mappings made before may write."""


class Regular(CountedInode):
    """A regular file in memory. Its contents go with the last name, description and mapping."""

    __slots__ = ("charged", "data", "seals")

    fs: MemoryFilesystem

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Make an empty file."""
        super().__init__(fs, ino, S_IFREG | mode & 0o7777, uid, gid)
        self.data: FileData | None = None
        self.charged = 0
        """How many bytes count against the limit of the file system."""
        self.seals = F_SEAL_SEAL

    def unused(self) -> None:
        """Give the contents back if no name is left either."""
        if self.nlink <= 0:
            self.evict()

    def unlinked(self) -> None:
        """Give the contents back if the last name has gone and nothing uses them."""
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
            left = quota.left() & -4096
            count = left + (max(held - pos, 0) if pos < held else -(pos & 4095))
            if count <= 0:
                raise ENOSPC
            added = left
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

    def denies_writes(self) -> bool:
        """Return whether a seal forbids writes and new writable mappings."""
        return bool(self.seals & SEALED_WRITE)

    # holes

    def seek(self, pos: int, *, data: bool) -> int:
        """Return the next data or hole. Raises: ENXIO."""
        if self.data is None:
            if not 0 <= pos < self.size():
                raise ENXIO
            return pos if data else self.size()
        return self.data.seek(pos, data=data)


class Sealable(Regular):
    """A regular file that can have seals: one of a tmpfs, not of an overlay. Linux: memfd_file_seals_ptr."""

    __slots__ = ()

    def get_seals(self) -> int:
        """Return the seals (F_GET_SEALS)."""
        return self.seals

    def add_seals(self, seals: int) -> None:
        """Add seals (F_ADD_SEALS). Raises: EPERM, EBUSY while a mapping may write."""
        if self.seals & F_SEAL_SEAL:
            raise EPERM
        if seals & F_SEAL_EXEC and self.mode & 0o111:
            seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
        if seals & ~self.seals & F_SEAL_WRITE and self.mappers.writable:
            raise EBUSY
        self.seals |= seals


class RegularFile(CountedFile):
    """An open regular file in memory."""

    __slots__ = ()

    inode: Regular

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

    def sync(self) -> None:
        """Do nothing: there is no device."""

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


def _first(bufs: Sequence[Buffer], count: int) -> list[Buffer]:
    """Return the first count bytes of bufs."""
    found: list[Buffer] = []
    for buf in bufs:
        found.append(memoryview(buf)[:count])
        count -= len(found[-1])
        if not count:
            break
    return found
