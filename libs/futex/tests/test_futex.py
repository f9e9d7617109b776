"""Wait queues, keys, requeue, wake-op, PI locks and robust lists over words in a dictionary."""

import io
import re
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_abi.errors import EAGAIN, EDEADLK, EFAULT, EINVAL, ENOSYS, EPERM
from sentry_futex import (
    LIMIT,
    MATCH_ANY,
    OWNER_DIED,
    PRIVATE,
    SHARED,
    SHARED_PRIVATE,
    WAITERS,
    FutexError,
    Manager,
    Waiter,
    walk_robust_list,
)
from sentry_futex._state import register
from sentry_state import Reader, Registry, Writer

A, B = 0x1000, 0x2000


class Words:
    """A target: words by address; addresses from 0x8000 on are shared memory; what is not there is EFAULT."""

    def __init__(self, **_: int) -> None:
        """Begin with a few zeros."""
        self.words = dict.fromkeys((A, B, 0x8000, 0x8004), 0)
        self.races: list[tuple[int, int]] = []

    def load_u32(self, addr: int) -> int:
        """See Target."""
        if addr not in self.words:
            raise EFAULT
        return self.words[addr]

    def cas_u32(self, addr: int, old: int, value: int) -> int:
        """See Target; a race planned by the test strikes first."""
        if self.races:
            at, new = self.races.pop()
            self.words[at] = new
        found = self.load_u32(addr)
        if found == old:
            self.words[addr] = value
        return found

    def load_u64(self, addr: int) -> int:
        """See ListTarget."""
        if addr not in self.words:
            raise EFAULT
        return self.words[addr]

    def shared_key(self, addr: int) -> tuple[object, int] | None:
        """See Target."""
        if addr not in self.words:
            raise EFAULT
        return ("file", addr - 0x8000) if addr >= 0x8000 else None


class Noting(Waiter):
    """A waiter that counts notices."""

    __slots__ = ("notices",)

    def __init__(self, tid: int = 0) -> None:
        """Begin with none."""
        super().__init__(tid)
        self.notices = 0

    def notify(self) -> None:
        """Count."""
        assert self.woken
        assert self.key is None
        self.notices += 1


@pytest.fixture
def words() -> Words:
    """Return memory."""
    return Words()


@pytest.fixture
def manager() -> Manager:
    """Return a manager."""
    return Manager()


def _wait(manager: Manager, words: Words, addr: int = A, *, private: bool = True, bitset: int = MATCH_ANY) -> Noting:
    waiter = Noting()
    manager.wait(words, waiter, addr, words.words[addr], private=private, bitset=bitset)
    return waiter


