"""Open file descriptions: what a descriptor refers to (struct file).

The defaults of `FileDescription` refuse with the errno that Linux gives for a file without the operation. `refs` is the
number of descriptor table slots, messages in flight and other owners that called `incref`; the last `decref` calls
`release`.

Nothing here blocks. An operation that would block raises EAGAIN; the caller may register on `queue` and try again.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from sentry_abi.errors import EBADF, EINVAL, ENODEV, ENOTDIR, ENOTTY, ESPIPE
from sentry_abi.fcntl import (
    O_CLOEXEC,
    O_CREAT,
    O_EXCL,
    O_NOCTTY,
    O_PATH,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
)
from sentry_vfs._buffers import Buffer
from sentry_vfs._dpath import d_path
from sentry_vfs._fsnotify import fsnotify_close, fsnotify_inoderemove
from sentry_vfs._node import Inode, Path
from sentry_waiter import IN, OUT, RDNORM, WRNORM, Queue

ALWAYS_READY = IN | OUT | RDNORM | WRNORM


class UserMemory(Protocol):
    """The memory of the calling process, where an ioctl finds and puts its argument."""

    def copy_in(self, addr: int, size: int) -> bytes:
        """Return size bytes. Raises: EFAULT."""
        ...

    def copy_out(self, addr: int, data: bytes) -> None:
        """Write data. Raises: EFAULT."""
        ...


class EpollItem(Protocol):
    """An epoll instance's interest in a description, which ends with the last close."""

    def forget(self) -> None:
        """Remove the item (eventpoll_release)."""
        ...


