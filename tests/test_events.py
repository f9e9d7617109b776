"""--events: over a socket and into a file."""

import socket
import threading
from pathlib import Path

import pytest

from sentry_eventchannel import UncaughtSignal, UnimplementedSyscall, read_events
from tests.conftest import SENTRY, Sandbox, run

SCRIPT = "/usr/bin/python3 -c 'import ctypes; ctypes.CDLL(None).syscall(135 + 20); ctypes.string_at(8)'; true"


def check(path: Path) -> None:
    """Look at the events of SCRIPT."""
    with path.open("rb", buffering=0) as stream:
        events = list(read_events(stream))
    missing = [e for e in events if isinstance(e, UnimplementedSyscall)]
    fatal = [e for e in events if isinstance(e, UncaughtSignal)]
    assert any(e.registers is not None and e.registers.rip for e in missing)
    assert [(e.signal_number, e.fault_address) for e in fatal] == [(11, 8)]
    assert fatal[0].registers is not None
    assert fatal[0].registers.rip


@pytest.mark.guest
def test_into_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """An unimplemented call and a segmentation fault are reported, with registers."""
    argv = [
        SENTRY,
        "do",
        "--platform",
        sandbox.platform,
        "--events",
        tmp_path / "events",
        "--",
        "/bin/sh",
        "-c",
        SCRIPT,
    ]
    assert run(list(map(str, argv)), tmp_path).status == 0
    check(tmp_path / "events")


@pytest.mark.guest
def test_over_a_socket(sandbox: Sandbox, tmp_path: Path) -> None:
    """The same over a Unix socket."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(tmp_path / "s"))
    server.listen()

    def receive() -> None:
        connection, _ = server.accept()
        with connection, (tmp_path / "copy").open("wb") as copy:
            while data := connection.recv(65536):
                copy.write(data)

    reader = threading.Thread(target=receive)
    reader.start()
    to = str(tmp_path / "s")
    argv = [SENTRY, "do", "--platform", sandbox.platform, "--events", to, "--", "/bin/sh", "-c", SCRIPT]
    assert run(list(map(str, argv)), tmp_path).status == 0
    reader.join(10)
    server.close()
    check(tmp_path / "copy")


@pytest.mark.guest
def test_no_reader(tmp_path: Path) -> None:
    """A path that cannot be opened is a failure of one line."""
    ended = run([SENTRY, "do", "--events", "/nowhere/at/all", "--", "/bin/true"], tmp_path)
    assert ended.status == 125
    assert ended.err.count(b"\n") == 1
    assert b"--events /nowhere/at/all" in ended.err
