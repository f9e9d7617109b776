"""Registries, segments in real address spaces, semaphores against a model, message queues."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_abi import errors, ipc
from sentry_auth import root_credentials, user_credentials
from sentry_mm import MemoryManager
from sentry_mm.testing import FakeSpace
from sentry_pgalloc import MemoryFile
from sentry_sysvipc import MessageQueue, Queues, Receiver, Segment, Segments, Semaphores, SemaphoreSet, UndoList
from sentry_waiter import IN, OUT, Entry, Queue

ROOT = root_credentials()
USER = user_credentials(1000, 1000)
OTHER = user_credentials(2000, 2000)
GROUP = user_credentials(3000, 1000)


class Clock:
    """Surroundings that a test moves."""

    def __init__(self) -> None:
        """Begin at second 100 in process 7."""
        self.time = 100
        self.process = 7

    def now(self) -> int:
        """Return the time."""
        return self.time

    def pid(self) -> int:
        """Return the process."""
        return self.process


class Recorder(Entry):
    """Records notifications."""

    def __init__(self, queue: Queue) -> None:
        """Listen."""
        self.masks: list[int] = []
        queue.register(self, IN | OUT)

    def notify(self, queue: Queue, mask: int) -> None:
        """Note it."""
        del queue
        self.masks.append(mask)


@pytest.fixture
def memory() -> Iterator[MemoryFile]:
    """Yield a memory file."""
    file = MemoryFile()
    yield file
    file.close()


# -- registries


def test_keys() -> None:
    """A key leads to its object until that is removed; IPC_PRIVATE never does."""
    semaphores = Semaphores(Clock())
    with pytest.raises(errors.ENOENT):
        semaphores.get(5, 1, 0, ROOT)
    made = semaphores.get(5, 1, ipc.IPC_CREAT | 0o600, ROOT)
    assert semaphores.get(5, 1, 0, ROOT) is made
    with pytest.raises(errors.EEXIST):
        semaphores.get(5, 1, ipc.IPC_CREAT | ipc.IPC_EXCL, ROOT)
    assert semaphores.get(0, 1, 0, ROOT) is not semaphores.get(0, 1, 0, ROOT)
    assert (len(semaphores), semaphores.highest, semaphores.total) == (3, 2, 3)
    assert [item.id for item in semaphores] == [0, 1, 2]
    semaphores.remove(made)
    assert made.removed
    with pytest.raises(errors.EINVAL):
        semaphores.find(made.id)
    for bad in (-1, 99):
        with pytest.raises(errors.EINVAL):
            semaphores.at(bad)
    assert semaphores.at(1).id == 1


def test_ids_are_not_soon_used_again() -> None:
    """Places go round through at least 64; each round is another sequence."""
    queues = Queues(Clock())
    seen = []
    for _ in range(130):
        made = queues.get(0, 0o600, ROOT)
        seen.append(made.id)
        queues.remove(made)
    assert len(set(seen)) == 130
    assert seen[63:66] == [63, 1 << 15, 1 << 15 | 1]
    assert queues.highest == 0


def test_limits(memory: MemoryFile) -> None:
    """A full registry is ENOSPC; sizes out of range EINVAL."""
    clock = Clock()
    queues = Queues(clock)
    queues.limit = 2
    first, _ = queues.get(0, 0, ROOT), queues.get(0, 0, ROOT)
    with pytest.raises(errors.ENOSPC):
        queues.get(0, 0, ROOT)
    queues.remove(first)
    assert queues.get(0, 0, ROOT).id & 0x7FFF == 0
    segments = Segments(memory, clock)
    for size in (0, (1 << 64) - 1):
        with pytest.raises(errors.EINVAL):
            segments.get(0, size, 0, ROOT)
    with pytest.raises(errors.ENOMEM):
        segments.get(0, 1 << 50, 0, ROOT)
    with pytest.raises(errors.ENOMEM):
        segments.get(0, 4096, ipc.SHM_HUGETLB, ROOT)
    segments.limit = 0
    with pytest.raises(errors.ENOSPC):
        segments.get(0, 4096, 0, ROOT)
    semaphores = Semaphores(clock)
    for count in (-1, 0, 32001):
        with pytest.raises(errors.EINVAL):
            semaphores.get(0, count, 0, ROOT)
    made = semaphores.get(1, 2, ipc.IPC_CREAT, ROOT)
    with pytest.raises(errors.EINVAL):
        semaphores.get(1, 3, 0, ROOT)
    assert semaphores.get(1, 0, 0, ROOT) is made


def test_permissions() -> None:
    """Owner, group and others; the superuser may do everything."""
    queue = Queues(Clock()).get(0, 0o640, USER)
    queue.check(USER, 0o600)
    queue.check(GROUP, 0o400)
    queue.check(ROOT, 0o666)
    for creds, wanted in ((GROUP, 0o200), (OTHER, 0o400), (USER, 0o100)):
        with pytest.raises(errors.EACCES):
            queue.check(creds, wanted)
    queue.check_owner(USER)
    queue.check_owner(ROOT)
    with pytest.raises(errors.EPERM):
        queue.check_owner(OTHER)
    with pytest.raises(errors.EINVAL):
        queue.set(0xFFFFFFFF, 0, 0, 1)
    queue.set(2000, 2000, 0o7600, 9)
    assert (queue.mode, queue.ctime, queue.sequence) == (0o600, 9, 0)
    queue.check(OTHER, 0o600)
    queue.check(USER, 0o600)


# -- shared memory


def attach(mm: MemoryManager, segment: Segment) -> int:
    """Map a segment as shmat does."""
    return mm.mmap(0, segment.size, 3, 1, segment, 0)


def test_segment_lives_while_mapped(memory: MemoryFile) -> None:
    """Attachments are counted through fork, split, munmap and exit; the last one ends a removed segment."""
    clock = Clock()
    segments = Segments(memory, clock)
    segment = segments.get(3, 3 * 4096, ipc.IPC_CREAT | 0o600, ROOT)
    assert (segment.attached, segment.pages, segments.total_pages, segment.resident) == (0, 3, 3, 0)
    with pytest.raises(errors.EINVAL):
        segments.get(3, 4 * 4096, 0, ROOT)
    assert segments.get(3, 4096, 0, ROOT) is segment
    mm = MemoryManager(FakeSpace(), memory)
    at = attach(mm, segment)
    assert segment.atime == 100
    mm.copy_out(at + 5000, b"shared")
    assert segment.resident == 1
    clock.time, clock.process = 200, 8
    child = mm.fork()
    assert (segment.attached, segment.atime, segment.lpid) == (2, 200, 8)
    assert child.copy_in(at + 5000, 6) == b"shared"
    mm.mprotect(at + 4096, 4096, 1)
    assert segment.attached == 4
    mm.mprotect(at + 4096, 4096, 3)
    assert segment.attached == 4
    segments.remove(segment)
    assert segment.mode & ipc.SHM_DEST
    assert segment.key == 0
    with pytest.raises(errors.ENOENT):
        segments.get(3, 4096, 0, ROOT)
    assert segments.find(segment.id) is segment
    mm.munmap(at, 4096)
    assert (segment.attached, segment.dtime) == (3, 200)
    mm.munmap(at, 3 * 4096)
    assert segment.attached == 1
    assert not segment.removed
    child.release()
    assert segment.removed
    assert not len(segments)
    assert segments.owns(segment)
    assert not segments.owns(None)
    mm.release()


def test_segment_never_mapped_ends_at_once(memory: MemoryFile) -> None:
    """Removal without attachments frees the pages."""
    segments = Segments(memory, Clock())
    before = memory.total_usage()
    segment = segments.get(0, 1 << 20, 0o600, ROOT)
    assert segment.mapping_identity() is segment
    assert segment.mapped_size() == 1 << 20
    segments.remove(segment)
    assert segment.removed
    del segment
    memory.reclaim()
    assert memory.total_usage() == before


def test_reset_and_dontfork(memory: MemoryFile) -> None:
    """Exec detaches; MADV_DONTFORK keeps the child without."""
    segments = Segments(memory, Clock())
    segment = segments.get(0, 4096, 0o600, ROOT)
    mm = MemoryManager(FakeSpace(), memory)
    at = attach(mm, segment)
    mm.madvise(at, 4096, 10)
    child = mm.fork()
    assert segment.attached == 1
    child.release()
    segments.remove(segment)
    mm.reset()
    assert segment.removed
    mm.commit()
    mm.release()


# -- semaphores


def make(*values: int) -> SemaphoreSet:
    """Return a set with these values."""
    found = Semaphores(Clock()).get(0, len(values), 0o600, ROOT)
    found.set_all(values)
    return found


def test_all_or_nothing() -> None:
    """No operation is done unless all can be."""
    found = make(1, 0)
    with pytest.raises(errors.EAGAIN):
        found.operate([(0, -1, 0), (1, -1, ipc.IPC_NOWAIT)], None, 1, ROOT)
    assert found.values == [1, 0]
    assert found.operate([(0, -1, 0), (1, 3, 0), (1, -3, 0), (1, 0, 0)], None, 9, ROOT) is None
    assert (found.values, found.pids, found.otime) == ([0, 0], [9, 9], 100)
    with pytest.raises(errors.EFBIG):
        found.operate([(2, 1, 0)], None, 1, ROOT)
    with pytest.raises(errors.EACCES):
        found.operate([(0, 1, 0)], None, 1, OTHER)
    found.set_value(0, 32767)
    with pytest.raises(errors.ERANGE):
        found.operate([(0, 1, 0)], None, 1, ROOT)
    for number, value, error in ((0, 32768, errors.ERANGE), (5, 0, errors.EINVAL)):
        with pytest.raises(error):
            found.set_value(number, value)
    with pytest.raises(errors.ERANGE):
        found.set_all([40000, 0])


def test_waiters_are_served_in_order() -> None:
    """Raising a semaphore does the waiting operations, zero first; errors end a wait too."""
    found = make(0, 1)
    big = found.operate([(0, -2, 0)], None, 11, ROOT)
    small = found.operate([(0, -1, 0)], None, 12, ROOT)
    zero = found.operate([(1, 0, 0)], None, 13, ROOT)
    chained = found.operate([(1, -1, 0), (0, 2, 0)], None, 14, ROOT)
    assert chained is None
    assert big is not None
    assert small is not None
    assert zero is not None
    assert (big.done, small.done, zero.done) == (True, False, True)
    assert found.pids[0] == 11
    assert found.count_waiting(0, for_zero=False) == 1
    assert found.count_waiting(0, for_zero=True) == 0
    recorder = Recorder(small.queue)
    assert not small.cancel()
    assert found.count_waiting(0, for_zero=False) == 0
    assert recorder.masks == []
    failing = found.operate([(1, -1, 0), (0, -1, ipc.IPC_NOWAIT)], None, 15, ROOT)
    assert failing is not None
    found.set_value(1, 1)
    assert failing.error == errors.EAGAIN.errno
    assert not failing.done


def test_removal_ends_waits() -> None:
    """EIDRM for all who wait, and nothing to undo any more."""
    semaphores = Semaphores(Clock())
    found = semaphores.get(0, 1, 0o600, ROOT)
    undo = semaphores.new_undo_list()
    found.operate([(0, 1, ipc.SEM_UNDO)], undo, 1, ROOT)
    waiter = found.operate([(0, -5, 0)], None, 1, ROOT)
    assert waiter is not None
    recorder = Recorder(waiter.queue)
    semaphores.remove(found)
    assert (waiter.error, recorder.masks, undo.sets) == (errors.EIDRM.errno, [IN], {})
    undo.apply(1)


def test_undo() -> None:
    """What is undone goes to 0 or the maximum at most, and lets others go on."""
    found = make(0)
    undo = UndoList()
    found.operate([(0, 5, ipc.SEM_UNDO)], undo, 1, ROOT)
    found.operate([(0, -3, 0)], None, 2, ROOT)
    undo.apply(1)
    assert found.values == [0]
    found.set_value(0, 32767)
    found.operate([(0, -10, ipc.SEM_UNDO)], undo, 1, ROOT)
    found.operate([(0, 5, 0)], None, 2, ROOT)
    undo.apply(3)
    assert (found.values, found.pids) == ([32767], [3])
    found.operate([(0, -32767, ipc.SEM_UNDO)], undo, 1, ROOT)
    found.operate([(0, 32767, 0)], None, 1, ROOT)
    with pytest.raises(errors.ERANGE):
        found.operate([(0, -1, ipc.SEM_UNDO)], undo, 1, ROOT)


STEP = st.tuples(
    st.sampled_from(["op", "exit"]),
    st.integers(0, 2),
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(-3, 3), st.sampled_from([0, ipc.SEM_UNDO])), min_size=1, max_size=3
    ),
)


@given(st.lists(STEP, max_size=25))
@settings(max_examples=60, deadline=None)
def test_no_waiter_is_forgotten(steps: list[tuple[str, int, list[tuple[int, int, int]]]]) -> None:
    """After each step: no waiter could go on, values are sums of what was done, and undoing all is consistent."""
    found = make(0, 0)
    lists = [UndoList() for _ in range(3)]
    for what, who, operations in steps:
        if what == "exit":
            lists[who].apply(who)
        else:
            found.operate(operations, lists[who], who, ROOT)
        assert all(0 <= value <= 32767 for value in found.values)
        for waiter in found.waiting:
            values = list(found.values)
            could = True
            for number, change, _ in waiter.operations:
                if (change == 0 and values[number]) or values[number] + change < 0:
                    assert waiter.blocking.number == number
                    could = False
                    break
                values[number] += change
            assert not could
            assert not waiter.done


# -- message queues


def queue_of(*messages: tuple[int, bytes]) -> MessageQueue:
    """Return a queue that holds messages."""
    queue = Queues(Clock()).get(0, 0o600, ROOT)
    for kind, data in messages:
        queue.send(kind, data, 1, ROOT)
    return queue


def take(queue: MessageQueue, kind: int, flags: int = 0, size: int = 100) -> object:
    """Receive without waiting."""
    return queue.receive(kind, size, flags | ipc.IPC_NOWAIT, 2, ROOT)


def test_types() -> None:
    """By type, by any other, by the lowest up to one, and by position."""
    queue = queue_of((5, b"a"), (3, b"b"), (7, b"c"), (3, b"d"))
    assert take(queue, 1, ipc.MSG_COPY) == (3, b"b")
    assert take(queue, 7) == (7, b"c")
    assert take(queue, -4) == (3, b"b")
    assert take(queue, 5, ipc.MSG_EXCEPT) == (3, b"d")
    assert take(queue, 0) == (5, b"a")
    assert (queue.held, queue.messages, queue.lrpid, queue.lspid) == (0, [], 2, 1)
    for kind, flags in ((0, 0), (1, 0), (-9, 0), (4, ipc.MSG_COPY)):
        with pytest.raises(errors.ENOMSG):
            take(queue, kind, flags)
    with pytest.raises(errors.EINVAL):
        queue.receive(0, 1, ipc.MSG_COPY, 1, ROOT)
    with pytest.raises(errors.EINVAL):
        take(queue, 0, ipc.MSG_COPY | ipc.MSG_EXCEPT)
    queue.send(1, b"long", 1, ROOT)
    with pytest.raises(errors.E2BIG):
        take(queue, 0, size=3)
    assert take(queue, 0, ipc.MSG_NOERROR, 3) == (1, b"long")


def test_receivers() -> None:
    """A message goes to the first receiver that wants it and has space."""
    queue = queue_of()
    waiting = [queue.receive(kind, size, 0, 20 + kind, ROOT) for kind, size in ((2, 9), (1, 1), (1, 9))]
    other, small, fitting = waiting
    assert isinstance(other, Receiver)
    assert isinstance(small, Receiver)
    assert isinstance(fitting, Receiver)
    recorder = Recorder(fitting.queue)
    queue.send(1, b"text", 1, ROOT)
    assert (small.error, fitting.message, other.message, recorder.masks) == (
        errors.E2BIG.errno,
        (1, b"text"),
        None,
        [IN],
    )
    assert (queue.messages, queue.lrpid) == ([], 21)
    other.cancel()
    other.cancel()
    queue.send(2, b"stays", 1, ROOT)
    assert queue.held == 5


def test_full_and_removed() -> None:
    """A full queue is EAGAIN until a message is taken or the limit grows; removal notifies all."""
    queues = Queues(Clock())
    queue = queues.get(4, ipc.IPC_CREAT | 0o600, ROOT)
    assert queues.get(4, 0o600, ROOT) is queue
    recorder = Recorder(queue.senders)
    queue.change(0, 0, 0o600, 4)
    queue.send(1, b"1234", 1, ROOT)
    with pytest.raises(errors.EAGAIN):
        queue.send(1, b"5", 1, ROOT)
    with pytest.raises(errors.EACCES):
        queue.send(1, b"", 1, OTHER)
    take(queue, 0)
    queue.send(1, b"", 1, ROOT)
    waiter = queue.receive(9, 1, 0, 1, ROOT)
    assert isinstance(waiter, Receiver)
    queue.change(0, 0, 0o600, 4)
    assert waiter.error == errors.EAGAIN.errno
    waiter = queue.receive(9, 1, 0, 1, ROOT)
    assert isinstance(waiter, Receiver)
    queues.remove(queue)
    assert waiter.error == errors.EIDRM.errno
    assert recorder.masks == [OUT] * 4
    with pytest.raises(errors.EIDRM):
        queue.send(1, b"", 1, ROOT)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.binary(max_size=3)), max_size=12),
    st.lists(st.integers(-5, 5), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_receiving_is_a_choice_in_order(sent: list[tuple[int, bytes]], kinds: list[int]) -> None:
    """What comes out is what the man page says of what is in."""
    queue = queue_of(*sent)
    left = list(sent)
    for kind in kinds:
        if kind < 0:
            fitting = sorted((m for m in left if m[0] <= -kind), key=lambda m: m[0])
        else:
            fitting = [m for m in left if kind in (0, m[0])]
        if not fitting:
            with pytest.raises(errors.ENOMSG):
                take(queue, kind)
            continue
        assert take(queue, kind) == fitting[0]
        left.remove(fitting[0])
        assert queue.held == sum(len(data) for _, data in left)
