"""Character devices: null, zero, full, random, urandom, tty. Source: Linux drivers/char/mem.c, random.c."""

from collections.abc import Sequence
from typing import Final

from sentry_abi.errors import EBADF, EINVAL, ENODEV, ENOSPC, ENXIO
from sentry_abi.stat import S_IFCHR, S_IFMT, makedev
from sentry_vfs import Buffer, FileDescription, Inode, Path

NULL: Final = makedev(1, 3)
ZERO: Final = makedev(1, 5)
FULL: Final = makedev(1, 7)
RANDOM: Final = makedev(1, 8)
URANDOM: Final = makedev(1, 9)
TTY: Final = makedev(5, 0)
_ZEROS: Final = bytes(1 << 18)
_RANDOM_PIECE: Final = 1 << 16


class Device(FileDescription):
    """An open device without positions."""

    __slots__ = ()

    seekable = True

    def seek(self, offset: int, whence: int) -> int:
        """Return 0."""
        del offset, whence
        return 0

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Read; pos is ignored."""
        del pos
        return self.read(bufs)

    def pwrite(self, bufs: Sequence[Buffer], pos: int) -> int:
        """Write; pos is ignored."""
        del pos
        return self.write(bufs)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Discard everything. Raises: EBADF."""
        if not self.writable:
            raise EBADF
        return sum(map(len, bufs))

    def sync(self) -> None:
        """Refuse. Raises: EINVAL."""
        raise EINVAL


class NullDevice(Device):
    """/dev/null."""

    __slots__ = ()

    def clamp(self, count: int) -> int:
        """Return 0: a read needs no buffer."""
        del count
        return 0

    def read(self, bufs: list[memoryview]) -> int:
        """Return end of file. Raises: EBADF."""
        del bufs
        if not self.readable:
            raise EBADF
        return 0


class ZeroDevice(Device):
    """/dev/zero."""

    __slots__ = ()

    def read(self, bufs: list[memoryview]) -> int:
        """Fill with zeros. Raises: EBADF."""
        if not self.readable:
            raise EBADF
        for buf in bufs:
            for at in range(0, len(buf), len(_ZEROS)):
                piece = buf[at : at + len(_ZEROS)]
                piece[:] = _ZEROS[: len(piece)]
        return sum(map(len, bufs))

    def mappable(self) -> object:
        """Return None: a mapping of it is anonymous memory."""
        return None


class FullDevice(ZeroDevice):
    """/dev/full."""

    __slots__ = ()

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Refuse. Raises: ENOSPC."""
        del bufs
        raise ENOSPC

    def mappable(self) -> object:
        """Refuse. Raises: ENODEV."""
        raise ENODEV


class RandomDevice(Device):
    """/dev/random and /dev/urandom."""

    __slots__ = ()

    def read(self, bufs: list[memoryview]) -> int:
        """Fill with the host's random bytes. Raises: EBADF."""
        if not self.readable or self.inode is None:
            raise EBADF
        random_bytes = self.inode.fs.vfs.host.random_bytes
        for buf in bufs:
            for at in range(0, len(buf), _RANDOM_PIECE):
                piece = buf[at : at + _RANDOM_PIECE]
                piece[:] = random_bytes(len(piece))
        return sum(map(len, bufs))


_DRIVERS: Final[dict[int, type[Device]]] = {
    NULL: NullDevice,
    ZERO: ZeroDevice,
    FULL: FullDevice,
    RANDOM: RandomDevice,
    URANDOM: RandomDevice,
}


def open_device(inode: Inode, where: Path, flags: int) -> FileDescription:
    """Open the device of a number. Raises: ENXIO for unknown ones."""
    if inode.mode & S_IFMT == S_IFCHR:
        driver = _DRIVERS.get(inode.rdev)
        if driver is not None:
            return driver(flags, where, inode)
    raise ENXIO
