"""Directories and files of the host, by directory descriptor only.

The one module that calls the native core. A `HostDir` has its parent and its name, and may have a descriptor: at most
`MAX_DIRS` are open; those longest unused are closed, and opened again at the next use, checked to be the same
directory. `HostFd` is an open regular file, shared by all who read or map it; the last of them closes it.

Costs (`docs/performance.md`): looking at a name 1.2 us, opening a file with all its checks 4 us.
"""

import os
from typing import Final, Literal

from sentry_abi.errors import BY_NUMBER, EACCES, EIO, ENOENT, ESTALE, LinuxError
from sentry_abi.memory import PAGE_SHIFT
from sentry_abi.structs import STAT
from sentry_fs._native._lib import ffi, lib

MAX_DIRS: Final = 256
MAX_FILES: Final = 128
_ENOENT: Final = -2
_EXDEV: Final = -18
MASKED: Final = 1 << 41
"""Bit in the inode number of a directory that replaces a pseudo file system of the host."""
_DIRENT: Final = 19  # bytes before the name in struct linux_dirent64


def error(result: int) -> LinuxError:
    """Return the error of a negative result."""
    return BY_NUMBER.get(-result, EIO)()


class HostFd:
    """An open regular file of the host, a backing of mappings. It is closed with its last reference.

    writable: open for writing too, and mapped MAP_SHARED (kind "shared"); else read-only (kind "host").
    """

    __slots__ = ("directory", "fd", "ino", "kind", "name", "references", "tree")

    def __init__(
        self, fd: int, tree: "HostTree", directory: "HostDir", name: bytes, ino: int, *, writable: bool = False
    ) -> None:
        """Take over a descriptor, with one reference, the caller's. It was opened at a name of a directory."""
        self.fd = fd
        self.tree = tree
        self.directory = directory
        self.name = name
        self.ino = ino
        self.kind: Literal["host", "shared"] = "shared" if writable else "host"
        self.references = 1
        """Owners, and pages that PMAs show."""

    def after_load(self) -> None:
        """Open the file again, if it still has the name; else every use fails with EBADF."""
        self.fd = self.tree.reopen(self)

    @property
    def writable(self) -> bool:
        """Whether it is open for writing."""
        return self.kind == "shared"

    def get(self) -> "HostFd":
        """Count one more owner; return self."""
        self.references += 1
        return self

    def put(self) -> None:
        """Count one owner less."""
        self.references -= 1
        if not self.references:
            self._close()

    def incref(self, offset: int, length: int, /) -> None:
        """Count the pages of a new PMA."""
        del offset
        self.references += length >> PAGE_SHIFT

    def decref(self, offset: int, length: int, /) -> None:
        """Count the pages of a PMA less."""
        del offset
        self.references -= length >> PAGE_SHIFT
        if not self.references:
            self._close()

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class HostDir:
    """A directory of the host."""

    __slots__ = ("_fd", "dev", "ino", "name", "parent", "tree", "used")

    def __init__(self, tree: "HostTree", parent: "HostDir | None", name: bytes, dev: int, ino: int) -> None:
        """Describe a directory; opens nothing."""
        self.tree = tree
        self.parent = parent
        self.name = name
        self.dev = dev
        self.ino = ino
        self._fd = -1
        self.used = True

    def fd(self) -> int:
        """Return an open descriptor, valid until the next call of this module."""
        self.used = True
        fd = self._fd
        return fd if fd >= 0 else self._open()

    def _open(self) -> int:
        parent = self.parent
        if parent is None:
            raise ESTALE
        tree = self.tree
        fd = lib.ks_open(tree.procfd, parent.fd(), self.name, 1, tree.scratch)
        if fd < 0:
            raise error(fd)
        dev, ino = STAT.unpack_from(tree.buffer[:])[:2]
        if (dev, ino) != (self.dev, self.ino):
            os.close(fd)
            raise ESTALE
        self._fd = fd
        tree.opened(self)
        return fd

    def adopt(self, fd: int) -> None:
        """Take over an open descriptor that `opened` never closes (the root's)."""
        self._fd = fd

    def close(self) -> None:
        """Close the descriptor; the next use opens it again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def entries(self) -> list[tuple[bytes, int, int]]:
        """Return (name, inode number, DT_*) of all entries but `.` and `..`."""
        fd = self.fd()
        tree = self.tree
        try:
            os.lseek(fd, 0, os.SEEK_SET)
        except OSError:  # opened for searching only
            raise EACCES from None
        found: list[tuple[bytes, int, int]] = []
        while True:
            got = lib.ks_getdents(fd, tree.listing, len(tree.listing_buffer))
            if got < 0:
                raise error(got)
            if got == 0:
                return found
            data = tree.listing_buffer[:got]
            at = 0
            while at < got:
                name = data[at + _DIRENT : data.index(0, at + _DIRENT)]
                if name not in {b".", b".."}:
                    found.append((name, int.from_bytes(data[at : at + 8], "little"), data[at + 18]))
                at += data[at + 16] | data[at + 17] << 8


class HostTree:
    """A directory of the host and what is below it."""

    __slots__ = (
        "_dirs",
        "_files",
        "buffer",
        "listing",
        "listing_buffer",
        "path",
        "procfd",
        "root",
        "root_stat",
        "scratch",
    )

    def __init__(self, path: bytes) -> None:
        """Open the directory; the operator names it, so links in path are followed.

        Raises: LinuxError.
        """
        self.path = path
        fd = self._open()
        dev, ino = STAT.unpack(self.root_stat)[:2]
        self.root = HostDir(self, None, b"", dev, ino)
        self.root.adopt(fd)
        self._dirs: dict[HostDir, None] = {}
        self._files: dict[object, HostFd] = {}

    def after_load(self) -> None:
        """Open the directory again. Raises: LinuxError."""
        self.root.adopt(self._open())

    def _open(self) -> int:
        """Make the buffers, open the directory; return its descriptor. Raises: LinuxError."""
        self.scratch = ffi.new("unsigned char[144]")
        self.buffer = ffi.buffer(self.scratch, 144)
        self.listing = ffi.new("unsigned char[32768]")
        self.listing_buffer = ffi.buffer(self.listing, 32768)
        self.procfd = os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        fd: int = lib.ks_open_root(self.path, self.scratch)
        if fd < 0:
            os.close(self.procfd)
            raise error(fd)
        self.root_stat = self.buffer[:]
        return fd

    def stat(self, directory: HostDir, name: bytes, guest_dev: int) -> bytes | None:
        """Return struct stat of a name, None if there is none; a file on directory's device shows guest_dev.

        A pseudo file system of the host shows as an empty directory. Raises: EACCES (the host's own rights), EIO and
        the like.
        """
        result = lib.ks_stat(directory.fd(), name, directory.dev, guest_dev, self.scratch)
        if result:
            if result == _ENOENT:
                return None
            if result == _EXDEV:
                return self._masked(guest_dev)
            raise error(result)
        return self.buffer[:]

    def _masked(self, guest_dev: int) -> bytes | None:
        """Return an empty directory in place of a pseudo file system, nothing in place of a single file of one."""
        _, ino, _, mode = STAT.unpack_from(self.buffer[:])[:4]
        if mode >> 12 != 4:
            return None
        return STAT.pack(guest_dev, ino | MASKED, 2, 0o040555, 0, 0, 0, 0, 4096, 0, 0, 0, 0, 0, 0, 0)

    def open(self, directory: HostDir, name: bytes) -> tuple[HostFd, bytes]:
        """Open a regular file read-only; return it, the caller's, and its struct stat. Raises: LinuxError."""
        return self._open_file(directory, name, 0)

    def open_writable(self, directory: HostDir, name: bytes) -> tuple[HostFd, bytes]:
        """Open a regular file for reading and writing, as `open`. Raises: EACCES and the like."""
        return self._open_file(directory, name, 2)

    def _open_file(self, directory: HostDir, name: bytes, how: int) -> tuple[HostFd, bytes]:
        fd = lib.ks_open(self.procfd, directory.fd(), name, how, self.scratch)
        if fd < 0:
            raise error(fd)
        raw = self.buffer[:]
        return HostFd(fd, self, directory, name, int.from_bytes(raw[8:16], "little"), writable=how == 2), raw

    def reopen(self, file: HostFd) -> int:
        """Return a descriptor of a file that was open when the sandbox was saved, -1 if it is not there any more."""
        try:
            found, _ = self._open_file(file.directory, file.name, 2 if file.writable else 0)
        except LinuxError:
            return -1
        if found.ino != file.ino:
            found.put()
            return -1
        return found.fd

    def open_place(self, directory: HostDir, name: bytes) -> int:
        """Return an O_PATH descriptor of a directory or regular file, which the caller closes."""
        fd = lib.ks_open(self.procfd, directory.fd(), name, 3, self.scratch)
        if fd < 0:
            raise error(fd)
        return fd

    def create(self, directory: HostDir, name: bytes, mode: int) -> HostFd:
        """Make a regular file, open for reading and writing. Raises: EEXIST and the like."""
        fd = lib.ks_create(directory.fd(), name, mode)
        if fd < 0:
            raise error(fd)
        ino = int.from_bytes(self.fstat(fd)[8:16], "little")
        return HostFd(fd, self, directory, name, ino, writable=True)

    @staticmethod
    def rename(old: HostDir, old_name: bytes, new: HostDir, new_name: bytes, flags: int) -> None:
        """Rename. Raises: LinuxError."""
        new.fd()  # opening one may close another
        result = lib.ks_rename(old.fd(), old_name, new.fd(), new_name, flags)
        if result:
            raise error(result)

    def fstat(self, fd: int) -> bytes:
        """Return struct stat of an open file or directory."""
        result = lib.ks_fstat(fd, self.scratch)
        if result:
            raise error(result)
        return self.buffer[:]

    def readlink(self, directory: HostDir, name: bytes) -> bytes:
        """Return a link's target."""
        got = lib.ks_readlink(directory.fd(), name, self.listing, 4096)
        if got < 0:
            raise error(got) if got != _ENOENT else ENOENT
        return self.listing_buffer[:got]

    def opened(self, directory: HostDir) -> None:
        """Count a directory as open; close the longest unused ones when there are too many."""
        dirs = self._dirs
        dirs[directory] = None
        if len(dirs) > MAX_DIRS:
            directory.used = True
            for old in tuple(dirs):
                del dirs[old]
                if old.used or old is directory:
                    old.used = False
                    dirs[old] = None
                else:
                    old.close()
                    if len(dirs) <= MAX_DIRS - MAX_DIRS // 8:
                        break

    def keep(self, owner: object, file: HostFd) -> None:
        """Take over an open file of owner's, for a while; `kept` finds it again."""
        files = self._files
        files[owner] = file
        if len(files) > MAX_FILES:
            files.pop(next(iter(files))).put()

    def kept(self, owner: object) -> HostFd | None:
        """Return the open file of owner's that was kept, valid until the next `keep`."""
        return self._files.get(owner)

    def forget(self, owner: object) -> None:
        """Give up owner's file."""
        file = self._files.pop(owner, None)
        if file is not None:
            file.put()

    def close(self) -> None:
        """Close all directories, and the files that nothing else uses."""
        for directory in self._dirs:
            directory.close()
        self._dirs.clear()
        for file in self._files.values():
            file.put()
        self._files.clear()
        self.root.close()
        if self.procfd >= 0:
            os.close(self.procfd)
            self.procfd = -1


def poll_now(fd: int, events: int) -> int:
    """Return which of the poll events are true of a host descriptor now."""
    result = lib.ks_nowait(fd, events)
    if result < 0:
        raise error(result)
    return result
