"""Volumes: a directory of the host as part of the guest's tree, read-only or writable.

All state is the host's: each use of a name looks at the host again, as for the overlay's unchanged entries, and every
change is one call with a directory descriptor and one component, so that no symbolic link of the host is followed.
Content is read and written at positions of a descriptor that was opened once; a shared writable mapping maps that
descriptor. The guest can make regular files, directories and links. It can see, move and remove devices, FIFOs and
sockets, but neither make nor open them. Pseudo file systems show as empty directories.

Differs: no O_TMPFILE, no extended attributes. The guest has no more rights than the sentry's process.
"""

import os
from collections.abc import Sequence
from typing import ClassVar, Final

from sentry_abi.errors import (
    EBADF,
    EINVAL,
    ENODATA,
    ENOENT,
    EOPNOTSUPP,
    EPERM,
    EROFS,
    ESTALE,
    EXDEV,
    LinuxError,
    from_host,
)
from sentry_abi.fcntl import (
    O_ACCMODE,
    O_APPEND,
    O_RDONLY,
    O_WRONLY,
    RENAME_EXCHANGE,
)
from sentry_abi.memory import page_up
from sentry_abi.stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from sentry_abi.structs import STAT
from sentry_fs._counted import CountedFile, CountedInode
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
from sentry_mm import Extent
from sentry_vfs import Buffer, Dentry, FileDescription, Inode, KernelWide, Path

HOSTFS_MAGIC: Final = 0x00C0_FFEE
_IOV_MAX: Final = 1024


class HostVolume(HostBacked):
    """A file system that is a directory of the host."""

    __slots__ = ("_fresh", "host", "root")

    name: ClassVar[bytes] = b"hostfs"
    magic: ClassVar[int] = HOSTFS_MAGIC

    def __init__(self, vfs: KernelWide, path: bytes, *, readonly: bool = False) -> None:
        """Show the host directory at path. Raises: LinuxError if it cannot be opened."""
        tree = HostTree(path)
        super().__init__(vfs, path)
        self.readonly = readonly
        self.host = HostNames(tree, self.dev)
        self._fresh: tuple[VolumeRegular, HostFd] | None = None
        self.root = Dentry(b"", None, VolumeDirectory(self, self.host.tree.root, self.root_raw()))
        self.root.pinned = True

    def make(self, directory: HostDir, name: bytes, raw: bytes) -> Inode:
        """Return the inode of a host file."""
        dev, ino, nlink, mode = STAT.unpack_from(raw)[:4]
        kind = mode & S_IFMT
        if kind == S_IFREG:
            known = self.host.links.get((dev, ino)) if nlink > 1 else None
            if isinstance(known, VolumeRegular):
                known.update(raw)
                known.directory, known.name = directory, name
                return known
            inode = VolumeRegular(self, directory, name, raw)
            if nlink > 1:
                self.host.links[dev, ino] = inode
            return inode
        if kind == S_IFLNK:
            return VolumeSymlink(self, directory, name, raw)
        if kind != S_IFDIR:
            return VolumeSpecial(self, raw)
        return VolumeDirectory(self, None if ino & MASKED else self.directory_below(directory, name, raw), raw)

    def created(self, inode: "VolumeRegular", file: HostFd) -> None:
        """Take over the descriptor that a file was made with, for its open: its mode may forbid another one."""
        self.take_created(None)
        self._fresh = inode, file

    def take_created(self, inode: "VolumeRegular | None") -> HostFd | None:
        """Return the descriptor of `created` if it is inode's, now the caller's; close it otherwise."""
        fresh, self._fresh = self._fresh, None
        if fresh is None:
            return None
        if fresh[0] is inode:
            return fresh[1]
        fresh[1].put()
        return None

    def shutdown(self) -> None:
        """Close what is open on the host."""
        self.take_created(None)
        super().shutdown()

    def rename(self, old: Dentry, new: Dentry, *, exchange: bool = False) -> None:
        """Move a name on the host, then here."""
        source, target = folder(old.parent), folder(new.parent)
        moved, victim = old.positive(), new.inode
        self.host.tree.rename(source, old.name, target, new.name, RENAME_EXCHANGE if exchange else 0)
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
    """Set where an inode is on the host."""
    if isinstance(inode, VolumeDirectory):
        if inode.host is not None:
            inode.host.parent, inode.host.name = directory, name
    elif isinstance(inode, VolumeRegular | VolumeSymlink):
        inode.directory, inode.name = directory, name


def _lost_name(inode: Inode) -> None:
    inode.nlink = 0 if inode.is_dir else max(inode.nlink - 1, 0)


