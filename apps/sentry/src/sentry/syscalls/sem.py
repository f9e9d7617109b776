"""System V semaphores: semget(2), semop(2), semctl(2)."""

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.namespaces import SharedUndo
from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, Int, Ptr, UInt
from sentry.syscalls.ipc import permissions
from sentry.syscalls.poll import deadline_of
from sentry_abi import ipc
from sentry_abi.errors import (
    BY_NUMBER,
    E2BIG,
    EAGAIN,
    EINTR,
    EINVAL,
    ERANGE,
)
from sentry_abi.structs import SEMBUF, SEMID_DS, TIMESPEC
from sentry_waiter import IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import Task
    from sentry_sysvipc import SemaphoreSet, SemWaiter, UndoList

calls = Calls("System V semaphores")

READ: Final = 0o444
WRITE: Final = 0o222
_SEMINFO: Final = struct.Struct("<10i")
"""struct seminfo <linux/sem.h>: semmap semmni semmns semmnu semmsl semopm semume semusz semvmx semaem"""


@calls.call
def semget(t: "Task", key: Int, count: Int, flags: Int) -> int:
    """semget(2). Raises: ENOENT, EEXIST, EINVAL, EACCES, ENOSPC."""
    return t.ns.ipc.semaphores.get(key, count, flags, t.creds).id


class SemWait(NamedTuple):
    """The record of a semop that waits."""

    waiter: "SemWaiter"
    deadline: int | None


@attempt
def sem_wait(t: "Task", state: SemWait) -> Result:
    """Return 0 once the operations are done. Raises: EIDRM, ERANGE, EAGAIN (too late)."""
    waiter = state.waiter
    if waiter.done:
        return 0
    if waiter.error:
        raise BY_NUMBER[waiter.error]
    if t.timed_out:
        state.waiter.cancel()
        raise EAGAIN
    return Pending(sem_wait, state, ((state.waiter.queue, IN),), state.deadline, EINTR, sem_interrupted)


@attempt
def sem_interrupted(t: "Task", state: SemWait) -> int:
    """Leave the queue for a signal. Raises: EINTR; what ended the wait before it came."""
    del t
    if state.waiter.done:
        return 0
    if state.waiter.error:
        raise BY_NUMBER[state.waiter.error]
    state.waiter.cancel()
    raise EINTR


def undo_list(t: "Task") -> "UndoList":
    """Return the undo list of a task."""
    shared = t.sem_undo
    if shared is None:
        shared = t.sem_undo = SharedUndo()
    if shared.undo is None:
        shared.undo = t.ns.ipc.semaphores.new_undo_list()
    return shared.undo


@calls.call
def semtimedop(t: "Task", number: Int, operations: Ptr, count: UInt, timeout: Ptr) -> Result:
    """semtimedop(2). Raises: EINVAL, E2BIG, EFAULT, EFBIG, EACCES, ERANGE, EAGAIN, EIDRM, EINTR."""
    if timeout:
        t.mm.copy_in(timeout, TIMESPEC.size)  # can it be read: what it says is looked at later
    if count > ipc.SEMOPM:
        raise E2BIG
    if count < 1:
        raise EINVAL
    wanted = list(SEMBUF.iter_unpack(t.mm.copy_in(operations, count * SEMBUF.size)))
    if number < 0:
        raise EINVAL
    deadline = deadline_of(t, timeout, 1)
    found = t.ns.ipc.semaphores.find(number)
    undo = undo_list(t) if any(flags & ipc.SEM_UNDO for _, _, flags in wanted) else None
    waiter = found.operate(wanted, undo, t.group.tgid, t.creds)
    return 0 if waiter is None else sem_wait(t, SemWait(waiter, deadline))


@calls.call
def semop(t: "Task", number: Int, operations: Ptr, count: UInt) -> Result:
    """semop(2). Raises: as semtimedop."""
    return semtimedop(t, number, operations, count, 0)


def _sem_stat(found: "SemaphoreSet") -> bytes:
    return SEMID_DS.pack(*permissions(found), found.otime, found.ctime, len(found.values))


