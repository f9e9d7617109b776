"""The overlay: a writable tree in memory over a read-only directory of the host.

An inode that nobody has changed shows its host file: `raw` is that file's struct stat, and each use of its name looks
at the host again (one call). The first change makes the inode independent: attributes are its own, `raw` goes; the
first change of content copies the bytes (or not, for truncation to 0). It stays the same inode, so that open
descriptions, names and inode numbers stay right, which stacked overlays cannot do. A removed name becomes a whiteout,
a negative dentry that is pinned; a directory that is made anew has nothing below it. A host directory may be renamed:
it keeps its host directory.

Hard links of the host share one inode here, found by device and number.

Differs from Linux's overlayfs: directories are renamed without EXDEV; inode numbers never change at copy-up; extended
attributes of the host are not shown. A shared read-only mapping made before a file's first change goes on showing the
host's bytes.
"""

import os
from typing import ClassVar, Final

from sentry_abi.errors import EACCES, ENOSPC, ENXIO, ESTALE, LinuxError, from_host
from sentry_abi.memory import page_up
from sentry_abi.stat import (
    OVERLAYFS_SUPER_MAGIC,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
)
from sentry_abi.structs import STAT, STATFS
from sentry_fs._data import FileData, Memory
from sentry_fs._host import MASKED, HostDir, HostFd, HostTree
from sentry_fs._tmpfs import TMPFS_KIND, Directory, Regular, RegularFile, Symlink, Tmpfs
from sentry_mm import Extent
from sentry_vfs import Dentry, FileDescription, Inode, KernelWide, Path

MAX_CLEAN: Final = 20_000
"""Cached entries of the host after which the unused ones are dropped."""
_SECOND: Final = 1_000_000_000
_COPY: Final = 1 << 20
_FIRST_OWN_INO: Final = 1 << 40