def test_readme() -> None:
    """The README's example runs."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102  (our own README)


def test_wake_is_first_come_first_served(manager: Manager, words: Words) -> None:
    """Two of three, unrelated addresses untouched, and none twice."""
    waiters = [_wait(manager, words) for _ in range(3)]
    other = _wait(manager, words, B)
    assert manager.wake(words, A, 2, private=True) == 2
    assert [w.woken for w in waiters] == [True, True, False]
    assert not other.woken
    assert manager.wake(words, A, 5, private=True) == 1
    assert manager.wake(words, A, 5, private=True) == 0
    assert [w.notices for w in waiters] == [1, 1, 1]
    assert manager.waiting() == 1


def test_wake_of_none_wakes_one(manager: Manager, words: Words) -> None:
    """Linux wakes one for a count of 0 or less."""
    waiters = [_wait(manager, words) for _ in range(3)]
    assert manager.wake(words, A, 0, private=True) == 1
    assert manager.wake(words, A, -5, private=True) == 1
    assert not waiters[2].woken


def test_wait_checks_the_word(manager: Manager, words: Words) -> None:
    """Another value, a bad address, a crooked one, an empty bitset."""
    waiter = Noting()
    words.words[A] = 5
    with pytest.raises(EAGAIN):
        manager.wait(words, waiter, A, 4, private=True)
    for private in (True, False):
        with pytest.raises(EFAULT):
            manager.wait(words, waiter, 0x9990, 4, private=private)
        with pytest.raises(EINVAL):
            manager.wait(words, waiter, A + 2, 5, private=private)
    for call in (manager.wake,):
        with pytest.raises(EINVAL):
            call(words, A, 1, private=True, bitset=0)
    with pytest.raises(EINVAL):
        manager.wait(words, waiter, A, 5, private=True, bitset=0)
    assert manager.waiting() == 0
    assert manager.wake(words, 0x9990, 1, private=True) == 0
    with pytest.raises(EFAULT):
        manager.wake(words, 0x9990, 1, private=False)


def test_bitsets_select(manager: Manager, words: Words) -> None:
    """Only waiters whose bits overlap."""
    one, two = _wait(manager, words, bitset=1), _wait(manager, words, bitset=2)
    assert manager.wake(words, A, 9, private=True, bitset=2) == 1
    assert (one.woken, two.woken) == (False, True)
    assert manager.wake(words, A, 9, private=True, bitset=4) == 0


def test_kinds_of_keys_never_meet(manager: Manager, words: Words) -> None:
    """The same private address with and without the flag; shared memory through two address spaces."""
    flagged, plain = _wait(manager, words), _wait(manager, words, private=False)
    assert manager.wake(words, A, 9, private=False) == 1
    assert (flagged.woken, plain.woken) == (False, True)
    other = manager.fork()
    shared = _wait(manager, words, 0x8000, private=False)
    assert shared.key == (SHARED, "file", 0)
    assert other.wake(words, A, 9, private=True) == 0
    assert other.wake(words, 0x8004, 9, private=False) == 0
    assert other.wake(words, 0x8000, 9, private=False) == 1
    assert shared.woken


def test_cancel_tells_who_was_first(manager: Manager, words: Words) -> None:
    """Before a wake it leaves the queue; after one it says so."""
    early, late = _wait(manager, words), _wait(manager, words)
    assert manager.cancel(early) is False
    assert manager.cancel(early) is False
    assert manager.wake(words, A, 9, private=True) == 1
    assert manager.cancel(late) is True
    assert manager.waiting() == 0


def test_requeue_moves_to_the_end(manager: Manager, words: Words) -> None:
    """The rest moves in order behind who is there; counts are Linux's."""
    first = [_wait(manager, words) for _ in range(4)]
    there = _wait(manager, words, B)
    assert manager.requeue(words, A, B, 1, 2, private=True) == 3
    assert [w.woken for w in first] == [True, False, False, False]
    assert manager.wake(words, B, 1, private=True) == 1
    assert there.woken
    assert manager.wake(words, B, 1, private=True) == 1
    assert first[1].woken
    assert manager.cancel(first[2]) is False
    assert manager.requeue(words, A, A, 0, 5, private=True) == 1
    assert manager.requeue(words, B, A, 1, 1, private=True) == 0
    assert manager.requeue(words, A, B, 0, 0, private=True) == 0


def test_requeue_checks(manager: Manager, words: Words) -> None:
    """The expected value, negative counts, bad addresses."""
    _wait(manager, words)
    with pytest.raises(EAGAIN):
        manager.requeue(words, A, B, 1, 1, private=True, expected=9)
    assert manager.requeue(words, A, 0x8000, 0, 9, private=False, expected=0) == 0
    assert manager.requeue(words, A, B, 1, 1, private=True, expected=0) == 1
    for counts in ((-1, 0), (0, -1)):
        with pytest.raises(EINVAL):
            manager.requeue(words, A, B, *counts, private=True)
    with pytest.raises(EAGAIN):
        _wait_for(manager, words, 5)


def _wait_for(manager: Manager, words: Words, value: int, bitset: int = MATCH_ANY) -> None:
    manager.wait(words, Noting(), A, value, private=True, bitset=bitset)


def test_requeue_moves_the_key_too(manager: Manager, words: Words) -> None:
    """A waiter that was moved leaves, is woken and is found where it is now, between all kinds of keys."""
    other = manager.fork()
    moved = [_wait(manager, words, A, private=False) for _ in range(3)]
    assert manager.requeue(words, A, 0x8000, 0, 2, private=False) == 2
    assert [w.key for w in moved] == [(SHARED, "file", 0), (SHARED, "file", 0), (SHARED_PRIVATE, None, A)]
    assert other.cancel(moved[0]) is False
    assert other.wake(words, 0x8000, 5, private=False) == 1
    assert moved[1].woken
    _wait(manager, words, 0x8000, private=False)
    assert manager.requeue(words, 0x8000, B, 0, 1, private=False) == 1
    assert other.wake(words, B, 1, private=False) == 0
    assert manager.wake(words, B, 1, private=False) == 1


