"""The overlay: a writable tree in memory over a read-only directory of the host.

An inode that was never changed shows its host file. The first change gives it attributes of its own (`raw` is None);
the first change of content copies the bytes (not for truncation to 0). It stays the same inode, so that open
descriptions, names and inode numbers stay valid, which stacked overlays cannot do. A removed name becomes a whiteout, a
negative dentry that is pinned; a new directory of the same name has no host directory. A renamed directory keeps its
host directory.

Differs from Linux's overlayfs: directories are renamed without EXDEV; inode numbers never change at copy-up; extended
attributes of the host are not shown. A shared read-only mapping from before a file's first change keeps the host's
bytes.
"""

import os
from typing import ClassVar, Final

from sentry_abi.errors import ENOSPC, LinuxError, from_host
from sentry_abi.memory import page_up
from sentry_abi.stat import OVERLAYFS_SUPER_MAGIC, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from sentry_abi.structs import STAT
from sentry_fs._data import FileData, Memory
from sentry_fs._host import MASKED, HostDir, HostFd, HostTree
from sentry_fs._hostinode import (
    HostBacked,
    HostDirectory,
    HostInode,
    HostNames,
    HostRegular,
    HostSpecial,
    load_attributes,
    read_host,
)
from sentry_fs._memtree import Directory, MemoryTree, Symlink
from sentry_fs._regular import TMPFS_KIND, Regular, RegularFile
from sentry_mm import Extent
from sentry_vfs import Dentry, FileDescription, Inode, KernelWide, Path

_COPY: Final = 1 << 20
_FIRST_OWN_INO: Final = 1 << 40


class Overlay(HostBacked, MemoryTree):
    """A tree in memory over a directory of the host."""

    __slots__ = ("host", "kept")

    name: ClassVar[bytes] = b"overlay"
    magic: ClassVar[int] = OVERLAYFS_SUPER_MAGIC

    def __init__(self, vfs: KernelWide, memory: Memory, path: bytes, *, source: bytes = b"overlay") -> None:
        """Begin with the contents of the host directory at path. Raises: LinuxError if it cannot be opened."""
        tree = HostTree(path)
        super().__init__(vfs, memory, source=source)
        self.next_ino = _FIRST_OWN_INO
        self.host = HostNames(tree, self.dev)
        self.kept: dict[tuple[int, int], OverlayRegular] = {}
        """Changed files that have several names on the host, by shown device and number."""
        self.root = Dentry(b"", None, OverlayDirectory(self, self.host.tree.root, self.root_raw()))
        self.root.pinned = True

    def new_directory(self, mode: int, uid: int, gid: int) -> Directory:
        """Return a new directory with nothing below it."""
        inode = OverlayDirectory(self, None, None)
        inode.ino, inode.mode, inode.uid, inode.gid, inode.nlink = self.new_ino(), mode, uid, gid, 2
        return inode

    def make(self, directory: HostDir, name: bytes, raw: bytes) -> Inode:
        """Return the inode of a host file; raw comes from `look`."""
        dev, ino, nlink, mode = STAT.unpack_from(raw)[:4]
        kind = mode & S_IFMT
        if kind == S_IFDIR:
            return OverlayDirectory(self, None if ino & MASKED else self.directory_below(directory, name, raw), raw)
        if kind == S_IFREG:
            known = (self.kept.get((dev, ino)) or self.host.links.get((dev, ino))) if nlink > 1 else None
            if isinstance(known, OverlayRegular):
                if known.raw is not None:
                    known.update(raw)
                return known
            inode = OverlayRegular(self, directory, name, raw)
            if nlink > 1:
                self.host.links[dev, ino] = inode
            return inode
        if kind == S_IFLNK:
            return OverlaySymlink(self, directory, name, raw)
        return OverlaySpecial(self, raw)

    def keep(self, inode: "OverlayRegular") -> None:
        """Keep a changed file that has several names on the host: the others may be looked up later."""
        self.kept[inode.host_key] = inode

    def shutdown(self) -> None:
        """Give the contents of all files back, and close the host's directories."""
        super().shutdown()
        for inode in self.kept.values():
            inode.evict()
        self.kept.clear()


