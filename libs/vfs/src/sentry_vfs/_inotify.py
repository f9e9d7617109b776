"""inotify: being told of what happens to files.

A watch stands in three places: its instance's table by number, its inode's list, and the set `watched` of its inode's
file system. The last is what everything else looks at first: as long as it is empty an operation pays one attribute
test, and nothing here is called.

Sources: Linux fs/notify/fsnotify.c, fs/notify/inotify, include/linux/fsnotify.h; inotify(7).
"""

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from sentry_abi.errors import EAGAIN, EEXIST, EINVAL, ENOTTY
from sentry_abi.ioctl import FIONREAD
from sentry_abi.poll import (
    IN_ACCESS,
    IN_ALL_EVENTS,
    IN_ATTRIB,
    IN_CLOSE_NOWRITE,
    IN_CLOSE_WRITE,
    IN_DELETE_SELF,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_MODIFY,
    IN_ONESHOT,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
)
from sentry_abi.structs import INOTIFY_EVENT
from sentry_vfs._file import FileDescription
from sentry_waiter import IN, RDNORM, Queue

if TYPE_CHECKING:
    from sentry_vfs._eventfd import AnonymousFilesystem
    from sentry_vfs._node import Dentry, Filesystem, Inode

MAX_QUEUED: Final = 16384
"""fs.inotify.max_queued_events."""
ALWAYS: Final = IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED
_ROUND: Final = INOTIFY_EVENT.size


class Watch:
    """One instance's interest in one inode."""

    __slots__ = ("dentry", "inode", "inotify", "mask", "number")

    def __init__(self, inotify: "InotifyFile", dentry: "Dentry", number: int, mask: int) -> None:
        """Stand in all three places; the dentry is held so that the name leads to this inode as long as it stands."""
        inode = dentry.positive()
        self.inotify = inotify
        self.dentry = dentry
        self.inode = inode
        self.number = number
        self.mask = mask
        if inode.watches is None:
            inode.watches = []
        inode.watches.append(self)
        inode.fs.watched.add(self)

    def remove(self) -> None:
        """Leave all places, and say so."""
        self.leave()
        self.inotify.put(self.number, IN_IGNORED, 0, b"")

    def leave(self) -> None:
        """Leave all places."""
        watches = self.inode.watches
        if watches is not None and self in watches:
            watches.remove(self)
            if not watches:
                self.inode.watches = None
            self.inode.fs.watched.discard(self)
            self.inotify.forget(self)


