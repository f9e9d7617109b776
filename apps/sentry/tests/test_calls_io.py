"""Handlers of `syscalls.io`: reading and writing."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import io
from sentry_abi.errors import (
    EAGAIN,
    EBADF,
    EFAULT,
    EFBIG,
    EINVAL,
    EISDIR,
    EOPNOTSUPP,
    EPIPE,
    ERESTARTSYS,
    ESPIPE,
)
from sentry_abi.fcntl import (
    O_APPEND,
    O_CREAT,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    RWF_APPEND,
    SEEK_CUR,
    SEEK_END,
    SEEK_SET,
)
from sentry_abi.resource import RLIMIT_FSIZE
from sentry_abi.signal import SIGPIPE, SIGXFSZ
from sentry_abi.structs import IOVEC

HUGE = 1 << 63
MAX = HUGE - 1


def vector(p: Program, *pieces: tuple[int, int]) -> int:
    """Put an iovec into memory; return its address."""
    return p.put(b"".join(IOVEC.pack(*piece) for piece in pieces))


def test_read_and_write(p: Program) -> None:
    """Bytes go to the position and come from it; positions of pread and pwrite are their own."""
    fd, buf = p.open(b"/a", O_CREAT | O_RDWR), p.zeros(16)
    assert p.ok("write", fd, b"hello", 5) == 5
    assert p.ok("pwrite64", fd, b"J", 1, 0) == 1
    assert p.ok("lseek", fd, -4, SEEK_CUR) == 1
    assert p.ok("read", 0xFFFF_FFFF_0000_0000 | fd, buf, 16) == 4
    assert p.get(buf, 5) == b"ello\0"
    assert p.ok("pread64", fd, buf, 2, 0) == 2
    assert p.get(buf, 2) == b"Je"
    assert p.ok("read", fd, buf, 16) == 0
    assert p.ok("lseek", fd, -1, SEEK_END) == 4
    assert io.lseek(p.t, p.t.files.get(fd), 0, SEEK_SET) == 0


def test_vectors(p: Program) -> None:
    """Pieces are filled in turn; position -1 is the file's own."""
    fd, buf = p.open(b"/a", O_CREAT | O_RDWR), p.put(b"abcdef")
    assert p.ok("writev", fd, vector(p, (buf, 2), (buf + 4, 2)), 2) == 4
    assert p.ok("pwritev", fd, vector(p, (buf + 2, 1)), 1, 1) == 1
    assert p.ok("pwritev2", fd, vector(p, (buf, 1)), 1, 0, 0, RWF_APPEND) == 1
    out = p.zeros(8)
    p.ok("lseek", fd, 0, 0)
    assert p.ok("readv", fd, vector(p, (out + 4, 2), (out, 4)), 2) == 5
    assert p.get(out, 6) == b"efa\0ac"
    assert p.ok("preadv", fd, vector(p, (out, 2)), 1, 1) == 2
    assert p.get(out, 2) == b"ce"
    p.ok("lseek", fd, 0, 0)
    assert p.ok("preadv2", fd, vector(p, (out, 2)), 1, -1, 0, 0) == 2
    assert p.ok("lseek", fd, 0, SEEK_CUR) == 2


def test_read_waits(p: Program) -> None:
    """A pipe without bytes: the wait is for the pipe, without a deadline, and the retry reads what came."""
    r, w = p.pipe()
    buf = p.zeros(8)
    pending = p.wait("read", r, buf, 8)
    assert pending.attempt is io.read_on
    assert [queue for queue, _ in pending.queues] == [p.t.files.get(r).queue]
    assert (pending.deadline, pending.restart) == (None, ERESTARTSYS)
    p.ok("write", w, b"xyz", 3)
    assert p.woken()
    assert p.resume() == 3
    assert p.get(buf, 3) == b"xyz"
    p.wait("readv", r, vector(p, (buf, 8)), 1)
    p.ok("close", w)
    assert p.resume() == 0


def test_write_waits(p: Program) -> None:
    """A full pipe keeps a write; a signal makes it return what was written, or restart."""
    r, w = p.pipe()
    size = 1 << 16
    data = p.put(bytes(size + 4096))
    pending = p.wait("write", w, data, size + 4096)
    assert pending.attempt is io.write_on
    assert p.interrupt() == size
    p.wait("write", w, data, 1)
    assert p.interrupt() is ERESTARTSYS
    p.wait("writev", w, vector(p, (data, 5)), 1)
    assert p.ok("read", r, data, size) == size
    assert p.resume() == 5


def test_nonblocking(p: Program) -> None:
    """O_NONBLOCK gives EAGAIN in place of a wait."""
    fds = p.zeros(8)
    p.ok("pipe2", fds, O_NONBLOCK)
    r, w = p.number(fds), p.number(fds + 4)
    assert p.error("read", r, fds, 1) is EAGAIN
    assert p.error("readv", r, vector(p, (fds, 1)), 1) is EAGAIN
    assert p.ok("write", w, p.put(bytes(70000)), 70000) == 65536
    assert p.error("write", w, fds, 1) is EAGAIN


def test_broken_pipe(p: Program) -> None:
    """A pipe without a reader is EPIPE and SIGPIPE, even if the buffer is bad."""
    r, w = p.pipe()
    p.ok("close", r)
    assert p.error("write", w, BAD, 1) is EPIPE
    assert p.t.pending.mask == 1 << SIGPIPE - 1
    assert p.error("writev", w, vector(p, (BAD, 1)), 1) is EPIPE


