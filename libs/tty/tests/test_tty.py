"""Terminals: editing, echo, modes, output, ioctls, and the two ends."""

import doctest
from io import BytesIO
from pathlib import Path

import pytest

from sentry_abi import ioctl as io
from sentry_abi.errors import EAGAIN, EBADF, EINVAL, EIO, ENOTTY
from sentry_abi.fcntl import O_RDWR, O_WRONLY
from sentry_abi.signal import SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGWINCH
from sentry_host.testing import FakeHost
from sentry_state import Reader, Registry, Writer
from sentry_tty import INITIAL, LineDiscipline, PtyMasterFile, Termios, Tty, TtyFile
from sentry_tty._state import register as register_tty
from sentry_vfs import VirtualFilesystem
from sentry_vfs._state import register as register_vfs
from sentry_waiter import HUP, IN, OUT
from sentry_waiter._state import register as register_queues


class Screen:
    """An output that takes so much."""

    def __init__(self, space: int = 1 << 20) -> None:
        """Begin empty."""
        self.space = space
        self.data = b""

    def show(self, data: bytes) -> int:
        """Take what fits."""
        taken = min(len(data), self.space - len(self.data))
        self.data += data[:taken]
        return taken

    def discard(self) -> None:
        """Drop all."""
        self.data = b""


class Control:
    """Job control that allows everything and notes what it was asked."""

    def __init__(self) -> None:
        """Begin with an empty log."""
        self.log: list[object] = []

    def kill_pgrp(self, tty: Tty, signo: int) -> None:
        """Note the signal."""
        self.log.append(signo)

    def check_read(self, tty: Tty) -> None:
        """Note the read."""
        self.log.append("read")

    def check_change(self, tty: Tty) -> None:
        """Note the change."""
        self.log.append("change")

    def opened(self, tty: Tty, flags: int) -> None:
        """Note the open."""
        self.log.append("open")

    def disassociate(self, tty: Tty) -> None:
        """Note the hang-up."""
        self.log.append(SIGHUP)

    def tiocsctty(self, tty: Tty, *, steal: bool) -> None:
        """Note the request."""
        self.log.append(("sctty", steal))

    def tiocnotty(self, tty: Tty) -> None:
        """Note the request."""
        self.log.append("notty")

    def tiocgpgrp(self, tty: Tty) -> int:
        """Return the foreground."""
        return tty.foreground

    def tiocgsid(self, tty: Tty) -> int:
        """Return a session."""
        return 77

    def check_tiocspgrp(self, tty: Tty) -> None:
        """Note the check."""
        self.log.append("check")

    def tiocspgrp(self, tty: Tty, pgid: int) -> None:
        """Set the foreground."""
        tty.foreground = pgid

    def tiocgptpeer(self, tty: Tty, flags: int) -> int:
        """Return a descriptor."""
        return 5


class Memory:
    """The memory of a process: one place."""

    def __init__(self, data: bytes = b"") -> None:
        """Hold data."""
        self.data = data

    def copy_in(self, addr: int, size: int) -> bytes:
        """Return the first bytes."""
        return self.data[:size]

    def copy_out(self, addr: int, data: bytes) -> None:
        """Replace all."""
        self.data = data


def read(ldisc: LineDiscipline, size: int = 100) -> bytes:
    """Return what one read gives."""
    buffer = bytearray(size)
    return bytes(buffer[: ldisc.read([memoryview(buffer)], hung=False)])


def pair() -> tuple[PtyMasterFile, TtyFile, Control]:
    """Return both ends of a pseudo terminal."""
    control = Control()
    master = PtyMasterFile(O_RDWR, None, None)
    master.tty = Tty(3, control, master)
    slave = TtyFile(master.tty, O_RDWR, None, None)
    master.slave_opened()
    return master, slave, control


def text(file: PtyMasterFile | TtyFile, size: int = 100) -> bytes:
    """Return what one read of a file gives."""
    buffer = bytearray(size)
    return bytes(buffer[: file.read([memoryview(buffer)])])


@pytest.mark.parametrize(
    ("typed", "line", "shown"),
    [
        (b"ab\n", b"ab\n", b"ab\r\n"),
        (b"ab\r", b"ab\n", b"ab\r\n"),
        (b"abc\x7f\x7fd\n", b"ad\n", b"abc\b \b\b \bd\r\n"),
        (b"\x7fa\n", b"a\n", b"a\r\n"),
        (b"one two\x17x\n", b"one x\n", b"one two" + b"\b \b" * 3 + b"x\r\n"),
        (b"gone\x15k\n", b"k\n", b"gone" + b"\b \b" * 4 + b"k\r\n"),
        (b"\xc3\xa4\x7fb\n", b"b\n", b"\xc3\xa4\b \bb\r\n"),
        (b"\x16\x03\n", b"\x03\n", b"^\b^C\r\n"),
        (b"\x01\x7f\n", b"\n", b"^A\b \b\b \b\r\n"),
        (b"ab\x04", b"ab", b"ab"),
        (b"ab\x12c\n", b"abc\n", b"ab^R\r\nabc\r\n"),
    ],
)
def test_canonical_mode(typed: bytes, line: bytes, shown: bytes) -> None:
    """Editing keys change the line and the screen alike; a line is readable when it is complete."""
    screen = Screen()
    ldisc = LineDiscipline(screen)
    assert ldisc.receive_buf(typed[:-1]) == []
    assert not ldisc.input_available()
    with pytest.raises(EAGAIN):
        read(ldisc)
    assert ldisc.receive_buf(typed[-1:]) == []
    assert ldisc.inq() == len(line)
    assert read(ldisc) == line
    assert screen.data == shown
    assert not ldisc.has_input()