class InotifyFile(FileDescription):
    """An inotify instance."""

    __slots__ = ("_by_inode", "_by_number", "_events", "_next")

    reads_nothing = False

    queue: Queue

    def __init__(self, fs: "AnonymousFilesystem", flags: int) -> None:
        """Make an instance without watches."""
        super().__init__(flags, None, fs.inode, Queue())
        self._by_number: dict[int, Watch] = {}
        self._by_inode: dict[Inode, Watch] = {}
        self._events: deque[tuple[int, int, int, bytes]] = deque()
        self._next = 1

    # watches

    def add(self, dentry: "Dentry", mask: int) -> int:
        """Watch a file, or change what of it is watched; return the watch's number. Raises: EEXIST."""
        inode = dentry.positive()
        known = self._by_inode.get(inode)
        kept = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK)
        if known is not None:
            if mask & IN_MASK_CREATE:
                raise EEXIST
            known.mask = known.mask | kept if mask & IN_MASK_ADD else kept
            return known.number
        watch = Watch(self, dentry, self._next, kept)
        self._next += 1
        self._by_inode[inode] = watch
        self._by_number[watch.number] = watch
        return watch.number

    def remove(self, number: int) -> None:
        """Watch no more. Raises: EINVAL."""
        watch = self._by_number.get(number)
        if watch is None:
            raise EINVAL
        watch.remove()

    def forget(self, watch: Watch) -> None:
        """Drop a watch from the tables."""
        del self._by_number[watch.number]
        del self._by_inode[watch.inode]

    def all_watches(self) -> list[Watch]:
        """Return all watches, for /proc/PID/fdinfo."""
        return list(self._by_number.values())

    # events

    def put(self, number: int, mask: int, cookie: int, name: bytes) -> None:
        """Queue an event, unless it is the same as the last one or the queue is full."""
        events = self._events
        event = (number, mask, cookie, name)
        if events and events[-1] == event:
            return
        if len(events) >= MAX_QUEUED:
            event = (-1, IN_Q_OVERFLOW, 0, b"")
            if events[-1] == event:
                return
        events.append(event)
        self.queue.notify(IN | RDNORM)

    @staticmethod
    def _size(name: bytes) -> int:
        return _ROUND + (len(name) // _ROUND + 1) * _ROUND if name else _ROUND

    def clamp(self, count: int) -> int:
        """Return the room that all events take, as far as it counts."""
        size = 0
        for event in self._events:
            size += self._size(event[3])
            if size >= count:
                return count
        return size

    def read(self, bufs: list[memoryview]) -> int:
        """Take as many events as fit whole. Raises: EINVAL if the first does not, EAGAIN if there is none."""
        events = self._events
        if not events:
            raise EAGAIN
        room = sum(map(len, bufs))
        records = []
        while events:
            number, mask, cookie, name = events[0]
            size = self._size(name)
            if size > room:
                break
            room -= size
            records.append(INOTIFY_EVENT.pack(number, mask, cookie, size - _ROUND) + name.ljust(size - _ROUND, b"\0"))
            events.popleft()
        if not records:
            raise EINVAL
        data = b"".join(records)
        done = 0
        for buf in bufs:
            part = data[done : done + len(buf)]
            buf[: len(part)] = part
            done += len(part)
        return done

    def readiness(self) -> int:
        """Readable when there is an event."""
        return IN | RDNORM if self._events else 0

    def ioctl(self, command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (as in the base class)
        """Do FIONREAD. Raises: ENOTTY."""
        if command != FIONREAD:
            raise ENOTTY
        mm.copy_out(arg, sum(self._size(event[3]) for event in self._events).to_bytes(4, "little"))
        return 0

    def seek(self, offset: int, whence: int) -> int:
        """Do nothing, as lseek(2) does here."""
        del offset, whence
        return 0

    def release(self) -> None:
        """Give up all watches."""
        for watch in tuple(self._by_number.values()):
            watch.leave()
        self._events.clear()

    def path(self) -> bytes:
        """Return the link text."""
        return b"anon_inode:inotify"


def told(watches: list[Watch], mask: int, cookie: int = 0, name: bytes = b"", *, unlinked: bool = False) -> None:
    """Tell watches of an event; IN_ISDIR in mask says of what."""
    for watch in tuple(watches):
        wanted = watch.mask
        if not wanted & mask & IN_ALL_EVENTS or (unlinked and wanted & IN_EXCL_UNLINK):
            continue
        watch.inotify.put(watch.number, mask, cookie, name)
        if wanted & IN_ONESHOT:
            watch.remove()


def happened(dentry: "Dentry | None", inode: "Inode", mask: int) -> None:
    """Tell of what was done to a file: its directory, by name, then the file itself."""
    if inode.is_dir:
        mask |= IN_ISDIR
    if dentry is not None and dentry.parent is not dentry:
        above = dentry.parent.inode
        if above is not None and above.watches is not None:
            told(above.watches, mask, 0, dentry.name, unlinked=dentry.dead)
    if inode.watches is not None:
        told(inode.watches, mask, unlinked=dentry is not None and dentry.dead)


def happened_to(file: FileDescription, mask: int) -> None:
    """Tell of what was done through an open file."""
    if file.inode is not None:
        happened(file.where.dentry if file.where is not None else None, file.inode, mask)


def accessed(file: FileDescription) -> None:
    """Tell of a read."""
    happened_to(file, IN_ACCESS)


def modified(file: FileDescription) -> None:
    """Tell of a write."""
    happened_to(file, IN_MODIFY)


def closed(file: FileDescription) -> None:
    """Tell of the last close."""
    happened_to(file, IN_CLOSE_WRITE if file.writable else IN_CLOSE_NOWRITE)


def in_directory(directory: "Dentry", mask: int, name: bytes, cookie: int = 0) -> None:
    """Tell a directory's watches of a name."""
    inode = directory.inode
    if inode is not None and inode.watches is not None:
        told(inode.watches, mask, cookie, name)


def links_changed(inode: "Inode") -> None:
    """Tell that a file has a link more or less."""
    if inode.watches is not None:
        told(inode.watches, IN_ATTRIB | (IN_ISDIR if inode.is_dir else 0))


def gone(inode: "Inode") -> None:
    """Tell that a file exists no more, and remove its watches."""
    for watch in tuple(inode.watches or ()):
        if watch.mask & IN_DELETE_SELF:
            watch.inotify.put(watch.number, IN_DELETE_SELF, 0, b"")
        watch.remove()


def unmounted(fs: "Filesystem") -> None:
    """Tell that a file system is unmounted, and remove its watches."""
    for watch in sorted(fs.watched, key=lambda watch: watch.number):
        watch.inotify.put(watch.number, IN_UNMOUNT, 0, b"")
        watch.remove()
