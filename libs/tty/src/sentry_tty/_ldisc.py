"""The line discipline N_TTY: input is edited, echoed and made into lines, output is post-processed.

Source: Linux drivers/tty/n_tty.c; termios(3).
"""

from collections import deque
from typing import Final, NamedTuple, Protocol

from sentry_abi.errors import EAGAIN
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
from sentry_abi.signal import SIGINT, SIGQUIT, SIGTSTP
from sentry_abi.structs import TERMIOS
from sentry_vfs import scatter

LINE_MAX: Final = 4095
"""Characters of one line; further ones are dropped, the newline is not."""
INPUT_MAX: Final = 65536
ECHO_MAX: Final = 65536


class Termios(NamedTuple):
    """struct termios."""

    iflag: int
    oflag: int
    cflag: int
    lflag: int
    line: int
    cc: bytes

    def pack(self) -> bytes:
        """Return the structure as bytes."""
        return TERMIOS.pack(*self)


INITIAL: Final = Termios(
    0o2400,  # ICRNL | IXON
    0o5,  # OPOST | ONLCR
    0o277,  # B38400 | CS8 | CREAD
    0o105073,  # ISIG ICANON ECHO ECHOE ECHOK ECHOCTL ECHOKE IEXTEN
    0,
    bytes([3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0]),
)
"""The settings of a new terminal (tty_std_termios)."""


class Output(Protocol):
    """Where a terminal's output goes (struct tty_operations)."""

    def show(self, data: bytes) -> int:
        """Take output; return how many bytes were taken, fewer while the device is full."""
        ...

    def discard(self) -> None:
        """Drop output that was not displayed yet (flush_buffer)."""
        ...


