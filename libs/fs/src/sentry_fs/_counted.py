"""Regular files as what is opened and mapped: the counts of both, and the release when both are 0."""

from sentry_abi.fcntl import O_RDWR
from sentry_fs._xattr import XattrInode
from sentry_mm import Extent, Mapper, Mappers
from sentry_vfs import FileDescription, Filesystem, Path


class CountedInode(XattrInode):
    """A regular file that counts its descriptions and mappings; it is what mmap maps (`sentry_mm.Mappable`)."""

    counts_vmas = False

    __slots__ = ("mappers", "users", "writers")

    def __init__(self, fs: Filesystem, ino: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        """Make an unused file."""
        super().__init__(fs, ino, mode, uid, gid)
        self.users = 0
        """How many descriptions there are."""
        self.writers = 0
        """How many of them are open for writing."""
        self.mappers = Mappers()

    def in_use(self) -> bool:
        """Return whether it is open or mapped."""
        return bool(self.users or self.mappers)

    def is_written(self) -> bool:
        """Return whether it is open for writing."""
        return self.writers > 0

    def unused(self) -> None:
        """Release what only descriptions and mappings need: the last of them has gone."""

    def current_size(self) -> int:
        """Return the size; a file of the host is asked."""
        return self.size()

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return what lies behind a range, up to the last page of the file."""
        raise NotImplementedError

    def mapped_size(self) -> int:
        """Return the size in bytes now."""
        return self.current_size()

    def mapping_identity(self) -> object:
        """Return the inode: one file, whatever its name."""
        return self

    def mapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count a mapping; the first one keeps the file system active."""
        if not self.mappers:
            self.fs.active += 1
        self.mappers.add(mm, length, writable=writable)

    def unmapped(self, mm: Mapper, length: int, *, writable: bool) -> None:
        """Count a mapping less."""
        self.mappers.remove(mm, length, writable=writable)
        if not self.mappers:
            if not self.users:
                self.unused()
            self.fs.deactivate()


class CountedFile(FileDescription):
    """An open regular file."""

    __slots__ = ()

    seekable = True
    inode: CountedInode
    where: Path

    def __init__(self, flags: int, where: Path, inode: CountedInode) -> None:
        """Count an open file."""
        super().__init__(flags, where, inode)
        inode.users += 1
        if (flags + 1) & O_RDWR:
            inode.writers += 1

    def release(self) -> None:
        """Count an open file less."""
        inode = self.inode
        inode.users -= 1
        if (self.flags + 1) & O_RDWR:
            inode.writers -= 1
        if not inode.users and not inode.mappers.lengths:
            inode.unused()

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

    def mappable(self) -> CountedInode:
        """Return the inode."""
        return self.inode
