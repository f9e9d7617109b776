"""Open file descriptions: what a descriptor refers to.

`FileDescription` is the base class; its defaults refuse with the errno that Linux gives for a file without the
operation. Counting is explicit: `refs` is the number of descriptor table slots (and messages in flight, and other
owners that called `incref`) that hold the description; the last `decref` calls `release`. Garbage collection plays no
part in it.

Nothing here waits. An operation that would raises EAGAIN; whoever called may register on `queue` and try again.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

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
from sentry_vfs._node import Inode, Path
from sentry_waiter import IN, NVAL, OUT, RDNORM, WRNORM, Queue

if TYPE_CHECKING:
    from sentry_vfs._epoll import Item

Buffer = memoryview | bytes | bytearray
ALWAYS_READY = IN | OUT | RDNORM | WRNORM


class FileDescription:
    """An open file."""

    __slots__ = ("drops_ids", "flags", "inode", "owner", "pos", "queue", "refs", "signal", "watches", "where")

    opening: ClassVar[bool] = False
    """True while an open(2) that has to wait (a FIFO's) is not through; such a class overrides it."""
    seekable: ClassVar[bool] = False
    is_tty: ClassVar[bool] = False
    is_place: ClassVar[bool] = False
    reads_nothing: ClassVar[bool] = True
    """Whether a read of no bytes is answered with 0 without asking the file."""
    breaks_with_signal: ClassVar[bool] = True
    """Whether a write that fails with EPIPE sends SIGPIPE: not so for sockets that keep message borders."""
    timed: bool = False
    """Whether a wait may have an end of its own (a socket's SO_RCVTIMEO), see `wait_limit`."""

    def __init__(self, flags: int, where: Path | None, inode: Inode | None, queue: Queue | None = None) -> None:
        """Make a description that nobody holds yet."""
        self.flags = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)
        self.pos = 0
        self.refs = 0
        self.where = where
        self.inode = inode
        self.queue = queue
        self.watches: list[Item] | None = None
        self.owner = 0
        self.signal = 0
        self.drops_ids = False
        """A write takes set-user-id and set-group-id from the file: who opened it lacks CAP_FSETID."""

    # life

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
                return
            if inode.locks is not None:
                inode.locks.drop(self)
            if inode.fs.watched:
                self._release_watched(inode)
            else:
                self.release()

    def _release_watched(self, inode: Inode) -> None:
        from sentry_vfs import _inotify  # noqa: PLC0415  (it needs this module; only where something is watched)

        if not self.flags & O_PATH:
            _inotify.closed(self)
        self.release()
        if inode.nlink <= 0 and inode.watches is not None and not inode.in_use():
            _inotify.gone(inode)

    def release(self) -> None:
        """Give back what the description holds; called once."""

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
        """Return an upper bound, at most count, of what read could return now: how much room is worth preparing."""
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

    def seek_hole(self, offset: int, whence: int) -> int:
        """Return the next data or hole at or after offset. Raises: ENXIO, EINVAL."""
        raise EINVAL

    # the rest

    def wait_limit(self, mask: int) -> int:
        """Return how many nanoseconds a wait for the bits of mask may last, 0 for ever; asked if `timed`."""
        del mask
        return 0

    def readiness(self) -> int:
        """Return the poll(2) bits that are true now."""
        return ALWAYS_READY

    def ioctl(self, command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (the memory manager of the floor beside)
        """Do a device command. Raises: ENOTTY."""
        raise ENOTTY

    def entries(self) -> "list[tuple[bytes, int, int]]":
        """Return the directory's entries as of the last time the position was 0. Raises: ENOTDIR."""
        raise ENOTDIR

    def mappable(self) -> Any:  # noqa: ANN401  (a Mappable of the floor beside)
        """Return what mmap maps. Raises: ENODEV."""
        raise ENODEV

    def sync(self) -> None:
        """Bring content to its device. Raises: EINVAL where there is none."""
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
        return path_of(self.where)

    def set_flags(self, flags: int) -> None:
        """Be told of new status flags (F_SETFL)."""
        self.flags = flags


class PathFile(FileDescription):
    """A description opened with O_PATH: a place and nothing else."""

    __slots__ = ()

    is_place: ClassVar[bool] = True

    @property
    def readable(self) -> bool:
        """Return False."""
        return False

    @property
    def writable(self) -> bool:
        """Return False."""
        return False

    def readiness(self) -> int:
        """Return that nothing can be waited for."""
        return NVAL

    def read(self, bufs: list[memoryview]) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def seek(self, offset: int, whence: int) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def ioctl(self, command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (as in the base class)
        """Refuse. Raises: EBADF."""
        raise EBADF

    def entries(self) -> "list[tuple[bytes, int, int]]":
        """Refuse. Raises: EBADF."""
        raise EBADF

    def mappable(self) -> Any:  # noqa: ANN401  (as in the base class)
        """Refuse. Raises: EBADF."""
        raise EBADF

    def sync(self) -> None:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def truncate(self, length: int) -> None:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def allocate(self, mode: int, offset: int, length: int) -> None:
        """Refuse. Raises: EBADF."""
        raise EBADF


class DirectoryFile(FileDescription):
    """An open directory: `pos` counts entries of a list that is made anew when reading starts at 0."""

    __slots__ = ("_list",)

    seekable = True

    def __init__(self, flags: int, where: Path, inode: Inode) -> None:
        """Open a directory."""
        super().__init__(flags, where, inode)
        self._list: list[tuple[bytes, int, int]] | None = None

    def read(self, bufs: list[memoryview]) -> int:
        """Refuse. Raises: EISDIR."""
        from sentry_abi.errors import EISDIR  # noqa: PLC0415  (rare)

        raise EISDIR

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Refuse. Raises: EISDIR."""
        return self.read(bufs)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def entries(self) -> "list[tuple[bytes, int, int]]":
        """Return the entries, `.` and `..` first."""
        found = self._list
        if found is None or self.pos == 0:
            where, inode = self.where, self.inode
            if where is None or inode is None:
                raise ENOTDIR
            dentry = where.dentry
            up = dentry.parent.inode
            found = [(b".", inode.ino, 4), (b"..", up.ino if up is not None else inode.ino, 4)]
            if not dentry.dead:
                found += inode.entries(dentry)
            self._list = found
        return found

    def size(self) -> int:
        """Return the number of entries: what SEEK_END counts from."""
        return len(self.entries())

    def sync(self) -> None:
        """Do nothing: directories are always in place."""


def path_of(where: Path, root: Path | None = None) -> bytes:
    """Return the absolute path of a place below root (the root of everything if None).

    A place that was removed ends in ` (deleted)`; one that root does not reach begins with `(unreachable)`.
    """
    mount, dentry = where
    names: list[bytes] = []
    deleted = dentry.dead
    prefix = b""
    while root is None or mount is not root.mount or dentry is not root.dentry:
        if dentry is mount.root:
            if mount.parent is None or mount.point is None:
                if root is not None:
                    prefix = b"(unreachable)"
                break
            dentry, mount = mount.point, mount.parent
        elif dentry.parent is dentry:
            if dentry.name:
                return dentry.name  # nameless: a pipe that was opened again through /proc
            break
        else:
            names.append(dentry.name)
            dentry = dentry.parent
    names.reverse()
    text = prefix + b"/" + b"/".join(names)
    return text + b" (deleted)" if deleted else text
