"""Volumes: a directory of the host as part of the guest's tree, to be written to or not.

Nothing is kept here that the host does not have: each use of a name looks at the host again, as the overlay's clean
entries do, and every change is one call on a directory descriptor and one component, so that no link of the host leads
out. Content is read and written with positions on a descriptor that was opened once; a shared mapping that is written
maps that descriptor. Names on the host: regular files, directories and links can be made; devices, FIFOs and sockets
can be seen, moved and removed, but neither made nor opened, and pseudo file systems show as empty directories.

Differs: no O_TMPFILE, no extended attributes. What the host's process may not do the guest may not either.
"""

import os
from collections.abc import Sequence
from typing import ClassVar, Final

from sentry_abi.errors import EBADF, EINVAL, ENODATA, ENOENT, EOPNOTSUPP, EPERM, EROFS, ESTALE, EXDEV, from_host
from sentry_abi.fcntl import (
    O_ACCMODE,
    O_APPEND,
    O_RDONLY,
    O_WRONLY,
    RENAME_EXCHANGE,
)
from sentry_abi.memory import page_up
from sentry_abi.stat import S_IFLNK, S_IFMT, S_IFREG
from sentry_abi.structs import STAT
from sentry_fs._data import Memory
from sentry_fs._host import MASKED, HostDir, HostFd, WritableFd
from sentry_fs._overlay import Overlay, OverlayDirectory, OverlayRegular, OverlaySpecial, OverlaySymlink, read_host
from sentry_fs._tmpfs import RegularFile
from sentry_mm import Extent
from sentry_vfs import Buffer, Dentry, FileDescription, Inode, KernelWide, Path

HOSTFS_MAGIC: Final = 0x00C0_FFEE
_IOV_MAX: Final = 1024


class HostVolume(Overlay):
    """A file system that is a directory of the host."""

    __slots__ = ()

    name: ClassVar[bytes] = b"hostfs"
    magic: ClassVar[int] = HOSTFS_MAGIC

    def __init__(self, vfs: KernelWide, memory: Memory, path: bytes, *, readonly: bool = False) -> None:
        """Show the host directory at path. Raises: LinuxError if it cannot be opened."""
        super().__init__(vfs, memory, path, source=path)
        self.readonly = readonly
        raw = self.dev.to_bytes(8, "little") + self.host.root_stat[8:]
        self.root = Dentry(b"", None, VolumeDirectory(self, self.host.root, raw))
        self.root.pinned = True

    def make(self, directory: HostDir, name: bytes, raw: bytes) -> Inode:
        """Return the inode of a host file."""
        dev, ino, nlink, mode = STAT.unpack_from(raw)[:4]
        kind = mode & S_IFMT
        if kind == S_IFREG:
            known = self._links.get((dev, ino)) if nlink > 1 else None
            if isinstance(known, VolumeRegular):
                known.update(raw)
                known.directory, known.name = directory, name
                return known
            inode = VolumeRegular(self, directory, name, raw)
            if nlink > 1:
                self._links[dev, ino] = inode
            return inode
        if kind == S_IFLNK:
            return VolumeSymlink(self, directory, name, raw)
        if kind >> 12 != 4:
            return VolumeSpecial(self, raw)
        if ino & MASKED:
            return VolumeDirectory(self, None, raw)
        return VolumeDirectory(self, HostDir(self.host, directory, name, self._shown[dev], ino), raw)

    def rename(self, old: Dentry, new: Dentry, *, exchange: bool = False) -> None:
        """Move a name on the host, then here."""
        source, target = folder(old.parent), folder(new.parent)
        moved, victim = old.positive(), new.inode
        self.host.rename(source, old.name, target, new.name, RENAME_EXCHANGE if exchange else 0)
        source_dentry, old_name = old.parent, old.name
        target_dentry, name = new.parent, new.name
        old.unhash()
        if victim is not None:
            new.unhash()
        if exchange and victim is not None:
            new.parent, new.name = source_dentry, old_name
            new.hash()
            _place(victim, source, old_name)
        elif victim is not None:
            _lost_name(victim)
        old.parent, old.name = target_dentry, name
        old.hash()
        _place(moved, target, name)


