"""What the overlay and volumes have in common: names and inodes of a directory of the host.

An inode shows its host file: `raw` is that file's struct stat as last seen, and each use of its name looks at the host
again (one call). Hard links of the host share one inode, found by device and number.
"""

import os
from typing import TYPE_CHECKING, Final

from sentry_abi.errors import EACCES, ENXIO, ESTALE, from_host
from sentry_abi.stat import S_IFMT, S_IFSOCK
from sentry_abi.structs import STAT, STATFS
from sentry_fs._host import HostDir, HostFd, HostTree
from sentry_vfs import Dentry, DirectoryFile, FileDescription, Filesystem, Inode, Path

if TYPE_CHECKING:
    from sentry_fs._counted import CountedInode

MAX_CLEAN: Final = 20_000
"""Cached entries of the host after which the unused ones are dropped."""
_SECOND: Final = 1_000_000_000
_IOV_MAX: Final = 1024


class HostNames:
    """What a file system knows of its host directory: devices, links, how many entries are cached."""

    __slots__ = ("clean", "devices", "limit", "links", "shown", "tree")

    def __init__(self, tree: HostTree, dev: int) -> None:
        """Show a tree; its root's device is shown as dev."""
        self.tree = tree
        self.devices = {tree.root.dev: dev}
        """The numbers under which devices of the host are shown."""
        self.shown = {dev: tree.root.dev}
        """The other way round."""
        self.links: dict[tuple[int, int], CountedInode] = {}
        """Files with several names on the host, by shown device and number; `trim` drops what is not in use."""
        self.clean = 0
        self.limit = MAX_CLEAN