def test_wrong_use_is_named(manager: Manager, words: Words) -> None:
    """Queued twice, another manager's, numbers that no word or thread can have; addresses outside of user memory."""
    waiter = _wait(manager, words)
    for call in (lambda: manager.wait(words, waiter, B, 0, private=True), lambda: _lock(manager, words, waiter)):
        waiter.tid = 5
        with pytest.raises(FutexError, match="thread 5 is still queued"):
            call()
    with pytest.raises(FutexError, match="another manager"):
        Manager().cancel(waiter)
    assert manager.waiting() == 1
    for value in (-1, 1 << 32):
        with pytest.raises(FutexError, match="32 bits"):
            _wait_for(manager, words, value)
        with pytest.raises(FutexError, match="32 bits"):
            _wait_for(manager, words, 0, value)
        with pytest.raises(FutexError, match="32 bits"):
            manager.requeue(words, A, B, 0, 0, private=True, expected=value)
    for tid in (0, -1, 1 << 30):
        with pytest.raises(FutexError, match="number from 1"):
            _lock(manager, words, Noting(tid))
    with pytest.raises(EPERM):
        manager.unlock_pi(words, A, 0, private=True)
    for addr in (1 << 47, -4, 1 << 64):
        with pytest.raises(EFAULT):
            manager.wake(words, addr, 1, private=True)


def _lock(manager: Manager, words: Words, waiter: Waiter) -> bool:
    return manager.lock_pi(words, waiter, B, private=True)


def test_waits_and_locks_on_one_word_do_not_mix(manager: Manager, words: Words) -> None:
    """Only an unlock wakes who is in line for a lock, since its wake means that it owns it; Linux: EINVAL."""
    assert manager.lock_pi(words, Noting(11), A, private=True)
    early = _wait(manager, words)
    with pytest.raises(EINVAL):
        manager.lock_pi(words, Noting(12), A, private=True)
    with pytest.raises(EINVAL):
        manager.unlock_pi(words, A, 11, private=True)
    manager.cancel(early)
    heir = Noting(12)
    assert not manager.lock_pi(words, heir, A, private=True)
    with pytest.raises(EINVAL):
        manager.wake(words, A, 1, private=True)
    with pytest.raises(EINVAL):
        manager.requeue(words, A, B, 0, 1, private=True)
    assert manager.requeue(words, A, B, 0, 0, private=True) == 0
    late = _wait(manager, words)
    manager.requeue(words, B, A, 0, 1, private=True)
    _wait(manager, words, B)
    manager.requeue(words, B, A, 0, 1, private=True)
    assert not heir.woken
    assert not late.woken
    manager.unlock_pi(words, A, 11, private=True)
    assert heir.woken
    assert words.words[A] == 12 | WAITERS
    plain, lock = _wait(manager, words, B), Noting(13)
    words.words[B] = 9
    lock.pi = True
    manager.cancel(late)
    manager._append_locked(lock, (PRIVATE, None, B))
    with pytest.raises(EINVAL):
        manager.wake(words, B, 2, private=True)
    assert (plain.woken, lock.woken) == (True, False)


def _op(what: int, compare: int, operand: int, with_: int) -> int:
    return what << 28 | compare << 24 | (operand & 0xFFF) << 12 | (with_ & 0xFFF)


@pytest.mark.parametrize(
    ("operation", "before", "after", "passes"),
    [
        (_op(0, 0, 7, 3), 3, 7, True),
        (_op(1, 1, 2, 3), 3, 5, False),
        (_op(1, 0, -1, 3), 3, 2, True),
        (_op(2, 2, 4, 3), 3, 7, False),
        (_op(3, 3, 1, 3), 3, 2, True),
        (_op(4, 4, 1, -1), 3, 2, True),
        (_op(8 | 1, 5, 4, 3), 3, 19, True),
        (_op(0, 2, 0, 0), 0xFFFFFFFF, 0, True),
    ],
)
def test_wake_op(manager: Manager, words: Words, operation: int, before: int, after: int, *, passes: bool) -> None:
    """Every operation and comparison, on the old value, signed."""
    one = _wait(manager, words)
    two = _wait(manager, words, B)
    words.words[B] = before
    assert manager.wake_op(words, A, B, 1, 1, operation, private=True) == 1 + passes
    assert words.words[B] == after
    assert (one.woken, two.woken) == (True, passes)


