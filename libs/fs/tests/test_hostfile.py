"""Inherited descriptors of every kind never block and never change their flags."""

import fcntl
import os
import pty
from collections.abc import Iterator
from pathlib import Path as HostPath

import pytest

from sentry_abi.errors import EAGAIN, EBADF, EFAULT, EINVAL, ENODEV, ENOTTY, EPIPE, ESPIPE
from sentry_abi.fcntl import O_RDWR
from sentry_abi.structs import STAT
from sentry_fs import HostFile, HostFilesystem
from sentry_fs.testing import VFS
from sentry_vfs import Dentry, FileDescription, Mount, Path
from sentry_waiter import ERR, HUP, IN, OUT, Queue


class Watcher:
    """Remembers what it was asked to watch."""

    def __init__(self) -> None:
        """Watch nothing."""
        self.asked: list[tuple[int, int]] = []

    def watch(self, fd: int, mask: int, queue: Queue) -> None:
        """Remember."""
        del queue
        self.asked.append((fd, mask))

    def unwatch(self, fd: int) -> None:
        """Do nothing."""


def wrap(fd: int) -> tuple[HostFile, Watcher]:
    """Return a host file and its watcher."""
    watcher = Watcher()
    return HostFile(fd, watcher, HostFilesystem(VFS)), watcher


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return a pipe of the host."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_pipe(pipe: tuple[int, int]) -> None:
    """An empty pipe and a full one ask the watcher; the rest of a write waits for a reader."""
    reader, watcher = wrap(pipe[0])
    writer, writer_watcher = wrap(pipe[1])
    buffer = bytearray(100_000)
    with pytest.raises(EAGAIN):
        reader.read([memoryview(buffer)])
    assert watcher.asked == [(pipe[0], IN)]
    done = writer.write([bytes(50_000), bytes(50_000)])
    assert 0 < done <= 65536
    while done < 65536:
        done += writer.write([bytes(65536 - done)])
    with pytest.raises(EAGAIN):
        writer.write([b"x"])
    assert writer_watcher.asked[-1] == (pipe[1], OUT)
    assert reader.read([memoryview(buffer)]) == 65536
    assert writer.readiness() & OUT
    assert not fcntl.fcntl(pipe[0], fcntl.F_GETFL) & os.O_NONBLOCK
    with pytest.raises(ESPIPE):
        reader.seek(0, 0)
    with pytest.raises(ESPIPE):
        reader.pread([memoryview(buffer)], 0)
    with pytest.raises(EBADF):
        reader.write([b"x"])
    with pytest.raises(ENOTTY):
        reader.ioctl(0x5401, 0, NoMemory())
    with pytest.raises(ENODEV):
        reader.mappable()


def test_interests_are_gathered() -> None:
    """Who waits for reading is not forgotten when someone else waits for writing."""
    control, terminal = pty.openpty()
    try:
        file, watcher = wrap(terminal)
        assert file.queue is not None
        with pytest.raises(EAGAIN):
            file.read([memoryview(bytearray(1))])
        interest = file.inode.interest
        assert interest is not None
        interest.add(OUT, file.queue)
        assert watcher.asked[-1] == (terminal, IN | OUT)
        file.queue.notify(OUT)
        assert watcher.asked[-1] == (terminal, IN)
        file.queue.notify(IN)
        assert len(watcher.asked) == 3
        file.queue.notify(HUP)
        assert len(watcher.asked) == 3
    finally:
        os.close(control)
        os.close(terminal)


def test_ends_of_a_pipe(pipe: tuple[int, int]) -> None:
    """Hang-up, end of file and EPIPE."""
    reader, _ = wrap(pipe[0])
    os.close(pipe[1])
    assert reader.readiness() & HUP
    assert reader.read([memoryview(bytearray(1))]) == 0
    ends = os.pipe()
    os.close(ends[0])
    writer, _ = wrap(ends[1])
    assert writer.readiness() & ERR
    with pytest.raises(EPIPE):
        writer.write([b"x"])
    os.close(ends[1])


def test_regular_file_shares_its_position(tmp_path: HostPath) -> None:
    """The position is the host's: the next user of the descriptor continues there."""
    with (tmp_path / "f").open("w+b", buffering=0) as host:
        host.write(b"0123456789")
        host.seek(2)
        file, watcher = wrap(host.fileno())
        buffer = bytearray(3)
        assert file.read([memoryview(buffer)]) == 3
        assert buffer == b"234"
        assert host.tell() == 5
        assert file.seek(-1, 2) == 9
        assert file.write([b"ab", b"c"]) == 3
        assert file.pread([memoryview(buffer)], 0) == 3
        assert file.size() == 12
        file.truncate(4)
        assert (tmp_path / "f").read_bytes() == b"0123"
        file.sync()
        assert file.readiness() & IN
        assert not watcher.asked
        extents = file.mappable().extents(0, 8192, shared=False, write=True)
        assert [(extent.offset, extent.length) for extent in extents] == [(0, 4096)]
        with pytest.raises(EINVAL):
            file.seek(0, 99)
        file.seek(1, 0)
        file.advance(2)
        assert (file.has_positions(), file.position(), host.tell()) == (True, 3, 3)
        where = Path(Mount(file.inode.fs, Dentry(b"", None, None)), Dentry(b"fd", None, file.inode))
        again = file.inode.open(where, O_RDWR)
        assert isinstance(again, FileDescription)
        assert again.write([b"end"]) == 3
        assert (tmp_path / "f").read_bytes() == b"012end"
        file.inode.truncate(None, 1)
        assert (STAT.unpack(file.inode.stat())[7], file.inode.size()) == (1, 1)
        with pytest.raises(ENODEV):
            file.mappable().extents(0, 8192, shared=True, write=True)


def test_terminal() -> None:
    """A terminal is one for the guest; a line is read when it is there."""
    control, terminal = pty.openpty()
    try:
        file, watcher = wrap(terminal)
        assert file.is_terminal

        class Memory:
            """Takes what the ioctl writes."""

            data = b""

            def copy_in(self, addr: int, size: int) -> bytes:
                """Return zeros."""
                del addr
                return bytes(size)

            def copy_out(self, addr: int, data: bytes) -> None:
                """Take it."""
                del addr
                self.data = data

        memory = Memory()
        assert file.ioctl(0x5401, 0, memory) == 0
        assert len(memory.data) == 36
        assert file.ioctl(0x5413, 0, memory) == 0
        with pytest.raises(EAGAIN):
            file.read([memoryview(bytearray(9))])
        assert watcher.asked == [(terminal, IN)]
        os.write(control, b"line\n")
        buffer = bytearray(9)
        assert file.read([memoryview(buffer)]) == 5
        assert file.write([b"out"]) == 3
        assert not file.seekable
    finally:
        os.close(control)
        os.close(terminal)


class NoMemory:
    """Has no addresses."""

    def copy_in(self, addr: int, size: int) -> bytes:
        """Refuse."""
        raise EFAULT

    def copy_out(self, addr: int, data: bytes) -> None:
        """Refuse."""
        raise EFAULT
