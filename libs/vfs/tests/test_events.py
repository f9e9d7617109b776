"""eventfd, epoll and locks."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentry_abi.errors import EAGAIN, EEXIST, EINVAL, ELOOP, ENOENT, EPERM
from sentry_abi.fcntl import F_RDLCK, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_SH, LOCK_UN
from sentry_host import real_host
from sentry_vfs import (
    EOF,
    EpollFile,
    EventFile,
    FileDescription,
    Lock,
    LockTable,
    VirtualFilesystem,
    make_pipe,
)
from sentry_waiter import IN, OUT

VFS = VirtualFilesystem(real_host())

ONESHOT = 1 << 30
EDGE = 1 << 31


def event(count: int = 0, *, semaphore: bool = False) -> EventFile:
    """Return a held eventfd."""
    file = EventFile(VFS.anonymous, count, 0, semaphore=semaphore)
    file.incref()
    return file


def take(file: EventFile) -> int:
    """Read an eventfd."""
    buffer = bytearray(8)
    file.read([memoryview(buffer)])
    return int.from_bytes(buffer, "little")


def test_eventfd() -> None:
    """A read takes all or, as a semaphore, one; overflow waits."""
    file = event(3)
    assert take(file) == 3
    with pytest.raises(EAGAIN):
        take(file)
    file.write([(5).to_bytes(8, "little")])
    assert take(file) == 5
    semaphore = event(2, semaphore=True)
    assert [take(semaphore), take(semaphore)] == [1, 1]
    with pytest.raises(EINVAL):
        file.add((1 << 64) - 1)
    file.add((1 << 64) - 2)
    assert not file.readiness() & OUT
    with pytest.raises(EAGAIN):
        file.add(1)
    with pytest.raises(EINVAL):
        file.read([memoryview(bytearray(7))])


def test_level_edge_and_oneshot() -> None:
    """Level reports as long as it is true, edge once a change, one-shot once."""
    epoll = EpollFile(VFS.anonymous)
    level, edge, once = event(1), event(1), event(1)
    epoll.add(level, 1, IN, 11)
    epoll.add(edge, 2, IN | EDGE, 22)
    epoll.add(once, 3, IN | ONESHOT, 33)
    assert {data for _, data in epoll.take(8)} == {11, 22, 33}
    assert epoll.take(8) == [(IN, 11)]
    edge.add(1)
    once.add(1)
    assert {data for _, data in epoll.take(8)} == {11, 22}
    epoll.modify(once, 3, IN | ONESHOT, 34)
    assert (IN, 34) in epoll.take(8)
    take(level)
    assert epoll.take(8) == []
    assert not epoll.readiness()


def test_turns_are_fair() -> None:
    """With space for one event, two level-triggered items alternate."""
    epoll = EpollFile(VFS.anonymous)
    first, second = event(1), event(1)
    epoll.add(first, 1, IN, 1)
    epoll.add(second, 2, IN, 2)
    assert [epoll.take(1)[0][1] for _ in range(4)] == [1, 2, 1, 2]


def test_membership_errors() -> None:
    """Adding twice, unknown items, itself, loops and files without readiness."""
    fs = VFS.anonymous
    epoll, other = EpollFile(fs), EpollFile(fs)
    file = event()
    epoll.add(file, 1, IN, 0)
    with pytest.raises(EEXIST):
        epoll.add(file, 1, IN, 0)
    epoll.add(file, 2, IN, 0)
    with pytest.raises(ENOENT):
        epoll.remove(file, 3)
    with pytest.raises(EINVAL):
        epoll.add(epoll, 4, IN, 0)
    epoll.add(other, 5, IN, 0)
    with pytest.raises(ELOOP):
        other.add(epoll, 6, IN, 0)
    with pytest.raises(EPERM):
        epoll.add(FileDescription(0, None, None), 7, IN, 0)


def test_the_last_close_removes_the_item() -> None:
    """A closed file reports nothing any more, and its queue is left."""
    epoll = EpollFile(VFS.anonymous)
    reader, writer = make_pipe(VFS.pipes, 0, 0)
    reader.incref()
    writer.incref()
    epoll.add(reader, 3, IN, 3)
    writer.write([b"x"])
    reader.decref()
    assert epoll.take(4) == []
    assert not epoll.items()
    assert not reader.pipe.queue


RANGES = st.tuples(st.integers(0, 12), st.integers(1, 6))
LOCKING = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([F_RDLCK, F_WRLCK, F_UNLCK]), RANGES), max_size=30)


@given(LOCKING)
@example([(1, F_WRLCK, (0, 3)), (1, F_RDLCK, (0, 2)), (1, F_RDLCK, (0, 1)), (0, F_RDLCK, (0, 2))])  # inside its own
def test_record_locks_against_a_map_of_bytes(operations: list[tuple[int, int, tuple[int, int]]]) -> None:
    """A lock is granted exactly when no other owner's lock on any byte forbids it."""
    owners = [object(), object(), object()]
    table = LockTable()
    model: list[dict[int, int]] = [{}, {}, {}]
    for who, kind, (start, length) in operations:
        span = range(start, start + length)
        blocked = kind != F_UNLCK and any(
            byte in held and F_WRLCK in {held[byte], kind}
            for other, held in enumerate(model)
            if other != who
            for byte in span
        )
        lock = Lock(start, start + length, kind, owners[who], who)
        if blocked:
            with pytest.raises(EAGAIN):
                table.set(lock)
            continue
        table.set(lock)
        for byte in span:
            if kind == F_UNLCK:
                model[who].pop(byte, None)
            else:
                model[who][byte] = kind
        for other, held in enumerate(model):
            for byte in range(20):
                probe = Lock(byte, byte + 1, F_WRLCK, None, 0)
                found = table.conflict(probe)
                assert (found is not None) == any(byte in h for h in model)
            del other, held
    for owner in owners:
        table.drop(owner)
    assert not table


def test_whole_file_locks() -> None:
    """Shared with shared, exclusive alone, upgrade when alone."""
    table = LockTable()
    a, b = object(), object()
    table.flock(a, LOCK_SH)
    table.flock(b, LOCK_SH)
    with pytest.raises(EAGAIN):
        table.flock(a, LOCK_EX)
    table.flock(b, LOCK_UN)
    table.flock(a, LOCK_EX)
    with pytest.raises(EAGAIN):
        table.flock(b, LOCK_SH)
    table.set(Lock(0, EOF, F_WRLCK, a, 1))
    table.drop(a)
    assert not table
