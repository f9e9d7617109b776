"""Handlers of `syscalls.shm`: System V shared memory."""

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import shm
from sentry_abi.errors import EACCES, EEXIST, EFAULT, EINVAL, ENOENT, EPERM
from sentry_abi.ipc import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_INFO,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SHM_LOCK,
    SHM_RDONLY,
    SHM_REMAP,
    SHM_RND,
    SHM_UNLOCK,
)
from sentry_abi.structs import SHMID_DS

GONE = 99_999
PAGE = 4096


def attached(p: Program, segment: int) -> int:
    """Return how often a segment is attached."""
    buf = p.zeros(SHMID_DS.size)
    p.ok("shmctl", segment, IPC_STAT, buf)
    return p.fields(SHMID_DS, buf)[-1]


def test_attach(p: Program) -> None:
    """Two places show the same memory; a removed segment lives until its last attachment ends."""
    s = p.ok("shmget", IPC_PRIVATE, 5000, 0o600)
    first, second = p.ok("shmat", s, 0, 0), p.ok("shmat", s, 0, SHM_RDONLY)
    p.t.mm.copy_out(first, b"hello")
    assert p.get(second, 5) == b"hello"
    assert p.error("gettimeofday", second, 0) is EFAULT, "read-only"
    assert attached(p, s) == 2
    assert shm.shmdt(p.t, first) == 0
    p.ok("shmctl", s, IPC_RMID, 0)
    assert p.get(second, 5) == b"hello"
    p.ok("shmdt", second)
    assert p.error("shmat", s, 0, 0) is EINVAL


def test_addresses(p: Program) -> None:
    """SHM_RND rounds down, SHM_REMAP replaces; an address in use is refused without it."""
    s = p.ok("shmget", IPC_PRIVATE, PAGE, 0o600)
    at = p.ok("shmat", s, 0, 0)
    assert p.error("shmat", s, at, 0) is EINVAL
    assert p.ok("shmat", s, at + 5, SHM_RND | SHM_REMAP) == at
    assert p.error("shmat", s, 5, 0) is EINVAL
    assert p.error("shmat", s, 0, SHM_REMAP) is EINVAL
    assert p.error("shmdt", 5) is EINVAL
    assert p.error("shmdt", BAD) is EINVAL


def test_get(p: Program) -> None:
    """A key names a segment that is as large as is asked for."""
    assert p.error("shmget", 0x1234, 1, 0) is ENOENT
    assert p.error("shmget", IPC_PRIVATE, 0, IPC_CREAT) is EINVAL
    s = p.ok("shmget", 0x1234, PAGE, IPC_CREAT | 0o600)
    assert p.ok("shmget", 0x1234, 0, 0) == s
    assert p.error("shmget", 0x1234, 2 * PAGE, 0) is EINVAL
    assert p.error("shmget", 0x1234, PAGE, IPC_CREAT | IPC_EXCL) is EEXIST
    p.become(1000)
    assert p.error("shmget", 0x1234, PAGE, 0o600) is EACCES
    assert p.error("shmat", s, 0, 0) is EACCES


def test_control(p: Program) -> None:
    """The structure is read before the segment is looked up."""
    s, buf = p.ok("shmget", IPC_PRIVATE, PAGE, 0o600), p.zeros(SHMID_DS.size)
    p.ok("shmctl", s, IPC_STAT, buf)
    fields = p.fields(SHMID_DS, buf)
    assert (fields[5] & 0o777, fields[7]) == (0o600, PAGE)
    p.ok("shmctl", s, IPC_SET, SHMID_DS.pack(*fields[:5], 0o644, *fields[6:]))
    p.ok("shmctl", s, SHM_LOCK, 0)
    p.ok("shmctl", s, SHM_UNLOCK, 0)
    assert p.ok("shmctl", 0, IPC_INFO, p.zeros(72)) >= 0
    assert p.error("shmat", -1, 5, 0) is EINVAL
    assert p.error("shmctl", -1, 99, BAD) is EINVAL
    assert p.error("shmctl", GONE, IPC_SET, BAD) is EFAULT
    assert p.error("shmctl", GONE, IPC_STAT, BAD) is EINVAL
    assert p.error("shmctl", s, IPC_STAT, BAD) is EFAULT
    assert p.error("shmctl", s, 99, 0) is EINVAL
    p.become(1000)
    assert p.error("shmctl", s, IPC_RMID, 0) is EPERM
    assert p.error("shmctl", s, SHM_LOCK, 0) is EPERM
