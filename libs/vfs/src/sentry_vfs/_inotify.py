"""inotify(7): instances, and their watches of inodes.

A watch is in its instance's table by number and in the `InodeWatches` of its inode, which is in the `watched` of its
file system. Events come from `fsnotify_*`.

Source: Linux fs/notify/inotify.
"""

from collections import deque
from typing import Final

from sentry_abi.errors import EAGAIN, EEXIST, EINVAL, ENOTTY
from sentry_abi.ioctl import FIONREAD
from sentry_abi.poll import (
    IN_ALL_EVENTS,
    IN_DELETE_SELF,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_ONESHOT,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
)
from sentry_abi.structs import INOTIFY_EVENT
from sentry_vfs._anon_inodes import AnonymousFilesystem
from sentry_vfs._file import FileDescription, UserMemory
from sentry_vfs._node import Dentry, Inode
from sentry_waiter import IN, RDNORM, Queue

MAX_QUEUED: Final = 16384
"""fs.inotify.max_queued_events."""
_ROUND: Final = INOTIFY_EVENT.size


class InodeWatches:
    """The watches of one inode, oldest first (`Watches`)."""

    __slots__ = ("inode", "watches")

    def __init__(self, inode: Inode) -> None:
        """Attach to an inode and its file system."""
        self.inode = inode
        self.watches: list[Watch] = []
        inode.watches = self
        inode.fs.watched[self] = None

    def discard(self, watch: "Watch") -> None:
        """Remove a watch; detach with the last one."""
        self.watches.remove(watch)
        if not self.watches:
            self.inode.watches = None
            del self.inode.fs.watched[self]

    def handle_event(self, mask: int, cookie: int, name: bytes, *, unlinked: bool) -> None:
        """Queue an event for each watch whose mask has it; a watch with IN_ONESHOT is then removed."""
        for watch in tuple(self.watches):
            wanted = watch.mask
            if not wanted & mask & IN_ALL_EVENTS or (unlinked and wanted & IN_EXCL_UNLINK):
                continue
            watch.inotify.put(watch.number, mask, cookie, name)
            if wanted & IN_ONESHOT:
                watch.remove()

    def inode_delete(self) -> None:
        """Queue IN_DELETE_SELF where it is asked for; remove all watches."""
        for watch in tuple(self.watches):
            if watch.mask & IN_DELETE_SELF:
                watch.inotify.put(watch.number, IN_DELETE_SELF, 0, b"")
            watch.remove()

    def unmount(self) -> None:
        """Queue IN_UNMOUNT; remove all watches."""
        for watch in tuple(self.watches):
            watch.inotify.put(watch.number, IN_UNMOUNT, 0, b"")
            watch.remove()


class Watch:
    """One instance's watch of one inode."""

    __slots__ = ("dentry", "inotify", "mask", "number", "watches")

    def __init__(self, inotify: "InotifyFile", dentry: Dentry, number: int, mask: int) -> None:
        """Attach to the inode; the dentry is held so that its name leads to this inode while it is watched."""
        inode = dentry.positive()
        self.inotify = inotify
        self.dentry = dentry
        self.number = number
        self.mask = mask
        watches = inode.watches
        self.watches = watches if isinstance(watches, InodeWatches) else InodeWatches(inode)
        self.watches.watches.append(self)

    @property
    def inode(self) -> Inode:
        """The watched inode."""
        return self.watches.inode

    def remove(self) -> None:
        """Detach; queue IN_IGNORED."""
        self.detach()
        self.inotify.put(self.number, IN_IGNORED, 0, b"")

    def detach(self) -> None:
        """Remove the watch from its inode and its instance, if it is there."""
        if self in self.watches.watches:
            self.watches.discard(self)
            self.inotify.forget(self)


class InotifyFile(FileDescription):
    """An inotify instance."""

    __slots__ = ("_by_inode", "_by_number", "_events", "_next")

    reads_nothing = False

    queue: Queue

    def __init__(self, fs: AnonymousFilesystem, flags: int) -> None:
        """Make an instance without watches."""
        super().__init__(flags, None, fs.inode, Queue())
        self._by_number: dict[int, Watch] = {}
        self._by_inode: dict[Inode, Watch] = {}
        self._events: deque[tuple[int, int, int, bytes]] = deque()
        self._next = 1

    # watches

    def add(self, dentry: Dentry, mask: int) -> int:
        """Watch a file, or change the mask of its watch; return the watch descriptor. Raises: EEXIST."""
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
        """Remove a watch. Raises: EINVAL."""
        watch = self._by_number.get(number)
        if watch is None:
            raise EINVAL
        watch.remove()

    def forget(self, watch: Watch) -> None:
        """Drop a watch from the tables."""
        del self._by_number[watch.number]
        del self._by_inode[watch.inode]

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
        """Return the size of all events, count at most."""
        size = 0
        for event in self._events:
            size += self._size(event[3])
            if size >= count:
                return count
        return size

    def read(self, bufs: list[memoryview]) -> int:
        """Take as many events as fit whole. Raises: EINVAL if the first does not fit, EAGAIN if there is none."""
        events = self._events
        if not events:
            raise EAGAIN
        space = sum(map(len, bufs))
        records = []
        while events:
            number, mask, cookie, name = events[0]
            size = self._size(name)
            if size > space:
                break
            space -= size
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
        """Return IN when there is an event."""
        return IN | RDNORM if self._events else 0

    def ioctl(self, command: int, arg: int, mm: UserMemory) -> int:
        """Do FIONREAD. Raises: ENOTTY, EFAULT."""
        if command != FIONREAD:
            raise ENOTTY
        mm.copy_out(arg, sum(self._size(event[3]) for event in self._events).to_bytes(4, "little"))
        return 0

    def seek(self, offset: int, whence: int) -> int:
        """Return 0 (noop_llseek)."""
        del offset, whence
        return 0

    def release(self) -> None:
        """Remove all watches."""
        for watch in tuple(self._by_number.values()):
            watch.detach()
        self._events.clear()

    def path(self) -> bytes:
        """Return the link text."""
        return b"anon_inode:inotify"
