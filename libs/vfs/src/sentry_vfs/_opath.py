"""Descriptions opened with O_PATH. Source: Linux fs/open.c, open(2)."""

from collections.abc import Sequence
from typing import ClassVar

from sentry_abi.errors import EBADF
from sentry_vfs._buffers import Buffer
from sentry_vfs._file import FileDescription, UserMemory
from sentry_waiter import NVAL


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

    def ioctl(self, command: int, arg: int, mm: UserMemory) -> int:
        """Refuse. Raises: EBADF."""
        raise EBADF

    def entries(self) -> "list[tuple[bytes, int, int]]":
        """Refuse. Raises: EBADF."""
        raise EBADF

    def mappable(self) -> object:
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