class HostBacked(Filesystem):
    """A file system that shows a directory of the host. A base without fields: subclasses have `host` and `root`."""

    __slots__ = ()

    host: HostNames
    root: Dentry

    def make(self, directory: HostDir, name: bytes, raw: bytes) -> Inode:
        """Return the inode of a host file; raw comes from `look`."""
        raise NotImplementedError

    def root_raw(self) -> bytes:
        """Return struct stat of the root as the guest sees it."""
        return self.dev.to_bytes(8, "little") + self.host.tree.root_stat[8:]

    def statfs(self) -> bytes:
        """Return the host's figures, with our magic number."""
        try:
            found = os.fstatvfs(self.host.tree.root.fd())
        except OSError:
            return super().statfs()
        fsid = self.dev.to_bytes(8, "little")
        size = (found.f_bsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
        return STATFS.pack(self.magic, *size, fsid, 255, found.f_frsize, 0x1020)

    def device(self, host_dev: int) -> int:
        """Return the number under which a device of the host is shown."""
        host = self.host
        found = host.devices.get(host_dev)
        if found is None:
            found = host.devices[host_dev] = self.vfs.get_anon_bdev()
            host.shown[found] = host_dev
        return found

    def as_shown(self, raw: bytes) -> bytes:
        """Return struct stat of the host with the device that the guest sees."""
        return self.device(int.from_bytes(raw[:8], "little")).to_bytes(8, "little") + raw[8:]

    def look(self, directory: HostDir, name: bytes) -> bytes | None:
        """Return struct stat of a host name as the guest sees it, or None."""
        host = self.host
        shown = host.devices[directory.dev]
        raw = host.tree.stat(directory, name, shown)
        return raw if raw is None or raw[:8] == shown.to_bytes(8, "little") else self.as_shown(raw)

    def directory_below(self, directory: HostDir, name: bytes, raw: bytes) -> HostDir:
        """Return the host directory of a name whose struct stat is raw."""
        dev, ino = STAT.unpack_from(raw)[:2]
        return HostDir(self.host.tree, directory, name, self.host.shown[dev], ino)

    def enter(self, parent: Dentry, name: bytes, directory: HostDir, raw: bytes | None) -> Dentry:
        """Put what the host has under a name into the tree."""
        dentry = Dentry(name, parent, None if raw is None else self.make(directory, name, raw))
        dentry.check = True
        dentry.hash()
        host = self.host
        host.clean += 1
        if host.clean > host.limit:
            self.vfs.defer_trim(self)
        return dentry

    def trim(self) -> None:
        """Drop unchanged entries that nothing uses."""
        stack = [self.root]
        directories: list[dict[bytes, Dentry]] = []
        while stack:
            children = stack.pop().children or {}
            directories.append(children)
            stack += [child for child in children.values() if child.children]
        named: set[Inode] = set()
        host = self.host
        host.clean = sum(_sweep(children, named) for children in reversed(directories))
        host.limit = max(MAX_CLEAN, 2 * host.clean)
        host.links = {key: inode for key, inode in host.links.items() if inode in named or inode.in_use()}

    def shutdown(self) -> None:
        """Close the host's directories."""
        super().shutdown()
        self.host.links.clear()
        self.host.tree.close()


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


def _is_used(inode: Inode) -> bool:
    """Return whether a new inode for the same file would not do."""
    return inode.in_use() or inode.watches is not None


def load_attributes(inode: Inode, raw: bytes) -> int:
    """Take attributes from struct stat; return the size."""
    fields = STAT.unpack_from(raw)
    _, inode.ino, inode.nlink, inode.mode, inode.uid, inode.gid, inode.rdev, size = fields[:8]
    inode.atime = fields[10] * _SECOND + fields[11]
    inode.mtime = fields[12] * _SECOND + fields[13]
    inode.ctime = fields[14] * _SECOND + fields[15]
    return size  # type: ignore[no-any-return]  # struct has no types


class HostInode(Inode):
    """An inode that shows a host file. A base without fields: subclasses have a slot for `raw`."""

    __slots__ = ()

    raw: bytes | None
    """The host's struct stat as last seen; None once the inode has attributes of its own."""

    def stat(self) -> bytes:
        """Return struct stat."""
        return self.raw or super().stat()

    def update(self, raw: bytes) -> None:
        """Take the host's new attributes."""
        self.raw = raw  # type: ignore[misc]  # the subclass has the slot
        load_attributes(self, raw)

    def same(self, raw: bytes) -> bool:
        """Return whether raw is of the file shown: device, number and type."""
        old = self.raw
        return old is not None and old[:16] == raw[:16] and STAT.unpack_from(raw)[3] & S_IFMT == self.mode & S_IFMT


class HostDirectory(HostInode):
    """A directory whose names are the host's. A base without fields: subclasses have slots for `raw` and `host`."""

    __slots__ = ()

    is_dir = True
    fs: HostBacked
    host: HostDir | None
    """The directory of the host; None shows an empty one."""

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open for listing."""
        return DirectoryFile(flags, where, self)

    def size(self) -> int:
        """Return a page, as most file systems show."""
        return 4096

    def lookup(self, parent: Dentry, name: bytes) -> Dentry:
        """Look a name up on the host."""
        host = self.host
        if host is None:
            return Dentry(name, parent, None)
        fs = self.fs
        return fs.enter(parent, name, host, fs.look(host, name))

    def recheck(self, dentry: Dentry) -> Dentry:
        """Look at the host again; return the entry if it still is of the same file, else a new one."""
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
            if raw == known or known is None:  # None: changed through another name
                return dentry
            if inode.same(raw):  # type: ignore[attr-defined]
                inode.update(raw)  # type: ignore[attr-defined]
                return dentry
        dentry.unhash()
        return fs.enter(dentry.parent, dentry.name, host, raw)

    def entries(self, dentry: Dentry) -> list[tuple[bytes, int, int]]:
        """Return the host's entries; those that are pinned here replace the host's."""
        assert dentry.children is not None
        pinned = {name: child for name, child in dentry.children.items() if child.pinned}
        listed = [] if self.host is None else self.host.entries()
        if not pinned:
            return listed
        found = [entry for entry in listed if entry[0] not in pinned]
        found += [
            (name, child.inode.ino, child.inode.mode >> 12 & 15)
            for name, child in pinned.items()
            if child.inode is not None
        ]
        return found


class HostRegular(HostInode):
    """A regular file of the host. A base without fields: subclasses have slots for `directory`, `name` and `raw`."""

    __slots__ = ()

    fs: HostBacked
    directory: HostDir
    name: bytes

    def fd(self) -> HostFd:
        """Return the open host file, valid until the next one is opened.

        Raises: ESTALE if it was replaced on the host, what opening raises.
        """
        tree = self.fs.host.tree
        file = tree.kept(self)
        if file is None:
            file, raw = tree.open(self.directory, self.name)
            tree.keep(self, file)
            if STAT.unpack_from(raw)[1] != self.ino:
                tree.forget(self)
                raise ESTALE
        return file


class HostSpecial(HostInode):
    """A device, FIFO or socket of the host: it can be looked at, not opened."""

    __slots__ = ("raw",)

    def __init__(self, fs: Filesystem, raw: bytes) -> None:
        """Show a special file of the host."""
        super().__init__(fs, 0, 0)
        self.raw: bytes | None = raw
        load_attributes(self, raw)

    def open(self, where: Path, flags: int) -> FileDescription:
        """Refuse: a driver or a process of the host would answer. Raises: EACCES, ENXIO."""
        del where, flags
        raise ENXIO if self.mode & S_IFMT == S_IFSOCK else EACCES


def read_host(file: HostFd, bufs: list[memoryview], pos: int) -> int:
    """Read a host file at pos into bufs. Raises: LinuxError."""
    try:
        if len(bufs) <= _IOV_MAX:
            return os.preadv(file.fd, bufs, pos)
        done = 0
        for at in range(0, len(bufs), _IOV_MAX):
            part = bufs[at : at + _IOV_MAX]
            got = os.preadv(file.fd, part, pos + done)
            done += got
            if got < sum(map(len, part)):
                break
    except OSError as failure:
        raise from_host(failure) from None
    return done
