"""Futex wait queues: waits for a word, and wakes.

Nothing here blocks. A wait is a `Waiter`, a record: `wait` checks the word and queues it, a wake takes it off its
queue, sets `woken` and calls `notify`, and the owner of the wait checks `woken`. A wake is a grant: the word is not
checked again after it, because the waker may have changed it already. `cancel` leaves a queue and returns whether the
grant came first.

Keys. A private wait is keyed by (PRIVATE, address); a wait without FUTEX_PRIVATE_FLAG on private memory by
(SHARED_PRIVATE, address): the same address, yet the two never meet. Both live in the address space's own table. A
wait on shared memory is keyed by (identity, offset) of what is mapped, in a table that all address spaces forked from
one another share.

A `Manager` belongs to one address space; `fork` makes the one of a new space. The words are reached through `Target`,
which the address space implements.

Locks: one, shared by all managers that share the shared table, so that a requeue between any two queues is one
critical section. gVisor has 1,025 of them and an order; under the GIL that gains nothing. `Waiter.notify` is called
with the lock held and must only record it. `Target` is called with the lock held and must not call back.

FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI are left out, as in gVisor: C libraries gave them up (glibc in 2.25),
and the kernel refuses them with ENOSYS.

Wrong use by the kernel itself, not by a guest, is a `FutexError`: a waiter that is queued twice, a value that no word
can have.

Sources: Linux kernel/futex/ (6.1), futex(2), Documentation/locking/robust-futex-ABI.rst.
"""

from _thread import RLock
from itertools import islice
from typing import Final, Protocol

from sentry_abi.errors import EAGAIN, EDEADLK, EFAULT, EINVAL, ENOSYS, EPERM
from sentry_abi.memory import TASK_SIZE

MATCH_ANY: Final = 0xFFFF_FFFF

WAITERS: Final = 0x8000_0000
OWNER_DIED: Final = 0x4000_0000
TID_MASK: Final = 0x3FFF_FFFF

PRIVATE: Final = 1
SHARED_PRIVATE: Final = 2
SHARED: Final = 3

_OP_SET: Final = 0
_OP_ADD: Final = 1
_OP_OR: Final = 2
_OP_ANDN: Final = 3
_OP_XOR: Final = 4
_SHIFT: Final = 8


class FutexError(Exception):
    """The caller did what cannot be; the message says what."""


class Target(Protocol):
    """Words in the memory of a guest; all raise EFAULT."""

    def load_u32(self, addr: int, /) -> int:
        """Return the word."""
        ...

    def cas_u32(self, addr: int, old: int, value: int, /) -> int:
        """Set the word to value if it is old; return what it was."""
        ...

    def shared_key(self, addr: int, /) -> tuple[object, int] | None:
        """Return identity and offset of shared memory, None for private memory."""
        ...


Key = tuple[int, object, int]
"""(PRIVATE or SHARED_PRIVATE, None, address) or (SHARED, identity, offset)."""


class Waiter:
    """One wait. A task has one at a time; subclass to define `notify`."""

    __slots__ = ("bitset", "key", "pi", "tid", "woken")

    def __init__(self, tid: int = 0) -> None:
        """Make a waiter that is on no queue. tid: the guest thread, for PI."""
        self.tid = tid
        self.key: Key | None = None
        self.bitset = MATCH_ANY
        self.pi = False
        self.woken = False

    def notify(self) -> None:
        """Wake callback: `woken` is true now. Must only record it: the lock is held."""


_Queue = dict[Waiter, None]
"""Waiters in order of arrival; leaving from the middle is O(1)."""


class Family:
    """What all managers that `fork` connects have in common: one lock, and the waits on shared memory."""

    __slots__ = ("mu", "shared")

    def __init__(self) -> None:
        """Begin without waits."""
        self.mu = RLock()
        self.shared: dict[Key, _Queue] = {}  # guarded by mu