class VolumeInode(HostInode):
    """An inode of a volume: its attributes are always the host's. A base without fields."""

    __slots__ = ()

    fs: HostVolume

    def drop_ids(self) -> None:
        """Do nothing: the host does it at a write."""

    def getxattr(self, name: bytes) -> bytes:
        """Find none. Raises: ENODATA."""
        raise ENODATA

    def setxattr(self, dentry: Dentry | None, name: bytes, value: bytes, flags: int) -> None:
        """Refuse. Raises: EOPNOTSUPP."""
        raise EOPNOTSUPP

    def listxattr(self) -> list[bytes]:
        """Return none."""
        return []

    def removexattr(self, dentry: Dentry | None, name: bytes) -> None:
        """Find none. Raises: ENODATA."""
        raise ENODATA


class VolumeDirectory(VolumeInode, HostDirectory):
    """A directory of the host."""

    __slots__ = ("host", "raw")

    fs: HostVolume

    def __init__(self, fs: HostVolume, host: HostDir | None, raw: bytes) -> None:
        """Show a directory of the host, or an empty one."""
        super().__init__(fs, 0, 0)
        self.host = host
        self.raw: bytes | None = raw
        load_attributes(self, raw)

    def stat(self) -> bytes:
        """Return struct stat as the host has it now."""
        self.refresh()
        return self.raw or super().stat()

    def refresh(self) -> None:
        """Ask the host for the attributes."""
        if self.host is None:
            return
        try:
            raw = self.fs.host.tree.fstat(self.host.fd())
        except (ESTALE, ENOENT):
            return
        self.update(self.fs.as_shown(raw))

    def _entered(self, dentry: Dentry) -> Inode:
        """Enter what was just made on the host into the tree."""
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
        """Set the owner of a new file, where the host permits it."""
        if os.geteuid() == 0 and (uid, gid) != (os.geteuid(), os.getegid()) and self.host is not None:
            os.chown(name, uid, gid, dir_fd=self.host.fd(), follow_symlinks=False)

    def create(self, dentry: Dentry, mode: int, uid: int, gid: int) -> Inode:
        """Make a regular file."""
        host = folder(dentry.parent)
        mask = os.umask(0)  # the mode is the guest's, under its own mask
        try:
            file = self.fs.host.tree.create(host, dentry.name, mode & 0o7777)
        except OSError as failure:
            raise from_host(failure) from None
        finally:
            os.umask(mask)
        try:
            self._own(dentry.name, uid, gid)
            inode = self._entered(dentry)
        except (OSError, LinuxError) as failure:
            file.put()
            raise from_host(failure) if isinstance(failure, OSError) else failure from None
        if isinstance(inode, VolumeRegular):
            self.fs.created(inode, file)
        else:
            file.put()
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
        """Refuse: such a file would be the host's device, FIFO or socket. Raises: EPERM."""
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
            self.fs.host.links[inode.host_key] = inode
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
            os.chmod(b"%d" % self.host.fd(), mode & 0o7777, dir_fd=self.fs.host.tree.procfd)
        except OSError as failure:
            raise from_host(failure) from None
        self.refresh()

    def set_owner(self, dentry: Dentry | None, uid: int, gid: int) -> None:
        """Set owner and group."""
        if self.host is None:
            raise EROFS
        try:
            os.chown(b"%d" % self.host.fd(), uid, gid, dir_fd=self.fs.host.tree.procfd)
        except OSError as failure:
            raise from_host(failure) from None
        self.refresh()

    def set_times(self, dentry: Dentry | None, atime: int | None, mtime: int | None) -> None:
        """Set time stamps."""
        if self.host is None:
            raise EROFS
        times = (self.atime if atime is None else atime, self.mtime if mtime is None else mtime)
        try:
            os.utime(b"%d" % self.host.fd(), ns=times, dir_fd=self.fs.host.tree.procfd)
        except OSError as failure:
            raise from_host(failure) from None
        self.refresh()