def folder(dentry: Dentry) -> HostDir:
    """Return the host's directory behind a dentry. Raises: EXDEV if there is none (a pseudo file system's place)."""
    inode = dentry.inode
    if not isinstance(inode, VolumeDirectory) or inode.host is None:
        raise EXDEV
    return inode.host


def _place(inode: Inode, directory: HostDir, name: bytes) -> None:
    """Note where an inode is on the host now."""
    if isinstance(inode, VolumeDirectory):
        if inode.host is not None:
            inode.host.parent, inode.host.name = directory, name
    elif isinstance(inode, VolumeRegular | VolumeSymlink):
        inode.directory, inode.name = directory, name


def _lost_name(inode: Inode) -> None:
    inode.nlink = 0 if inode.is_dir else max(inode.nlink - 1, 0)


class VolumeDirectory(OverlayDirectory):
    """A directory of the host."""

    __slots__ = ()

    fs: HostVolume

    def change(self, dentry: Dentry | None) -> None:
        """Do nothing: the host has the truth."""

    def vanished(self, parent: Dentry, name: bytes) -> None:
        """Do nothing: the host has removed the name itself."""

    def stat(self) -> bytes:
        """Return what the host says now."""
        self.refresh()
        return self.raw or super().stat()

    def refresh(self) -> None:
        """Ask the host for the attributes."""
        if self.host is None:
            return
        try:
            raw = self.fs.host.fstat(HostView(self.host.fd()))
        except (ESTALE, ENOENT):
            return
        dev = int.from_bytes(raw[:8], "little")
        self.update(self.fs.device(dev).to_bytes(8, "little") + raw[8:])

    def _entered(self, dentry: Dentry) -> Inode:
        """Put what was just made on the host into the tree."""
        host = folder(dentry.parent)
        raw = self.fs.look(host, dentry.name)
        if raw is None:
            raise ESTALE
        inode = self.fs.make(host, dentry.name, raw)
        dentry.inode = inode
        dentry.children = {} if inode.is_dir else None
        dentry.check = True
        dentry.hash()
        self.refresh()
        return inode

    def _own(self, name: bytes, uid: int, gid: int) -> None:
        """Give a new file to who made it, where the host lets us."""
        if os.geteuid() == 0 and (uid, gid) != (os.geteuid(), os.getegid()) and self.host is not None:
            os.chown(name, uid, gid, dir_fd=self.host.fd(), follow_symlinks=False)

    def create(self, dentry: Dentry, mode: int, uid: int, gid: int) -> Inode:
        """Make a regular file."""
        host = folder(dentry.parent)
        mask = os.umask(0)  # the mode is the guest's, under its own mask
        try:
            file = self.fs.host.create(host, dentry.name, mode & 0o7777)
            self._own(dentry.name, uid, gid)
        except OSError as failure:
            raise from_host(failure) from None
        finally:
            os.umask(mask)
        inode = self._entered(dentry)
        if isinstance(inode, VolumeRegular):
            inode.fresh = file
        return inode

    def mkdir(self, dentry: Dentry, mode: int, uid: int, gid: int) -> Inode:
        """Make a directory."""
        host = folder(dentry.parent)
        mask = os.umask(0)  # the mode is the guest's, under its own mask
        try:
            os.mkdir(dentry.name, mode & 0o7777, dir_fd=host.fd())
            self._own(dentry.name, uid, gid)
        except OSError as failure:
            raise from_host(failure) from None
        finally:
            os.umask(mask)
        return self._entered(dentry)

    def mknod(self, dentry: Dentry, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        """Refuse: what such a file leads to would be the host's. Raises: EPERM."""
        raise EPERM

    def symlink(self, dentry: Dentry, target: bytes, uid: int, gid: int) -> Inode:
        """Make a symbolic link; the guest follows it in its own tree."""
        try:
            os.symlink(target, dentry.name, dir_fd=folder(dentry.parent).fd())
            self._own(dentry.name, uid, gid)
        except OSError as failure:
            raise from_host(failure) from None
        return self._entered(dentry)

    def link(self, dentry: Dentry, old: Dentry) -> None:
        """Make a hard link."""
        inode = old.positive()
        if not isinstance(inode, VolumeRegular | VolumeSymlink):
            raise EPERM
        raw = self.fs.look(inode.directory, inode.name)
        if raw is None or not inode.same(raw):
            raise ENOENT
        target = folder(dentry.parent)
        target.fd()
        try:
            os.link(
                inode.name,
                dentry.name,
                src_dir_fd=inode.directory.fd(),
                dst_dir_fd=target.fd(),
                follow_symlinks=False,
            )
        except OSError as failure:
            raise from_host(failure) from None
        if isinstance(inode, VolumeRegular):
            self.fs._links[inode.host_key] = inode  # noqa: SLF001  (the file system of this module)
        self._entered(dentry)

    def unlink(self, dentry: Dentry) -> None:
        """Remove a name."""
        try:
            os.unlink(dentry.name, dir_fd=folder(dentry.parent).fd())
        except OSError as failure:
            raise from_host(failure) from None
        dentry.unhash()
        _lost_name(dentry.positive())
        self.refresh()

    def rmdir(self, dentry: Dentry) -> None:
        """Remove an empty directory."""
        try:
            os.rmdir(dentry.name, dir_fd=folder(dentry.parent).fd())
        except OSError as failure:
            raise from_host(failure) from None
        dentry.unhash()
        _lost_name(dentry.positive())
        self.refresh()

    def tmpfile(self, parent: Dentry, mode: int, uid: int, gid: int) -> Dentry:
        """Refuse. Raises: EOPNOTSUPP."""
        raise EOPNOTSUPP

    def set_mode(self, dentry: Dentry | None, mode: int) -> None:
        """Set the permission bits."""
        if self.host is None:
            raise EROFS
        try:
            os.chmod(b"%d" % self.host.fd(), mode & 0o7777, dir_fd=self.fs.host.procfd)
        except OSError as failure:
            raise from_host(failure) from None
        self.refresh()

    def set_owner(self, dentry: Dentry | None, uid: int, gid: int) -> None:
        """Set owner and group."""
        if self.host is None:
            raise EROFS
        try:
            os.chown(b"%d" % self.host.fd(), uid, gid, dir_fd=self.fs.host.procfd)
        except OSError as failure:
            raise from_host(failure) from None
        self.refresh()

    def set_times(self, dentry: Dentry | None, atime: int | None, mtime: int | None) -> None:
        """Set time stamps."""
        if self.host is None:
            raise EROFS
        times = (self.atime if atime is None else atime, self.mtime if mtime is None else mtime)
        try:
            os.utime(b"%d" % self.host.fd(), ns=times, dir_fd=self.fs.host.procfd)
        except OSError as failure:
            raise from_host(failure) from None
        self.refresh()

    def getxattr(self, name: bytes) -> bytes:
        """Find none. Raises: ENODATA."""
        raise ENODATA

    def setxattr(self, dentry: Dentry | None, name: bytes, value: bytes, flags: int) -> None:
        """Refuse. Raises: EOPNOTSUPP."""
        raise EOPNOTSUPP


class HostView(HostFd):
    """A descriptor that belongs to somebody else."""

    __slots__ = ()

    def __del__(self) -> None:
        """Leave it open."""


class VolumeRegular(OverlayRegular):
    """A regular file of the host."""

    __slots__ = ("fresh", "held")

    fs: HostVolume

    def __init__(self, fs: HostVolume, directory: HostDir, name: bytes, raw: bytes) -> None:
        """Show a file of the host."""
        super().__init__(fs, directory, name, raw)
        self.held: HostFd | None = None
        """A descriptor while somebody has it open: the file can be reached when its name is gone."""
        self.fresh: WritableFd | None = None
        """The descriptor that the file was made with, for who made it: its mode may forbid to open it again."""

    def change(self, dentry: Dentry | None) -> None:
        """Do nothing: the host has the truth."""

    def drop_ids(self) -> None:
        """Do nothing: the host does it at a write."""

    def update(self, raw: bytes) -> None:
        """Take the host's new attributes."""
        if raw != self.raw:
            super().update(raw)

    def reached(self, dentry: Dentry | None) -> None:
        """Remember the name that led here just now: of a file's several names others may be gone, or another file's."""
        if dentry is not None and not dentry.dead:
            self.directory = folder(dentry.parent)
            self.name = dentry.name

    def refresh(self) -> None:
        """Ask the host for the attributes."""
        if self.held is not None:
            raw = self.fs.host.fstat(self.held)
            self.update(self.fs.device(int.from_bytes(raw[:8], "little")).to_bytes(8, "little") + raw[8:])
            return
        found = self.fs.look(self.directory, self.name)
        if found is not None and self.same(found):
            self.update(found)

    def stat(self) -> bytes:
        """Return struct stat, of the open file if there is one."""
        if self.held is not None:
            self.refresh()
        return super().stat()

    def blocks(self) -> int:
        """Return how many 512-byte blocks the host uses."""
        return int(STAT.unpack(self.raw)[9]) if self.raw is not None else 0

    def writable_fd(self) -> WritableFd:
        """Return the host file, open for writing. Raises: EROFS, ESTALE, what opening raises."""
        if self.fs.readonly:
            raise EROFS
        if isinstance(self.held, WritableFd):
            return self.held
        file, raw = self.fs.host.open_writable(self.directory, self.name)
        if STAT.unpack_from(raw)[1] != self.ino:
            raise ESTALE
        return file

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open it on the host."""
        self.reached(where.dentry)
        file: HostFd | None
        file, self.fresh = self.fresh, None
        if file is None:
            file = self.fd() if flags & O_ACCMODE == O_RDONLY else self.writable_fd()
        return VolumeFile(flags, where, self, file)

    def truncate(self, dentry: Dentry | None, length: int) -> None:
        """Set the size."""
        if length < 0:
            raise EINVAL
        self.reached(dentry)
        file = self.writable_fd()
        try:
            before = os.fstat(file.fd).st_size
            os.ftruncate(file.fd, length)
        except OSError as failure:
            raise from_host(failure) from None
        self._size = length
        if length < before:
            self.mappers.invalidate(self, length)

    def current_size(self) -> int:
        """Return the size, asking the host."""
        if self.held is not None:
            self._size = os.fstat(self.held.fd).st_size
            return self._size
        return super().current_size()

    def set_mode(self, dentry: Dentry | None, mode: int) -> None:
        """Set the permission bits."""
        self.reached(dentry)
        tree = self.fs.host
        place = os.dup(self.held.fd) if self.held is not None else tree.open_place(self.directory, self.name)
        try:
            os.chmod(b"%d" % place, mode & 0o7777, dir_fd=tree.procfd)
        except OSError as failure:
            raise from_host(failure) from None
        finally:
            os.close(place)
        self.refresh()

    def set_owner(self, dentry: Dentry | None, uid: int, gid: int) -> None:
        """Set owner and group."""
        self.reached(dentry)
        try:
            if self.held is not None:
                os.fchown(self.held.fd, uid, gid)
            else:
                os.chown(self.name, uid, gid, dir_fd=self.directory.fd(), follow_symlinks=False)
        except OSError as failure:
            raise from_host(failure) from None
        self.refresh()

    def set_times(self, dentry: Dentry | None, atime: int | None, mtime: int | None) -> None:
        """Set time stamps."""
        self.reached(dentry)
        self.refresh()
        times = (self.atime if atime is None else atime, self.mtime if mtime is None else mtime)
        try:
            if self.held is not None:
                os.utime(self.held.fd, ns=times)
            else:
                os.utime(self.name, ns=times, dir_fd=self.directory.fd(), follow_symlinks=False)
        except OSError as failure:
            raise from_host(failure) from None
        self.refresh()

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return the host's own pages: of the writable descriptor if what is written is to be shared."""
        file = self.writable_fd() if shared and write else self.held or self.fd()
        if not (shared and write) and isinstance(file, WritableFd):
            file = self.fd()
        self._size = os.fstat(file.fd).st_size
        length = min(length, page_up(self._size) - offset)
        return [Extent(file, offset, length)] if length > 0 else []

    def mapped_size(self) -> int:
        """Return the size in bytes now."""
        return self.current_size()

    def getxattr(self, name: bytes) -> bytes:
        """Find none. Raises: ENODATA."""
        raise ENODATA

    def setxattr(self, dentry: Dentry | None, name: bytes, value: bytes, flags: int) -> None:
        """Refuse. Raises: EOPNOTSUPP."""
        raise EOPNOTSUPP


class VolumeFile(RegularFile):
    """An open regular file of the host."""

    __slots__ = ("_host",)

    inode: VolumeRegular

    def __init__(self, flags: int, where: Path, inode: VolumeRegular, host: HostFd) -> None:
        """Open it."""
        super().__init__(flags, where, inode)
        self._host = host
        if inode.held is None or isinstance(host, WritableFd):
            inode.held = host

    def release(self) -> None:
        """Let go of the host file."""
        super().release()
        if not self.inode.users:
            self.inode.held = None

    def read(self, bufs: list[memoryview]) -> int:
        """Read at the position. Raises: EBADF."""
        done = self.pread(bufs, self.pos)
        self.pos += done
        return done

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Read at pos. Raises: EBADF."""
        if self.flags & O_WRONLY:
            raise EBADF
        return read_host(self._host, bufs, pos)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Write at the position, or at the end with O_APPEND. Raises: EBADF, EFBIG, ENOSPC."""
        done = self.pwrite(bufs, self.pos)
        if self.flags & O_APPEND and done:
            self.pos = os.fstat(self._host.fd).st_size
        else:
            self.pos += done
        return done

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Write at pos; with O_APPEND at the end. Raises: EBADF, EFBIG, ENOSPC."""
        if not self.writable:
            raise EBADF
        how = os.RWF_APPEND if self.flags & O_APPEND else 0
        try:
            return os.pwritev(self._host.fd, bufs[:_IOV_MAX], pos, how) if bufs else 0
        except OSError as failure:
            raise from_host(failure) from None

    def size(self) -> int:
        """Return the size now."""
        return os.fstat(self._host.fd).st_size

    def seek_hole(self, offset: int, whence: int) -> int:
        """Ask the host; its own position does not matter."""
        try:
            return os.lseek(self._host.fd, offset, whence)
        except OSError as failure:
            raise from_host(failure) from None

    def sync(self) -> None:
        """Bring the content to the host's device."""
        try:
            os.fsync(self._host.fd)
        except OSError as failure:
            raise from_host(failure) from None

    def allocate(self, mode: int, offset: int, length: int) -> None:
        """Reserve space. Raises: EBADF, EOPNOTSUPP for everything but that."""
        if not self.writable:
            raise EBADF
        if mode:
            raise EOPNOTSUPP
        try:
            os.posix_fallocate(self._host.fd, offset, length)
        except OSError as failure:
            raise from_host(failure) from None


class VolumeSymlink(OverlaySymlink):
    """A symbolic link of the host."""

    __slots__ = ()

    fs: HostVolume

    def change(self, dentry: Dentry | None) -> None:
        """Do nothing: the host has the truth."""

    def set_owner(self, dentry: Dentry | None, uid: int, gid: int) -> None:
        """Set owner and group of the link itself."""
        try:
            os.chown(self.name, uid, gid, dir_fd=self.directory.fd(), follow_symlinks=False)
        except OSError as failure:
            raise from_host(failure) from None

    def set_times(self, dentry: Dentry | None, atime: int | None, mtime: int | None) -> None:
        """Set time stamps of the link itself."""
        times = (self.atime if atime is None else atime, self.mtime if mtime is None else mtime)
        try:
            os.utime(self.name, ns=times, dir_fd=self.directory.fd(), follow_symlinks=False)
        except OSError as failure:
            raise from_host(failure) from None


class VolumeSpecial(OverlaySpecial):
    """A device, FIFO or socket of the host: it can be seen and removed, not opened or changed."""

    __slots__ = ()

    def change(self, dentry: Dentry | None) -> None:
        """Refuse. Raises: EPERM."""
        raise EPERM
