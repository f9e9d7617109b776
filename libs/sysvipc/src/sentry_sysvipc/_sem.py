"""Semaphores: sets of counters, changed all or nothing; operations that cannot be done wait in a queue.

A change of a set does at once the waiting operations that it makes possible, in their order, and records that in their
waiters: as in Linux, a semaphore that is released is taken by the first waiter and by no later caller. Source: Linux
ipc/sem.c (6.1).
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry_abi.errors import EAGAIN, EFBIG, EIDRM, EINVAL, ENOSPC, ERANGE, LinuxError
from sentry_abi.ipc import IPC_NOWAIT, SEM_UNDO, SEMMNI, SEMMNS, SEMMSL, SEMVMX
from sentry_sysvipc._objects import READ, WRITE, Object, Registry, Surroundings
from sentry_waiter import IN, Queue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sentry_auth import Credentials

_UNDO_LIMIT: Final = SEMVMX


class SemOp(NamedTuple):
    """One operation of semop(2)."""

    number: int
    change: int
    flags: int = 0


class UndoList:
    """What is undone when the last of the tasks that share it exits: semadj values by set."""

    __slots__ = ("sets",)

    def __init__(self) -> None:
        """Begin empty."""
        self.sets: dict[SemaphoreSet, list[int]] = {}

    def adjustments(self, owner: "SemaphoreSet") -> list[int]:
        """Return the adjustments for a set, which is entered if it is new."""
        found = self.sets.get(owner)
        if found is None:
            found = self.sets[owner] = [0] * len(owner.values)
            owner.undos[self] = None
        return found

    def apply(self, pid: int) -> None:
        """Undo everything, on behalf of a process that exits. Linux: exit_sem."""
        for owner, adjustments in self.sets.items():
            del owner.undos[self]
            owner.undo(adjustments, pid)
        self.sets.clear()


class SemWaiter:
    """Operations that wait; `done` and `error` say how it ended."""

    __slots__ = ("blocking", "changes", "done", "error", "operations", "owner", "pid", "queue", "undo")

    def __init__(
        self, owner: "SemaphoreSet", operations: "tuple[SemOp, ...]", undo: UndoList | None, pid: int, blocking: SemOp
    ) -> None:
        """Wait for a set."""
        self.owner = owner
        self.operations = operations
        self.undo = undo
        self.pid = pid
        self.blocking = blocking
        """The first operation that cannot be done now."""
        self.changes = any(op.change for op in operations)
        self.done = False
        self.error = 0
        """The errno that it ended with."""
        self.queue = Queue()

    def end(self, error: int = 0) -> None:
        """End the wait."""
        self.done = not error
        self.error = error
        self.queue.notify(IN)

    def cancel(self) -> bool:
        """Stop waiting; return whether the operations were done before."""
        self.owner.waiting.pop(self, None)
        return self.done


class SemaphoreSet(Object):
    """One set."""

    __slots__ = ("_around", "otime", "pids", "undos", "values", "waiting")

    def __init__(self, around: Surroundings, key: int, count: int, mode: int, creds: "Credentials") -> None:
        """Make a set of count semaphores with value 0."""
        super().__init__(key, mode, creds, around.now())
        self._around = around
        self.otime = 0
        self.values = [0] * count
        self.pids = [0] * count
        """The process that changed each semaphore last."""
        self.waiting: dict[SemWaiter, None] = {}
        """In order of arrival."""
        self.undos: dict[UndoList, None] = {}

    def operate(
        self, wanted: "Iterable[tuple[int, int, int]]", undo: UndoList | None, pid: int, creds: "Credentials"
    ) -> SemWaiter | None:
        """Do all operations, or none and return a queued waiter: semop(2).

        wanted: semaphore, change and flags of each operation, as in `SemOp`.
        undo: where SEM_UNDO records what was done.
        Raises: EFBIG, EACCES, ERANGE, EAGAIN (IPC_NOWAIT).
        """
        operations = tuple(map(SemOp._make, wanted))
        count = len(self.values)
        if any(op.number >= count for op in operations):
            raise EFBIG
        changes = any(op.change for op in operations)
        self.check(creds, WRITE if changes else READ)
        blocking = self._perform(operations, undo, pid)
        if blocking is None:
            self.otime = self._around.now()
            if changes:
                self.settle()
            return None
        waiter = SemWaiter(self, operations, undo, pid, blocking)
        self.waiting[waiter] = None
        return waiter

    def _perform(self, operations: "tuple[SemOp, ...]", undo: UndoList | None, pid: int) -> SemOp | None:
        """Do all operations; if one must wait, do none and return it. Raises: ERANGE, EAGAIN."""
        values: dict[int, int] = {}
        undone: dict[int, int] = {}
        adjustments: list[int] = []
        for op in operations:
            number, change, flags = op
            value = values.get(number, self.values[number])
            if (not change and value) or value + change < 0:
                if flags & IPC_NOWAIT:
                    raise EAGAIN
                return op
            if value + change > SEMVMX:
                raise ERANGE
            if flags & SEM_UNDO and undo is not None:
                adjustments = undo.adjustments(self)
                adjustment = undone.get(number, adjustments[number]) - change
                if not -_UNDO_LIMIT - 1 <= adjustment <= _UNDO_LIMIT:
                    raise ERANGE
                undone[number] = adjustment
            values[number] = value + change
        for number, value in values.items():
            self.values[number] = value
            self.pids[number] = pid
        for number, adjustment in undone.items():
            adjustments[number] = adjustment
        return None

    def settle(self) -> None:
        """Do the waiting operations that can be done now; those that wait for zero come first."""
        again = bool(self.waiting)
        while again:
            again = False
            for waiter in sorted(self.waiting, key=_changes):
                if self._try(waiter) and waiter.changes:
                    again = True
                    break

    def _try(self, waiter: SemWaiter) -> bool:
        """Do the operations of a waiter if they can be done; return whether they were."""
        try:
            blocking = self._perform(waiter.operations, waiter.undo, waiter.pid)
        except LinuxError as error:
            del self.waiting[waiter]
            waiter.end(error.errno)
            return False
        if blocking is not None:
            waiter.blocking = blocking
            return False
        del self.waiting[waiter]
        self.otime = self._around.now()
        waiter.end()
        return True

    def undo(self, adjustments: "Sequence[int]", pid: int) -> None:
        """Apply the SEM_UNDO adjustments of a process that exits."""
        for number, adjustment in enumerate(adjustments):
            if adjustment:
                self.values[number] = min(max(self.values[number] + adjustment, 0), SEMVMX)
                self.pids[number] = pid
        self.otime = self._around.now()
        self.settle()

    def value(self, number: int) -> int:
        """Return a semaphore's value: GETVAL. Raises: EINVAL."""
        if not 0 <= number < len(self.values):
            raise EINVAL
        return self.values[number]

    def count_waiting(self, number: int, *, for_zero: bool) -> int:
        """Return how many wait for a semaphore to grow, or to be zero: GETNCNT, GETZCNT."""
        return sum(
            waiter.blocking.number == number and (waiter.blocking.change == 0) is for_zero for waiter in self.waiting
        )

    def set_value(self, number: int, value: int) -> None:
        """Set one semaphore and clear its undo adjustments: SETVAL. Raises: ERANGE, EINVAL."""
        if not 0 <= value <= SEMVMX:
            raise ERANGE
        self.value(number)
        self._assign(number, value)
        self._assigned()

    def set_all(self, values: "Sequence[int]") -> None:
        """Set all semaphores: SETALL. Raises: ERANGE."""
        if any(value > SEMVMX for value in values):
            raise ERANGE
        for number, value in enumerate(values):
            self._assign(number, value)
        self._assigned()

    def _assign(self, number: int, value: int) -> None:
        self.values[number] = value
        self.pids[number] = self._around.pid()
        for undo in self.undos:
            undo.sets[self][number] = 0

    def _assigned(self) -> None:
        self.ctime = self._around.now()
        self.settle()