class FileDescription:
    """An open file."""

    __slots__ = ("drops_ids", "flags", "inode", "owner", "pos", "queue", "refs", "signal", "watches", "where")

    opening: ClassVar[bool] = False
    """True while an open(2) that blocks (a FIFO's) is not complete; such a class overrides it."""
    seekable: ClassVar[bool] = False
    is_tty: ClassVar[bool] = False
    is_place: ClassVar[bool] = False
    reads_nothing: ClassVar[bool] = True
    """Whether a read of no bytes returns 0 without calling `read`."""
    breaks_with_signal: ClassVar[bool] = True
    """Whether a write that fails with EPIPE sends SIGPIPE: not for sockets that keep message boundaries."""
    timed: bool = False
    """Whether a wait may have a timeout of its own (a socket's SO_RCVTIMEO), see `wait_limit`."""

    def __init__(self, flags: int, where: Path | None, inode: Inode | None, queue: Queue | None = None) -> None:
        """Make a description with no holder. It counts where until it is released."""
        self.flags = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)
        self.pos = 0
        self.refs = 0
        self.where = where
        if where is not None:  # path_get, in line: opens are frequent
            mount, dentry = where
            dentry.count += 1
            if not mount.count:
                mount.fs.active += 1
            mount.count += 1
        self.inode = inode
        self.queue = queue
        self.watches: list[EpollItem] | None = None
        self.owner = 0
        self.signal = 0
        self.drops_ids = False
        """A write clears set-user-id and set-group-id of the file: its opener lacks CAP_FSETID."""

    def incref(self) -> None:
        """Count one more holder."""
        self.refs += 1

    def decref(self) -> None:
        """Count one holder less; the last one releases."""
        self.refs -= 1
        if self.refs == 0:
            watches = self.watches
            if watches:
                for item in tuple(watches):
                    item.forget()
            inode = self.inode
            if inode is None:
                self.release()
            else:
                if inode.locks is not None:
                    inode.locks.drop(self)
                if inode.fs.watched:
                    self._release_watched(inode)
                else:
                    self.release()
            where = self.where
            if where is not None:  # path_put, in line
                mount, dentry = where
                dentry.count -= 1
                mount.count -= 1
                if not mount.count:
                    mount.fs.deactivate()

    def discard(self) -> None:
        """Release a description that got no holder."""
        self.refs = 1
        self.decref()

    def _release_watched(self, inode: Inode) -> None:
        if not self.flags & O_PATH:
            fsnotify_close(self)
        self.release()
        if inode.nlink <= 0 and inode.watches is not None and not inode.in_use():
            fsnotify_inoderemove(inode)

    def release(self) -> None:
        """Free what the description holds; called once, by the last `decref`."""

    # reading and writing

    @property
    def readable(self) -> bool:
        """Return whether it was opened for reading."""
        return not self.flags & O_WRONLY

    @property
    def writable(self) -> bool:
        """Return whether it was opened for writing."""
        return bool((self.flags + 1) & O_RDWR)

    def clamp(self, count: int) -> int:
        """Return an upper bound, at most count, of what read could return now: the size of buffer worth preparing."""
        return count

    def clamp_at(self, count: int, pos: int) -> int:
        """Return an upper bound of what pread at pos could return now."""
        del pos
        return count

    def read(self, bufs: list[memoryview]) -> int:
        """Read into bufs from the file position on; 0 is end of file.

        Raises: EBADF, EINVAL, EISDIR, EAGAIN.
        """
        raise EINVAL if self.readable else EBADF

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Write bufs at the file position (the end with O_APPEND); the count may be short.

        Raises: EBADF, EINVAL, EAGAIN, EPIPE, ENOSPC.
        """
        raise EINVAL if self.writable else EBADF

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Read at pos and leave the file position. Raises: ESPIPE."""
        raise ESPIPE

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Write at pos and leave the file position. Raises: ESPIPE."""
        raise ESPIPE

    def size(self) -> int:
        """Return the size that SEEK_END counts from."""
        return self.inode.size() if self.inode is not None else 0

    def seek(self, offset: int, whence: int) -> int:
        """Set the file position; return it.

        Raises: ESPIPE, EINVAL, ENXIO.
        """
        if not self.seekable:
            raise ESPIPE
        if whence == SEEK_SET:
            pos = offset
        elif whence == SEEK_CUR:
            pos = self.pos + offset
        elif whence == SEEK_END:
            pos = self.size() + offset
        elif whence in {SEEK_DATA, SEEK_HOLE}:
            pos = self.seek_hole(offset, whence)
        else:
            raise EINVAL
        if not 0 <= pos < 1 << 63:
            raise EINVAL
        self.pos = pos
        return pos

    def has_positions(self) -> bool:
        """Return whether it can be read at a position."""
        return self.seekable

    def position(self) -> int:
        """Return the file position; an inherited file has it on the host."""
        return self.pos

    def advance(self, count: int) -> None:
        """Add to the file position."""
        self.pos += count

    def seek_hole(self, offset: int, whence: int) -> int:
        """Return the next data or hole at or after offset. Raises: ENXIO, EINVAL."""
        raise EINVAL

    # waiting, devices, content

    def wait_limit(self, mask: int) -> int:
        """Return how many nanoseconds a wait for the bits of mask may last, 0 is no limit; called if `timed`."""
        del mask
        return 0

    def readiness(self) -> int:
        """Return the poll(2) bits that are true now."""
        return ALWAYS_READY

    def ioctl(self, command: int, arg: int, mm: UserMemory) -> int:
        """Execute a device command. Raises: ENOTTY."""
        raise ENOTTY

    def entries(self) -> "list[tuple[bytes, int, int]]":
        """Return the directory's entries as of the last time the position was 0. Raises: ENOTDIR."""
        raise ENOTDIR

    def mappable(self) -> object:
        """Return what mmap(2) maps: `sentry_mm.Mappable`, or None for anonymous memory. Raises: ENODEV."""
        raise ENODEV

    def sync(self) -> None:
        """Write content to its device. Raises: EINVAL for a file without one."""
        raise EINVAL

    def truncate(self, length: int) -> None:
        """Set the size. Raises: EINVAL."""
        raise EINVAL

    def allocate(self, mode: int, offset: int, length: int) -> None:
        """Reserve or punch space, as fallocate(2). Raises: ENODEV, ESPIPE, EOPNOTSUPP."""
        raise ENODEV

    def stat(self) -> bytes:
        """Return struct stat."""
        if self.inode is None:
            raise EBADF
        return self.inode.stat()

    def path(self) -> bytes:
        """Return the text of the link in /proc/PID/fd."""
        if self.where is None:
            return b"anon_inode:[unknown]"
        return d_path(self.where)

    def set_flags(self, flags: int) -> None:
        """Set the status flags (F_SETFL)."""
        self.flags = flags


def dentry_open(where: Path, flags: int) -> FileDescription:
    """Return a new open file description of a positive place; permissions are already checked."""
    return where.dentry.positive().open(where, flags)  # type: ignore[return-value]  # inodes know a part of the type
