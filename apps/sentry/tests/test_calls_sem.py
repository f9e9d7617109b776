"""Handlers of `syscalls.sem`: System V semaphores."""

import struct

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import sem
from sentry_abi.errors import (
    E2BIG,
    EACCES,
    EAGAIN,
    EEXIST,
    EFAULT,
    EFBIG,
    EIDRM,
    EINTR,
    EINVAL,
    ENOENT,
    EPERM,
    ERANGE,
)
from sentry_abi.ipc import (
    GETALL,
    GETNCNT,
    GETPID,
    GETVAL,
    IPC_CREAT,
    IPC_EXCL,
    IPC_INFO,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SEM_UNDO,
    SETALL,
    SETVAL,
)
from sentry_abi.structs import SEMBUF, SEMID_DS, TIMESPEC

GONE = 99_999
DOWN = SEMBUF.pack(0, -1, 0)
UP = SEMBUF.pack(0, 1, 0)


def pair(p: Program) -> int:
    """Make a set of two."""
    return p.ok("semget", IPC_PRIVATE, 2, 0o600)


def test_values(p: Program) -> None:
    """Set, get, all of them, and who was last."""
    s = pair(p)
    p.ok("semctl", s, 1, SETVAL, 0xFFFF_FFFF_0000_0007)
    assert p.ok("semctl", s, 1, GETVAL, 0) == 7
    p.ok("semctl", s, 0, SETALL, struct.pack("<2H", 3, 4))
    buf = p.zeros(4)
    p.ok("semctl", s, 0, GETALL, buf)
    assert struct.unpack("<2H", p.get(buf, 4)) == (3, 4)
    p.ok("semop", s, DOWN, 1)
    assert p.ok("semctl", s, 0, GETPID, 0) == 1
    assert p.ok("semctl", s, 0, GETVAL, 0) == 2


def test_waits(p: Program) -> None:
    """A decrement waits for an increment; a signal gives EINTR, the end of the set EIDRM, the time EAGAIN."""
    s, other = pair(p), p.child()
    pending = other.wait("semop", s, DOWN, 1)
    assert (pending.attempt, pending.restart) == (sem.sem_wait, EINTR)
    assert p.ok("semctl", s, 0, GETNCNT, 0) == 1
    p.ok("semop", s, UP, 1)
    assert other.resume() == 0
    other.wait("semop", s, DOWN, 1)
    assert other.interrupt() == -EINTR.errno
    other.wait("semtimedop", s, DOWN, 1, TIMESPEC.pack(1, 0))
    other.pass_deadline()
    assert other.resume() == -EAGAIN.errno
    other.wait("semop", s, DOWN, 1)
    p.ok("semctl", s, 0, IPC_RMID, 0)
    assert other.resume() == -EIDRM.errno


def test_undo(p: Program) -> None:
    """What a process did with SEM_UNDO is undone when it ends."""
    s, child = pair(p), p.child()
    child.ok("semop", s, SEMBUF.pack(0, 5, SEM_UNDO), 1)
    child.call("exit_group", 0)
    assert p.ok("semctl", s, 0, GETVAL, 0) == 0


def test_get(p: Program) -> None:
    """A key names a set; a size that cannot be counts first."""
    assert p.error("semget", 0x1234, 1, 0) is ENOENT
    assert p.error("semget", IPC_PRIVATE, 0, 0) is EINVAL
    assert p.error("semget", IPC_PRIVATE, -1, 0) is EINVAL
    s = p.ok("semget", 0x1234, 1, IPC_CREAT | 0o600)
    assert p.ok("semget", 0x1234, 0, 0) == s
    assert p.error("semget", 0x1234, 2, 0) is EINVAL
    assert p.error("semget", 0x1234, 1, IPC_CREAT | IPC_EXCL) is EEXIST
    p.become(1000)
    assert p.error("semget", 0x1234, 1, 0o600) is EACCES
    assert p.error("semop", s, UP, 1) is EACCES


def test_operation_errors(p: Program) -> None:
    """Time, count, operations, number of the set, what the time says, the semaphore, the wait."""
    s = pair(p)
    negative = TIMESPEC.pack(-1, 0)
    assert p.error("semtimedop", -1, BAD, 1000, BAD) is EFAULT
    assert p.error("semtimedop", -1, BAD, 1000, negative) is E2BIG
    assert p.error("semtimedop", -1, BAD, 0, negative) is EINVAL
    assert p.error("semtimedop", -1, BAD, 1, negative) is EFAULT
    assert p.error("semtimedop", s, DOWN, 1, negative) is EINVAL
    assert p.error("semop", -1, UP, 1) is EINVAL
    assert p.error("semop", GONE, UP, 1) is EINVAL
    assert p.error("semop", s, SEMBUF.pack(9, 1, 0), 1) is EFBIG
    assert p.error("semop", s, SEMBUF.pack(0, -1, IPC_NOWAIT), 1) is EAGAIN
    p.ok("semctl", s, 0, SETVAL, 32767)
    assert p.error("semop", s, UP, 1) is ERANGE


def test_control_errors(p: Program) -> None:
    """A value that cannot be counts before the set, the index after it."""
    s = pair(p)
    assert p.error("semctl", -1, 0, 99, BAD) is EINVAL
    assert p.error("semctl", GONE, 0, IPC_SET, BAD) is EFAULT
    assert p.error("semctl", GONE, 0, IPC_STAT, BAD) is EINVAL
    assert p.error("semctl", GONE, 0, SETVAL, 70_000) is ERANGE
    assert p.error("semctl", s, 9, SETVAL, 5) is EINVAL
    assert p.error("semctl", s, 9, GETVAL, 0) is EINVAL
    assert p.error("semctl", s, 0, GETALL, BAD) is EFAULT
    assert p.error("semctl", s, 0, SETALL, struct.pack("<2H", 1, 65535)) is ERANGE
    assert p.error("semctl", s, 0, 99, 0) is EINVAL
    assert p.ok("semctl", 0, 0, IPC_INFO, p.zeros(40)) >= 0
    buf = p.zeros(SEMID_DS.size)
    p.ok("semctl", s, 0, IPC_STAT, buf)
    p.ok("semctl", s, 0, IPC_SET, buf)
    p.become(1000)
    assert p.error("semctl", s, 0, IPC_RMID, 0) is EPERM
    assert p.error("semctl", s, 9, GETVAL, 0) is EACCES