class OverlayInode(HostInode):
    """A host file until it is changed; then a file of its own. A base without fields."""

    __slots__ = ()

    def change(self, dentry: Dentry | None) -> None:
        """Become independent of the host's attributes."""
        self.raw = None  # type: ignore[misc]  # the subclass has the slot
        if dentry is not None and not dentry.pinned and not dentry.dead:
            dentry.pin()


class OverlayDirectory(OverlayInode, HostDirectory, Directory):
    """A directory; below it may be one of the host."""

    __slots__ = ("host", "raw")

    fs: Overlay

    def __init__(self, fs: Overlay, host: HostDir | None, raw: bytes | None) -> None:
        """Show a directory of the host, or none."""
        super().__init__(fs, 0, 0)
        self.host = host
        self.raw = raw
        if raw is not None:
            load_attributes(self, raw)

    def is_empty(self, dentry: Dentry) -> bool:
        """Return whether nothing is in it, hidden names not counted."""
        return not self.entries(dentry)

    def vanished(self, parent: Dentry, name: bytes) -> None:
        """Hide what the host may have under a removed name."""
        if self.host is not None:
            whiteout = Dentry(name, parent, None)
            whiteout.hash()
            whiteout.pin()


class OverlayRegular(OverlayInode, HostRegular, Regular):
    """A regular file; until it is changed its bytes are the host's."""

    __slots__ = ("_size", "directory", "host_key", "name", "raw")

    fs: Overlay

    def __init__(self, fs: Overlay, directory: HostDir, name: bytes, raw: bytes) -> None:
        """Show a file of the host."""
        super().__init__(fs, 0, 0)
        self.directory = directory
        self.name = name
        self.raw: bytes | None = raw
        self._size = load_attributes(self, raw)
        self.host_key = (int.from_bytes(raw[:8], "little"), self.ino)

    def update(self, raw: bytes) -> None:
        """Take the host's new attributes."""
        self.raw = raw
        self._size = load_attributes(self, raw)
        self.fs.host.tree.forget(self)

    def change(self, dentry: Dentry | None) -> None:
        """Become independent of the host's attributes; the content may still be the host's."""
        if self.raw is not None and (dentry is None or self.nlink > 1):
            self.fs.keep(self)
        super().change(dentry)

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open it: the host file too, so that reading finds it even if the host removes the name."""
        if self.data is None:
            return LowerFile(flags, where, self, self.fd())
        return super().open(where, flags)

    def size(self) -> int:
        """Return the size last seen."""
        return self._size if self.data is None else self.data.size

    def current_size(self) -> int:
        """Return the size, asking the host."""
        if self.data is None:
            try:
                self._size = os.fstat(self.fd().fd).st_size
            except LinuxError:
                return self._size
        return self.size()

    def blocks(self) -> int:
        """Return how many 512-byte blocks are in use."""
        return (self._size + 4095 >> 12) << 3 if self.data is None else super().blocks()

    def read(self, bufs: list[memoryview], pos: int) -> int:
        """Read at pos, here or on the host."""
        if self.data is not None:
            return self.data.read(bufs, pos)
        return read_host(self.fd(), bufs, pos)

    def own(self, dentry: Dentry | None) -> FileData:
        """Copy the bytes up."""
        data = self.data
        if data is None:
            data = FileData(self.fs.memory, TMPFS_KIND)
            size = page_up(self.current_size())
            quota = self.fs.quota
            if quota is not None and size > quota.left():
                raise ENOSPC
            copy_up(self.fd(), data)
            self._take(dentry, data)
            self.charge(size)
        elif self.raw is not None or (dentry is not None and not dentry.pinned):
            self.change(dentry)
        return data

    def _take(self, dentry: Dentry | None, data: FileData) -> None:
        self.change(dentry)
        self.data = data
        self.fs.host.tree.forget(self)

    def truncate(self, dentry: Dentry | None, length: int) -> None:
        """Set the size; to 0 without copying first."""
        if length == 0 and self.data is None:
            self._take(dentry, FileData(self.fs.memory, TMPFS_KIND))
        super().truncate(dentry, length)

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return what lies behind a range: the host's pages unless it is shared and written."""
        if self.data is None and not (shared and write):
            file = self.fd()
            self._size = os.fstat(file.fd).st_size
            length = min(length, page_up(self._size) - offset)
            return [Extent(file, offset, length)] if length > 0 else []
        return super().extents(offset, length, shared=shared, write=write)


