"""`sentry do -t`: a shell on a terminal of the sandbox's own, driven from the host's end of a pseudo terminal."""

import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.conftest import SENTRY, Sandbox, run

LIMIT_S = 20.0


class Screen:
    """A program on a pseudo terminal of the host."""

    def __init__(self, argv: list[str], folder: Path) -> None:
        """Start it, 30 rows by 100 columns."""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.environ.update(PS1="$ ", PATH="/usr/bin:/bin", TERM="dumb", HISTFILE="")
            os.execv(argv[0], argv)  # noqa: S606  (a child of fork)
        self.size(30, 100)
        self.seen = b""

    def size(self, rows: int, columns: int) -> None:
        """Change the window's size."""
        ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Type."""
        os.write(self.fd, text.encode())

    def expect(self, pattern: str) -> "re.Match[bytes]":
        """Wait until what was shown since the last time matches; at most twenty seconds."""
        end = time.monotonic() + LIMIT_S
        while True:
            found = re.search(pattern.encode(), self.seen)
            if found:
                self.seen = self.seen[found.end() :]
                return found
            ready, _, _ = select.select([self.fd], [], [], max(end - time.monotonic(), 0))
            assert ready, f"{pattern!r} was not shown: {self.seen!r}"
            self.seen += os.read(self.fd, 65536)

    def wait(self) -> int:
        """Return the exit status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def settings(self) -> list[object]:
        """Return the terminal's settings."""
        return termios.tcgetattr(self.fd)


@pytest.fixture
def shell(sandbox: Sandbox, tmp_path: Path) -> Iterator[Screen]:
    """Give an interactive shell in the sandbox."""
    screen = Screen([str(SENTRY), "do", "--platform", sandbox.platform, "-t", "--", "bash", "--norc", "-i"], tmp_path)
    screen.expect(r"\$ $")
    yield screen
    try:
        os.kill(screen.pid, signal.SIGKILL)
        os.waitpid(screen.pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
    os.close(screen.fd)


@pytest.mark.guest
def test_keys_become_signals(shell: Screen) -> None:
    """Ctrl-C interrupts the foreground, the shell survives; Ctrl-backslash quits."""
    shell.type("sleep 100; echo status=$?\r")
    time.sleep(0.4)
    shell.type("\x03")
    shell.expect(r"\^C")
    shell.expect(r"\$ $")
    shell.type("(sleep 100); echo status=$?\r")
    time.sleep(0.4)
    shell.type("\x1c")
    shell.expect(r"status=131")


@pytest.mark.guest
def test_job_control(shell: Screen) -> None:
    """Ctrl-Z stops, bg goes on, fg takes the terminal back; a background reader is stopped."""
    shell.type("sleep 100\r")
    time.sleep(0.4)
    shell.type("\x1a")
    shell.expect(r"Stopped +sleep 100")
    shell.type("bg\r")
    shell.expect(r"sleep 100 &")
    shell.type("jobs\r")
    shell.expect(r"Running +sleep 100")
    shell.type("kill %1\r\r")
    shell.expect(r"Terminated")
    shell.type("cat &\r")
    shell.type("sleep 0.3; jobs\r")
    shell.expect(r"Stopped +cat\r\n\$ $")
    shell.type("fg\r")
    shell.expect(r"cat\r\n")
    shell.type("typed\r")
    shell.expect(r"typed\r\ntyped\r\n")
    shell.type("\x04")
    shell.expect(r"\$ $")


@pytest.mark.guest
def test_window_size(shell: Screen) -> None:
    """The size is the host's, and follows it."""
    shell.type("stty size\r")
    shell.expect(r"30 100")
    shell.type("trap 'echo winch' WINCH; echo ready\r")
    shell.expect(r"ready\r\n")
    shell.size(25, 90)
    shell.expect(r"winch")
    shell.type("stty size\r")
    shell.expect(r"25 90")


@pytest.mark.guest
def test_exit_and_settings(shell: Screen) -> None:
    """The host's settings come back, and the status is the command's."""
    raw = shell.settings()
    shell.type("exit 7\r")
    shell.expect("exit")
    assert shell.wait() == 7
    cooked = shell.settings()
    assert raw != cooked
    assert isinstance(cooked[3], int)
    assert cooked[3] & termios.ICANON


@pytest.mark.guest
def test_full_screen_program(shell: Screen) -> None:
    """Raw mode: keys arrive one by one, unechoed."""
    shell.type("stty raw -echo; head -c 3 | od -An -tx1; stty sane\r")
    time.sleep(0.5)
    shell.type("a\x03\r")
    shell.expect(r"61 03 0d")


@pytest.mark.guest
def test_needs_a_terminal(sandbox: Sandbox, tmp_path: Path) -> None:
    """Without a terminal -t is refused in one line."""
    ended = run([SENTRY, "do", "--platform", sandbox.platform, "-t", "--", "/bin/true"], tmp_path)
    assert ended.status == 125
    assert ended.err.count(b"\n") == 1
    assert b"-t needs a terminal" in ended.err