def test_reads_end_at_lines() -> None:
    """A read takes one line at most, a short read leaves the rest, an empty line is an end of file."""
    ldisc = LineDiscipline(Screen())
    ldisc.receive_buf(b"first\nsecond\n\x04third\n")
    assert read(ldisc, 3) == b"fir"
    assert read(ldisc) == b"st\n"
    assert read(ldisc) == b"second\n"
    assert ldisc.input_available()
    assert read(ldisc) == b""
    assert read(ldisc) == b"third\n"
    assert ldisc._queued == 0


def test_a_long_line_keeps_its_newline() -> None:
    """Characters beyond the limit ring the bell."""
    screen = Screen()
    ldisc = LineDiscipline(screen)
    ldisc.receive_buf(b"x" * 5000 + b"\n")
    assert read(ldisc, 9000) == b"x" * 4095 + b"\n"
    assert screen.data.count(b"\a") == 5000 - 4095


def test_signals() -> None:
    """The three keys; what was typed is dropped unless NOFLSH says otherwise."""
    ldisc = LineDiscipline(Screen())
    assert ldisc.receive_buf(b"abc\x03\x1c\x1ad\n") == [SIGINT, SIGQUIT, SIGTSTP]
    assert read(ldisc) == b"d\n"
    ldisc.set_termios(INITIAL._replace(lflag=INITIAL.lflag | io.NOFLSH))
    assert ldisc.receive_buf(b"abc\x03d\n") == [SIGINT]
    assert read(ldisc) == b"abcd\n"
    ldisc.set_termios(INITIAL._replace(lflag=INITIAL.lflag & ~io.ISIG))
    assert ldisc.receive_buf(b"\x03\n") == []
    assert read(ldisc) == b"\x03\n"


def raw(least: int, time: int) -> Termios:
    """Return raw settings with VMIN and VTIME."""
    cc = bytearray(INITIAL.cc)
    cc[io.VMIN], cc[io.VTIME] = least, time
    return INITIAL._replace(iflag=0, lflag=0, cc=bytes(cc))


def test_non_canonical_mode() -> None:
    """VMIN says how much makes a read return; 0 and no VTIME returns at once."""
    ldisc = LineDiscipline(Screen())
    ldisc.set_termios(raw(3, 0))
    ldisc.receive_buf(b"a\r")
    assert not ldisc.input_available()
    with pytest.raises(EAGAIN):
        read(ldisc)
    assert read(ldisc, 1) == b"a", "less was asked for"
    ldisc.receive_buf(b"\x03z")
    assert ldisc.inq() == 3
    assert read(ldisc) == b"\r\x03z"
    ldisc.set_termios(raw(0, 0))
    assert read(ldisc) == b""
    ldisc.set_termios(raw(0, 5))
    with pytest.raises(EAGAIN):
        read(ldisc)


def test_a_change_of_mode_keeps_input() -> None:
    """Lines become bytes, bytes become a line."""
    ldisc = LineDiscipline(Screen())
    ldisc.receive_buf(b"one\ntw")
    ldisc.set_termios(raw(1, 0))
    assert read(ldisc, 5) == b"one\nt"
    ldisc.receive_buf(b"o")
    ldisc.set_termios(INITIAL)
    assert read(ldisc) == b"wo"


def test_output() -> None:
    """Newlines get a carriage return; a device that fills up between the two is owed the newline."""
    screen = Screen(5)
    ldisc = LineDiscipline(screen)
    assert ldisc.write(b"ab\ncd\n") == 4
    assert screen.data == b"ab\r\nc"
    screen = Screen(3)
    ldisc = LineDiscipline(screen)
    assert ldisc.write(b"ab\ncd") == 3
    assert screen.data == b"ab\r"
    assert ldisc.write(b"cd") == 0
    screen.space = 10
    assert ldisc.write(b"cd") == 2
    assert screen.data == b"ab\r\ncd"
    ldisc.set_termios(INITIAL._replace(oflag=0))
    assert ldisc.write(b"\n") == 1
    assert screen.data.endswith(b"d\n")