class LowerFile(RegularFile):
    """An open file whose bytes were the host's when it was opened: it holds the host file open."""

    __slots__ = ("_host",)

    inode: OverlayRegular

    def __init__(self, flags: int, where: Path, inode: OverlayRegular, host: HostFd) -> None:
        """Open it."""
        super().__init__(flags, where, inode)
        self._host: HostFd | None = host
        host.references += 1

    def release(self) -> None:
        """Give the host file back."""
        host, self._host = self._host, None
        if host is not None:
            host.put()
        super().release()

    def read(self, bufs: list[memoryview]) -> int:
        """Read at the position. Raises: EBADF."""
        inode, host = self.inode, self._host
        if inode.data is not None or host is None or not self.readable:
            return super().read(bufs)
        done = read_host(host, bufs, self.pos)
        self.pos += done
        return done

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Read at pos. Raises: EBADF."""
        inode, host = self.inode, self._host
        if inode.data is not None or host is None or not self.readable:
            return super().pread(bufs, pos)
        return read_host(host, bufs, pos)


class OverlaySymlink(OverlayInode, Symlink):
    """A symbolic link."""

    __slots__ = ("directory", "name", "raw")

    fs: Overlay

    def __init__(self, fs: Overlay, directory: HostDir, name: bytes, raw: bytes) -> None:
        """Show a link of the host."""
        super().__init__(fs, 0, b"")
        self.directory = directory
        self.name = name
        self.raw: bytes | None = raw
        load_attributes(self, raw)

    def size(self) -> int:
        """Return the length of the target."""
        return len(self.readlink())

    def update(self, raw: bytes) -> None:
        """Take the host's new attributes; the target is read again."""
        super().update(raw)
        self.target = b""

    def change(self, dentry: Dentry | None) -> None:
        """Become independent of the host."""
        if self.raw is not None:
            self.readlink()
        super().change(dentry)

    def readlink(self) -> bytes:
        """Return the target."""
        if not self.target:
            self.target = self.fs.host.tree.readlink(self.directory, self.name)
        return self.target


class OverlaySpecial(OverlayInode, HostSpecial):
    """A device, FIFO or socket of the host, whose attributes may be changed here."""

    __slots__ = ()


def copy_up(file: HostFd, data: FileData) -> None:
    """Copy the bytes of a host file; holes stay holes."""
    try:
        size = os.fstat(file.fd).st_size
        view = data.memory.view
        pos = 0
        while pos < size:
            try:
                pos = os.lseek(file.fd, pos, os.SEEK_DATA)
            except OSError:  # ENXIO: a hole up to the end
                break
            end = min(os.lseek(file.fd, pos, os.SEEK_HOLE), size)
            while pos < end:
                done = 0
                for offset, length in data.pieces(pos, min(_COPY, end - pos)):
                    got = os.preadv(file.fd, [view[offset : offset + length]], pos + done)
                    done += got
                    if got < length:
                        break
                if not done:
                    break
                pos += done
            else:
                continue
            break
        data.size = size
    except OSError as failure:
        raise from_host(failure) from None
