"""Terminals: the line discipline, and the two ends that programs hold.

A `Tty` stands between a program (the slave, `TtyFile`) and whatever shows it: the master of a pseudo terminal
(`MasterFile`) or a terminal of the host. Input goes through `receive`: special characters become signals, lines are
edited and echoed; output goes through `send`: newlines are widened. Who may read and write, and who is signalled, is
job control: that needs sessions and process groups, so a `JobControl` from above decides.

Source: Linux drivers/tty/n_tty.c, tty_io.c, tty_jobctrl.c, pty.c; termios(3), ioctl_tty(2), pty(7).
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Protocol

from sentry_abi import ioctl as io
from sentry_abi.errors import EAGAIN, EBADF, EINVAL, EIO, ENOTTY
from sentry_abi.fcntl import O_WRONLY
from sentry_abi.ioctl import (
    ECHO,
    ECHOCTL,
    ECHOE,
    ECHONL,
    ICANON,
    ICRNL,
    IEXTEN,
    IGNCR,
    INLCR,
    ISIG,
    ISTRIP,
    NOFLSH,
    ONLCR,
    OPOST,
    TOSTOP,
    VEOF,
    VEOL,
    VEOL2,
    VERASE,
    VINTR,
    VKILL,
    VLNEXT,
    VMIN,
    VQUIT,
    VREPRINT,
    VSUSP,
    VTIME,
    VWERASE,
)
from sentry_abi.signal import SIGINT, SIGQUIT, SIGTSTP, SIGWINCH
from sentry_abi.structs import TERMIOS, WINSIZE
from sentry_vfs._buffers import Buffer, scatter
from sentry_vfs._file import FileDescription
from sentry_waiter import ERR, HUP, IN, OUT, RDNORM, WRNORM, Queue

LINE_MAX: Final = 4095
"""Characters of one line; the rest of a longer one is dropped, its newline is not."""
INPUT_MAX: Final = 65536
OUTPUT_MAX: Final = 65536

INITIAL: Final = (
    0o2400,  # ICRNL | IXON
    0o5,  # OPOST | ONLCR
    0o277,  # B38400 | CS8 | CREAD
    0o105073,  # ISIG ICANON ECHO ECHOE ECHOK ECHOCTL ECHOKE IEXTEN
    0,
    bytes([3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0]),
)
"""struct termios of a new terminal (tty_std_termios)."""


class JobControl(Protocol):
    """What a terminal asks of the kernel about the process that uses it."""

    def signal(self, tty: "Tty", signo: int) -> None:
        """Signal the foreground process group."""
        ...

    def may_read(self, tty: "Tty") -> None:
        """Check that the caller is in the foreground. Raises: EIO, or a restart after SIGTTIN."""
        ...

    def may_write(self, tty: "Tty") -> None:
        """Check that a background caller may write or change settings. Raises: EIO, or a restart after SIGTTOU."""
        ...

    def command(self, tty: "Tty", command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (the memory manager)
        """Do an ioctl about sessions and groups. Raises: ENOTTY if it is none."""
        ...

    def opened(self, tty: "Tty", flags: int) -> None:
        """Let a session leader without a terminal take this one, unless O_NOCTTY."""
        ...

    def hung_up(self, tty: "Tty") -> None:
        """Tell the session that its terminal is gone: SIGHUP and SIGCONT."""
        ...


class Output(Protocol):
    """Where a terminal's output goes."""

    def show(self, data: bytes) -> int:
        """Take output; return how many bytes were taken, fewer when there is no room now."""
        ...

    def discard(self) -> None:
        """Forget output that nobody has seen yet."""
        ...


