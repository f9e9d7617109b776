"""A terminal (struct tty_struct): its line discipline, its size, its session, and what it needs of the kernel.

A `Tty` is between a program (the slave, `TtyFile`) and what displays it: the master of a pseudo terminal
(`PtyMasterFile`) or a terminal of the host.

Source: Linux drivers/tty/tty_io.c, tty_jobctrl.c.
"""

from typing import Protocol

from sentry_abi.errors import EINVAL
from sentry_abi.signal import SIGWINCH
from sentry_abi.structs import TERMIOS
from sentry_tty._ldisc import LineDiscipline, Output, Termios
from sentry_waiter import ERR, HUP, IN, OUT, RDNORM, WRNORM, Queue

__all__ = ["JobControl", "Output", "Session", "Tty"]


class Session(Protocol):
    """The session that a terminal controls."""

    sid: int


class JobControl(Protocol):
    """What a terminal needs of sessions and process groups. "The caller" is the process whose call is under way."""

    def kill_pgrp(self, tty: "Tty", signo: int) -> None:
        """Signal the foreground process group."""
        ...

    def check_read(self, tty: "Tty") -> None:
        """Check that the caller is in the foreground (job_control). Raises: EIO, ERESTARTSYS after SIGTTIN."""
        ...

    def check_change(self, tty: "Tty") -> None:
        """Check that the caller may write or change settings (tty_check_change).

        Raises: EIO, ERESTARTSYS after SIGTTOU.
        """
        ...

    def opened(self, tty: "Tty", flags: int) -> None:
        """Make the terminal the controlling one of a session leader without one, unless O_NOCTTY."""
        ...

    def disassociate(self, tty: "Tty") -> None:
        """Take a terminal that was hung up from its session: SIGHUP and SIGCONT."""
        ...

    def tiocsctty(self, tty: "Tty", *, steal: bool) -> None:
        """Make the terminal the controlling one of the caller's session. Raises: EPERM."""
        ...

    def tiocnotty(self, tty: "Tty") -> None:
        """Give up the caller's controlling terminal. Raises: ENOTTY."""
        ...

    def tiocgpgrp(self, tty: "Tty") -> int:
        """Return the foreground process group. Raises: ENOTTY."""
        ...

    def tiocgsid(self, tty: "Tty") -> int:
        """Return the session id. Raises: ENOTTY."""
        ...

    def check_tiocspgrp(self, tty: "Tty") -> None:
        """Check that the caller may change the foreground. Raises: ENOTTY, EIO, ERESTARTSYS."""
        ...

    def tiocspgrp(self, tty: "Tty", pgid: int) -> None:
        """Set the foreground process group. Raises: ESRCH, EPERM."""
        ...

    def tiocgptpeer(self, tty: "Tty", flags: int) -> int:
        """Open the slave for the caller; return the descriptor. Raises: EIO, EMFILE."""
        ...


class Tty:
    """One terminal."""

    __slots__ = ("control", "foreground", "hung", "index", "ldisc", "queue", "session", "winsize")

    def __init__(self, index: int, control: JobControl, output: Output) -> None:
        """Make a terminal with the settings of a new one."""
        self.index = index
        self.control = control
        self.ldisc = LineDiscipline(output)
        self.queue = Queue()
        self.winsize = bytes(8)
        self.session: Session | None = None
        self.foreground = 0
        """The foreground process group, 0 for none."""
        self.hung = False

    @property
    def termios(self) -> Termios:
        """The settings."""
        return self.ldisc.termios

    # the side of the device

    def receive_buf(self, data: bytes) -> None:
        """Take input of the device."""
        for signo in self.ldisc.receive_buf(data):
            self.control.kill_pgrp(self, signo)
        if self.ldisc.has_input():
            self.queue.notify(IN | RDNORM)

    def wakeup(self) -> None:
        """Output callback: the device takes output again (tty_wakeup)."""
        self.ldisc.flush_echoes()
        self.queue.notify(OUT | WRNORM)

    def hangup(self) -> None:
        """Cut the line: reads return 0, writes fail, the session loses its terminal."""
        if not self.hung:
            self.hung = True
            self.ldisc.flush(0)
            self.control.disassociate(self)
            self.queue.notify(IN | OUT | HUP | ERR | RDNORM | WRNORM)

    # the side of programs

    def can_read(self) -> bool:
        """Return whether a read would return at once."""
        return self.hung or self.ldisc.input_available()

    def read(self, bufs: list[memoryview]) -> int:
        """Move input into bufs: a line, or what there is. Raises: EAGAIN."""
        return self.ldisc.read(bufs, hung=self.hung)

    def set_termios(self, raw: bytes) -> None:
        """Set struct termios."""
        self.ldisc.set_termios(Termios(*TERMIOS.unpack(raw)))
        if self.can_read():
            self.queue.notify(IN | RDNORM)

    def set_winsize(self, raw: bytes) -> None:
        """Set struct winsize; a change is SIGWINCH for the foreground (tty_do_resize)."""
        if raw != self.winsize:
            self.winsize = raw
            self.control.kill_pgrp(self, SIGWINCH)

    def flush(self, which: int) -> None:
        """Drop input (0), output (1) or both (2). Raises: EINVAL."""
        if which not in (0, 1, 2):
            raise EINVAL
        self.ldisc.flush(which)
