"""Descriptions in messages, and the collector of those that only such messages hold.

A socket sent through itself, or two through each other, keep each other alive by their counts. `Flight` counts for
each unix socket how many of its references lie in messages. When all of them do, the socket is a candidate; a
candidate is kept if some message holding it lies in a socket that is reached from outside, and so on from there;
the messages of all others are thrown away. The search runs when a unix socket is closed while any is on its way, and
costs as much as there is on its way.

Source: Linux net/unix/garbage.c (unix_gc, before 6.10).
"""

from collections.abc import Iterable

from sentry_vfs import FileDescription


class Holder(FileDescription):
    """A socket that may hold messages and be held by them."""

    __slots__ = ()

    def held_files(self) -> list[FileDescription]:
        """Return the descriptions in messages that nobody has received."""
        raise NotImplementedError

    def drop_messages(self) -> None:
        """Throw away all messages that nobody has received."""
        raise NotImplementedError


class Flight:
    """All references that lie in messages."""

    __slots__ = ("_busy", "_sockets")

    def __init__(self) -> None:
        """Begin with none."""
        self._sockets: dict[Holder, int] = {}
        self._busy = False

    def __len__(self) -> int:
        """Return how many sockets are on their way."""
        return len(self._sockets)

    def launch(self, files: Iterable[FileDescription]) -> None:
        """Count one reference of each file for a message."""
        for file in files:
            file.refs += 1
            if isinstance(file, Holder):
                self._sockets[file] = self._sockets.get(file, 0) + 1

    def land(self, files: Iterable[FileDescription]) -> None:
        """Give the references of a message to who received it."""
        sockets = self._sockets
        for file in files:
            if isinstance(file, Holder):
                left = sockets[file] - 1
                if left:
                    sockets[file] = left
                else:
                    del sockets[file]

    def sink(self, files: Iterable[FileDescription]) -> None:
        """Drop the references of a message that nobody will receive."""
        files = tuple(files)
        self.land(files)
        for file in files:
            file.decref()

    def collect(self) -> int:
        """Throw away the messages of sockets that nobody can reach; return how many sockets that was."""
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
    """Return the sockets in messages that lie in holder."""
    return [file for file in holder.held_files() if isinstance(file, Holder)]