def test_wake_op_counts_on_one_address(manager: Manager, words: Words) -> None:
    """When both addresses are one, up to the sum of both counts wakes."""
    waiters = [_wait(manager, words) for _ in range(4)]
    assert manager.wake_op(words, A, A, 2, 1, _op(0, 0, 5, 0), private=True) == 3
    assert [w.woken for w in waiters] == [True, True, True, False]
    assert manager.wake_op(words, A, A, 2, 1, _op(0, 0, 5, 0), private=True) == 1


def test_wake_op_that_does_not_exist(manager: Manager, words: Words) -> None:
    """An unknown operation changes nothing; an unknown comparison is found after the word was changed.

    Races are retried, faults wake none.
    """
    waiter = _wait(manager, words)
    with pytest.raises(ENOSYS):
        manager.wake_op(words, A, B, 1, 1, _op(5, 0, 1, 0), private=True)
    assert words.words[B] == 0
    with pytest.raises(ENOSYS):
        manager.wake_op(words, A, B, 1, 1, _op(0, 6, 1, 0), private=True)
    assert words.words[B] == 1
    with pytest.raises(EFAULT):
        manager.wake_op(words, A, 0x9990, 1, 1, _op(0, 0, 1, 0), private=True)
    assert not waiter.woken
    words.races = [(A, 40)]
    assert manager.wake_op(words, A, A, 1, 1, _op(1, 0, 1, 0), private=True) == 1
    assert manager.wake_op(words, A, A, 1, 1, _op(1, 0, 1, 0), private=True) == 0


def test_pi_lock_is_handed_over(manager: Manager, words: Words) -> None:
    """The unlock writes the new owner's number before it wakes it, which need not look at the word.

    The waiters bit stays while a thread waits.
    """
    one, two, three = Noting(11), Noting(12), Noting(13)
    assert manager.lock_pi(words, one, A, private=True)
    assert words.words[A] == 11
    with pytest.raises(EDEADLK):
        manager.lock_pi(words, one, A, private=True)
    with pytest.raises(EAGAIN):
        manager.lock_pi(words, two, A, private=True, only_try=True)
    assert words.words[A] == 11
    assert not manager.lock_pi(words, two, A, private=True)
    assert not manager.lock_pi(words, three, A, private=True)
    assert words.words[A] == 11 | WAITERS
    with pytest.raises(EPERM):
        manager.unlock_pi(words, A, 12, private=True)
    manager.unlock_pi(words, A, 11, private=True)
    assert words.words[A] == 12 | WAITERS
    assert two.woken
    manager.unlock_pi(words, A, 12, private=True)
    assert words.words[A] == 13
    manager.unlock_pi(words, A, 13, private=True)
    assert words.words[A] == 0


def test_pi_lock_races(manager: Manager, words: Words) -> None:
    """A word that changes between look and swap."""
    words.races = [(A, OWNER_DIED)]
    assert manager.lock_pi(words, Noting(11), A, private=True)
    assert words.words[A] == OWNER_DIED | 11
    words.races = [(A, 11 | OWNER_DIED)]
    words.words[A] = 11
    with pytest.raises(EAGAIN):
        manager.unlock_pi(words, A, 11, private=True)
    words.words[A] = 11
    assert not manager.lock_pi(words, Noting(12), A, private=True)
    words.races = [(A, 99)]
    with pytest.raises(EINVAL):
        manager.unlock_pi(words, A, 11, private=True)
    words.words[A] = 0
    assert manager.lock_pi(words, Noting(14), A, private=True)
    assert words.words[A] == 14 | WAITERS
    words.words[A] = 14
    words.races = [(A, 15)]
    assert not manager.lock_pi(words, Noting(16), A, private=True)
    assert words.words[A] == 15 | WAITERS


def _list(words: Words, entries: list[tuple[int, int]], *, pending: int = 0, head: int = 0x100, offset: int = 8) -> int:
    chain = [head, *[at | bit for at, bit in entries], head]
    for here, following in pairwise(chain):
        words.words[here & ~1] = following
    words.words[head + 8] = offset
    words.words[head + 16] = pending
    return head