class VolumeRegular(VolumeInode, HostRegular, CountedInode):
    """A regular file of the host."""

    __slots__ = ("_size", "directory", "held", "host_key", "name", "raw")

    fs: HostVolume

    def __init__(self, fs: HostVolume, directory: HostDir, name: bytes, raw: bytes) -> None:
        """Show a file of the host."""
        super().__init__(fs, 0, 0)
        self.directory = directory
        self.name = name
        self.raw: bytes | None = raw
        self._size = load_attributes(self, raw)
        self.host_key = (int.from_bytes(raw[:8], "little"), self.ino)
        self.held: HostFd | None = None
        """The descriptor while it is open or mapped, one for writing if there is one: its name may be gone."""

    def update(self, raw: bytes) -> None:
        """Take the host's new attributes."""
        if raw != self.raw:
            self.raw = raw
            self._size = load_attributes(self, raw)
            self.fs.host.tree.forget(self)

    def size(self) -> int:
        """Return the size last seen."""
        return self._size

    def read(self, bufs: list[memoryview], pos: int) -> int:
        """Read at pos."""
        return read_host(self.fd(), bufs, pos)

    def reached(self, dentry: Dentry | None) -> None:
        """Set the name that the file was reached by: its other names may have been removed or replaced."""
        if dentry is not None and not dentry.dead:
            self.directory = folder(dentry.parent)
            self.name = dentry.name

    def refresh(self) -> None:
        """Ask the host for the attributes."""
        if self.held is not None:
            self.update(self.fs.as_shown(self.fs.host.tree.fstat(self.held.fd)))
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

    def hold(self, file: HostFd) -> None:
        """Take over a descriptor for as long as the file is open or mapped, unless there is one that can do more."""
        if self.held is None or (file.writable and not self.held.writable):
            if self.held is not None:
                self.held.put()
            self.held = file
        else:
            file.put()

    def unused(self) -> None:
        """Give the descriptor back."""
        held, self.held = self.held, None
        if held is not None:
            held.put()

    def open_writable(self) -> HostFd:
        """Return the host file, open for writing, the caller's. Raises: EROFS, ESTALE, what opening raises."""
        if self.fs.readonly:
            raise EROFS
        if self.held is not None and self.held.writable:
            return self.held.get()
        file, raw = self.fs.host.tree.open_writable(self.directory, self.name)
        if STAT.unpack_from(raw)[1] != self.ino:
            file.put()
            raise ESTALE
        return file

    def open(self, where: Path, flags: int) -> FileDescription:
        """Open it on the host."""
        self.reached(where.dentry)
        file = self.fs.take_created(self)
        if file is None:
            file = self.fd().get() if flags & O_ACCMODE == O_RDONLY else self.open_writable()
        return VolumeFile(flags, where, self, file)

    def truncate(self, dentry: Dentry | None, length: int) -> None:
        """Set the size."""
        if length < 0:
            raise EINVAL
        self.reached(dentry)
        file = self.open_writable()
        try:
            before = os.fstat(file.fd).st_size
            os.ftruncate(file.fd, length)
        except OSError as failure:
            raise from_host(failure) from None
        finally:
            file.put()
        self._size = length
        if length < before:
            self.mappers.invalidate(self, length)

    def current_size(self) -> int:
        """Return the size, asking the host."""
        if self.held is not None:
            self._size = os.fstat(self.held.fd).st_size
            return self._size
        try:
            self._size = os.fstat(self.fd().fd).st_size
        except LinuxError:
            return self._size
        return self._size

    def set_mode(self, dentry: Dentry | None, mode: int) -> None:
        """Set the permission bits."""
        self.reached(dentry)
        tree = self.fs.host.tree
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
        held = self.held
        if shared and write:
            if held is None or not held.writable:
                self.hold(self.open_writable())
                held = self.held
        elif held is not None and held.writable:
            held = None
        file = self.fd() if held is None else held
        self._size = os.fstat(file.fd).st_size
        length = min(length, page_up(self._size) - offset)
        return [Extent(file, offset, length)] if length > 0 else []


class VolumeFile(CountedFile):
    """An open regular file of the host."""

    __slots__ = ("_host",)

    inode: VolumeRegular

    def __init__(self, flags: int, where: Path, inode: VolumeRegular, host: HostFd) -> None:
        """Open it; host becomes its own."""
        super().__init__(flags, where, inode)
        self._host = host
        inode.hold(host.get())

    def release(self) -> None:
        """Give the host file back."""
        super().release()
        self._host.put()

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

    def truncate(self, length: int) -> None:
        """Set the size. Raises: EINVAL (not open for writing)."""
        if not self.writable:
            raise EINVAL
        self.inode.truncate(self.where.dentry, length)

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


class VolumeSymlink(VolumeInode):
    """A symbolic link of the host."""

    __slots__ = ("_target", "directory", "name", "raw")

    is_symlink = True

    def __init__(self, fs: HostVolume, directory: HostDir, name: bytes, raw: bytes) -> None:
        """Show a link of the host."""
        super().__init__(fs, 0, 0)
        self.directory = directory
        self.name = name
        self.raw: bytes | None = raw
        self._target = b""
        load_attributes(self, raw)

    def size(self) -> int:
        """Return the length of the target."""
        return len(self.readlink())

    def update(self, raw: bytes) -> None:
        """Take the host's new attributes; the target is read again."""
        super().update(raw)
        self._target = b""

    def readlink(self) -> bytes:
        """Return the target."""
        if not self._target:
            self._target = self.fs.host.tree.readlink(self.directory, self.name)
        return self._target

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


class VolumeSpecial(HostSpecial):
    """A device, FIFO or socket of the host: it can be seen and removed, not opened or changed."""

    __slots__ = ()

    def change(self, dentry: Dentry | None) -> None:
        """Refuse. Raises: EPERM."""
        raise EPERM
