"""POSIX message queues: names and limits, order, those who wait, notifications, files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_abi import errors
from sentry_abi.fcntl import O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY
from sentry_auth import root_credentials, user_credentials
from sentry_host import real_host
from sentry_sysvipc import MqFile, MqFilesystem, MqMessage, MqQueue, MqWaiter
from sentry_vfs import VirtualFilesystem

VFS = VirtualFilesystem(real_host())

ROOT = root_credentials()
USER = user_credentials(1000, 1000)
OTHER = user_credentials(2000, 2000)
LIMIT = 819_200


def make(capacity: int = 3, largest: int = 10) -> MqQueue:
    """Return a queue."""
    return MqFilesystem(VFS).open(b"q", O_RDWR | O_CREAT, 0o600, (capacity, largest), ROOT, LIMIT).messages


def opened(file: MqFile) -> MqFile:
    """Hold a description as a table does."""
    file.incref()
    return file


def test_names() -> None:
    """A name leads to one queue until it is unlinked; the queue lives on while open."""
    fs = MqFilesystem(VFS)
    with pytest.raises(errors.ENOENT):
        fs.open(b"a", O_RDWR, 0, None, USER, LIMIT)
    file = opened(fs.open(b"a", O_RDWR | O_CREAT, 0o640, None, USER, LIMIT))
    assert (file.messages.capacity, file.messages.largest, file.messages.size()) == (10, 8192, 80)
    assert fs.owns(file)
    assert file.path() == b"/a"
    again = opened(fs.open(b"a", O_WRONLY | O_CREAT, 0, (1, 1), USER, LIMIT))
    assert again.messages is file.messages
    for flags, error in ((O_RDWR | O_CREAT | O_EXCL, errors.EEXIST), (3, errors.EINVAL)):
        with pytest.raises(error):
            fs.open(b"a", flags, 0, None, USER, LIMIT)
    with pytest.raises(errors.EACCES):
        fs.open(b"a", O_RDONLY, 0, None, OTHER, LIMIT)
    with pytest.raises(errors.EPERM):
        fs.unlink(b"a", OTHER)
    again.decref()
    fs.unlink(b"a", USER)
    assert (fs.count, fs.used, file.path()) == (1, {1000: 82880}, b"/ (deleted)")
    file.decref()
    assert (fs.count, fs.used) == (0, {})
    with pytest.raises(errors.ENOENT):
        fs.unlink(b"a", USER)
    refused = {b"": errors.ENOENT, b"..": errors.EACCES, b"x/y": errors.EACCES, b"n" * 256: errors.ENAMETOOLONG}
    for name, why in refused.items():
        with pytest.raises(why):
            fs.unlink(name, USER)


def test_limits() -> None:
    """Sizes by privilege, bytes by user, queues in all."""
    fs = MqFilesystem(VFS)
    for attributes in ((0, 1), (1, 0), (11, 1), (1, 8193)):
        with pytest.raises(errors.EINVAL):
            fs.open(b"a", O_CREAT, 0, attributes, USER, LIMIT)
    with pytest.raises(errors.EINVAL):
        fs.open(b"a", O_CREAT, 0, (65537, 1), ROOT, LIMIT)
    with pytest.raises(errors.EMFILE):
        fs.open(b"a", O_CREAT, 0, None, USER, 1000)
    for number in range(256):
        fs.open(b"%d" % number, O_CREAT, 0, (1, 1), USER, LIMIT)
    with pytest.raises(errors.ENOSPC):
        fs.open(b"a", O_CREAT, 0, (1, 1), USER, LIMIT)
    fs.open(b"a", O_CREAT, 0, (1, 1), ROOT, LIMIT)
    fs.names[b"0"].opened = 0
    fs.unlink(b"0", USER)
    assert fs.used[1000] == 255 * 97


def test_receiver_and_sender_are_served() -> None:
    """A message goes to a waiting receiver; a sender that waits for space then has its message put in."""
    queue = make(1)
    first, second = queue.receive(), queue.receive()
    assert isinstance(first, MqWaiter)
    assert isinstance(second, MqWaiter)
    assert queue.send(b"one", 5) == (None, None)
    assert first.message is not None
    assert (first.done, first.message.data, first.message.priority, second.done) == (True, b"one", 5, False)
    assert queue.cancel(first)
    assert not queue.cancel(second)
    queue.send(b"two", 0)
    waiter, _ = queue.send(b"three", 0)
    assert waiter is not None
    got = queue.receive()
    assert isinstance(got, MqMessage)
    assert (got.data, waiter.done, queue.held, len(queue.messages)) == (b"two", True, 5, 1)


def test_notification() -> None:
    """A notification comes once, when a message comes to an empty queue; the description's end cancels it."""
    fs = MqFilesystem(VFS)
    file = opened(fs.open(b"q", O_CREAT | O_RDWR, 0o600, (3, 10), ROOT, LIMIT))
    queue = file.messages
    asked = fs.notification("me", 10, 42, file)
    queue.ask(asked)
    with pytest.raises(errors.EBUSY):
        queue.ask(asked)
    queue.withdraw("you")
    assert queue.send(b"", 0) == (None, asked)
    queue.ask(asked)
    assert queue.send(b"", 0) == (None, None)
    queue.withdraw("me")
    assert queue.notification is None
    queue.ask(fs.notification("me", -1, 0, file))
    buffer = bytearray(100)
    assert file.readiness() == 0x145
    assert file.read([memoryview(buffer)]) == 60
    assert file.read([memoryview(buffer)]) == 0
    assert buffer.startswith(b"QSIZE:0          NOTIFY:1     SIGNO:0     NOTIFY_PID:0     \n")
    file.decref()
    assert queue.notification is None


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_order(steps: list[int | None]) -> None:
    """Highest priority first, then the oldest; None receives."""
    queue = make(100, 4)
    model: list[tuple[int, int]] = []
    for number, step in enumerate(steps):
        if step is not None:
            queue.send(number.to_bytes(4, "little"), step)
            model.append((-step, number))
        elif model:
            model.sort()
            got = queue.receive()
            assert isinstance(got, MqMessage)
            assert (-got.priority, int.from_bytes(got.data, "little")) == model.pop(0)
        assert queue.held == 4 * len(model)
