"""Descriptor tables.

A table owns one reference of each description in it. `_hint` is a lower bound of the lowest free number, so that
filling a table is linear. CLONE_FILES shares the object and counts `users`; the last one closes everything.

Source: Linux fs/file.c.
"""

from collections.abc import Iterator
from typing import Final

from sentry_abi.errors import EBADF, EINVAL, EMFILE
from sentry_vfs._file import FileDescription

NR_OPEN: Final = 1 << 20
"""Largest RLIMIT_NOFILE (fs.nr_open): the most descriptors of a table."""


class FDTable:
    """Open file descriptions by small number."""

    __slots__ = ("_cloexec", "_files", "_hint", "users")

    def __init__(self) -> None:
        """Make an empty table with one user."""
        self._files: list[FileDescription | None] = []
        self._cloexec: set[int] = set()
        self._hint = 0
        self.users = 1

    def get(self, register: int) -> FileDescription:
        """Return the description of a descriptor, of which the low 32 bits count (fdget).

        Raises: EBADF, also for one that was opened with O_PATH.
        """
        fd = register & 0xFFFF_FFFF
        files = self._files
        if fd < len(files):
            file = files[fd]
            if file is not None and not file.is_place:
                return file
        raise EBADF

    def get_any(self, register: int) -> FileDescription:
        """Return the description, also one that was opened with O_PATH (fdget_raw). Raises: EBADF."""
        fd = register & 0xFFFF_FFFF
        files = self._files
        if fd < len(files):
            file = files[fd]
            if file is not None:
                return file
        raise EBADF

    def install(self, file: FileDescription, minimum: int = 0, cloexec: bool = False, limit: int = NR_OPEN) -> int:  # noqa: FBT001, FBT002  (a flag of the call)
        """Install file at the lowest free number from minimum on; return the number.

        Raises: EINVAL (minimum negative or not below limit), EMFILE (no number below limit is free).
        """
        if minimum < 0:
            raise EINVAL
        files = self._files
        fd = max(minimum, self._hint)
        count = len(files)
        while fd < count and files[fd] is not None:
            fd += 1
        if fd >= limit:
            raise EMFILE
        if fd >= count:
            files.extend([None] * (fd + 1 - count))
        files[fd] = file
        file.refs += 1
        if minimum <= self._hint:
            self._hint = fd + 1
        if cloexec:
            self._cloexec.add(fd)
        return fd

    def is_full(self, limit: int) -> bool:
        """Return whether no number below limit is free."""
        files = self._files
        return len(files) >= limit and None not in files[self._hint : limit]

    def install_at(self, file: FileDescription, fd: int, cloexec: bool = False, limit: int = NR_OPEN) -> None:  # noqa: FBT001, FBT002  (a flag of the call)
        """Install file at a given number; a description there is closed.

        Raises: EBADF (negative or not below limit).
        """
        if not 0 <= fd < limit:
            raise EBADF
        files = self._files
        if fd >= len(files):
            files.extend([None] * (fd + 1 - len(files)))
        before = files[fd]
        file.refs += 1
        files[fd] = file
        if cloexec:
            self._cloexec.add(fd)
        else:
            self._cloexec.discard(fd)
        if before is not None:
            self._drop(before)

    def close(self, fd: int) -> None:
        """Free a number and drop the table's reference.

        Raises: EBADF.
        """
        file = self.get_any(fd)
        self._files[fd] = None
        self._cloexec.discard(fd)
        self._hint = min(self._hint, fd)
        self._drop(file)

    def _drop(self, file: FileDescription) -> None:
        inode = file.inode
        if inode is not None and inode.locks is not None:
            inode.locks.drop(self)
        file.decref()

    def cloexec(self, fd: int) -> bool:
        """Return whether a descriptor is closed by execve. Raises: EBADF."""
        self.get_any(fd)
        return fd in self._cloexec

    def set_cloexec(self, fd: int, on: bool = True) -> None:  # noqa: FBT001, FBT002  (the flag is the value)
        """Set whether execve closes a descriptor. Raises: EBADF."""
        self.get_any(fd)
        if on:
            self._cloexec.add(fd)
        else:
            self._cloexec.discard(fd)

    def fork(self) -> "FDTable":
        """Return a table of its own with the same descriptions under the same numbers."""
        copy = FDTable()
        copy._files = list(self._files)
        copy._cloexec = set(self._cloexec)
        copy._hint = self._hint
        for file in self._files:
            if file is not None:
                file.refs += 1
        return copy

    def close_on_exec(self) -> None:
        """Close the close-on-exec descriptors."""
        for fd in sorted(self._cloexec):
            self.close(fd)

    def close_range(self, first: int, last: int) -> None:
        """Close all descriptors from first to last."""
        for fd in range(first, min(last + 1, len(self._files))):
            if self._files[fd] is not None:
                self.close(fd)

    def close_all(self) -> None:
        """Close every descriptor."""
        self.close_range(0, len(self._files))
        self._files.clear()
        self._hint = 0

    def release(self) -> None:
        """Count one user less; the last one closes everything."""
        self.users -= 1
        if self.users == 0:
            self.close_all()

    def __iter__(self) -> Iterator[tuple[int, FileDescription]]:
        """Yield (number, description) in rising order."""
        for fd, file in enumerate(tuple(self._files)):
            if file is not None:
                yield fd, file

    def __len__(self) -> int:
        """Return how many descriptors are open."""
        return sum(file is not None for file in self._files)
