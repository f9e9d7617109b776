"""`sentry do -t`: a terminal of the sandbox's own, shown on the host's.

The host's terminal is put into raw mode and the sandbox has its own line discipline, so that what is typed reaches the
guest's sessions unchanged: Ctrl-C is a character that our terminal turns into a signal. The sentry stays the
host's foreground group; the host's settings come back on every way out, and the window size follows.
"""

import os
import termios
import tty as host_tty
from typing import TYPE_CHECKING

from sentry.failures import UsageFailure
from sentry_auth import root_credentials
from sentry_vfs import filename_lookup
from sentry_waiter import ERR, HUP, IN, OUT, Entry, Queue

if TYPE_CHECKING:
    from sentry.kernel.kernel import Kernel
    from sentry_tty import Tty
    from sentry_vfs import FDTable, FSContext

PIECE = 4096


class Console(Entry):
    """The host's terminal behind a terminal of the sandbox: input brought in, output shown (`sentry_tty.Output`)."""

    __slots__ = ("_before", "_kernel", "_queue", "_waiting", "tty")

    def __init__(self, kernel: "Kernel") -> None:
        """Take the host's terminal, on descriptors 0 and 1.

        Raises: UsageFailure if one of them is none.
        """
        if not (os.isatty(0) and os.isatty(1)):
            message = "-t needs a terminal on standard input and output"
            raise UsageFailure(message)
        self._kernel = kernel
        self._queue = Queue()
        self._waiting = False
        self._before = termios.tcgetattr(0)
        self.tty: Tty

    def start(self, files: "FDTable", fs: "FSContext") -> None:
        """Make the sandbox's terminal, install it as descriptors 0 to 2, and begin to read."""
        kernel = self._kernel
        devpts = kernel.terminals.devpts
        assert devpts is not None
        inode = devpts.add_host(self, os.getuid(), os.getgid())
        self.tty = inode.tty
        self.resized()
        where = filename_lookup(None, b"/dev/pts/%d" % self.tty.index, fs, root_credentials())
        file = inode.open(where, os.O_RDWR | os.O_NOCTTY)
        for fd in range(3):
            files.install_at(file, fd)
        host_tty.setraw(0)
        self._queue.register(self, IN | OUT | HUP | ERR)
        kernel.watcher.watch(0, IN, self._queue)

    def stop(self) -> None:
        """Restore the settings of the host's terminal."""
        termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def resized(self) -> None:
        """Set the size of the terminal to that of the host's window."""
        size = os.get_terminal_size(0)
        self.tty.set_winsize(size.lines.to_bytes(2, "little") + size.columns.to_bytes(2, "little") + bytes(4))

    def notify(self, queue: Queue, mask: int) -> None:
        """Queue callback: the host's terminal has input, or takes output again."""
        del queue
        if mask & OUT and self._waiting:
            self._waiting = False
            self.tty.wakeup()
        if mask & (IN | HUP | ERR):
            try:
                data = os.read(0, PIECE)
            except OSError:
                data = b""
            if not data:
                self.tty.hangup()
                return
            self.tty.receive_buf(data)
        self._kernel.watcher.watch(0, IN | OUT if self._waiting else IN, self._queue)

    def discard(self) -> None:
        """Do nothing: written output is the host's."""

    def show(self, data: bytes) -> int:
        """Write to the host's terminal."""
        done = 0
        while done < len(data):
            try:
                done += os.write(1, data[done : done + PIECE])
            except BlockingIOError:
                self._waiting = True
                self._kernel.watcher.watch(0, IN | OUT, self._queue)
                break
            except OSError:
                return len(data)
        return done
