"""A tree in memory: the dentries are the directory structure. What tmpfs and the overlay share.

Source: Linux fs/libfs.c (simple_*), mm/shmem.c.
"""

from sentry_abi.errors import ENOTEMPTY, ENXIO
from sentry_abi.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT
from sentry_fs._device import TTY, open_device
from sentry_fs._quota import MemoryFilesystem
from sentry_fs._regular import Regular
from sentry_fs._xattr import XattrInode
from sentry_vfs import Dentry, DirectoryFile, FileDescription, Filesystem, Inode, Path, PipeInode


class MemoryTree(MemoryFilesystem):
    """A file system with names in memory."""

    __slots__ = ("root",)

    root: Dentry

    def new_directory(self, mode: int, uid: int, gid: int) -> "Directory":
        """Return a new directory inode."""
        return Directory(self, self.new_ino(), mode, uid, gid)

    def new_regular(self, mode: int, uid: int, gid: int) -> Regular:
        """Return a new, empty regular file."""
        return Regular(self, self.new_ino(), mode, uid, gid)

    def open_tty(self, where: Path, flags: int) -> FileDescription:
        """Open the caller's terminal (/dev/tty). Raises: ENXIO where there is none."""
        del where, flags
        raise ENXIO

    def shutdown(self) -> None:
        """Give the contents of all files back."""
        super().shutdown()
        stack = [self.root]
        while stack:
            dentry = stack.pop()
            if dentry.children:
                stack += dentry.children.values()
            elif dentry.inode is not None:
                dentry.inode.evict()

    def rename(self, old: Dentry, new: Dentry, *, exchange: bool = False) -> None:
        """Move old to new's place. The dentry object moves, so that open files stay at it."""
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
                victim.unlinked()
        if source is not target:
            arrives = int(moved.is_dir) - int(victim is not None and victim.is_dir)
            leaves = int(moved.is_dir) - int(exchange and victim is not None and victim.is_dir)
            target_inode.nlink += arrives
            source_inode.nlink -= leaves
        elif victim is not None and victim.is_dir and not exchange:
            source_inode.nlink -= 1
        source_inode.mtime = source_inode.ctime = target_inode.mtime = target_inode.ctime = moved.ctime = now


class Directory(XattrInode):
    """A directory; its entries are the positive children of its dentry."""

    __slots__ = ()

    is_dir = True
    fs: MemoryTree

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
        """Hide the host's file of a name that was removed, in an overlay."""

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
        inode.unlinked()

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


class Symlink(XattrInode):
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


class Special(XattrInode):
    """A socket's name or a device node."""

    __slots__ = ()

    fs: MemoryTree

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open the device of its number. Raises: ENXIO."""
        kind = self.mode & S_IFMT
        if kind == S_IFCHR and self.rdev == TTY:
            return self.fs.open_tty(where, flags)
        if kind in {S_IFCHR, S_IFBLK}:
            return open_device(self, where, flags)
        raise ENXIO