class Manager:
    """The futexes of one address space."""

    __slots__ = ("_family", "_mu", "_private", "_shared")

    def __init__(self) -> None:
        """Begin without waits, in a new family."""
        self._private: dict[Key, _Queue] = {}  # guarded by _mu
        self._join(Family())

    def _join(self, family: Family) -> None:
        self._family = family
        self._mu = family.mu  # the family's, one attribute nearer
        self._shared = family.shared

    def fork(self) -> "Manager":
        """Return the manager of another address space: without private waits; those on shared memory are common."""
        other = Manager()
        other._join(self._family)
        return other

    def after_load(self) -> None:
        """Take lock and table from the family, which is loaded."""
        self._join(self._family)

    # -- keys ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def key(target: Target, addr: int, *, private: bool) -> Key:
        """Return the key of a word. Raises: EINVAL if addr is not a multiple of 4, EFAULT."""
        if addr & 3:
            raise EINVAL
        if not 0 <= addr < TASK_SIZE:
            raise EFAULT
        if private:
            return PRIVATE, None, addr
        found = target.shared_key(addr)
        if found is None:
            return SHARED_PRIVATE, None, addr
        return SHARED, found[0], found[1]

    def _table(self, key: Key) -> dict[Key, _Queue]:
        return self._shared if key[0] == SHARED else self._private

    def _append_locked(self, waiter: Waiter, key: Key) -> None:
        waiter.key = key
        table = self._table(key)
        queue = table.get(key)
        if queue is None:
            table[key] = {waiter: None}
        else:
            queue[waiter] = None

    def _remove_locked(self, waiter: Waiter, key: Key) -> None:
        table = self._table(key)
        try:
            queue = table[key]
            del queue[waiter]
        except KeyError:
            message = f"the waiter of thread {waiter.tid} is in a queue of another manager"
            raise FutexError(message) from None
        if not queue:
            del table[key]
        waiter.key = None

    # -- wait and wake ------------------------------------------------------------------------------------------------

    def wait(
        self, target: Target, waiter: Waiter, addr: int, value: int, *, private: bool, bitset: int = MATCH_ANY
    ) -> None:
        """Queue waiter if the word at addr is value.

        Raises: EINVAL for a bitset of 0 or a bad address; EFAULT; EAGAIN if the word is another; FutexError for a
        waiter that is queued already, or a value or bitset of more than 32 bits.
        Linux: kernel/futex/waitwake.c futex_wait_setup.
        """
        if bitset != MATCH_ANY:
            _check_bitset(bitset)
        key = self.key(target, addr, private=private)
        with self._mu:
            if waiter.key is not None:
                raise _queued(waiter)
            if target.load_u32(addr) != value:
                raise _differs(value)
            waiter.bitset = bitset
            waiter.pi = waiter.woken = False
            self._append_locked(waiter, key)

    def cancel(self, waiter: Waiter) -> bool:
        """Leave the queue, also after a requeue; return whether the waiter had been woken before. Idempotent."""
        with self._mu:
            key = waiter.key
            if key is not None:
                self._remove_locked(waiter, key)
            return waiter.woken

    def wake(self, target: Target, addr: int, count: int, *, private: bool, bitset: int = MATCH_ANY) -> int:
        """Wake up to count waiters whose bitset overlaps, at least one, in order of arrival; return how many.

        Raises: EINVAL, EFAULT (shared wakes only: a private one does not look at the memory). EINVAL too when a waiter
        of a PI lock is in the queue, which only an unlock may wake; those before it have been woken.
        Differs from gVisor, as Linux does: a count of 0 or less wakes one.
        Linux: kernel/futex/waitwake.c futex_wake.
        """
        if bitset != MATCH_ANY:
            _check_bitset(bitset)
        key = self.key(target, addr, private=private)
        with self._mu:
            return self._wake_locked(key, max(count, 1), bitset)

    def _wake_locked(self, key: Key, count: int, bitset: int) -> int:
        queue = self._table(key).get(key)
        if queue is None:
            return 0
        chosen: list[Waiter] = []
        for waiter in queue:
            if waiter.pi:
                for each in chosen:
                    self._grant_locked(each, key)
                raise EINVAL
            if waiter.bitset & bitset:
                chosen.append(waiter)
                if len(chosen) >= count:
                    break
        for waiter in chosen:
            self._grant_locked(waiter, key)
        return len(chosen)

    def _grant_locked(self, waiter: Waiter, key: Key) -> None:
        self._remove_locked(waiter, key)
        waiter.woken = True
        waiter.notify()

    # -- requeue ------------------------------------------------------------------------------------------------------

    def requeue(
        self,
        target: Target,
        addr: int,
        addr2: int,
        wake: int,
        move: int,
        *,
        private: bool,
        expected: int | None = None,
    ) -> int:
        """Wake up to `wake` waiters of addr and put up to `move` of the rest at the end of addr2's queue.

        expected: FUTEX_CMP_REQUEUE's value of the word at addr. Return how many were woken or moved.
        Raises: EINVAL for negative counts, a bad address or a waiter of a PI lock (those before it have been woken or
        moved), EFAULT, EAGAIN.
        Linux: kernel/futex/requeue.c futex_requeue, which counts the moved ones for both; futex(2) promises it for
        CMP only.
        """
        if wake < 0 or move < 0:
            raise EINVAL
        key = self.key(target, addr, private=private)
        key2 = self.key(target, addr2, private=private)
        with self._mu:
            if expected is not None and target.load_u32(addr) != expected:
                raise _differs(expected)
            woken = self._wake_locked(key, wake, MATCH_ANY) if wake else 0
            moved = self._move_locked(key, key2, move)
        return woken + moved

    def _move_locked(self, key: Key, key2: Key, count: int) -> int:
        queue = self._table(key).get(key)
        if queue is None or not count:
            return 0
        if key == key2:
            return min(count, len(queue))
        moving = list(islice(queue, count))
        for waiter in moving:
            if waiter.pi:
                raise EINVAL
            self._remove_locked(waiter, key)
            self._append_locked(waiter, key2)
        return len(moving)

    # -- wake-op ------------------------------------------------------------------------------------------------------

    def wake_op(
        self, target: Target, addr: int, addr2: int, wake: int, wake2: int, operation: int, *, private: bool
    ) -> int:
        """Change the word at addr2, wake waiters of addr, and those of addr2 if the old value passes a comparison.

        operation: bits 28-31 what to do, 24-27 how to compare, 12-23 operand, 0-11 what to compare with, both signed.
        Raises: EINVAL, EFAULT, ENOSYS for an unknown operation, or comparison: the word has then been changed already.
        Linux: kernel/futex/waitwake.c futex_wake_op, futex_atomic_op_inuser.
        """
        key = self.key(target, addr, private=private)
        key2 = self.key(target, addr2, private=private)
        with self._mu:
            old = self._change(target, addr2, operation)
            passes = _compare(operation >> 24 & 15, _signed(old, 32), _signed(operation, 12))
            woken = self._wake_locked(key, max(wake, 1), MATCH_ANY)
            if passes:
                woken += self._wake_locked(key2, max(wake2, 1), MATCH_ANY)
            return woken

    @staticmethod
    def _change(target: Target, addr: int, operation: int) -> int:
        what = operation >> 28 & 15
        operand = _signed(operation >> 12, 12)
        if what & _SHIFT:
            operand = 1 << (operand & 31)
            what &= ~_SHIFT
        if what > _OP_XOR:
            raise ENOSYS
        while True:
            old = target.load_u32(addr)
            if target.cas_u32(addr, old, _new_value(what, old, operand) & 0xFFFF_FFFF) == old:
                return old

    # -- priority inheritance -----------------------------------------------------------------------------------------

    def lock_pi(self, target: Target, waiter: Waiter, addr: int, *, private: bool, only_try: bool = False) -> bool:
        """Take the lock at addr for waiter.tid: True if it has it, False if it waits and will be given it.

        only_try: raise EAGAIN instead of waiting.
        Raises: EINVAL for a bad address or when a wait that is not for a lock is queued there; EFAULT; EDEADLK
        if the thread has it already; EAGAIN; FutexError for a waiter that is queued already or names no thread.
        Differs: first come, first served; the guest's priorities are not inherited, since the host schedules.
        Linux: kernel/futex/pi.c futex_lock_pi.
        """
        tid = waiter.tid
        if not 0 < tid <= TID_MASK:
            message = f"lock_pi for thread {tid}: a thread that locks has a number from 1 to {TID_MASK}"
            raise FutexError(message)
        key = self.key(target, addr, private=private)
        with self._mu:
            if waiter.key is not None:
                raise _queued(waiter)
            while True:
                word = target.load_u32(addr)
                owner = word & TID_MASK
                if owner == tid:
                    raise EDEADLK
                self._heir_locked(key)
                if not owner:
                    waiting = WAITERS if self._table(key).get(key) else 0
                    if target.cas_u32(addr, word, tid | (word & OWNER_DIED) | waiting) == word:
                        return True
                    continue
                if only_try:
                    raise EAGAIN
                if word & WAITERS or target.cas_u32(addr, word, word | WAITERS) == word:
                    break
            waiter.bitset = MATCH_ANY
            waiter.pi = True
            waiter.woken = False
            self._append_locked(waiter, key)
            return False

    def _heir_locked(self, key: Key) -> Waiter | None:
        """Return the first waiter for the lock. Raises: EINVAL if that is a wait and not a lock."""
        heir = next(iter(self._table(key).get(key, ())), None)
        if heir is not None and not heir.pi:
            raise EINVAL
        return heir

    def unlock_pi(self, target: Target, addr: int, tid: int, *, private: bool) -> None:
        """Give the lock at addr to its first waiter, if there is one.

        Ensures: the word names the new owner before that is woken.
        Raises: EINVAL for a bad address or when the first waiter does not wait for a lock; EFAULT; EPERM
        if tid does not have it; EAGAIN if the word changed meanwhile.
        """
        key = self.key(target, addr, private=private)
        with self._mu:
            word = target.load_u32(addr)
            if not tid or word & TID_MASK != tid:
                raise EPERM
            heir = self._heir_locked(key)
            if heir is None:
                if target.cas_u32(addr, word, 0) != word:
                    raise EAGAIN
                return
            if target.cas_u32(addr, word, heir.tid | self._others_locked(key)) != word:
                raise EINVAL
            self._grant_locked(heir, key)

    # -- threads that end ---------------------------------------------------------------------------------------------

    def release_robust(self, target: Target, addr: int, tid: int, *, pi: bool, pending: bool) -> None:
        """Do for a word of a robust list what an ending thread owes: mark it, wake one waiter.

        pi: the entry is a PI lock. pending: it is the list's pending operation. Raises: EFAULT, EINVAL.
        Linux: kernel/futex/core.c handle_futex_death.
        """
        if addr & 3:
            raise EINVAL
        while True:
            word = target.load_u32(addr)
            owner = word & TID_MASK
            if pending and not pi and not owner:
                self.wake(target, addr, 1, private=False)
                return
            if owner != tid:
                return
            if target.cas_u32(addr, word, (word & WAITERS) | OWNER_DIED) == word:
                break
        if pi:
            self._pass_on(target, addr)
        elif word & WAITERS:
            self.wake(target, addr, 1, private=False)  # robust mutexes wait without FUTEX_PRIVATE_FLAG, for this

    def _pass_on(self, target: Target, addr: int) -> None:
        """Give a dead thread's PI lock to the next in line.

        Differs: a PI lock that is on no robust list stays the dead thread's; Linux passes it on as well.
        """
        with self._mu:
            for private in (False, True):
                key = self.key(target, addr, private=private)
                heir = next(iter(self._table(key).get(key, ())), None)
                while heir is not None and heir.pi:
                    word = target.load_u32(addr)
                    if word & TID_MASK:
                        return  # another thread was faster
                    if target.cas_u32(addr, word, heir.tid | OWNER_DIED | self._others_locked(key)) == word:
                        self._grant_locked(heir, key)
                        return

    def _others_locked(self, key: Key) -> int:
        """Return WAITERS if more than one waits."""
        return WAITERS if len(self._table(key)[key]) > 1 else 0

    def waiting(self) -> int:
        """Return how many waiters are queued here and on shared memory."""
        with self._mu:
            return sum(len(q) for table in (self._private, self._shared) for q in table.values())


