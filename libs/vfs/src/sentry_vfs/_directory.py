"""Open directories. Source: Linux fs/readdir.c."""

from collections.abc import Sequence

from sentry_abi.errors import EBADF, EISDIR, ENOTDIR
from sentry_vfs._buffers import Buffer
from sentry_vfs._file import FileDescription
from sentry_vfs._node import Inode, Path


class DirectoryFile(FileDescription):
    """An open directory: `pos` is an index into a list that is made anew when reading starts at 0."""

    __slots__ = ("_list",)

    seekable = True

    def __init__(self, flags: int, where: Path, inode: Inode) -> None:
        """Open a directory."""
        super().__init__(flags, where, inode)
        self._list: list[tuple[bytes, int, int]] | None = None

    def read(self, bufs: list[memoryview]) -> int:
        """Refuse. Raises: EISDIR."""
        raise EISDIR

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Refuse. Raises: EISDIR."""
        return self.read(bufs)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def entries(self) -> "list[tuple[bytes, int, int]]":
        """Return the entries, `.` and `..` first."""
        found = self._list
        if found is None or self.pos == 0:
            where, inode = self.where, self.inode
            if where is None or inode is None:
                raise ENOTDIR
            dentry = where.dentry
            up = dentry.parent.inode
            found = [(b".", inode.ino, 4), (b"..", up.ino if up is not None else inode.ino, 4)]
            if not dentry.dead:
                found += inode.entries(dentry)
            self._list = found
        return found

    def size(self) -> int:
        """Return the number of entries: what SEEK_END counts from."""
        return len(self.entries())

    def sync(self) -> None:
        """Do nothing."""