def test_robust_list_marks_what_the_dead_held(manager: Manager, words: Words) -> None:
    """Owned words are marked and one waiter of each wakes; others are left alone; the pending one is done once."""
    for at, word in ((0x3008, 7 | WAITERS), (0x3108, 8), (0x3208, 7), (0x3308, 7 | WAITERS)):
        words.words[at] = word
    woken = [_wait(manager, words, 0x3008, private=False) for _ in range(2)]
    heir = Noting(9)
    assert not manager.lock_pi(words, heir, 0x3308, private=True)
    head = _list(words, [(0x3000, 0), (0x3100, 0), (0x3200, 0), (0x3300, 1)], pending=0x3200)
    walk_robust_list(manager, words, head, 7)
    assert words.words[0x3008] == WAITERS | OWNER_DIED
    assert words.words[0x3108] == 8
    assert words.words[0x3208] == OWNER_DIED
    assert words.words[0x3308] == 9 | OWNER_DIED
    assert [w.woken for w in woken] == [True, False]
    assert heir.woken


def test_robust_list_pending_between_unlock_and_wake(manager: Manager, words: Words) -> None:
    """A thread that died after clearing the word still owes a wake."""
    words.words[0x3008] = 0
    waiter = _wait(manager, words, 0x3008, private=False)
    walk_robust_list(manager, words, _list(words, [], pending=0x3000), 7)
    assert waiter.woken


def test_robust_list_of_a_hostile_guest(manager: Manager, words: Words) -> None:
    """Loops, holes, crooked addresses: an end, and no error."""
    words.words[0x3008] = 7
    head = _list(words, [(0x3000, 0)])
    words.words[0x3000] = 0x3000
    walk_robust_list(manager, words, head, 7)
    assert words.words[0x3008] == OWNER_DIED
    assert LIMIT == 2048
    walk_robust_list(manager, words, 0xDEAD0000, 7)
    walk_robust_list(manager, words, _list(words, [], pending=0xDEAD0000), 7)
    walk_robust_list(manager, words, _list(words, [(0x3000, 0)], offset=9), 7)
    words.words[0x3008] = 7
    words.races = [(0x3008, 8)]
    walk_robust_list(manager, words, _list(words, [(0x3000, 0)]), 7)
    assert words.words[0x3008] == 8
    words.words[0x3008] = 7
    words.races = [(0x3008, 7 | WAITERS)]
    walk_robust_list(manager, words, _list(words, [(0x3000, 1)]), 7)
    assert words.words[0x3008] == OWNER_DIED | WAITERS


def test_dead_pi_owner_hands_over_once_more(manager: Manager, words: Words) -> None:
    """Two wait: the first gets the lock with both bits; a race leaves them waiting."""
    words.words[0x3308] = 7 | WAITERS
    one, two = Noting(9), Noting(10)
    manager.lock_pi(words, one, 0x3308, private=False)
    manager.lock_pi(words, two, 0x3308, private=False)
    walk_robust_list(manager, words, _list(words, [(0x3300, 1)]), 7)
    assert words.words[0x3308] == 9 | OWNER_DIED | WAITERS
    assert (one.woken, two.woken) == (True, False)


def test_dead_pi_owner_races(manager: Manager, words: Words) -> None:
    """The word changes while the lock is passed on: to another thread, which keeps it, or in its bits alone."""
    for races, woken, word in (
        ([(0x3308, 8 | OWNER_DIED), (0, 0)], False, 8 | OWNER_DIED),
        ([(0x3308, OWNER_DIED), (0, 0)], True, 9 | OWNER_DIED),
    ):
        words.words[0x3308] = 7 | WAITERS
        heir = Noting(9)
        assert not manager.lock_pi(words, heir, 0x3308, private=False)
        words.races = races
        walk_robust_list(manager, words, _list(words, [(0x3300, 1)]), 7)
        assert (heir.woken, words.words[0x3308]) == (woken, word)
        manager.cancel(heir)
    words.words[0x3308] = 7
    waiter = _wait(manager, words, 0x3308, private=False)
    walk_robust_list(manager, words, _list(words, [(0x3300, 1)]), 7)
    assert not waiter.woken


