"""An IPC namespace with waiters through an image."""

import io

import pytest

from sentry_abi import errors, ipc
from sentry_abi.fcntl import O_CREAT, O_RDWR
from sentry_auth import root_credentials
from sentry_host.testing import FakeHost
from sentry_mm import MemoryManager
from sentry_mm.testing import FakeSpace
from sentry_mm.testing import registry as mm_registry
from sentry_pgalloc import MemoryFile
from sentry_state import Reader, Writer
from sentry_sysvipc import (
    MqFilesystem,
    MqMessage,
    MqWaiter,
    Queues,
    Receiver,
    Segments,
    Semaphores,
    UndoList,
)
from sentry_sysvipc._state import register
from sentry_vfs import VirtualFilesystem
from sentry_vfs._state import register as register_vfs
from sentry_waiter._state import register as register_queues

ROOT = root_credentials()
HOST = FakeHost().record
LIMIT = 819_200


class Around:
    """Surroundings that stay the same."""

    __slots__ = ()

    def now(self) -> int:
        """Return a time."""
        return 100

    def pid(self) -> int:
        """Return a process."""
        return 7


def through_an_image(graph: tuple[object, ...], memory: MemoryFile) -> tuple[object, ...]:
    """Save and load a graph over the same memory file."""
    registry, file = mm_registry(), io.BytesIO()
    register_queues(registry)
    register_vfs(registry)
    register(registry)
    registry.savable("test.Around")(Around)
    with Writer(file, registry=registry) as writer:
        writer.save("graph", graph, {"host": HOST, "memory": memory})
    file.seek(0)
    reader = Reader(file, registry=registry)
    loaded = reader.load("graph", {"host": HOST, "memory": memory})
    reader.finish()
    assert isinstance(loaded, tuple)
    return loaded


def test_everything_that_waits_goes_on() -> None:
    """Values, messages, waiters in their order and what is to be undone: all as before."""
    memory, around = MemoryFile(1 << 36), Around()
    semaphores, queues, undo = Semaphores(around), Queues(around), UndoList()
    found = semaphores.get(5, 2, 0o600 | ipc.IPC_CREAT, ROOT)
    found.operate([(0, 3, ipc.SEM_UNDO)], undo, 7, ROOT)
    waiter = found.operate([(1, -1, 0), (0, -1, 0)], None, 8, ROOT)
    queue = queues.get(6, 0o600 | ipc.IPC_CREAT, ROOT)
    queue.send(2, b"two", 7, ROOT)
    receiver = queue.receive(9, 10, 0, 8, ROOT)
    graph = through_an_image((semaphores, queues, undo, waiter, receiver), memory)
    semaphores, queues, undo, waiter, receiver = graph  # type: ignore[assignment]  # as they were
    found = semaphores.get(5, 2, 0, ROOT)
    assert waiter is not None
    assert (found.values, waiter.done, found.pids) == ([3, 0], False, [7, 0])
    found.set_value(1, 1)
    assert (found.values, waiter.done) == ([2, 0], True)
    undo.apply(7)
    assert found.values == [0, 0]
    queue = queues.get(6, 0, ROOT)
    assert isinstance(receiver, Receiver)
    queue.send(9, b"nine", 7, ROOT)
    assert receiver.message == (9, b"nine")
    assert queue.receive(0, 10, 0, 8, ROOT) == (2, b"two")
    again = queue.receive(1, 10, 0, 8, ROOT)
    assert isinstance(again, Receiver)
    queues.remove(queue)
    assert again.error == errors.EIDRM.errno
    memory.close()


def test_segments_keep_their_pages() -> None:
    """An attached segment is the one that its address space maps; its id finds it; a removed one ends with it."""
    memory = MemoryFile(1 << 36)
    segments = Segments(memory, Around())
    segment = segments.get(3, 8192, 0o600 | ipc.IPC_CREAT, ROOT)
    mm = MemoryManager(FakeSpace(), memory)
    at = mm.mmap(0, 8192, 3, 1, segment, 0)
    mm.copy_out(at + 4096, b"shared")
    graph = through_an_image((segments, mm), memory)
    segments, mm = graph  # type: ignore[assignment]  # as they were
    mm.attach(FakeSpace())
    found = segments.find(segment.id)
    assert (found.attached, found.size, found.key) == (1, 8192, 3)
    assert mm.copy_in(at + 4096, 6) == b"shared"
    segments.remove(found)
    assert segments.find(segment.id) is found
    mm.munmap(at, 8192)
    with pytest.raises(errors.EINVAL):
        segments.find(segment.id)
    memory.close()


def test_posix_queues() -> None:
    """Names, priorities, a sender that waits, and a request to be notified."""
    memory = MemoryFile(1 << 36)
    fs = MqFilesystem(VirtualFilesystem(HOST))
    file = fs.open(b"q", O_RDWR | O_CREAT, 0o600, (1, 10), ROOT, LIMIT)
    file.incref()
    file.messages.send(b"first", 1)
    waiter, _ = file.messages.send(b"second", 5)
    file.messages.ask(fs.notification(None, 10, 1, file))
    graph = through_an_image((fs, file, waiter), memory)
    fs, file, waiter = graph  # type: ignore[assignment]  # as they were
    assert fs.names == {b"q": file.messages}
    assert isinstance(waiter, MqWaiter)
    first = file.messages.receive()
    assert isinstance(first, MqMessage)
    assert (first.data, first.priority, waiter.done) == (b"first", 1, True)
    assert file.messages.receive() == (-5, 1, b"second")
    _, due = file.messages.send(b"third", 0)
    assert due is not None
    assert (due.signo, due.file) == (10, file)
    fs.unlink(b"q", ROOT)
    file.decref()
    assert (fs.count, fs.used) == (0, {})
    memory.close()