class Tty:
    """One terminal: settings, input on its way to programs, and where output goes."""

    __slots__ = (
        "_column",
        "_edit",
        "_lines",
        "_literal",
        "_owed",
        "control",
        "foreground",
        "hung",
        "index",
        "output",
        "packet",
        "queue",
        "session",
        "termios",
        "winsize",
    )

    def __init__(self, index: int, control: JobControl, output: Output) -> None:
        """Make a terminal with the settings of a new one."""
        self.index = index
        self.control = control
        self.output = output
        self.queue = Queue()
        self.termios: tuple[Any, ...] = INITIAL
        self.winsize = bytes(8)
        self.session: Any = None
        self.foreground = 0
        """Process group in the foreground, 0 for none."""
        self.hung = False
        self.packet = False
        self._lines = bytearray()
        """Input that can be read; in canonical mode whole lines, with EOF as a mark in `_edit`'s way of ending one."""
        self._edit = bytearray()
        self._literal = False
        self._owed = b""
        """Echo that the output had no room for."""
        self._column = 0

    # -- input

    def receive(self, data: bytes) -> None:
        """Take what was typed."""
        iflag, lflag = self.termios[0], self.termios[3]
        if not (lflag & (ISIG | ICANON | ECHO) or iflag & (ISTRIP | INLCR | IGNCR | ICRNL)):
            self._lines += data[: INPUT_MAX - len(self._lines)]
        else:
            for byte in data:
                self._take(byte)
        self._flush_echo()
        if self._lines:
            self.queue.notify(IN | RDNORM)

    def _take(self, byte: int) -> None:
        iflag, _, _, lflag, _, cc = self.termios
        if iflag & ISTRIP:
            byte &= 0x7F
        if self._literal:
            self._literal = False
            self._append(byte)
            return
        if byte == 13:
            if iflag & IGNCR:
                return
            if iflag & ICRNL:
                byte = 10
        elif byte == 10 and iflag & INLCR:
            byte = 13
        if lflag & ISIG and byte and byte in (cc[VINTR], cc[VQUIT], cc[VSUSP]):
            self._signal(byte)
        elif lflag & ICANON:
            self._edit_line(byte)
        else:
            self._append(byte)

    def _signal(self, byte: int) -> None:
        _, _, _, lflag, _, cc = self.termios
        if not lflag & NOFLSH:
            self.flush(2)
        self._echo(byte)
        self.control.signal(self, SIGINT if byte == cc[VINTR] else SIGQUIT if byte == cc[VQUIT] else SIGTSTP)

    def _append(self, byte: int) -> None:
        lflag = self.termios[3]
        target = self._edit if lflag & ICANON else self._lines
        if len(target) >= (LINE_MAX if lflag & ICANON else INPUT_MAX):
            self._show(b"\a")
            return
        target.append(byte)
        self._echo(byte)

    def _edit_line(self, byte: int) -> None:
        _, _, _, lflag, _, cc = self.termios
        edit = self._edit
        if byte and byte == cc[VERASE]:
            self._erase(1)
        elif byte and byte == cc[VKILL]:
            self._erase(len(edit))
        elif byte and byte == cc[VWERASE] and lflag & IEXTEN:
            text = bytes(edit).rstrip(b" \t")
            self._erase(len(edit) - max(text.rfind(b" "), text.rfind(b"\t")) - 1)
        elif byte and byte == cc[VLNEXT] and lflag & IEXTEN:
            self._literal = True
            self._show(b"^\b")
        elif byte and byte == cc[VREPRINT] and lflag & IEXTEN:
            self._echo(byte)
            self._show(b"\r\n" + self._visible(bytes(edit)))
        elif byte and byte == cc[VEOF]:
            self._complete(bytes(edit), _EOF)
        elif byte == 10 or (byte and byte in (cc[VEOL], cc[VEOL2])):
            if lflag & (ECHO | ECHONL) and byte == 10:
                self._show(b"\r\n" if self.termios[1] & OPOST else b"\n")
            else:
                self._echo(byte)
            self._complete(bytes(edit) + bytes([byte]), b"")
        else:
            self._append(byte)

    def _complete(self, line: bytes, mark: bytes) -> None:
        """Make a line readable: kept as length, a flag for end of file, and text, so that reads stop at its end."""
        self._edit.clear()
        if len(self._lines) < INPUT_MAX:
            self._lines += len(line).to_bytes(4, "little") + (mark or b"\0") + line

    def _erase(self, count: int) -> None:
        edit, lflag = self._edit, self.termios[3]
        for _ in range(min(count, len(edit))):
            byte = edit.pop()
            # A character of several bytes goes as one.
            while byte & 0xC0 == 0x80 and edit:
                byte = edit.pop()
            if lflag & ECHO and lflag & ECHOE:
                self._show(b"\b \b" * (2 if byte < 32 and lflag & ECHOCTL else 1))
            if not edit:
                break

    def _visible(self, data: bytes) -> bytes:
        if not self.termios[3] & ECHOCTL:
            return data
        return b"".join(
            b"^" + bytes([b ^ 64]) if (b < 32 and b not in (9, 10)) or b == 127 else bytes([b]) for b in data
        )

    def _echo(self, byte: int) -> None:
        if self.termios[3] & ECHO:
            self._show(self._visible(bytes([byte])))

    def _show(self, data: bytes) -> None:
        if len(self._owed) < OUTPUT_MAX:
            self._owed += data

    def _flush_echo(self) -> None:
        if self._owed:
            self._owed = self._owed[self.output.show(self._owed) :]

    # -- what programs read

    def available(self) -> int:
        """Return how many bytes a read could return now; an end of file counts as readable but has none."""
        if not self.termios[3] & ICANON:
            return len(self._lines)
        return int.from_bytes(self._lines[:4], "little")

    def can_read(self) -> bool:
        """Return whether a read would not wait."""
        if self.termios[3] & ICANON:
            return bool(self._lines) or self.hung
        return len(self._lines) >= max(self.termios[5][VMIN], 1) or self.hung

    def take(self, bufs: list[memoryview]) -> int:
        """Move input into bufs: one line, or what is there. Raises: EAGAIN."""
        size = sum(map(len, bufs))
        if self.termios[3] & ICANON:
            return self._take_line(bufs, size)
        wanted = self.termios[5][VMIN]
        if len(self._lines) < min(max(wanted, 1), size) and not self.hung:
            if wanted == 0 and self.termios[5][VTIME] == 0:
                return 0
            raise EAGAIN
        done = scatter(bufs, bytes(self._lines[:size]))
        del self._lines[:done]
        return done

    def _take_line(self, bufs: list[memoryview], size: int) -> int:
        lines = self._lines
        if not lines:
            if self.hung:
                return 0
            raise EAGAIN
        length = int.from_bytes(lines[:4], "little")
        done = scatter(bufs, bytes(lines[5 : 5 + min(length, size)]))
        if done == length:
            del lines[: 5 + length]
        else:
            lines[:4] = (length - done).to_bytes(4, "little")
            del lines[5 : 5 + done]
        return done

    # -- output

    def send(self, data: bytes) -> int:
        """Show what a program wrote; return how many of its bytes were taken, 0 if there is no room."""
        self._flush_echo()
        if self._owed:
            return 0
        oflag = self.termios[1]
        if not oflag & OPOST or not oflag & ONLCR or b"\n" not in data:
            return self.output.show(data)
        done = 0
        for line in data.splitlines(keepends=True) if b"\r" not in data else _lines(data):
            wide = line[:-1] + b"\r\n" if line.endswith(b"\n") else line
            taken = self.output.show(wide)
            if taken < len(wide):
                if taken == len(wide) - 1 and wide.endswith(b"\n"):
                    self._owed = b"\n"
                    return done + len(line)
                return done + taken
            done += len(line)
        return done

    def room(self) -> None:
        """Be told that the output can take more."""
        self._flush_echo()
        self.queue.notify(OUT | WRNORM)

    # -- settings

    def set_termios(self, raw: bytes) -> None:
        """Take struct termios; a change of canonical mode turns waiting input into the other form."""
        before = self.termios[3] & ICANON
        self.termios = TERMIOS.unpack(raw)
        after = self.termios[3] & ICANON
        if before and not after:
            text = bytearray()
            while self._lines:
                length = int.from_bytes(self._lines[:4], "little")
                text += self._lines[5 : 5 + length]
                del self._lines[: 5 + length]
            self._lines = text + self._edit
            self._edit = bytearray()
        elif after and not before and self._lines:
            line = bytes(self._lines)
            self._lines.clear()
            self._complete(line, b"")
        if self.can_read():
            self.queue.notify(IN | RDNORM)

    def set_winsize(self, raw: bytes) -> None:
        """Take struct winsize; the foreground is told when it changes."""
        if raw != self.winsize:
            self.winsize = raw
            self.control.signal(self, SIGWINCH)

    def flush(self, which: int) -> None:
        """Forget input (0), output (1) or both (2). Raises: EINVAL."""
        if which not in (0, 1, 2):
            raise EINVAL
        if which != 1:
            self._lines.clear()
            self._edit.clear()
        if which != 0:
            self._owed = b""
            self.output.discard()

    def hang_up(self) -> None:
        """Cut the line: reads end, writes fail, the session is told."""
        if not self.hung:
            self.hung = True
            self.flush(0)
            self.control.hung_up(self)
            self.queue.notify(IN | OUT | HUP | ERR | RDNORM | WRNORM)


