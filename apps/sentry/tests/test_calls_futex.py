"""Handlers of `syscalls.futex`: waits, wakes, locks with priority inheritance, robust lists."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import futex
from sentry_abi import futex as fx
from sentry_abi.errors import (
    EAGAIN,
    EDEADLK,
    EFAULT,
    EINVAL,
    ENOSYS,
    EPERM,
    ERESTART_RESTARTBLOCK,
    ERESTARTSYS,
    ESRCH,
    ETIMEDOUT,
)
from sentry_abi.sched import CLONE_SIGHAND, CLONE_THREAD, CLONE_VM
from sentry_abi.structs import TIMESPEC

NEGATIVE = TIMESPEC.pack(-1, 0)


def thread(p: Program) -> Program:
    """Return a second thread of the program."""
    return p.forked(p.ok("clone", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0))


def test_wait_and_wake(p: Program) -> None:
    """A wait ends with the wake; the value is compared with 32 bits."""
    word = p.put(b"\5\0\0\0")
    other = thread(p)
    pending = other.wait("futex", word, fx.FUTEX_WAIT, 0xFFFF_FFFF_0000_0005, 0, 0, 0)
    assert pending.deadline is None
    assert len(pending.queues) == 1
    assert not other.woken()
    assert p.ok("futex", word, fx.FUTEX_WAKE, 1, 0, 0, 0) == 1
    assert other.resume() == 0
    assert p.ok("futex", word, fx.FUTEX_WAKE, 1, 0, 0, 0) == 0


def test_timeout(p: Program) -> None:
    """FUTEX_WAIT's time is relative, FUTEX_WAIT_BITSET's a time of the clock; both end in ETIMEDOUT."""
    word = p.zeros(4)
    now = p.box.host.now_ns
    pending = p.wait("futex", word, fx.FUTEX_WAIT, 0, TIMESPEC.pack(2, 0), 0, 0)
    assert pending.deadline is not None
    assert 0 <= pending.deadline - now - 2_000_000_000 < 1000
    p.pass_deadline()
    assert p.resume() == -ETIMEDOUT.errno
    pending = p.wait("futex", word, fx.FUTEX_WAIT_BITSET, 0, TIMESPEC.pack(100, 7), 0, 1)
    assert pending.deadline == 100_000_000_007
    p.pass_deadline()
    assert p.resume() == -ETIMEDOUT.errno


def test_interrupted(p: Program) -> None:
    """A relative wait is restarted by a block, another one by the call; a wake that came first counts."""
    word = p.zeros(4)
    p.wait("futex", word, fx.FUTEX_WAIT, 0, TIMESPEC.pack(2, 0), 0, 0)
    assert p.interrupt() is ERESTART_RESTARTBLOCK
    p.wait("futex", word, fx.FUTEX_WAIT, 0, 0, 0, 0)
    assert p.interrupt() is ERESTARTSYS
    p.wait("futex", word, fx.FUTEX_WAIT, 0, 0, 0, 0)
    assert p.t.mm.futexes.wake(p.t.mm, word, 1, private=False) == 1
    assert p.interrupt() == 0


def test_requeue(p: Program) -> None:
    """Waiters move to the other word, where they are woken."""
    first, second = p.zeros(4), p.zeros(4)
    other = thread(p)
    other.wait("futex", first, fx.FUTEX_WAIT, 0, 0, 0, 0)
    assert p.error("futex", first, fx.FUTEX_CMP_REQUEUE, 0, 1, second, 5) is EAGAIN
    assert p.ok("futex", first, fx.FUTEX_CMP_REQUEUE, 0, 1, second, 0) == 1
    assert p.ok("futex", first, fx.FUTEX_WAKE, 1, 0, 0, 0) == 0
    assert p.ok("futex", second, fx.FUTEX_WAKE_BITSET, 1, 0, 0, 1) == 1
    assert other.resume() == 0


def test_lock_pi(p: Program) -> None:
    """The word names the owner; its unlock hands the lock to the waiter."""
    word = p.zeros(4)
    other = thread(p)
    assert p.ok("futex", word, fx.FUTEX_LOCK_PI, 0, 0, 0, 0) == 0
    assert p.number(word) == p.t.tid
    assert p.error("futex", word, fx.FUTEX_LOCK_PI, 0, 0, 0, 0) is EDEADLK
    assert other.error("futex", word, fx.FUTEX_TRYLOCK_PI, 0, 0, 0, 0) is EAGAIN
    other.wait("futex", word, fx.FUTEX_LOCK_PI2, 0, 0, 0, 0)
    assert p.ok("futex", word, fx.FUTEX_UNLOCK_PI, 0, 0, 0, 0) == 0
    assert other.resume() == 0
    assert p.number(word) & 0x3FFF_FFFF == other.t.tid
    assert p.error("futex", word, fx.FUTEX_UNLOCK_PI, 0, 0, 0, 0) is EPERM
    stranger = p.put((4000).to_bytes(4, "little"))
    assert p.error("futex", stranger, fx.FUTEX_LOCK_PI, 0, 0, 0, 0) is ESRCH


def test_errors(p: Program) -> None:
    """The operation counts first, then the time, the address, its alignment, and the value."""
    word = p.zeros(4)
    assert p.error("futex", BAD, 99, 0, BAD, 0, 0) is ENOSYS
    assert p.error("futex", word, fx.FUTEX_WAKE | fx.FUTEX_CLOCK_REALTIME, 0, 0, 0, 0) is ENOSYS
    assert p.error("futex", BAD, fx.FUTEX_WAIT, 1, BAD, 0, 0) is EFAULT
    assert p.error("futex", BAD, fx.FUTEX_WAIT, 1, NEGATIVE, 0, 0) is EINVAL
    assert p.error("futex", word + 1, fx.FUTEX_WAIT, 1, 0, 0, 0) is EINVAL
    assert p.error("futex", BAD, fx.FUTEX_WAIT, 1, 0, 0, 0) is EFAULT
    assert p.error("futex", word, fx.FUTEX_WAIT, 1, 0, 0, 0) is EAGAIN
    assert p.error("futex", word, fx.FUTEX_WAIT_BITSET, 0, 0, 0, 0) is EINVAL
    assert p.error("futex", word, fx.FUTEX_REQUEUE, -1, 0, word, 0) is EINVAL


def test_robust_list(p: Program) -> None:
    """The head is kept for the exit; the size has to be right."""
    head, size = p.zeros(8), p.zeros(8)
    assert p.error("set_robust_list", BAD, 9) is EINVAL
    assert futex.set_robust_list(p.t, 0x5000, 24) == 0
    p.ok("get_robust_list", 0, head, size)
    assert (p.number(head, 8), p.number(size, 8)) == (0x5000, 24)
    assert p.error("get_robust_list", 999, BAD, BAD) is ESRCH
    assert p.error("get_robust_list", 0, BAD, BAD) is EFAULT
    other = p.child()
    p.become(1000)
    assert p.error("get_robust_list", other.t.tid, head, size) is EPERM