def _differs(value: int) -> EAGAIN | FutexError:
    """Return the error for a word that is not value."""
    if 0 <= value <= MATCH_ANY:
        return EAGAIN()
    return FutexError(f"expected value {value}: a futex word has 32 bits, unsigned")


def _queued(waiter: Waiter) -> FutexError:
    return FutexError(f"the waiter of thread {waiter.tid} is still queued: cancel it, or let it be woken, first")


def _check_bitset(bitset: int) -> None:
    """Raise EINVAL for no bits, FutexError for too many."""
    if not bitset:
        raise EINVAL
    if not 0 < bitset <= MATCH_ANY:
        message = f"bitset {bitset:#x}: it has 32 bits, unsigned"
        raise FutexError(message)


def _signed(value: int, bits: int) -> int:
    sign = 1 << (bits - 1)
    return ((value & ((1 << bits) - 1)) ^ sign) - sign


def _new_value(what: int, old: int, operand: int) -> int:
    if what == _OP_SET:
        return operand
    if what == _OP_ADD:
        return old + operand
    if what == _OP_OR:
        return old | operand
    if what == _OP_ANDN:
        return old & ~operand
    return old ^ operand


def _compare(how: int, old: int, with_: int) -> bool:
    """Compare as the operation says. Raises: ENOSYS for a comparison that does not exist."""
    results = (old == with_, old != with_, old < with_, old <= with_, old > with_, old >= with_)
    if how >= len(results):
        raise ENOSYS
    return results[how]
