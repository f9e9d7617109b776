"""Pipes against a byte queue, and the rules of blocking, closing and FIFOs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_abi.errors import EAGAIN, EBADF, EBUSY, EINVAL, ENXIO, EPERM, EPIPE
from sentry_abi.fcntl import O_NONBLOCK, O_RDWR, O_WRONLY
from sentry_host import real_host
from sentry_vfs import (
    Dentry,
    Filesystem,
    Mount,
    Path,
    Pipe,
    PipeFile,
    PipeInode,
    VirtualFilesystem,
    make_pipe,
)
from sentry_waiter import ERR, HUP, IN, OUT, Entry, Queue

VFS = VirtualFilesystem(real_host())

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.integers(0, 9000), min_size=1, max_size=3)),
        st.tuples(st.just("read"), st.lists(st.integers(0, 9000), min_size=1, max_size=3)),
        st.tuples(st.just("discard"), st.integers(0, 9000)),
    ),
    max_size=40,
)


def ends() -> tuple[PipeFile, PipeFile]:
    """Return a held pair of ends."""
    pair = make_pipe(VFS.pipes, 0, 0)
    for end in pair:
        end.incref()
    return pair


@given(OPERATIONS)
def test_behaves_as_a_bounded_queue_of_bytes(operations: list[tuple[str, list[int] | int]]) -> None:
    """Every byte comes out once and in order, and writes up to PIPE_BUF are whole."""
    reader, writer = ends()
    model = bytearray()
    counter = 0
    for name, sizes in operations:
        if isinstance(sizes, int):
            reader.pipe.discard(sizes)
            del model[:sizes]
            continue
        if name == "write":
            bufs = [bytes((counter + i) % 251 for i in range(size)) for size in sizes]
            counter += sum(sizes)
            space = 65536 - len(model)
            total = sum(sizes)
            try:
                done = writer.write(bufs)
            except EAGAIN:
                assert total
                assert space == 0 or (total <= 4096 and space < total)
                continue
            assert done == min(total, space)
            model += b"".join(bufs)[:done]
        else:
            room_bufs = [bytearray(size) for size in sizes]
            try:
                done = reader.read([memoryview(buf) for buf in room_bufs])
            except EAGAIN:
                assert not model
                continue
            assert done == min(sum(sizes), len(model)) or not model
            assert b"".join(room_bufs)[:done] == model[:done]
            del model[:done]
        assert reader.pipe.size == len(model)
    assert b"".join(reader.pipe.peek(1 << 20)) == model


def test_end_of_file_and_broken_pipe() -> None:
    """Without a writer reads end; without a reader writes fail."""
    reader, writer = ends()
    writer.write([b"x"])
    writer.decref()
    buffer = bytearray(4)
    assert reader.readiness() & (IN | HUP) == IN | HUP
    assert reader.read([memoryview(buffer)]) == 1
    assert reader.read([memoryview(buffer)]) == 0
    assert reader.readiness() & (IN | HUP) == HUP
    reader, writer = ends()
    reader.decref()
    assert writer.readiness() & ERR
    with pytest.raises(EPIPE):
        writer.write([b"x"])
    with pytest.raises(EBADF):
        writer.read([memoryview(buffer)])


class Recorder(Entry):
    """Keeps the masks of its notifications."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.masks: list[int] = []

    def notify(self, queue: Queue, mask: int) -> None:
        """Remember."""
        del queue
        self.masks.append(mask)


def test_waiters_are_notified() -> None:
    """Readers are notified of data and of the last close, writers of free slots."""
    reader, writer = ends()
    entry = Recorder()
    assert reader.queue is not None
    reader.queue.register(entry, IN | HUP)
    writer.write([b"abc"])
    assert entry.masks == [IN]
    writer.decref()
    assert entry.masks[-1] & HUP


def test_capacity() -> None:
    """F_SETPIPE_SZ rounds up, keeps content, and is bounded."""
    pipe = Pipe()
    pipe.readers = 1
    assert pipe.set_capacity(5000) == 8192
    pipe.write([bytes(8000)])
    with pytest.raises(EBUSY):
        pipe.set_capacity(4096)
    with pytest.raises(EPERM):
        pipe.set_capacity(1 << 21)
    assert pipe.set_capacity(1 << 21, privileged=True) == 1 << 21
    with pytest.raises(EBUSY):
        pipe.set_capacity(0)  # a page
    with pytest.raises(EINVAL):
        pipe.set_capacity((1 << 31) + 1)


def test_fifo_opens() -> None:
    """An open blocks until the other end was opened, even if that was closed again."""
    fs = Filesystem(VFS)
    inode = PipeInode(fs, 1, 0o600)
    where = Path(Mount(fs, Dentry(b"", None, inode)), Dentry(b"f", None, inode))
    with pytest.raises(ENXIO):
        inode.open(where, O_WRONLY | O_NONBLOCK)
    reader = inode.open(where, 0)
    reader.incref()
    assert reader.opening
    assert not reader.readiness() & HUP
    writer = inode.open(where, O_WRONLY)
    writer.incref()
    assert not reader.opening
    assert not writer.opening
    writer.decref()
    assert not reader.opening
    assert not inode.open(where, O_RDWR).opening
    assert writer.readiness() & OUT