def _sem_information(t: "Task", command: int, address: int) -> int:
    semaphores = t.ns.ipc.semaphores
    size, most = 20, ipc.SEMVMX
    if command == ipc.SEM_INFO:
        size, most = len(semaphores), semaphores.total
    t.mm.copy_out(
        address,
        _SEMINFO.pack(
            ipc.SEMMNS, ipc.SEMMNI, ipc.SEMMNS, ipc.SEMMNS, ipc.SEMMSL, ipc.SEMOPM, ipc.SEMOPM, size, ipc.SEMVMX, most
        ),
    )
    return semaphores.highest


def _get_value(found: "SemaphoreSet", index: int) -> int:
    return found.value(index)


def _get_pid(found: "SemaphoreSet", index: int) -> int:
    return found.pids[index]


def _get_growing(found: "SemaphoreSet", index: int) -> int:
    return found.count_waiting(index, for_zero=False)


def _get_zero(found: "SemaphoreSet", index: int) -> int:
    return found.count_waiting(index, for_zero=True)


_SEM_GETTERS: Final[dict[int, "Callable[[SemaphoreSet, int], int]"]] = {
    ipc.GETVAL: _get_value,
    ipc.GETPID: _get_pid,
    ipc.GETNCNT: _get_growing,
    ipc.GETZCNT: _get_zero,
}


def _sem_all(t: "Task", found: "SemaphoreSet", command: int, address: int) -> None:
    """Copy all values out or in. Raises: EACCES, EFAULT, ERANGE."""
    found.check(t.creds, READ if command == ipc.GETALL else WRITE)
    form = f"<{len(found.values)}H"
    if command == ipc.GETALL:
        t.mm.copy_out(address, struct.pack(form, *found.values))
    else:
        found.set_all(struct.unpack(form, t.mm.copy_in(address, len(found.values) * 2)))


def _sem_change(t: "Task", number: int, command: int, address: int) -> None:
    """Change or remove a set. Raises: EFAULT, EINVAL, EPERM."""
    semaphores = t.ns.ipc.semaphores
    uid = gid = mode = 0
    if command == ipc.IPC_SET:
        _, uid, gid, _, _, mode, *_ = SEMID_DS.unpack(t.mm.copy_in(address, SEMID_DS.size))
    found = semaphores.find(number)
    found.check_owner(t.creds)
    if command == ipc.IPC_SET:
        found.set(uid, gid, mode, semaphores.around.now())
    else:
        semaphores.remove(found)


def _set_value(t: "Task", number: int, index: int, value: int) -> None:
    """Set one semaphore. Raises: ERANGE, EINVAL, EACCES."""
    if not 0 <= value <= ipc.SEMVMX:
        raise ERANGE
    found = t.ns.ipc.semaphores.find(number)
    found.value(index)
    found.check(t.creds, WRITE)
    found.set_value(index, value)


@calls.call
def semctl(t: "Task", number: Int, index: Int, command: Int, argument: Ptr) -> int:
    """semctl(2). Raises: EINVAL, EACCES, EPERM, EFAULT, ERANGE."""
    if number < 0:
        raise EINVAL
    if command in (ipc.IPC_INFO, ipc.SEM_INFO):
        return _sem_information(t, command, argument)
    semaphores = t.ns.ipc.semaphores
    if command in (ipc.IPC_STAT, ipc.SEM_STAT, ipc.SEM_STAT_ANY):
        found = semaphores.find(number) if command == ipc.IPC_STAT else semaphores.at(number)
        if command != ipc.SEM_STAT_ANY:
            found.check(t.creds, READ)
        t.mm.copy_out(argument, _sem_stat(found))
        return 0 if command == ipc.IPC_STAT else found.id
    if command in _SEM_GETTERS:
        found = semaphores.find(number)
        found.check(t.creds, READ)
        found.value(index)
        return _SEM_GETTERS[command](found, index)
    if command in (ipc.GETALL, ipc.SETALL):
        _sem_all(t, semaphores.find(number), command, argument)
    elif command == ipc.SETVAL:
        _set_value(t, number, index, (argument & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)
    elif command in (ipc.IPC_SET, ipc.IPC_RMID):
        _sem_change(t, number, command, argument)
    else:
        raise EINVAL
    return 0
