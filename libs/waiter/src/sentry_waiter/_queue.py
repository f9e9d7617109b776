"""Readiness masks and wait queues: the one way to wait in the kernel.

An object that can become ready owns a `Queue`. A waiter registers an `Entry` with a mask of poll(2) bits; a change
of the object calls `Queue.notify` with the bits that may have become true. A notification is a hint: the waiter
checks again, and nothing is handed over. All operations are O(1) in the number of entries, except notify, which is
O(entries notified). Entries are notified in the order in which they registered.

An `Entry` is an object with a method and not a callback, so that a wait is a record that can be saved.
"""

from typing import Final

IN: Final = 0x001
PRI: Final = 0x002
OUT: Final = 0x004
ERR: Final = 0x008
HUP: Final = 0x010
NVAL: Final = 0x020
RDNORM: Final = 0x040
RDBAND: Final = 0x080
WRNORM: Final = 0x100
WRBAND: Final = 0x200
MSG: Final = 0x400
RDHUP: Final = 0x2000

READABLE: Final = IN | RDNORM
WRITABLE: Final = OUT | WRNORM
ALWAYS: Final = ERR | HUP
"""Bits that poll(2) and epoll(7) report whether requested or not."""


class Entry:
    """One listener; it may be in several queues at once. Subclass and define `notify`."""

    __slots__ = ()

    def notify(self, queue: "Queue", mask: int) -> None:
        """Take a notification: some of the bits of mask, all of them requested, may now be true of the queue's owner.

        Must only take note (queue a task, mark an item): it runs in the middle of the owner's operation.
        """
        message = f"{type(self).__name__} is in a wait queue and has no notify"
        raise NotImplementedError(message)


class Queue:
    """The listeners of one object."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        """Make an empty queue."""
        self._entries: dict[Entry, int] = {}

    def register(self, entry: Entry, mask: int) -> None:
        """Notify entry of the bits in mask from now on; an entry already here gets the new mask and keeps its place."""
        self._entries[entry] = mask

    def unregister(self, entry: Entry) -> None:
        """Remove entry; nothing happens if it is not here."""
        self._entries.pop(entry, None)

    def notify(self, mask: int) -> None:
        """Notify every entry whose mask overlaps, in order of registration; entries may come and go."""
        entries = self._entries
        if entries:
            for entry, wanted in tuple(entries.items()):
                if wanted & mask:
                    entry.notify(self, wanted & mask)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def __bool__(self) -> bool:
        """Return whether there are entries."""
        return bool(self._entries)
