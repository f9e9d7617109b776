"""Futexes: futex(2) and robust lists.

A wait's record is the `Wait` below: the waiter in the queue, and how the wait may end. A grant is in the
waiter (`woken`), so that it survives whatever happens between the wake and the next attempt.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, Int, Ptr, Size, UInt
from sentry.syscalls.guest import KTIME_MAX, read_timespec
from sentry_abi.capability import CAP_SYS_PTRACE
from sentry_abi.errors import (
    EINVAL,
    ENOSYS,
    EPERM,
    ERESTART_RESTARTBLOCK,
    ERESTARTNOINTR,
    ERESTARTSYS,
    ESRCH,
    ETIMEDOUT,
)
from sentry_abi.futex import (
    FUTEX_BITSET_MATCH_ANY,
    FUTEX_CLOCK_REALTIME,
    FUTEX_CMP_REQUEUE,
    FUTEX_LOCK_PI,
    FUTEX_LOCK_PI2,
    FUTEX_PRIVATE_FLAG,
    FUTEX_REQUEUE,
    FUTEX_TRYLOCK_PI,
    FUTEX_UNLOCK_PI,
    FUTEX_WAIT,
    FUTEX_WAIT_BITSET,
    FUTEX_WAKE,
    FUTEX_WAKE_BITSET,
    FUTEX_WAKE_OP,
)
from sentry_futex import HEAD_SIZE, Waiter
from sentry_waiter import IN, Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import Task

calls = Calls("futexes")


class FutexWaiter(Waiter):
    """A waiter with a queue that its task parks on."""

    __slots__ = ("queue",)

    def __init__(self, tid: int) -> None:
        """Make one."""
        super().__init__(tid)
        self.queue = Queue()

    def notify(self) -> None:
        """Wake the task."""
        self.queue.notify(IN)


class Wait(NamedTuple):
    """The record of a futex wait."""

    waiter: FutexWaiter
    deadline: int | None
    relative: bool
    pi: bool


@attempt
def wait_again(t: "Task", state: Wait) -> Result:
    """Return 0 once woken; time out otherwise."""
    waiter = state.waiter
    if waiter.woken:
        return 0
    if t.timed_out:
        if t.mm.futexes.cancel(waiter):
            return 0
        raise ETIMEDOUT
    restart: type[ERESTARTSYS | ERESTART_RESTARTBLOCK | ERESTARTNOINTR] = ERESTARTSYS
    if state.pi:
        restart = ERESTARTNOINTR
    elif state.relative:
        restart = ERESTART_RESTARTBLOCK
    return Pending(wait_again, state, ((waiter.queue, IN),), state.deadline, restart, wait_interrupted)


@attempt
def wait_interrupted(t: "Task", state: Wait) -> Result:
    """Leave the queue for a signal, unless the wake came first."""
    if t.mm.futexes.cancel(state.waiter):
        return 0
    if state.pi:
        raise ERESTARTNOINTR
    raise ERESTART_RESTARTBLOCK if state.relative else ERESTARTSYS


def _deadline(t: "Task", address: int, *, relative: bool, realtime: bool) -> int | None:
    """Return a timeout as a deadline of the monotonic clock. Raises: EFAULT, EINVAL."""
    if not address:
        return None
    time = read_timespec(t, address)
    clock = t.kernel.clock
    if relative:
        return min(clock.monotonic_ns() + time, KTIME_MAX)
    if realtime:
        return clock.monotonic_ns() + time - clock.realtime_ns()
    return time


class Call(NamedTuple):
    """The arguments of one futex call, decoded."""

    addr: int
    value: int
    timeout: int
    addr2: int
    value3: int
    private: bool
    realtime: bool


def _wait(t: "Task", call: Call) -> Result:
    return _begin_wait(t, call, FUTEX_BITSET_MATCH_ANY, relative=True)


def _wait_bitset(t: "Task", call: Call) -> Result:
    return _begin_wait(t, call, call.value3, relative=False)


def _begin_wait(t: "Task", call: Call, bitset: int, *, relative: bool) -> Result:
    deadline = _deadline(t, call.timeout, relative=relative, realtime=call.realtime)
    waiter = FutexWaiter(t.tid)
    t.mm.futexes.wait(t.mm, waiter, call.addr, call.value, private=call.private, bitset=bitset)
    return wait_again(t, Wait(waiter, deadline, relative and deadline is not None, pi=False))


def _int(value: int) -> int:
    return (value & 0x7FFF_FFFF) - (value & 0x8000_0000)


def _wake(t: "Task", call: Call) -> Result:
    return t.mm.futexes.wake(t.mm, call.addr, _int(call.value), private=call.private)


def _wake_bitset(t: "Task", call: Call) -> Result:
    return t.mm.futexes.wake(t.mm, call.addr, _int(call.value), private=call.private, bitset=call.value3)


def _requeue(t: "Task", call: Call) -> Result:
    move = _int(call.timeout & 0xFFFF_FFFF)
    return t.mm.futexes.requeue(t.mm, call.addr, call.addr2, _int(call.value), move, private=call.private)


def _cmp_requeue(t: "Task", call: Call) -> Result:
    move = _int(call.timeout & 0xFFFF_FFFF)
    return t.mm.futexes.requeue(
        t.mm, call.addr, call.addr2, _int(call.value), move, private=call.private, expected=call.value3
    )


def _wake_op(t: "Task", call: Call) -> Result:
    second = _int(call.timeout & 0xFFFF_FFFF)
    return t.mm.futexes.wake_op(
        t.mm, call.addr, call.addr2, _int(call.value), second, call.value3, private=call.private
    )


def _lock_pi(t: "Task", call: Call) -> Result:
    return _begin_lock(t, call._replace(realtime=True))


def _lock_pi2(t: "Task", call: Call) -> Result:
    return _begin_lock(t, call)


def _begin_lock(t: "Task", call: Call) -> Result:
    deadline = _deadline(t, call.timeout, relative=False, realtime=call.realtime)
    waiter = FutexWaiter(t.tid)
    _check_owner(t, call.addr)
    if t.mm.futexes.lock_pi(t.mm, waiter, call.addr, private=call.private):
        return 0
    return wait_again(t, Wait(waiter, deadline, relative=False, pi=True))


def _check_owner(t: "Task", addr: int) -> None:
    """Refuse a lock whose word names no thread. Raises: ESRCH, EFAULT."""
    if addr & 3:
        raise EINVAL
    owner = t.mm.load_u32(addr) & 0x3FFF_FFFF
    if owner and owner not in t.ns.pid.tasks:
        raise ESRCH


def _trylock_pi(t: "Task", call: Call) -> Result:
    t.mm.futexes.lock_pi(t.mm, FutexWaiter(t.tid), call.addr, private=call.private, only_try=True)
    return 0


def _unlock_pi(t: "Task", call: Call) -> Result:
    t.mm.futexes.unlock_pi(t.mm, call.addr, t.tid, private=call.private)
    return 0


OPERATIONS: Final["dict[int, Callable[[Task, Call], Result]]"] = {
    FUTEX_WAIT: _wait,
    FUTEX_WAKE: _wake,
    FUTEX_REQUEUE: _requeue,
    FUTEX_CMP_REQUEUE: _cmp_requeue,
    FUTEX_WAKE_OP: _wake_op,
    FUTEX_LOCK_PI: _lock_pi,
    FUTEX_UNLOCK_PI: _unlock_pi,
    FUTEX_TRYLOCK_PI: _trylock_pi,
    FUTEX_WAIT_BITSET: _wait_bitset,
    FUTEX_WAKE_BITSET: _wake_bitset,
    FUTEX_LOCK_PI2: _lock_pi2,
}
_MAY_REALTIME: Final = frozenset((FUTEX_WAIT_BITSET, FUTEX_LOCK_PI2, FUTEX_WAIT))


@calls.named("futex", partial="FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI are ENOSYS: C libraries do without")
def futex(t: "Task", addr: Ptr, op: Int, value: UInt, timeout: Ptr, addr2: Ptr, value3: UInt) -> Result:
    """futex(2). Raises: ENOSYS, EINVAL, EFAULT, EAGAIN, ETIMEDOUT, EDEADLK, EPERM, ESRCH, EINTR."""
    number = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
    operation = OPERATIONS.get(number)
    if operation is None or (op & FUTEX_CLOCK_REALTIME and number not in _MAY_REALTIME):
        raise ENOSYS
    private = bool(op & FUTEX_PRIVATE_FLAG)
    return operation(t, Call(addr, value, timeout, addr2, value3, private, bool(op & FUTEX_CLOCK_REALTIME)))


@calls.call
def set_robust_list(t: "Task", head: Ptr, size: Size) -> int:
    """set_robust_list(2). Raises: EINVAL."""
    if size != HEAD_SIZE:
        raise EINVAL
    t.robust_list = head
    return 0


@calls.call
def get_robust_list(t: "Task", pid: Int, head: Ptr, size: Ptr) -> int:
    """get_robust_list(2). Raises: ESRCH, EPERM, EFAULT."""
    task = t.ns.pid.tasks.get(pid) if pid else t
    if task is None:
        raise ESRCH
    if task.group is not t.group and task.creds.uid != t.creds.euid and not t.creds.capable(CAP_SYS_PTRACE):
        raise EPERM
    t.mm.store_u64(size, HEAD_SIZE)
    t.mm.store_u64(head, task.robust_list)
    return 0
