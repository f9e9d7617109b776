"""Inherited descriptors of the host: standard input, output and error of any kind.

A description that processes of the host share keeps its flags: O_NONBLOCK is never set on it. Instead no call is made
that could block: reads and writes use RWF_NOWAIT; where the host's file does not support that, poll(2) comes first, and
writes go in pieces that a ready pipe or terminal takes whole. When nothing can be done the file asks its watcher to
notify `queue` and raises EAGAIN.
"""

import fcntl
import os
import stat as host_stat
from collections.abc import Sequence
from typing import Final, Literal

from sentry_abi.errors import EAGAIN, EBADF, EINVAL, EISDIR, ENODEV, ENOTTY, ESPIPE, from_host
from sentry_abi.fcntl import O_ACCMODE, O_APPEND, O_NONBLOCK
from sentry_abi.ioctl import (
    FIONREAD,
    TCGETS,
    TCSETS,
    TCSETSF,
    TCSETSW,
    TIOCGWINSZ,
    TIOCSWINSZ,
)
from sentry_abi.memory import page_up
from sentry_fs._host import poll_now
from sentry_fs._native._lib import ffi, lib
from sentry_mm import Extent, Uncounted
from sentry_vfs import Buffer, Dentry, FdWatcher, FileDescription, Filesystem, Inode, Path, UserMemory
from sentry_waiter import ALWAYS, IN, OUT, RDNORM, WRNORM, Entry, Queue

_ANY: Final = IN | OUT | RDNORM | WRNORM | ALWAYS
_PIECE: Final = 4096
_TTY_PIECE: Final = 256
_LENGTHS: Final = {TCGETS: 36, TIOCGWINSZ: 8, FIONREAD: 4}
_SETTERS: Final = {TCSETS: 36, TCSETSW: 36, TCSETSF: 36, TIOCSWINSZ: 8}


class HostFilesystem(Filesystem):
    """Where inherited descriptors have their inodes."""

    __slots__ = ()
    name = b"host"


class Interest(Entry):
    """The events of an inherited descriptor that are waited for.

    The watcher has one mask per descriptor and drops it when it notifies. Several may wait for different bits (one
    reads a terminal, another writes to it), so the masks are gathered here, and what is left is asked for again.
    """

    __slots__ = ("inode", "mask")

    def __init__(self, inode: "InheritedInode", queue: Queue) -> None:
        """Register in the descriptor's queue, for its whole life."""
        self.inode = inode
        self.mask = 0
        queue.register(self, _ANY)

    def add(self, mask: int, queue: Queue) -> None:
        """Ask for more bits."""
        self.mask |= mask
        self.inode.watcher.watch(self.inode.host, self.mask, queue)

    def notify(self, queue: Queue, mask: int) -> None:
        """Drop the bits of mask; ask again for the rest unless the descriptor is at its end."""
        self.mask &= ~mask
        if mask & ALWAYS:
            self.mask = 0
        if self.mask:
            self.inode.watcher.watch(self.inode.host, self.mask, queue)


class InheritedInode(Inode):
    """The inode of an inherited descriptor."""

    __slots__ = ("host", "interest", "queue", "watcher")

    def __init__(self, fs: Filesystem, fd: int, watcher: FdWatcher) -> None:
        """Describe fd."""
        found = os.fstat(fd)
        super().__init__(fs, found.st_ino, found.st_mode, found.st_uid, found.st_gid)
        self.host = fd
        self.watcher = watcher
        self.queue = None if host_stat.S_ISREG(self.mode) else Queue()
        self.interest = None if self.queue is None else Interest(self, self.queue)

    def open(self, where: Path, flags: int) -> FileDescription:
        """Return another description of the same host file (opening /proc/self/fd/0)."""
        file = HostFile(self.host, self.watcher, self.fs, self, where)
        file.flags = flags & (O_ACCMODE | O_APPEND | O_NONBLOCK)
        return file

    def truncate(self, dentry: Dentry | None, length: int) -> None:
        """Set the size of a regular file; do nothing for others, as O_TRUNC."""
        del dentry
        if host_stat.S_ISREG(self.mode):
            try:
                os.ftruncate(self.host, length)
            except OSError as failure:
                raise from_host(failure) from None

    def size(self) -> int:
        """Return the size of a regular file."""
        return os.fstat(self.host).st_size

    def stat(self) -> bytes:
        """Return the host's struct stat."""
        out = ffi.new("unsigned char[144]")
        lib.ks_fstat(self.host, out)
        return ffi.buffer(out, 144)[:]