class LineDiscipline:
    """Input on its way to programs, echo and output on their way to the device."""

    __slots__ = ("_echoes", "_edit", "_lines", "_literal", "_queued", "_raw", "output", "termios")

    def __init__(self, output: Output) -> None:
        """Begin with the settings of a new terminal."""
        self.output = output
        self.termios = INITIAL
        self._edit = bytearray()
        """The line that is being typed."""
        self._lines: deque[bytes] = deque()
        """Complete lines, in canonical mode; an empty one is an end of file."""
        self._queued = 0
        """Bytes of `_lines`, and one more for each."""
        self._raw = bytearray()
        """Input that can be read, in non-canonical mode."""
        self._literal = False
        """The next character has no special meaning (VLNEXT)."""
        self._echoes = b""
        """Echo that the device has not taken yet."""

    # input

    def receive_buf(self, data: bytes) -> list[int]:
        """Take input of the device; return the signals that it causes, in order."""
        iflag, lflag = self.termios.iflag, self.termios.lflag
        signals: list[int] = []
        if not (lflag & (ISIG | ICANON | ECHO) or iflag & (ISTRIP | INLCR | IGNCR | ICRNL)):
            self._raw += data[: INPUT_MAX - len(self._raw)]
        else:
            for byte in data:
                signo = self._receive_char(byte)
                if signo:
                    signals.append(signo)
        self.flush_echoes()
        return signals

    def _receive_char(self, byte: int) -> int:
        """Take a character; return the signal that it causes, or 0."""
        iflag, _, _, lflag, _, cc = self.termios
        if iflag & ISTRIP:
            byte &= 0x7F
        if self._literal:
            self._literal = False
            self._append(byte)
            return 0
        if byte == 13:
            if iflag & IGNCR:
                return 0
            if iflag & ICRNL:
                byte = 10
        elif byte == 10 and iflag & INLCR:
            byte = 13
        if lflag & ISIG and byte and byte in (cc[VINTR], cc[VQUIT], cc[VSUSP]):
            if not lflag & NOFLSH:
                self.flush(2)
            self._echo(byte)
            return SIGINT if byte == cc[VINTR] else SIGQUIT if byte == cc[VQUIT] else SIGTSTP
        if lflag & ICANON:
            self._receive_canonical(byte)
        else:
            self._append(byte)
        return 0

    def _append(self, byte: int) -> None:
        canonical = self.termios.lflag & ICANON
        target = self._edit if canonical else self._raw
        if len(target) >= (LINE_MAX if canonical else INPUT_MAX):
            self._put_echo(b"\a")
            return
        target.append(byte)
        self._echo(byte)

    def _receive_canonical(self, byte: int) -> None:
        """Take a character in canonical mode: edit the line, or complete it."""
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
            self._put_echo(b"^\b")
        elif byte and byte == cc[VREPRINT] and lflag & IEXTEN:
            self._echo(byte)
            self._put_echo(b"\r\n" + self._visible(bytes(edit)))
        elif byte and byte == cc[VEOF]:
            self._complete(bytes(edit))
        elif byte == 10 or (byte and byte in (cc[VEOL], cc[VEOL2])):
            if lflag & (ECHO | ECHONL) and byte == 10:
                self._put_echo(b"\r\n" if self.termios.oflag & OPOST else b"\n")
            else:
                self._echo(byte)
            self._complete(bytes(edit) + bytes([byte]))
        else:
            self._append(byte)

    def _complete(self, line: bytes) -> None:
        """Make a line readable."""
        self._edit.clear()
        if self._queued < INPUT_MAX:
            self._lines.append(line)
            self._queued += len(line) + 1

    def _erase(self, count: int) -> None:
        """Erase the last count characters of the line that is being typed."""
        edit, lflag = self._edit, self.termios.lflag
        for _ in range(min(count, len(edit))):
            byte = edit.pop()
            # The bytes of one character are erased together.
            while byte & 0xC0 == 0x80 and edit:
                byte = edit.pop()
            if lflag & ECHO and lflag & ECHOE:
                self._put_echo(b"\b \b" * (2 if byte < 32 and lflag & ECHOCTL else 1))
            if not edit:
                break

    # echo

    def _visible(self, data: bytes) -> bytes:
        """Return data with control characters as ^X, if ECHOCTL asks for it."""
        if not self.termios.lflag & ECHOCTL:
            return data
        return b"".join(
            b"^" + bytes([b ^ 64]) if (b < 32 and b not in (9, 10)) or b == 127 else bytes([b]) for b in data
        )

    def _echo(self, byte: int) -> None:
        if self.termios.lflag & ECHO:
            self._put_echo(self._visible(bytes([byte])))

    def _put_echo(self, data: bytes) -> None:
        if len(self._echoes) < ECHO_MAX:
            self._echoes += data

    def flush_echoes(self) -> None:
        """Show waiting echo, as much as the device takes."""
        if self._echoes:
            self._echoes = self._echoes[self.output.show(self._echoes) :]

    # what programs read

    def input_available(self) -> bool:
        """Return whether a read would return at once (input_available_p)."""
        if self.termios.lflag & ICANON:
            return bool(self._lines)
        return len(self._raw) >= max(self.termios.cc[VMIN], 1)

    def has_input(self) -> bool:
        """Return whether any input was completed."""
        return bool(self._lines or self._raw)

    def inq(self) -> int:
        """Return how many bytes a read could return now; an end of file counts none (TIOCINQ)."""
        if not self.termios.lflag & ICANON:
            return len(self._raw)
        return len(self._lines[0]) if self._lines else 0

    def read(self, bufs: list[memoryview], *, hung: bool) -> int:
        """Move input into bufs, in canonical mode one line at most. Raises: EAGAIN without input, unless hung."""
        size = sum(map(len, bufs))
        if self.termios.lflag & ICANON:
            return self._read_line(bufs, size, hung=hung)
        least = self.termios.cc[VMIN]
        if len(self._raw) < min(max(least, 1), size) and not hung:
            if least == 0 and self.termios.cc[VTIME] == 0:
                return 0
            raise EAGAIN
        done = scatter(bufs, bytes(self._raw[:size]))
        del self._raw[:done]
        return done

    def _read_line(self, bufs: list[memoryview], size: int, *, hung: bool) -> int:
        lines = self._lines
        if not lines:
            if hung:
                return 0
            raise EAGAIN
        line = lines[0]
        done = scatter(bufs, line[:size])
        if done == len(line):
            lines.popleft()
            self._queued -= done + 1
        else:
            lines[0] = line[done:]
            self._queued -= done
        return done

    # output

    def write(self, data: bytes) -> int:
        """Show what a program wrote; return how many of its bytes were taken, 0 while the device is full."""
        self.flush_echoes()
        if self._echoes:
            return 0
        oflag = self.termios.oflag
        if not oflag & OPOST or not oflag & ONLCR or b"\n" not in data:
            return self.output.show(data)
        done = 0
        for line in _split_lines(data):
            wide = line[:-1] + b"\r\n" if line.endswith(b"\n") else line
            taken = self.output.show(wide)
            if taken < len(wide):
                if taken == len(wide) - 1 and wide.endswith(b"\n"):
                    self._echoes = b"\n"
                    return done + len(line)
                return done + taken
            done += len(line)
        return done

    # settings

    def set_termios(self, termios: Termios) -> None:
        """Change the settings; a change of canonical mode turns waiting input into the other form."""
        before = self.termios.lflag & ICANON
        self.termios = termios
        after = termios.lflag & ICANON
        if before and not after:
            self._raw += b"".join(self._lines) + self._edit
            self._lines.clear()
            self._queued = 0
            self._edit.clear()
        elif after and not before and self._raw:
            line = bytes(self._raw)
            self._raw.clear()
            self._complete(line)

    def flush(self, which: int) -> None:
        """Drop input (0), output (1) or both (2)."""
        if which != 1:
            self._lines.clear()
            self._queued = 0
            self._raw.clear()
            self._edit.clear()
        if which != 0:
            self._echoes = b""
            self.output.discard()


def _split_lines(data: bytes) -> list[bytes]:
    """Split after newlines only."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
