"""epoll(7).

An item is keyed by (description, descriptor number) and registered in the watched file's queue with its mask. A
notification only puts the item on the ready list; events are taken from the file's readiness at that moment, as a
notification may be out of date. Level-triggered items go to the end of the ready list after each report, so that all
are reported in turn; one-shot items are disabled until modified. The last close of a watched description removes its
items.

Sources: Linux fs/eventpoll.c; gVisor pkg/sentry/kernel/epoll.
"""

from typing import Final

from sentry_abi.errors import EEXIST, EINVAL, ELOOP, ENOENT, EPERM
from sentry_abi.fcntl import O_RDWR
from sentry_vfs._anon_inodes import AnonymousFilesystem
from sentry_vfs._file import FileDescription
from sentry_waiter import ERR, HUP, IN, RDNORM, Entry, Queue

EPOLLEXCLUSIVE: Final = 1 << 28
EPOLLWAKEUP: Final = 1 << 29
EPOLLONESHOT: Final = 1 << 30
EPOLLET: Final = 1 << 31
PRIVATE_BITS: Final = EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET
MAX_DEPTH: Final = 4


class Item(Entry):
    """One watched descriptor."""

    __slots__ = ("data", "disarmed", "epoll", "events", "fd", "file")

    def __init__(self, epoll: "EpollFile", file: FileDescription, fd: int, events: int, data: int) -> None:
        """Make an item that is not registered yet."""
        self.epoll = epoll
        self.file = file
        self.fd = fd
        self.events = events
        self.data = data
        self.disarmed = False

    @property
    def mask(self) -> int:
        """The poll bits to report; errors and hang-ups always are."""
        return self.events & ~PRIVATE_BITS | ERR | HUP

    def notify(self, queue: Queue, mask: int) -> None:
        """Queue callback: the watched file may be ready."""
        del queue, mask
        if not self.disarmed:
            self.epoll.mark(self)

    def forget(self) -> None:
        """Remove the item: the last descriptor of the file is closed."""
        self.epoll.drop(self)


class EpollFile(FileDescription):
    """An epoll instance."""

    __slots__ = ("_items", "_ready")

    reads_nothing = False

    def __init__(self, fs: AnonymousFilesystem) -> None:
        """Make an empty instance."""
        super().__init__(O_RDWR, None, fs.inode, Queue())
        self._items: dict[tuple[FileDescription, int], Item] = {}
        self._ready: dict[Item, None] = {}

    def add(self, file: FileDescription, fd: int, events: int, data: int) -> None:
        """Watch a descriptor.

        Raises: EPERM (a file without a queue), EINVAL (itself, or EPOLLEXCLUSIVE misused), EEXIST, ELOOP.
        """
        if file.queue is None:
            raise EPERM
        if file is self:
            raise EINVAL
        if events & EPOLLEXCLUSIVE and (isinstance(file, EpollFile) or events & EPOLLONESHOT):
            raise EINVAL
        if (file, fd) in self._items:
            raise EEXIST
        if isinstance(file, EpollFile) and (file.reaches(self) or file.depth() >= MAX_DEPTH):
            raise ELOOP
        item = Item(self, file, fd, events, data)
        self._items[file, fd] = item
        if file.watches is None:
            file.watches = []
        file.watches.append(item)
        self._arm(item)

    def modify(self, file: FileDescription, fd: int, events: int, data: int) -> None:
        """Change an item's mask. Raises: EINVAL (EPOLLEXCLUSIVE), ENOENT."""
        if file is self or events & EPOLLEXCLUSIVE:
            raise EINVAL
        item = self._items.get((file, fd))
        if item is None:
            raise ENOENT
        if item.events & EPOLLEXCLUSIVE:
            raise EINVAL
        item.events = events
        item.data = data
        item.disarmed = False
        self._ready.pop(item, None)
        self._arm(item)

    def remove(self, file: FileDescription, fd: int) -> None:
        """Remove an item. Raises: ENOENT, EINVAL."""
        if file is self:
            raise EINVAL
        item = self._items.get((file, fd))
        if item is None:
            raise ENOENT
        self.drop(item)

    def _arm(self, item: Item) -> None:
        queue = item.file.queue
        assert queue is not None
        queue.register(item, item.mask)
        if item.file.readiness() & item.mask:
            self.mark(item)

    def mark(self, item: Item) -> None:
        """Put an item on the ready list; wake waiters."""
        if item not in self._ready:
            self._ready[item] = None
        assert self.queue is not None
        self.queue.notify(IN | RDNORM)

    def drop(self, item: Item) -> None:
        """Remove an item from this instance, the ready list and the watched file."""
        self._items.pop((item.file, item.fd), None)
        self._ready.pop(item, None)
        if item.file.queue is not None:
            item.file.queue.unregister(item)
        watches = item.file.watches
        if watches is not None and item in watches:
            watches.remove(item)

    def take(self, limit: int) -> list[tuple[int, int]]:
        """Return up to limit (events, data) of ready items."""
        ready = self._ready
        found: list[tuple[int, int]] = []
        again: list[Item] = []
        for item in tuple(ready):
            if len(found) == limit:
                break
            del ready[item]
            events = item.file.readiness() & item.mask
            if not events:
                continue
            found.append((events, item.data))
            if item.events & EPOLLONESHOT:
                item.disarmed = True
            elif not item.events & EPOLLET:
                again.append(item)
        for item in again:
            ready[item] = None
        return found

    def readiness(self) -> int:
        """Return IN when an item of the ready list is ready."""
        for item in tuple(self._ready):
            if item.file.readiness() & item.mask:
                return IN | RDNORM
            del self._ready[item]
        return 0

    def items(self) -> list[Item]:
        """Return all items, for /proc/PID/fdinfo."""
        return list(self._items.values())

    def depth(self) -> int:
        """Return the length of the longest chain of epoll files from this one, itself counted."""
        below = [file.depth() for file, _ in self._items if isinstance(file, EpollFile)]
        return 1 + max(below, default=0)

    def reaches(self, other: "EpollFile") -> bool:
        """Return whether this file watches other, directly or not."""
        return any(file is other or file.reaches(other) for file, _ in self._items if isinstance(file, EpollFile))

    def release(self) -> None:
        """Remove all items."""
        for item in tuple(self._items.values()):
            self.drop(item)

    def path(self) -> bytes:
        """Return the link text."""
        return b"anon_inode:[eventpoll]"
