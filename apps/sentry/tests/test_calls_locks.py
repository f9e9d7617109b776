"""Handlers of `syscalls.locks`: record locks and whole-file locks."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import locks
from sentry_abi.errors import EAGAIN, EBADF, EDEADLK, EFAULT, EINVAL
from sentry_abi.fcntl import (
    F_GETLK,
    F_OFD_SETLK,
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
    O_CREAT,
    O_PATH,
    O_RDONLY,
    O_RDWR,
)
from sentry_abi.structs import FLOCK


def lock(kind: int, start: int = 0, length: int = 0, whence: int = 0) -> bytes:
    """Return a struct flock."""
    return FLOCK.pack(kind, whence, start, length, 0)


def test_record_locks(p: Program) -> None:
    """A process finds the lock of another one, and waits for its end."""
    other = p.child()
    mine, theirs = p.open(b"/a", O_CREAT | O_RDWR), other.open(b"/a", O_RDWR)
    p.ok("fcntl", mine, F_SETLK, lock(F_WRLCK, 10, 5))
    where = other.put(lock(F_RDLCK, 12, 1))
    other.ok("fcntl", theirs, F_GETLK, where)
    assert other.fields(FLOCK, where) == (F_WRLCK, 0, 10, 5, p.t.group.tgid)
    assert other.error("fcntl", theirs, F_SETLK, lock(F_RDLCK, 12, 1)) is EAGAIN
    pending = other.wait("fcntl", theirs, F_SETLKW, lock(F_RDLCK, 12, 1))
    assert pending.attempt is locks.lock_on
    p.ok("fcntl", mine, F_SETLK, lock(F_UNLCK, 0, 14))
    assert other.resume() == 0


def test_deadlock(p: Program) -> None:
    """Two processes that wait for each other: the second one is refused."""
    other = p.child()
    mine, theirs = p.open(b"/a", O_CREAT | O_RDWR), other.open(b"/a", O_RDWR)
    p.ok("fcntl", mine, F_SETLK, lock(F_WRLCK, 0, 1))
    other.ok("fcntl", theirs, F_SETLK, lock(F_WRLCK, 1, 1))
    p.wait("fcntl", mine, F_SETLKW, lock(F_WRLCK, 1, 1))
    assert other.error("fcntl", theirs, F_SETLKW, lock(F_WRLCK, 0, 1)) is EDEADLK


def test_record_errors(p: Program) -> None:
    """Address, type and place of the lock count before the mode of the file."""
    fd = p.open(b"/a", O_CREAT | O_RDONLY)
    assert p.error("fcntl", fd, F_SETLK, BAD) is EFAULT
    assert p.error("fcntl", fd, F_SETLK, lock(9)) is EINVAL
    assert p.error("fcntl", fd, F_SETLK, lock(F_WRLCK, -1)) is EINVAL
    assert p.error("fcntl", fd, F_SETLK, lock(F_WRLCK, whence=3)) is EINVAL
    assert p.error("fcntl", fd, F_SETLK, lock(F_WRLCK)) is EBADF
    assert p.error("fcntl", fd, F_OFD_SETLK, FLOCK.pack(F_RDLCK, 0, 0, 0, 5)) is EINVAL


def test_flock(p: Program) -> None:
    """Locks belong to descriptions: a second one of the same process waits."""
    first, second = p.open(b"/a", O_CREAT | O_RDWR), p.open(b"/a", O_RDONLY)
    p.ok("flock", first, LOCK_EX)
    assert p.error("flock", second, LOCK_SH | LOCK_NB) is EAGAIN
    pending = p.wait("flock", second, LOCK_SH)
    assert pending.attempt is locks.flock_on
    p.ok("flock", first, LOCK_UN)
    assert p.resume() == 0


def test_flock_errors(p: Program) -> None:
    """LOCK_MAND is nothing at all; the operation counts before the descriptor."""
    p.open(b"/a", O_CREAT | O_RDWR)
    assert p.ok("flock", NO_FD, LOCK_MAND | 99) == 0
    assert p.error("flock", NO_FD, 3) is EINVAL
    assert p.error("flock", NO_FD, LOCK_SH) is EBADF
    place = p.open(b"/a", O_PATH)
    assert p.error("flock", place, LOCK_SH) is EBADF
