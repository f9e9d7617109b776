"""The program's end of a terminal. Source: Linux drivers/tty/tty_io.c."""

from collections.abc import Sequence
from typing import ClassVar

from sentry_abi.errors import EAGAIN, EBADF, EIO
from sentry_abi.fcntl import O_WRONLY
from sentry_abi.ioctl import ICANON, TOSTOP, VMIN, VTIME
from sentry_tty._ioctl import tty_ioctl
from sentry_tty._ldisc import INPUT_MAX
from sentry_tty._tty import Tty
from sentry_vfs import Buffer, FileDescription, Inode, Path, UserMemory
from sentry_waiter import ERR, HUP, IN, OUT, RDNORM, WRNORM


class TtyFile(FileDescription):
    """An open terminal."""

    __slots__ = ("tty",)

    is_tty: ClassVar[bool] = True

    def __init__(self, tty: Tty, flags: int, where: Path | None, inode: Inode | None) -> None:
        """Open it; it may become the controlling terminal of a session leader without one."""
        super().__init__(flags, where, inode, tty.queue)
        self.tty = tty
        tty.control.opened(tty, flags)

    def read_wait_ns(self) -> int | None:
        """Return how long a read without input waits: VTIME when VMIN is 0, else None, without limit."""
        termios = self.tty.termios
        if termios.lflag & ICANON or termios.cc[VMIN] or not termios.cc[VTIME]:
            return None
        return termios.cc[VTIME] * 100_000_000

    def clamp(self, count: int) -> int:
        """Return the most that one read can return."""
        return min(count, INPUT_MAX)

    def read(self, bufs: list[memoryview]) -> int:
        """Read a line, or what there is. Raises: EBADF, EIO, EAGAIN; ERESTARTSYS in the background."""
        if self.flags & O_WRONLY:
            raise EBADF
        self.tty.control.check_read(self.tty)
        return self.tty.read(bufs)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Write. Raises: EBADF, EIO, EAGAIN; ERESTARTSYS in the background with TOSTOP."""
        if not self.writable:
            raise EBADF
        tty = self.tty
        if tty.hung:
            raise EIO
        if tty.termios.lflag & TOSTOP:
            tty.control.check_change(tty)
        done = 0
        for buf in bufs:
            data = bytes(buf)
            taken = tty.ldisc.write(data)
            done += taken
            if taken < len(data):
                break
        if not done and any(len(buf) for buf in bufs):
            raise EAGAIN
        return done

    def readiness(self) -> int:
        """Return the poll(2) bits that are true now."""
        tty = self.tty
        mask = OUT | WRNORM
        if tty.can_read():
            mask |= IN | RDNORM
        return mask | (HUP | ERR if tty.hung else 0)

    def ioctl(self, command: int, arg: int, mm: UserMemory) -> int:
        """Execute a terminal command: see `tty_ioctl`."""
        return tty_ioctl(self.tty, command, arg, mm)