def test_the_two_ends() -> None:
    """What one writes the other reads; both are polled."""
    master, slave, control = pair()
    assert control.log == ["open"]
    assert slave.readiness() & (IN | OUT) == OUT
    assert master.write([b"hel", b"lo\n"]) == 6
    assert slave.readiness() & IN
    assert text(slave) == b"hello\n"
    assert text(master) == b"hello\r\n"
    assert slave.write([b"a\n"]) == 2
    assert master.readiness() & IN
    assert text(master) == b"a\r\n"
    with pytest.raises(EAGAIN):
        text(master)
    with pytest.raises(EBADF):
        text(TtyFile(master.tty, O_WRONLY, None, None))
    master.write([b"\x03"])
    assert control.log[-1:] == [SIGINT]


def test_ends_of_the_ends() -> None:
    """Without a slave the master reads EIO; after a hang-up reads return 0 and writes fail."""
    master, slave, control = pair()
    master.slave_closed()
    assert master.readiness() & HUP
    with pytest.raises(EIO):
        text(master)
    master.slave_opened()
    with pytest.raises(EAGAIN):
        text(master)
    master.release()
    master.release()
    assert control.log.count(SIGHUP) == 1
    assert slave.readiness() & HUP
    assert text(slave) == b""
    with pytest.raises(EIO):
        slave.write([b"x"])


def test_ioctls() -> None:
    """Settings, size, job control; ENOTTY for what is none."""
    master, slave, control = pair()
    mm = Memory()
    slave.ioctl(io.TCGETS, 0, mm)
    assert mm.data == INITIAL.pack()
    mm.data = raw(1, 0).pack()
    slave.ioctl(io.TCSETS, 0, mm)
    assert control.log[-1:] == ["change"]
    assert slave.tty.termios == raw(1, 0)
    mm.data = b"\x18\0\x50\0" + bytes(4)
    master.ioctl(io.TIOCSWINSZ, 0, mm)
    master.ioctl(io.TIOCSWINSZ, 0, mm)
    assert control.log.count(SIGWINCH) == 1, "the second time nothing changed"
    master.ioctl(io.TIOCGPTN, 0, mm)
    assert mm.data == b"\3\0\0\0"
    mm.data = (42).to_bytes(4, "little")
    slave.ioctl(io.TIOCSPGRP, 0, mm)
    assert control.log[-1:] == ["check"]
    slave.ioctl(io.TIOCGPGRP, 0, mm)
    assert mm.data == b"\x2a\0\0\0"
    mm.data = b"\xff" * 4
    with pytest.raises(EINVAL):
        slave.ioctl(io.TIOCSPGRP, 0, mm)
    slave.ioctl(io.TIOCGSID, 0, mm)
    assert mm.data == b"\x4d\0\0\0"
    slave.ioctl(io.TIOCSCTTY, 1, mm)
    assert control.log[-1:] == [("sctty", True)]
    assert master.ioctl(io.TIOCGPTPEER, 0, mm) == 5
    with pytest.raises(ENOTTY):
        slave.ioctl(0x1234, 0, mm)
    with pytest.raises(EINVAL):
        slave.ioctl(io.TCFLSH, 3, mm)


def test_time_limits_of_reads() -> None:
    """VTIME counts only in non-canonical mode with VMIN 0."""
    _, slave, _ = pair()
    assert slave.read_wait_ns() is None
    slave.tty.ldisc.set_termios(raw(0, 7))
    assert slave.read_wait_ns() == 700_000_000
    slave.tty.ldisc.set_termios(raw(1, 7))
    assert slave.read_wait_ns() is None


def test_saving() -> None:
    """Both ends, settings, a line that is being typed, output that was not read."""
    master, slave, control = pair()
    vfs = VirtualFilesystem(FakeHost().record)
    master.inode = slave.inode = vfs.anonymous.inode
    master.write([b"one\ntw"])
    text(master, 2)
    slave.tty.foreground = 9
    registry = Registry()
    for register in (register_queues, register_vfs, register_tty):
        register(registry)
    outside = {"host": vfs.host, "control": control}
    with Writer(file := BytesIO(), registry=registry) as writer:
        writer.save("tty", (master, slave), outside)
    master, slave = Reader(BytesIO(file.getvalue()), registry=registry).load("tty", outside)
    assert master.tty is slave.tty
    assert (slave.tty.foreground, slave.tty.termios, slave.tty.control) == (9, INITIAL, control)
    assert text(master) == b"e\r\ntw"
    assert text(slave) == b"one\n"
    master.write([b"o\n"])
    assert text(slave) == b"two\n"
    slave.write([b"x"])
    assert text(master) == b"o\r\nx"


def test_readme() -> None:
    """The example of the README."""
    result = doctest.testfile(str(Path(__file__).parent.parent / "README.md"), module_relative=False)
    assert result.failed == 0