class Overlay(Tmpfs):
    """A tree in memory over a directory of the host."""

    __slots__ = ("_clean", "_devices", "_kept", "_limit", "_links", "_shown", "host")

    name: ClassVar[bytes] = b"overlay"
    magic: ClassVar[int] = OVERLAYFS_SUPER_MAGIC
    root: Dentry

    def __init__(self, vfs: KernelWide, memory: Memory, path: bytes, *, source: bytes = b"overlay") -> None:
        """Begin with the contents of the host directory at path. Raises: LinuxError if it cannot be opened."""
        super().__init__(vfs, memory, source=source)
        self.next_ino = _FIRST_OWN_INO
        self.host = HostTree(path)
        self._devices: dict[int, int] = {self.host.root.dev: self.dev}
        self._shown: dict[int, int] = {self.dev: self.host.root.dev}
        self._links: dict[tuple[int, int], OverlayRegular] = {}
        """Files with several names on the host, by the host's device and number; `trim` drops what is not in use."""
        self._kept: dict[tuple[int, int], OverlayRegular] = {}
        self._clean = 0
        self._limit = MAX_CLEAN
        raw = self.dev.to_bytes(8, "little") + self.host.root_stat[8:]
        self.root = Dentry(b"", None, OverlayDirectory(self, self.host.root, raw))
        self.root.pinned = True

    def new_directory(self, mode: int, uid: int, gid: int) -> Directory:
        """Return a new directory with nothing below it."""
        inode = OverlayDirectory(self, None, None)
        inode.ino, inode.mode, inode.uid, inode.gid, inode.nlink = self.new_ino(), mode, uid, gid, 2
        return inode

    def statfs(self) -> bytes:
        """Return what the host's file system has, under our name."""
        try:
            found = os.fstatvfs(self.host.root.fd())
        except OSError:
            return super().statfs()
        fsid = self.dev.to_bytes(8, "little")
        size = (found.f_bsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
        return STATFS.pack(self.magic, *size, fsid, 255, found.f_frsize, 0x1020)

    def device(self, host_dev: int) -> int:
        """Return the number under which a device of the host is shown."""
        found = self._devices.get(host_dev)
        if found is None:
            found = self._devices[host_dev] = self.vfs.get_anon_bdev()
            self._shown[found] = host_dev
        return found

    def make(self, directory: HostDir, name: bytes, raw: bytes) -> Inode:
        """Return the inode of a host file; raw comes from `look`."""
        dev, ino, nlink, mode = STAT.unpack_from(raw)[:4]
        kind = mode & S_IFMT
        if kind == S_IFDIR:
            if ino & MASKED:
                return OverlayDirectory(self, None, raw)
            return OverlayDirectory(self, HostDir(self.host, directory, name, self._shown[dev], ino), raw)
        if kind == S_IFREG:
            known = self._links.get((dev, ino)) if nlink > 1 else None
            if known is not None:
                if known.raw is not None:
                    known.update(raw)
                return known
            inode = OverlayRegular(self, directory, name, raw)
            if nlink > 1:
                self._links[dev, ino] = inode
            return inode
        if kind == S_IFLNK:
            return OverlaySymlink(self, directory, name, raw)
        return OverlaySpecial(self, raw)

    def enter(self, parent: Dentry, name: bytes, directory: HostDir, raw: bytes | None) -> Dentry:
        """Put what the host has under a name into the tree."""
        dentry = Dentry(name, parent, None if raw is None else self.make(directory, name, raw))
        dentry.check = True
        dentry.hash()
        self._clean += 1
        if self._clean > self._limit:
            self.vfs.defer_trim(self)
        return dentry

    def look(self, directory: HostDir, name: bytes) -> bytes | None:
        """Return struct stat of a host name as the guest sees it, or None."""
        shown = self._devices[directory.dev]
        raw = self.host.stat(directory, name, shown)
        if raw is not None and raw[:8] != shown.to_bytes(8, "little"):
            raw = self.device(int.from_bytes(raw[:8], "little")).to_bytes(8, "little") + raw[8:]
        return raw

    def keep(self, inode: "OverlayRegular") -> None:
        """Hold a changed file that has several names on the host, until all have been found."""
        self._kept[inode.host_key] = inode

    def trim(self) -> None:
        """Drop unchanged entries that nothing uses."""
        stack = [self.root]
        directories: list[dict[bytes, Dentry]] = []
        while stack:
            children = stack.pop().children or {}
            directories.append(children)
            stack += [child for child in children.values() if child.children]
        named: set[Inode] = set()
        self._clean = sum(self._sweep(children, named) for children in reversed(directories))
        self._limit = max(MAX_CLEAN, 2 * self._clean)
        self._links = {key: inode for key, inode in self._links.items() if inode in named or inode.in_use()}

    @staticmethod
    def _sweep(children: dict[bytes, Dentry], named: set[Inode]) -> int:
        """Drop the unused ones of a directory's entries; return how many are left, and add their inodes to named."""
        for name, dentry in list(children.items()):
            inode = dentry.inode
            if dentry.pinned or dentry.children or dentry.count or (inode is not None and _is_used(inode)):
                if inode is not None:
                    named.add(inode)
            else:
                dentry.dead = True
                del children[name]
        return len(children)

    def shutdown(self) -> None:
        """Give the contents of all files back, and close the host's directories."""
        super().shutdown()
        self._links.clear()
        self._kept.clear()
        self.host.close()


def _is_used(inode: Inode) -> bool:
    """Return whether a new inode for the same file would not do."""
    return inode.in_use() or inode.watches is not None


def _load(inode: Inode, raw: bytes) -> int:
    """Take attributes from struct stat; return the size."""
    fields = STAT.unpack_from(raw)
    _, inode.ino, inode.nlink, inode.mode, inode.uid, inode.gid, inode.rdev, size = fields[:8]
    inode.atime = fields[10] * _SECOND + fields[11]
    inode.mtime = fields[12] * _SECOND + fields[13]
    inode.ctime = fields[14] * _SECOND + fields[15]
    return size  # type: ignore[no-any-return]  # struct has no types


class _OfHost(Inode):
    """An inode whose attributes are the host's until it is changed: the struct stat last seen is kept as it is."""

    __slots__ = ()

    raw: bytes | None

    def stat(self) -> bytes:
        """Return struct stat."""
        return self.raw or super().stat()

    def update(self, raw: bytes) -> None:
        """Take the host's new attributes."""
        self.raw = raw  # type: ignore[misc]  # a slot of each class that takes this one in
        _load(self, raw)

    def same(self, raw: bytes) -> bool:
        """Return whether raw is of the file shown: device, number and type."""
        old = self.raw
        return old is not None and old[:16] == raw[:16] and STAT.unpack_from(raw)[3] & S_IFMT == self.mode & S_IFMT

    def change(self, dentry: Dentry | None) -> None:
        """Become independent of the host's attributes."""
        self.raw = None  # type: ignore[misc]  # as above
        if dentry is not None and not dentry.pinned and not dentry.dead:
            dentry.pin()


class OverlayDirectory(_OfHost, Directory):
    """A directory; below it may be one of the host."""

    __slots__ = ("host", "raw")

    fs: Overlay

    def __init__(self, fs: Overlay, host: HostDir | None, raw: bytes | None) -> None:
        """Show a directory of the host, or none."""
        super().__init__(fs, 0, 0)
        self.host = host
        self.raw = raw
        if raw is not None:
            _load(self, raw)

    def lookup(self, parent: Dentry, name: bytes) -> Dentry:
        """Look a name up on the host."""
        host = self.host
        if host is None:
            return Dentry(name, parent, None)
        fs = self.fs
        return fs.enter(parent, name, host, fs.look(host, name))

    def recheck(self, dentry: Dentry) -> Dentry:
        """Look at the host again: the entry is kept if it is still of the same file."""
        host = self.host
        if host is None:
            return dentry
        fs = self.fs
        raw = fs.look(host, dentry.name)
        inode = dentry.inode
        if raw is None:
            if inode is None:
                return dentry
        elif inode is not None:
            known: bytes | None = inode.raw  # type: ignore[attr-defined]  # all inodes of names that are checked have it
            if raw == known or known is None:  # None: changed here through another name
                return dentry
            if inode.same(raw):  # type: ignore[attr-defined]
                inode.update(raw)  # type: ignore[attr-defined]
                return dentry
        dentry.unhash()
        return fs.enter(dentry.parent, dentry.name, host, raw)

    def entries(self, dentry: Dentry) -> list[tuple[bytes, int, int]]:
        """Return the host's entries that are not hidden, then those made here."""
        if self.host is None:
            return super().entries(dentry)
        assert dentry.children is not None
        pinned = {name: child for name, child in dentry.children.items() if child.pinned}
        listed = self.host.entries()
        if not pinned:
            return listed
        found = [entry for entry in listed if entry[0] not in pinned]
        found += [
            (name, child.inode.ino, child.inode.mode >> 12 & 15)
            for name, child in pinned.items()
            if child.inode is not None
        ]
        return found

    def is_empty(self, dentry: Dentry) -> bool:
        """Return whether nothing is in it, hidden names not counted."""
        return not self.entries(dentry)

    def vanished(self, parent: Dentry, name: bytes) -> None:
        """Hide what the host may have under a removed name."""
        if self.host is not None:
            whiteout = Dentry(name, parent, None)
            whiteout.hash()
            whiteout.pin()


class OverlayRegular(_OfHost, Regular):
    """A regular file; until it is changed its bytes are the host's."""

    __slots__ = ("_size", "directory", "host_key", "name", "raw")

    fs: Overlay

    def __init__(self, fs: Overlay, directory: HostDir, name: bytes, raw: bytes) -> None:
        """Show a file of the host."""
        super().__init__(fs, 0, 0)
        self.directory = directory
        self.name = name
        self.raw: bytes | None = raw
        self._size = _load(self, raw)
        self.host_key = (int.from_bytes(raw[:8], "little"), self.ino)

    def update(self, raw: bytes) -> None:
        """Take the host's new attributes."""
        self.raw = raw
        self._size = _load(self, raw)
        self.fs.host.forget(self)

    def change(self, dentry: Dentry | None) -> None:
        """Become independent of the host's attributes; the content may still be the host's."""
        if self.raw is not None and (dentry is None or self.nlink > 1):
            self.fs.keep(self)
        super().change(dentry)

    def fd(self) -> HostFd:
        """Return the open host file. Raises: ESTALE if it was replaced on the host, what opening raises."""
        tree = self.fs.host
        file = tree.kept(self)
        if file is None:
            file, raw = tree.open(self.directory, self.name)
            if STAT.unpack_from(raw)[1] != self.ino:
                raise ESTALE
            tree.keep(self, file)
        return file

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
        """Read from wherever the bytes are."""
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
            if quota is not None and size > quota.room():
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
        self.fs.host.forget(self)

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

    def release(self) -> None:
        """Let go of the host file."""
        self._host = None
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


class OverlaySymlink(_OfHost, Symlink):
    """A symbolic link."""

    __slots__ = ("directory", "name", "raw")

    fs: Overlay

    def __init__(self, fs: Overlay, directory: HostDir, name: bytes, raw: bytes) -> None:
        """Show a link of the host."""
        super().__init__(fs, 0, b"")
        self.directory = directory
        self.name = name
        self.raw: bytes | None = raw
        _load(self, raw)

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
            self.target = self.fs.host.readlink(self.directory, self.name)
        return self.target


class OverlaySpecial(_OfHost):
    """A device, FIFO or socket of the host: it can be looked at, not opened."""

    __slots__ = ("raw",)

    def __init__(self, fs: Overlay, raw: bytes) -> None:
        """Show a special file of the host."""
        super().__init__(fs, 0, 0)
        self.raw: bytes | None = raw
        _load(self, raw)

    def open(self, where: Path, flags: int) -> FileDescription:
        """Refuse: a driver or a process of the host stands behind it. Raises: EACCES, ENXIO."""
        del where, flags
        raise ENXIO if self.mode & S_IFMT == S_IFSOCK else EACCES


def read_host(file: HostFd, bufs: list[memoryview], pos: int) -> int:
    """Read a host file at pos into bufs. Raises: LinuxError."""
    try:
        if len(bufs) <= 1024:
            return os.preadv(file.fd, bufs, pos)
        done = 0
        for at in range(0, len(bufs), 1024):
            part = bufs[at : at + 1024]
            got = os.preadv(file.fd, part, pos + done)
            done += got
            if got < sum(map(len, part)):
                break
    except OSError as failure:
        raise from_host(failure) from None
    return done


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
