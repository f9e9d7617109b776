"""What the loader needs of a file."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sentry_mm import Mappable


class ExecFile(Protocol):
    """A regular file that may be executed: its opener has checked that."""

    @property
    def where(self) -> object:
        """The name of its mappings, for /proc."""
        ...

    def pread(self, size: int, offset: int) -> bytes:
        """Return at most size bytes at offset; fewer only at the end of the file. Raises: LinuxError."""
        ...

    def mappable(self) -> "Mappable":
        """Return the file as something to be mapped. Raises: ENODEV."""
        ...

    def identity(self) -> tuple[int, int, int, int]:
        """Return device, inode, time of change in nanoseconds and size: equal as long as the content is the same."""
        ...