def test_order_of_errors(p: Program) -> None:
    """Descriptor, its mode, the end of user space, the buffer; a position first, and whether there are any."""
    p.ok("mkdir", b"/d", 0o755)
    fd, d = p.open(b"/a", O_CREAT | O_RDWR), p.open(b"/d", O_RDONLY)
    ro, wo, place = p.open(b"/a", O_RDONLY), p.open(b"/a", O_WRONLY), p.open(b"/a", O_PATH)
    p.ok("write", fd, b"x", 1)
    r, w = p.pipe()
    for call in ("read", "write"):
        assert p.error(call, NO_FD, BAD, HUGE) is EBADF
        assert p.error(call, place, BAD, HUGE) is EBADF
        assert p.error(call, fd, 0x10000, HUGE) is EFAULT
        assert p.error(call, fd, 0x10000, -1) is EFAULT
    assert p.error("read", wo, BAD, HUGE) is EBADF
    assert p.error("write", ro, BAD, HUGE) is EBADF
    assert p.error("read", wo, BAD, 1) is EBADF
    assert p.error("read", d, BAD, 1) is EISDIR
    assert p.error("read", d, BAD, 0) is EISDIR
    assert p.error("pread64", NO_FD, BAD, 1, -1) is EINVAL
    assert p.error("pread64", r, BAD, 1, 0) is ESPIPE
    assert p.error("pread64", wo, BAD, HUGE, 0) is EBADF
    assert p.error("pread64", ro, BAD, HUGE, 0) is EFAULT
    assert p.error("pwrite64", NO_FD, BAD, 1, -1) is EINVAL
    assert p.error("pwrite64", w, BAD, 1, 0) is ESPIPE
    assert p.error("pwrite64", ro, BAD, 1, 0) is EBADF
    assert p.error("pwrite64", wo, BAD, HUGE, 0) is EFAULT
    assert p.error("write", r, BAD, 1) is EBADF
    for call in ("pread64", "pwrite64"):
        assert p.error(call, fd, BAD, 1, MAX) is EINVAL
        assert p.error(call, r, BAD, 1, MAX) is ESPIPE
    assert p.error("pread64", d, BAD, 1, MAX) is EINVAL
    assert p.error("pread64", wo, BAD, 1, MAX) is EBADF
    assert p.error("pwrite64", ro, BAD, 1, MAX) is EBADF
    assert p.error("lseek", NO_FD, 0, 9) is EBADF
    assert p.error("lseek", r, 0, 9) is EINVAL
    assert p.error("lseek", r, 0, 0) is ESPIPE
    assert p.error("lseek", fd, -1, 0) is EINVAL


def test_order_of_errors_of_vectors(p: Program) -> None:
    """The mode counts before the vector; flags after a vector of nothing."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    ro, wo = p.open(b"/a", O_RDONLY), p.open(b"/a", O_WRONLY)
    p.ok("write", fd, b"x", 1)
    r, _ = p.pipe()
    buf = p.zeros(8)
    assert p.error("readv", wo, BAD, 1) is EBADF
    assert p.error("writev", ro, BAD, 1) is EBADF
    assert p.error("readv", r, BAD, -1) is EINVAL
    assert p.error("readv", fd, BAD, 1025) is EINVAL
    assert p.error("readv", fd, BAD, 1) is EFAULT
    assert p.ok("writev", fd, BAD, 0) == 0
    p.ok("mkdir", b"/d", 0o755)
    d, bad = p.open(b"/d", O_RDONLY), vector(p, (BAD, 1))
    p.ok("lseek", fd, 0, SEEK_SET)
    assert p.ok("readv", d, BAD, 0) == 0
    for call, *where in (("readv",), ("preadv", 0)):
        assert p.error(call, d, bad, 1, *where) is EISDIR
        assert p.error(call, fd, bad, 1, *where) is EFAULT
    for call in ("preadv2", "pwritev2"):
        assert p.error(call, fd, bad, 1, MAX, 0, 64) is EINVAL
    assert p.error("preadv", NO_FD, BAD, 1, -1) is EINVAL
    assert p.error("preadv", r, BAD, 1, 0) is ESPIPE
    assert p.ok("preadv2", fd, buf, 0, 0, 0, 64) == 0
    assert p.error("preadv2", fd, BAD, 1, 0, 0, 64) is EFAULT
    assert p.error("preadv2", fd, vector(p, (buf, 1)), 1, 0, 0, 64) is EOPNOTSUPP
    assert p.error("pwritev", ro, buf, 0, 0) is EBADF
    assert p.error("pwritev2", fd, vector(p, (buf, 1)), 1, 0, 0, 64) is EOPNOTSUPP


def test_limit_of_file_size(p: Program) -> None:
    """RLIMIT_FSIZE cuts a write that begins below it, and kills one that begins above."""
    fd = p.open(b"/a", O_CREAT | O_RDWR | O_APPEND)
    p.t.limits.set(RLIMIT_FSIZE, 4, 4, privileged=True)
    assert p.ok("write", fd, b"hello", 5) == 4
    assert p.error("write", fd, b"o", 1) is EFBIG
    assert p.error("pwrite64", fd, b"o", 1, 4) is EFBIG
    assert p.t.pending.mask == 1 << SIGXFSZ - 1