_EOF: Final = b"\1"


def _lines(data: bytes) -> list[bytes]:
    """Split behind newlines alone."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


class TtyFile(FileDescription):
    """The program's end of a terminal."""

    __slots__ = ("tty",)

    is_tty: ClassVar[bool] = True

    def __init__(self, tty: Tty, flags: int, where: Any, inode: Any) -> None:  # noqa: ANN401  (Path and Inode)
        """Open it; a session leader without a terminal may get it."""
        super().__init__(flags, where, inode, tty.queue)
        self.tty = tty
        tty.control.opened(tty, flags)

    def read_wait_ns(self) -> int | None:
        """Return how long a read that finds nothing waits: for ever, or VTIME when VMIN is 0."""
        cc = self.tty.termios[5]
        if self.tty.termios[3] & ICANON or cc[VMIN] or not cc[VTIME]:
            return None
        return int(cc[VTIME]) * 100_000_000

    def clamp(self, count: int) -> int:
        """Return what one read can give at most."""
        return min(count, INPUT_MAX)

    def read(self, bufs: list[memoryview]) -> int:
        """Read a line or what is there. Raises: EBADF, EIO, EAGAIN; a restart when stopped in the background."""
        if self.flags & O_WRONLY:
            raise EBADF
        self.tty.control.may_read(self.tty)
        return self.tty.take(bufs)

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Show. Raises: EBADF, EIO, EAGAIN; a restart when stopped in the background with TOSTOP."""
        if not self.writable:
            raise EBADF
        tty = self.tty
        if tty.hung:
            raise EIO
        if tty.termios[3] & TOSTOP:
            tty.control.may_write(tty)
        done = 0
        for buf in bufs:
            data = bytes(buf)
            taken = tty.send(data)
            done += taken
            if taken < len(data):
                break
        if not done and any(len(buf) for buf in bufs):
            raise EAGAIN
        return done

    def readiness(self) -> int:
        """Return what can be done now."""
        tty = self.tty
        mask = OUT | WRNORM
        if tty.can_read():
            mask |= IN | RDNORM
        return mask | (HUP | ERR if tty.hung else 0)

    def ioctl(self, command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (the memory manager of the floor beside)
        """Do a terminal command; see `tty_ioctl`."""
        return tty_ioctl(self.tty, command, arg, mm)


def tty_ioctl(tty: Tty, command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (the memory manager of the floor beside)
    """Do a terminal command from either end. Raises: EFAULT, EINVAL, EIO, ENOTTY; a restart for the background."""
    if command == io.TCGETS:
        mm.copy_out(arg, TERMIOS.pack(*tty.termios))
    elif command in (io.TCSETS, io.TCSETSW, io.TCSETSF):
        tty.control.may_write(tty)
        raw = mm.copy_in(arg, TERMIOS.size)
        if command == io.TCSETSF:
            tty.flush(0)
        tty.set_termios(raw)
    elif command == io.TIOCGWINSZ:
        mm.copy_out(arg, tty.winsize)
    elif command == io.TIOCSWINSZ:
        tty.set_winsize(mm.copy_in(arg, WINSIZE.size))
    elif command == io.FIONREAD:
        mm.copy_out(arg, tty.available().to_bytes(4, "little"))
    elif command == io.TIOCOUTQ:
        mm.copy_out(arg, bytes(4))
    elif command == io.TCFLSH:
        tty.control.may_write(tty)
        tty.flush(arg)
    elif command in (io.TCSBRK, io.TCSBRKP, io.TCXONC, io.TIOCEXCL, io.TIOCNXCL):
        tty.control.may_write(tty)
    else:
        return tty.control.command(tty, command, arg, mm)
    return 0


class MasterFile(FileDescription):
    """The other end of a pseudo terminal: what a terminal emulator holds."""

    __slots__ = ("_shown", "locked", "slaves", "tty")

    def __init__(self, flags: int, where: Any, inode: Any) -> None:  # noqa: ANN401  (Path and Inode)
        """Open a master; the file system gives it its terminal."""
        super().__init__(flags, where, inode, Queue())
        self._shown = bytearray()
        self.tty: Tty
        self.locked = True
        self.slaves = 0

    def show(self, data: bytes) -> int:
        """Take output of the terminal (`Output`)."""
        taken = min(len(data), OUTPUT_MAX - len(self._shown))
        self._shown += data[:taken]
        if taken and self.queue is not None:
            self.queue.notify(IN | RDNORM)
        return taken

    def discard(self) -> None:
        """Forget what the terminal has shown and nobody has read."""
        self._shown.clear()

    def read(self, bufs: list[memoryview]) -> int:
        """Read what was shown. Raises: EBADF, EIO when the last slave is closed, EAGAIN."""
        if not self._shown:
            if self.slaves < 0:
                raise EIO
            raise EAGAIN
        done = scatter(bufs, bytes(self._shown[: sum(map(len, bufs))]))
        full = len(self._shown) >= OUTPUT_MAX
        del self._shown[:done]
        if full:
            self.tty.room()
        return done

    def write(self, bufs: Sequence[Buffer]) -> int:
        """Type. Raises: EBADF."""
        done = 0
        for buf in bufs:
            self.tty.receive(bytes(buf))
            done += len(buf)
        return done

    def readiness(self) -> int:
        """Return what can be done now."""
        mask = OUT | WRNORM
        if self._shown:
            mask |= IN | RDNORM
        return mask | (HUP if self.slaves < 0 else 0)

    def slave_opened(self) -> None:
        """Count a slave."""
        self.slaves = max(self.slaves, 0) + 1

    def slave_closed(self) -> None:
        """Count one slave less; after the last one the master sees the end, until another is opened."""
        self.slaves -= 1
        if self.slaves == 0:
            self.slaves = -1
            if self.queue is not None:
                self.queue.notify(IN | HUP)

    def ioctl(self, command: int, arg: int, mm: Any) -> int:  # noqa: ANN401  (the memory manager of the floor beside)
        """Do a command of a master, or one of its terminal. Raises: EFAULT, EINVAL, ENOTTY."""
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
            self.tty.control.signal(self.tty, arg)
        else:
            return tty_ioctl(self.tty, command, arg, mm)
        return 0

    def release(self) -> None:
        """Hang up."""
        self.tty.hang_up()
