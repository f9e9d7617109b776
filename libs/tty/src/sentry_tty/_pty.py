"""The master of a pseudo terminal. Source: Linux drivers/tty/pty.c; pty(7)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sentry_abi import ioctl as io
from sentry_abi.errors import EAGAIN, EINVAL, EIO, ENOTTY
from sentry_tty._ioctl import tty_ioctl
from sentry_vfs import Buffer, FileDescription, Inode, Path, UserMemory, scatter
from sentry_waiter import HUP, IN, OUT, RDNORM, WRNORM, Queue

if TYPE_CHECKING:
    from sentry_tty._tty import Tty

OUTPUT_MAX: Final = 65536


class PtyMasterFile(FileDescription):
    """The end that a terminal emulator holds (`Output` of its terminal)."""

    __slots__ = ("_shown", "locked", "slaves", "tty")

    queue: Queue

    def __init__(self, flags: int, where: Path | None, inode: Inode | None) -> None:
        """Open a master; the file system then sets its terminal."""
        super().__init__(flags, where, inode, Queue())
        self._shown = bytearray()
        self.tty: Tty
        self.locked = True
        self.slaves = 0
        """How many slaves are open; -1 after the last one was closed."""

    def show(self, data: bytes) -> int:
        """Take output of the terminal."""
        taken = min(len(data), OUTPUT_MAX - len(self._shown))
        self._shown += data[:taken]
        if taken:
            self.queue.notify(IN | RDNORM)
        return taken

    def discard(self) -> None:
        """Drop output that was not read."""
        self._shown.clear()

    def read(self, bufs: list[memoryview]) -> int:
        """Read the terminal's output. Raises: EIO when the last slave is closed, EAGAIN."""
        if not self._shown:
            if self.slaves < 0:
                raise EIO
            raise EAGAIN
        done = scatter(bufs, bytes(self._shown[: sum(map(len, bufs))]))
        full = len(self._shown) >= OUTPUT_MAX
        del self._shown[:done]
        if full:
            self.tty.wakeup()
        return done

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Write the terminal's input."""
        done = 0
        for buf in bufs:
            self.tty.receive_buf(bytes(buf))
            done += len(buf)
        return done

    def readiness(self) -> int:
        """Return the poll(2) bits that are true now."""
        mask = OUT | WRNORM
        if self._shown:
            mask |= IN | RDNORM
        return mask | (HUP if self.slaves < 0 else 0)

    def slave_opened(self) -> None:
        """Count a slave."""
        self.slaves = max(self.slaves, 0) + 1

    def slave_closed(self) -> None:
        """Count one slave less; without one the master reads EIO until another is opened."""
        self.slaves -= 1
        if self.slaves == 0:
            self.slaves = -1
            self.queue.notify(IN | HUP)

    def ioctl(self, command: int, arg: int, mm: UserMemory) -> int:
        """Execute a command of a master, or one of its terminal. Raises: EFAULT, EINVAL, ENOTTY; as `tty_ioctl`."""
        if command == io.TIOCGPTN:
            mm.copy_out(arg, self.tty.index.to_bytes(4, "little"))
        elif command == io.TIOCSPTLCK:
            self.locked = mm.copy_in(arg, 4) != bytes(4)
        elif command == io.TIOCGPTLCK:
            mm.copy_out(arg, int(self.locked).to_bytes(4, "little"))
        elif command == io.FIONREAD:
            mm.copy_out(arg, len(self._shown).to_bytes(4, "little"))
        elif command == io.TIOCPKT:
            if mm.copy_in(arg, 4) != bytes(4):
                raise ENOTTY  # Differs: no packet mode
        elif command == io.TIOCSIG:
            if not 1 <= arg <= 64:
                raise EINVAL
            self.tty.control.kill_pgrp(self.tty, arg)
        else:
            return tty_ioctl(self.tty, command, arg, mm)
        return 0

    def release(self) -> None:
        """Hang up."""
        self.tty.hangup()