class HostFile(FileDescription):
    """An inherited descriptor."""

    __slots__ = ("_nowait", "fd", "kind", "seeks", "tty")

    inode: InheritedInode

    def __init__(
        self,
        fd: int,
        watcher: FdWatcher,
        fs: Filesystem,
        inode: InheritedInode | None = None,
        where: Path | None = None,
    ) -> None:
        """Wrap fd, which stays the caller's. Raises: OSError if it is not open."""
        inode = inode or InheritedInode(fs, fd, watcher)
        flags = fcntl.fcntl(fd, fcntl.F_GETFL) & (O_ACCMODE | O_APPEND)
        self.kind = host_stat.S_IFMT(inode.mode)
        self.seeks = self.kind == host_stat.S_IFREG
        super().__init__(flags, where, inode, inode.queue)
        self.fd = fd
        self.tty = self.kind == host_stat.S_IFCHR and os.isatty(fd)
        self._nowait = not self.seeks and not self.tty

    def again(self, flags: int, where: Path) -> FileDescription:
        """Return another description of the same terminal (open of /dev/tty)."""
        return self.inode.open(where, flags)

    @property
    def is_terminal(self) -> bool:
        """Whether the host's file is a terminal."""
        return self.tty

    # reading

    def clamp(self, count: int) -> int:
        """Return an upper bound of what one read returns."""
        if self.seeks or count <= 65536:
            return count
        return 65536

    def read(self, bufs: list[memoryview]) -> int:
        """Read what is there. Raises: EBADF, EAGAIN, EISDIR."""
        if not self.readable:
            raise EBADF
        if self.kind == host_stat.S_IFDIR:
            raise EISDIR
        bufs = bufs[:1024]
        try:
            if self.seeks:
                return os.readv(self.fd, bufs)
            if self._nowait:
                try:
                    return os.preadv(self.fd, bufs, -1, os.RWF_NOWAIT)
                except BlockingIOError:
                    raise self._later(IN) from None
                except OSError:
                    self._nowait = False
            if not poll_now(self.fd, IN):
                raise self._later(IN)
            return os.readv(self.fd, bufs)
        except BlockingIOError:
            raise self._later(IN) from None
        except OSError as failure:
            raise from_host(failure) from None

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Read a regular file at pos. Raises: EBADF, ESPIPE."""
        if not self.seeks:
            raise ESPIPE
        if not self.readable:
            raise EBADF
        try:
            return os.preadv(self.fd, bufs[:1024], pos)
        except OSError as failure:
            raise from_host(failure) from None

    # the position, which the host keeps

    def has_positions(self) -> bool:
        """Return whether it is a regular file."""
        return self.seeks

    def position(self) -> int:
        """Return the host's position of a regular file."""
        return self.seek(0, os.SEEK_CUR) if self.seeks else self.pos

    def advance(self, count: int) -> None:
        """Add to the host's position of a regular file."""
        if self.seeks:
            self.seek(count, os.SEEK_CUR)
        else:
            self.pos += count

    # writing

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Write as much as the host takes without waiting. Raises: EBADF, EAGAIN, EPIPE, ENOSPC."""
        if not self.writable:
            raise EBADF
        bufs = bufs[:1024]
        try:
            if self.seeks:
                return os.writev(self.fd, bufs)
            if self._nowait:
                try:
                    return os.pwritev(self.fd, bufs, -1, os.RWF_NOWAIT)
                except BlockingIOError:
                    pass  # a pipe with less than PIPE_BUF bytes free: in pieces, below
                except BrokenPipeError:
                    raise
                except OSError:
                    self._nowait = False
            return self._write_pieces(bufs)
        except BlockingIOError:
            raise self._later(OUT) from None
        except OSError as failure:
            raise from_host(failure) from None

    def _write_pieces(self, bufs: Sequence[Buffer]) -> int:
        piece = _TTY_PIECE if self.tty else _PIECE
        done = 0
        for buf in bufs:
            view = memoryview(buf)
            at = 0
            while at < len(view):
                if not poll_now(self.fd, OUT):
                    if done:
                        return done
                    raise self._later(OUT)
                got = os.write(self.fd, view[at : at + piece])
                at += got
                done += got
        return done

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Write a regular file at pos. Raises: EBADF, ESPIPE."""
        if not self.seeks:
            raise ESPIPE
        if not self.writable:
            raise EBADF
        try:
            return os.pwritev(self.fd, bufs[:1024], pos)
        except OSError as failure:
            raise from_host(failure) from None

    def _later(self, mask: int) -> Exception:
        interest, queue = self.inode.interest, self.queue
        if interest is not None and queue is not None:
            interest.add(mask, queue)
        return EAGAIN()

    # the rest

    def readiness(self) -> int:
        """Ask the host; let the watcher report what is not ready."""
        if self.seeks:
            return IN | OUT | RDNORM | WRNORM
        wanted = (IN if self.readable else 0) | (OUT if self.writable else 0)
        found = poll_now(self.fd, wanted)
        missing = wanted & ~found
        if missing and not found & ALWAYS:
            self._later(missing)
        return found | (RDNORM if found & IN else 0) | (WRNORM if found & OUT else 0)

    def seek(self, offset: int, whence: int) -> int:
        """Set the position, which all who inherited the file share. Raises: ESPIPE, EINVAL, ENXIO."""
        if self.kind == host_stat.S_IFCHR and not self.tty:
            return 0
        if not self.seeks:
            raise ESPIPE
        try:
            return os.lseek(self.fd, offset, whence)
        except OSError as failure:
            raise from_host(failure) from None

    def ioctl(self, command: int, arg: int, mm: UserMemory) -> int:
        """Do FIONREAD, and get and set terminal attributes and window size. Raises: ENOTTY."""
        try:
            if command in _LENGTHS and (self.tty or command == FIONREAD):
                mm.copy_out(arg, fcntl.ioctl(self.fd, command, bytes(_LENGTHS[command])))
                return 0
            if command in _SETTERS and self.tty:
                fcntl.ioctl(self.fd, command, mm.copy_in(arg, _SETTERS[command]))
                return 0
        except OSError as failure:
            raise from_host(failure) from None
        raise ENOTTY

    def mappable(self) -> "InheritedMapping":
        """Return a read-only view of a regular file. Raises: ENODEV."""
        if not self.seeks:
            raise ENODEV
        return InheritedMapping(self.fd)

    def sync(self) -> None:
        """Pass fsync on for regular files. Raises: EINVAL."""
        if not self.seeks:
            raise EINVAL
        try:
            os.fsync(self.fd)
        except OSError as failure:
            raise from_host(failure) from None

    def truncate(self, length: int) -> None:
        """Set the size of a regular file. Raises: EINVAL."""
        if not self.seeks or not self.writable:
            raise EINVAL
        try:
            os.ftruncate(self.fd, length)
        except OSError as failure:
            raise from_host(failure) from None

    def path(self) -> bytes:
        """Return the text of the host's own link."""
        if self.where is not None:
            return super().path()
        try:
            return os.readlink(b"/proc/self/fd/%d" % self.fd)  # noqa: PTH115  (bytes, which Path does not give)
        except OSError:
            return b"host:[%d]" % self.fd


class InheritedMapping(Uncounted):
    """An inherited regular file as something to be mapped, for reading; the descriptor stays the sentry's."""

    __slots__ = ("fd", "identity")

    kind: Literal["host"] = "host"

    def __init__(self, fd: int) -> None:
        """Describe an open file."""
        self.fd = fd
        found = os.fstat(fd)
        self.identity = (found.st_dev, found.st_ino)

    def extents(self, offset: int, length: int, *, shared: bool, write: bool) -> list[Extent]:
        """Return the file's own pages. Raises: ENODEV for shared writing."""
        if shared and write:
            raise ENODEV
        length = min(length, page_up(self.mapped_size()) - offset)
        return [Extent(self, offset, length)] if length > 0 else []

    def mapped_size(self) -> int:
        """Return the size in bytes now."""
        return os.fstat(self.fd).st_size

    def mapping_identity(self) -> object:
        """Return device and inode number."""
        return self.identity