def _changes(waiter: SemWaiter) -> bool:
    return waiter.changes


class Semaphores(Registry[SemaphoreSet]):
    """The semaphore sets of a namespace."""

    __slots__ = ()

    def __init__(self, around: Surroundings) -> None:
        """Begin with none."""
        super().__init__(SEMMNI, around)

    def get(self, key: int, count: int, flags: int, creds: "Credentials") -> SemaphoreSet:
        """Return the set of a key, or a new one: semget(2). Raises: ENOENT, EEXIST, EINVAL (count), EACCES, ENOSPC."""
        if not 0 <= count <= SEMMSL:
            raise EINVAL
        found = self.existing(key, flags)
        if found is not None:
            if count > len(found.values):
                raise EINVAL
            found.check(creds, flags & 0o777)
            return found
        if not count:
            raise EINVAL
        if self.total + count > SEMMNS:
            raise ENOSPC
        return self.add(SemaphoreSet(self.around, key, count, flags, creds))

    def remove(self, gone: SemaphoreSet) -> None:
        """Remove a set; its waiters get EIDRM: IPC_RMID."""
        self.drop(gone)
        for undo in gone.undos:
            del undo.sets[gone]
        gone.undos.clear()
        waiting = list(gone.waiting)
        gone.waiting.clear()
        for waiter in waiting:
            waiter.end(EIDRM.errno)

    def new_undo_list(self) -> UndoList:
        """Return a list for a process that has none yet."""
        return UndoList()

    @property
    def total(self) -> int:
        """Semaphores of all sets."""
        return sum(len(item.values) for item in self.objects.values())