def test_saved_with_all_who_wait(manager: Manager, words: Words) -> None:
    """Waits stay queued across a save: private ones, and shared ones of all managers of a family, in their order."""
    registry = Registry()
    register(registry)
    registry.savable("test.Noting", fields=("notices",))(Noting)
    other = manager.fork()
    waiters = [_wait(manager, words), _wait(other, words), _wait(manager, words, 0x8000, private=False, bitset=6)]
    waiters += [_wait(other, words, 0x8000, private=False, bitset=3), _wait(manager, words, B)]
    lock = Noting(12)
    words.words[B + 4] = 11
    assert not manager.lock_pi(words, lock, B + 4, private=True)
    manager.wake(words, B, 1, private=True)
    file = io.BytesIO()
    with Writer(file, registry=registry) as writer:
        writer.save("futexes", [manager, other, waiters, lock])
    file.seek(0)
    one, two, copies, heir = Reader(file, registry=registry).load("futexes")
    assert (one.waiting(), two.waiting()) == (manager.waiting(), other.waiting()) == (4, 3)
    assert [w.woken for w in copies] == [False] * 4 + [True]
    assert two.wake(words, 0x8000, 1, private=False, bitset=2) == 1
    assert [w.woken for w in copies] == [False, False, True, False, True]
    assert one.wake(words, A, 1, private=True) == 1
    assert two.cancel(copies[1]) is False
    assert one.cancel(copies[3]) is False
    one.unlock_pi(words, B + 4, 11, private=True)
    assert heir.woken
    assert one.waiting() == two.waiting() == 0
    assert manager.waiting() == 4


class Blocking(Waiter):
    """A waiter for threads."""

    __slots__ = ("event",)

    def __init__(self) -> None:
        """Make one."""
        super().__init__()
        self.event = threading.Event()

    def notify(self) -> None:
        """Let the thread go on."""
        self.event.set()


def test_a_mutex_hammered_by_threads(manager: Manager, words: Words) -> None:
    """The classic three-state mutex over wait and wake, ten workers: the counter it guards is right."""
    guard = threading.Lock()
    counter = [0]

    def swap(value: int) -> int:
        with guard:
            old, words.words[A] = words.words[A], value
            return old

    def cas(old: int, value: int) -> bool:
        with guard:
            return words.cas_u32(A, old, value) == old

    together = threading.Barrier(10)

    def work() -> None:
        together.wait(60)
        for _ in range(1000):
            if not cas(0, 1):
                while swap(2) != 0:
                    waiter = Blocking()
                    try:
                        manager.wait(words, waiter, A, 2, private=True)
                    except EAGAIN:
                        continue
                    assert waiter.event.wait(20)
            counter[0] += 1
            if swap(0) == 2:
                manager.wake(words, A, 1, private=True)

    threads = [threading.Thread(target=work) for _ in range(10)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert counter[0] == 10_000
    assert manager.waiting() == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 2), st.integers(1, 7)),
        st.tuples(st.just("wake"), st.integers(0, 2), st.integers(1, 3), st.integers(1, 7)),
        st.tuples(st.just("requeue"), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
    ),
    max_size=60,
)


@given(steps)
def test_queues_against_plain_lists(program: list[tuple[object, ...]]) -> None:
    """Whatever the order of calls, the same waiters wake as in lists."""
    words, manager = Words(), Manager()
    addresses = (A, B, 0x8000)
    queues: list[list[tuple[Noting, int]]] = [[], [], []]
    waiters_made: list[Noting] = []
    for name, *numbers in program:
        args = [n for n in numbers if isinstance(n, int)]
        if name == "wait":
            waiter = _wait(manager, words, addresses[args[0]], private=False, bitset=args[1])
            queues[args[0]].append((waiter, args[1]))
            waiters_made.append(waiter)
        elif name == "wake":
            chosen = [pair for pair in queues[args[0]] if pair[1] & args[2]][: args[1]]
            assert manager.wake(words, addresses[args[0]], args[1], private=False, bitset=args[2]) == len(chosen)
            queues[args[0]] = [pair for pair in queues[args[0]] if pair not in chosen]
            assert all(waiter.woken for waiter, _ in chosen)
        elif name == "requeue":
            source, target, wake, move = args
            woken = queues[source][:wake]
            moved = queues[source][wake : wake + move]
            count = manager.requeue(words, addresses[source], addresses[target], wake, move, private=False)
            assert count == len(woken) + len(moved)
            if source == target:
                queues[source] = queues[source][wake:]
            else:
                queues[source] = queues[source][wake + move :]
                queues[target] += moved
        elif waiters_made:
            waiter = waiters_made[args[0] % len(waiters_made)]
            manager.cancel(waiter)
            queues = [[pair for pair in queue if pair[0] is not waiter] for queue in queues]
        assert manager.waiting() == sum(map(len, queues))
        assert all(not waiter.woken for queue in queues for waiter, _ in queue)
