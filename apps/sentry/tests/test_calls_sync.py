"""Handlers of `syscalls.sync`: sizes, allocation, advice."""

from apps.sentry.tests.plain import NO_FD, Program
from sentry.syscalls import sync
from sentry_abi.errors import EBADF, EFBIG, EINVAL, ENODEV, EOPNOTSUPP, ESPIPE
from sentry_abi.fcntl import (
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    O_CREAT,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
)
from sentry_abi.resource import RLIMIT_FSIZE
from sentry_abi.signal import SIGXFSZ
from sentry_abi.socket import AF_UNIX, SOCK_STREAM

MAX = (1 << 63) - 1


def test_truncate(p: Program) -> None:
    """The length is signed and counts before the descriptor; what is open before RLIMIT_FSIZE."""
    fd, ro = p.open(b"/a", O_CREAT | O_RDWR), p.open(b"/a", O_RDONLY)
    p.ok("ftruncate", fd, 100)
    assert p.t.files.get(fd).size() == 100
    assert p.error("ftruncate", NO_FD, -1) is EINVAL
    assert p.error("ftruncate", NO_FD, 0) is EBADF
    p.t.limits.set(RLIMIT_FSIZE, 4096, 4096, privileged=True)
    for number in (ro, *p.pipe(), p.ok("socket", AF_UNIX, SOCK_STREAM, 0)):
        assert p.error("ftruncate", number, 1 << 20) is EINVAL
    assert not p.t.pending.mask
    assert p.error("ftruncate", fd, 1 << 20) is EFBIG
    assert p.t.pending.mask == 1 << SIGXFSZ - 1


def test_allocate(p: Program) -> None:
    """Numbers, mode, whether it can be written, what it is, how large it becomes."""
    fd, ro = p.open(b"/a", O_CREAT | O_RDWR), p.open(b"/a", O_RDONLY)
    p.ok("fallocate", fd, 0, 0, 5000)
    assert p.t.files.get(fd).size() == 5000
    p.ok("fallocate", fd, FALLOC_FL_KEEP_SIZE, 0, 9000)
    p.ok("fallocate", fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)
    assert p.t.files.get(fd).size() == 5000
    r, w = p.pipe()
    socket = p.ok("socket", AF_UNIX, SOCK_STREAM, 0)
    assert p.error("fallocate", NO_FD, 0, -1, 0) is EBADF
    assert p.error("fallocate", ro, 0x100, -1, 5) is EINVAL
    assert p.error("fallocate", ro, 0, 0, 0) is EINVAL
    assert p.error("fallocate", ro, FALLOC_FL_PUNCH_HOLE, 0, 5) is EOPNOTSUPP
    assert p.error("fallocate", ro, 0, 0, 5) is EBADF
    assert p.error("fallocate", r, 0, 0, 5) is EBADF
    assert p.error("fallocate", w, 0, 0, 5) is ESPIPE
    assert p.error("fallocate", socket, 0, 1 << 62, 1 << 62) is ENODEV
    assert p.error("fallocate", fd, 0, 1 << 62, 1 << 62) is EFBIG
    p.t.limits.set(RLIMIT_FSIZE, 4096, 4096, privileged=True)
    assert p.error("fallocate", fd, 0, 0, 5000) is EFBIG


def test_syncing(p: Program) -> None:
    """There is nothing to be done but checks."""
    fd, place = p.open(b"/a", O_CREAT | O_RDWR), p.open(b"/a", O_PATH)
    r, _ = p.pipe()
    for call in ("fsync", "fdatasync"):
        assert p.ok(call, fd) == 0
        assert p.error(call, NO_FD) is EBADF
        assert p.error(call, place) is EBADF
    assert p.error("fsync", r) is EINVAL
    assert p.ok("sync") == p.ok("syncfs", fd) == 0
    assert p.error("syncfs", NO_FD) is EBADF
    assert sync.sync_file_range(p.t, p.t.files.get(fd), 0, 5, 7) == 0
    assert p.error("sync_file_range", NO_FD, -1, 0, 8) is EBADF
    assert p.error("sync_file_range", r, 0, 0, 8) is EINVAL
    assert p.error("sync_file_range", fd, -1, 0, 0) is EINVAL
    assert p.error("sync_file_range", r, MAX, 1, 0) is EINVAL
    assert p.error("sync_file_range", r, 0, 0, 0) is ESPIPE
    assert p.error("sync_file_range", p.ok("socket", AF_UNIX, SOCK_STREAM, 0), 0, 0, 0) is ESPIPE


def test_advice(p: Program) -> None:
    """A pipe counts before the numbers."""
    fd, wo = p.open(b"/a", O_CREAT | O_RDWR), p.open(b"/a", O_WRONLY)
    r, _ = p.pipe()
    assert p.ok("fadvise64", fd, 0, 0, 3) == 0
    assert p.error("fadvise64", NO_FD, 0, -1, 9) is EBADF
    assert p.error("fadvise64", r, 0, -1, 9) is ESPIPE
    assert p.error("fadvise64", fd, 0, -1, 0) is EINVAL
    assert p.error("fadvise64", fd, 0, 0, 9) is EINVAL
    assert p.ok("readahead", fd, 0, 100) == 0
    assert p.error("readahead", wo, 0, 1) is EBADF
    assert p.error("readahead", r, 0, 1) is EINVAL
    assert p.error("readahead", fd, 0, -1) is EINVAL
