"""Locks of files: fcntl's record locks and flock's whole-file locks. Source: Linux fs/locks.c."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, FdNum, Int
from sentry_abi.errors import EAGAIN, EBADF, EDEADLK, EINVAL, ENOLCK
from sentry_abi.fcntl import (
    F_GETLK,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_RDLCK,
    F_SETLK,
    F_SETLKW,
    F_UNLCK,
    F_WRLCK,
    LOCK_EX,
    LOCK_MAND,
    LOCK_NB,
    LOCK_SH,
    LOCK_UN,
)
from sentry_abi.structs import FLOCK
from sentry_vfs import EOF, FileDescription, Lock, LockTable
from sentry_waiter import OUT

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("locks of files")

RECORD_COMMANDS: Final = frozenset({F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW})
"""The commands of fcntl(2) that `record_lock` serves."""

_MAX_CHAIN: Final = 10
"""How many waits in a row are looked at for a deadlock (MAX_DEADLK_ITERATIONS)."""


class Locking(NamedTuple):
    """A record lock that waits."""

    file: FileDescription
    lock: Lock


def _table(file: FileDescription) -> LockTable:
    inode = file.inode
    if inode is None:
        raise ENOLCK
    if inode.locks is None:
        inode.locks = LockTable()
    return inode.locks


def record_lock(t: "Task", file: FileDescription, command: int, arg: int) -> Result:
    """Set, drop or ask about a record lock, described by struct flock at arg.

    Raises: EFAULT, EINVAL, EBADF (not open in the lock's mode), EAGAIN (held by another), EDEADLK.
    """
    kind, whence, start, length, pid = FLOCK.unpack(t.mm.copy_in(arg, FLOCK.size))
    of_file = command >= F_OFD_GETLK
    if of_file and pid:
        raise EINVAL
    if kind not in {F_RDLCK, F_WRLCK, F_UNLCK} or whence not in {0, 1, 2}:
        raise EINVAL
    start += (0, file.pos, file.size())[whence]
    if length < 0:
        start, length = start + length, -length
    if start < 0 or start + length > EOF:
        raise EINVAL
    owner: object = file if of_file else t.files
    lock = Lock(start, start + length if length else EOF, kind, owner, -1 if of_file else t.group.tgid)
    table = _table(file)
    if command in {F_GETLK, F_OFD_GETLK}:
        if kind == F_UNLCK and not of_file:
            raise EINVAL
        other = table.conflict(lock) if kind != F_UNLCK else table.held(lock)
        if other is None:
            t.mm.copy_out(arg, F_UNLCK.to_bytes(2, "little"))  # the rest stays as it was
        else:
            reply = FLOCK.pack(
                other.kind, 0, other.start, 0 if other.end == EOF else other.end - other.start, other.pid
            )
            t.mm.copy_out(arg, reply)
        return 0
    if (kind == F_RDLCK and not file.readable) or (kind == F_WRLCK and not file.writable):
        raise EBADF
    if command in {F_SETLKW, F_OFD_SETLKW}:
        return lock_on(t, Locking(file, lock))
    table.set(lock)
    return 0


@attempt
def lock_on(t: "Task", state: Locking) -> Result:
    """Take a record lock, or wait on. Raises: EDEADLK."""
    table = _table(state.file)
    try:
        table.set(state.lock)
    except EAGAIN:
        if _is_deadlock(t, state):
            raise EDEADLK from None
        return Pending(lock_on, state, ((table.queue, OUT),))
    return 0


def _is_deadlock(t: "Task", state: Locking) -> bool:
    """Return whether who holds the lock waits, perhaps through others, for the caller (posix_locks_deadlock).

    Derived from the waits themselves. As in Linux, locks of descriptions never count, and long chains are not followed.
    """
    if state.lock.owner is not t.files:
        return False
    waits = {
        task.files: task.parked.state
        for task in t.kernel.contexts.values()
        if task.parked is not None and isinstance(task.parked.state, Locking)
    }
    for _ in range(_MAX_CHAIN):
        blocker = _table(state.file).conflict(state.lock)
        if blocker is None:
            return False
        if blocker.owner is t.files:
            return True
        found = next((wait for files, wait in waits.items() if files is blocker.owner is wait.lock.owner), None)
        if found is None:
            return False
        state = found
    return False


class Flocking(NamedTuple):
    """A whole-file lock that waits."""

    file: FileDescription
    operation: int


@calls.call
def flock(t: "Task", fd: FdNum, operation: Int) -> Result:
    """flock(2); LOCK_MAND does nothing, as in Linux."""
    if operation & LOCK_MAND:
        return 0
    if operation & ~LOCK_NB not in {LOCK_SH, LOCK_EX, LOCK_UN}:
        raise EINVAL
    file = t.files.get(fd)
    if not (operation & LOCK_UN or file.readable or file.writable):
        raise EBADF
    if operation & LOCK_NB:
        _table(file).flock(file, operation & ~LOCK_NB)
        return 0
    return flock_on(t, Flocking(file, operation))


@attempt
def flock_on(t: "Task", state: Flocking) -> Result:
    """Take a whole-file lock, or wait on."""
    del t
    table = _table(state.file)
    try:
        table.flock(state.file, state.operation)
    except EAGAIN:
        return Pending(flock_on, state, ((table.queue, OUT),))
    return 0
