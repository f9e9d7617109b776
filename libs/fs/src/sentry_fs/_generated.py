"""Files whose content is made when they are read, and directories whose entries are found when they are asked for.

/proc and /sys consist of them. A subclass defines `generate` (and `accept` for writes), or `find` and `names`. Content
is generated when a read starts at 0 and then kept, so that reads one after the other fit together.
"""

from collections.abc import Sequence
from typing import Final

from sentry_abi.errors import EBADF, EINVAL, EIO, ENOENT
from sentry_abi.fcntl import O_WRONLY
from sentry_abi.stat import S_IFDIR, S_IFLNK, S_IFREG
from sentry_vfs import Buffer, Dentry, DirectoryFile, FileDescription, Filesystem, Inode, Path, scatter

_PRUNE: Final = 256


class Generated(Inode):
    """A file with generated content."""

    __slots__ = ()

    def __init__(self, fs: Filesystem, mode: int = 0o444, uid: int = 0, gid: int = 0) -> None:
        """Make the inode."""
        super().__init__(fs, fs.new_ino(), S_IFREG | mode, uid, gid)

    def generate(self) -> bytes:
        """Return the content now."""
        raise EIO

    def accept(self, data: bytes) -> None:
        """Take what was written in one write. Raises: EINVAL, EIO."""
        raise EIO

    def truncate(self, dentry: Dentry | None, length: int) -> None:
        """Do nothing: O_TRUNC is allowed."""

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open it."""
        return GeneratedFile(flags, where, self)


class GeneratedFile(FileDescription):
    """An open file with generated content."""

    __slots__ = ("_content",)

    seekable = True
    inode: Generated

    def __init__(self, flags: int, where: Path, inode: Generated) -> None:
        """Open it; nothing is generated before the first read."""
        super().__init__(flags, where, inode)
        self._content: bytes | None = None

    def content(self, pos: int) -> bytes:
        """Return the content that a read at pos sees."""
        content = self._content
        if content is None or pos == 0:
            content = self._content = self.inode.generate()
        return content

    def clamp(self, count: int) -> int:
        """Return how much is left."""
        if self.flags & O_WRONLY:
            return count
        return max(0, min(count, len(self.content(self.pos)) - self.pos))

    def clamp_at(self, count: int, pos: int) -> int:
        """Return how much is left after pos."""
        if self.flags & O_WRONLY:
            return count
        return max(0, min(count, len(self.content(pos)) - pos))

    def read(self, bufs: list[memoryview]) -> int:
        """Read at the position. Raises: EBADF."""
        done = self.pread(bufs, self.pos)
        self.pos += done
        return done

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Read at pos. Raises: EBADF."""
        if self.flags & O_WRONLY:
            raise EBADF
        content = self._content if self._content is not None else self.content(pos)
        return scatter(bufs, content[pos:])

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Pass what is written to the inode. Raises: EBADF, EINVAL."""
        if not self.writable:
            raise EBADF
        data = b"".join(bufs)
        if len(data) > 1 << 20:
            raise EINVAL
        self.inode.accept(data)
        self.pos += len(data)
        return len(data)

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Write; pos is ignored."""
        del pos
        return self.write(bufs)


class Fixed(Generated):
    """A file with content that never changes."""

    __slots__ = ("text",)

    def __init__(self, fs: Filesystem, text: bytes, mode: int = 0o444) -> None:
        """Make a file with this text."""
        super().__init__(fs, mode)
        self.text = text

    def generate(self) -> bytes:
        """Return the text."""
        return self.text


class Link(Inode):
    """A symbolic link whose target is found when it is followed: override `follow`, `readlink` or both."""

    __slots__ = ("target",)

    is_symlink = True

    def __init__(self, fs: Filesystem, target: bytes = b"", uid: int = 0, gid: int = 0) -> None:
        """Make a link to target, which a subclass may ignore."""
        super().__init__(fs, fs.new_ino(), S_IFLNK | 0o777, uid, gid)
        self.target = target

    def readlink(self) -> bytes:
        """Return the target."""
        return self.target


class GeneratedDirectory(Inode):
    """A directory whose entries a subclass finds."""

    __slots__ = ()

    is_dir = True

    def __init__(self, fs: Filesystem, mode: int = 0o555, uid: int = 0, gid: int = 0) -> None:
        """Make the inode."""
        super().__init__(fs, fs.new_ino(), S_IFDIR | mode, uid, gid)
        self.nlink = 2

    def find(self, name: bytes) -> Inode | None:
        """Return a new inode for a name, None if there is no such entry."""
        raise NotImplementedError

    def names(self) -> list[tuple[bytes, int]]:
        """Return (name, DT_*) of all entries."""
        raise NotImplementedError

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open for listing."""
        return DirectoryFile(flags, where, self)

    def lookup(self, parent: Dentry, name: bytes) -> Dentry:
        """Find an entry. Raises: ENOENT: nothing can be made here."""
        inode = self.find(name)
        if inode is None:
            raise ENOENT
        dentry = Dentry(name, parent, inode)
        children = parent.children
        if children is not None and len(children) >= _PRUNE:
            for child in tuple(children.values()):
                if not child.mounted:
                    child.unhash()
        dentry.check = True
        dentry.hash()
        return dentry

    def recheck(self, dentry: Dentry) -> Dentry:
        """Return the entry itself while its inode is alive, else a new one."""
        inode = dentry.inode
        if inode is not None and inode.alive():
            return dentry
        dentry.unhash()
        return self.lookup(dentry.parent, dentry.name)

    def entries(self, dentry: Dentry) -> list[tuple[bytes, int, int]]:
        """Return all entries; inode numbers are only right for those looked up before."""
        children = dentry.children or {}
        found = []
        for name, kind in self.names():
            child = children.get(name)
            number = child.inode.ino if child is not None and child.inode is not None else self.fs.new_ino()
            found.append((name, number, kind))
        return found


class FixedDirectory(GeneratedDirectory):
    """A directory with given entries."""

    __slots__ = ("table",)

    def __init__(self, fs: Filesystem, table: dict[bytes, Inode], mode: int = 0o555) -> None:
        """Make a directory of these."""
        super().__init__(fs, mode)
        self.table = table
        self.nlink = 2 + sum(inode.is_dir for inode in table.values())

    def find(self, name: bytes) -> Inode | None:
        """Return the inode of a name."""
        return self.table.get(name)

    def names(self) -> list[tuple[bytes, int]]:
        """Return all names."""
        return [(name, inode.mode >> 12 & 15) for name, inode in self.table.items()]


def build(fs: Filesystem, tree: "dict[str, object]") -> FixedDirectory:
    """Return a directory tree from nested dictionaries; leaves are content (bytes) or inodes."""
    table: dict[bytes, Inode] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            inode: Inode = build(fs, value)
        elif isinstance(value, bytes):
            inode = Fixed(fs, value)
        elif isinstance(value, Inode):
            inode = value
        else:
            message = f"{name}: neither content nor inode"
            raise TypeError(message)
        table[name.encode()] = inode
    return FixedDirectory(fs, table)
