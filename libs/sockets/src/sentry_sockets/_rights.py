"""Descriptions in messages, and the garbage collector of sockets that only such messages hold.

A socket sent through itself, or two through each other, keep each other alive by their counts. `Flight` counts for
each unix socket how many of its references are in messages. When all of them are, the socket is a candidate; a
candidate is kept if a message that holds it is in a socket that is reached from outside, and so on from there; the
messages of all others are dropped. The search runs when a unix socket is closed while any is in a message, and costs as
much as there is in messages.

Source: Linux net/unix/garbage.c (unix_gc, before 6.10).
"""

from collections.abc import Iterable

from sentry_vfs import FileDescription


class Holder(FileDescription):
    """A socket that may hold messages and be held by them."""

    __slots__ = ()

    def held_files(self) -> list[FileDescription]:
        """Return the descriptions in messages that were not received."""
        raise NotImplementedError

    def drop_messages(self) -> None:
        """Drop all messages that were not received."""
        raise NotImplementedError


class Flight:
    """All references in messages."""

    __slots__ = ("_busy", "_sockets")

    def __init__(self) -> None:
        """Begin with none."""
        self._sockets: dict[Holder, int] = {}
        self._busy = False

    def __len__(self) -> int:
        """Return how many sockets are in messages."""
        return len(self._sockets)

    def attach_fds(self, files: Iterable[FileDescription]) -> None:
        """Count one reference of each file for a message (unix_attach_fds)."""
        for file in files:
            file.refs += 1
            if isinstance(file, Holder):
                self._sockets[file] = self._sockets.get(file, 0) + 1

    def detach_fds(self, files: Iterable[FileDescription]) -> None:
        """Give the references of a message to its receiver (unix_detach_fds)."""
        sockets = self._sockets
        for file in files:
            if isinstance(file, Holder):
                left = sockets[file] - 1
                if left:
                    sockets[file] = left
                else:
                    del sockets[file]

    def destruct_fds(self, files: Iterable[FileDescription]) -> None:
        """Drop the references of a message that was not received (unix_destruct_scm)."""
        files = tuple(files)
        self.detach_fds(files)
        for file in files:
            file.decref()

    def gc(self) -> int:
        """Drop the messages of sockets that cannot be reached; return how many sockets those are (unix_gc)."""
        if self._busy or not self._sockets:
            return 0
        inside = {socket: count for socket, count in self._sockets.items() if count == socket.refs}
        if not inside:
            return 0
        outside = dict(inside)
        for holder in inside:
            for file in _sockets_in(holder):
                if file in outside:
                    outside[file] -= 1
        reached = [socket for socket, count in outside.items() if count]
        for socket in reached:
            del inside[socket]
        while reached:
            found = [file for file in _sockets_in(reached.pop()) if inside.pop(file, 0)]
            reached += found
        self._busy = True
        try:
            for socket in inside:
                socket.drop_messages()
        finally:
            self._busy = False
        return len(inside)


def _sockets_in(holder: Holder) -> list[Holder]:
    """Return the sockets in messages of holder."""
    return [file for file in holder.held_files() if isinstance(file, Holder)]
