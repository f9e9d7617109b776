"""Handlers of `syscalls.splice`: between files."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import splice
from sentry_abi.errors import EAGAIN, EBADF, EFAULT, EINVAL, EISDIR, EOVERFLOW, EPIPE, ERESTARTSYS, ESPIPE
from sentry_abi.fcntl import (
    F_SETFL,
    O_APPEND,
    O_CREAT,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    SPLICE_F_NONBLOCK,
)
from sentry_abi.signal import SIGPIPE
from sentry_abi.structs import IOVEC

NEGATIVE = (-1).to_bytes(8, "little", signed=True)
UNKNOWN = 16


def filled(p: Program, path: bytes = b"/a", content: bytes = b"hello") -> int:
    """Return a file with content, open for both, at its begin."""
    fd = p.open(path, O_CREAT | O_RDWR)
    p.ok("write", fd, content, len(content))
    p.ok("lseek", fd, 0, 0)
    return fd


def content(p: Program, fd: int) -> bytes:
    """Return what a file has."""
    buf = p.zeros(64)
    return p.get(buf, p.ok("pread64", fd, buf, 64, 0))


def test_sendfile(p: Program) -> None:
    """From the file's position, or from one in memory, which moves in place of it."""
    source, target, offset = filled(p), p.open(b"/b", O_CREAT | O_RDWR), p.put((1).to_bytes(8, "little"))
    assert p.ok("sendfile", target, source, offset, 2) == 2
    assert p.number(offset, 8) == 3
    assert p.ok("sendfile", target, source, 0, 100) == 5
    assert content(p, target) == b"elhello"
    r, w = p.pipe()
    p.ok("lseek", source, 0, 0)
    assert p.ok("sendfile", w, source, 0, 100) == 5
    assert p.ok("read", r, p.zeros(8), 8) == 5


def test_sendfile_errors(p: Program) -> None:
    """Offset, source and its mode, whether it has positions, target and its mode, what they are."""
    fd, ro, wo = filled(p), p.open(b"/a", O_RDONLY), p.open(b"/a", O_WRONLY)
    r, w = p.pipe()
    d = p.open(b"/", O_RDONLY)
    assert p.error("sendfile", NO_FD, NO_FD, BAD, 5) is EFAULT
    assert p.error("sendfile", NO_FD, wo, 0, 5) is EBADF
    assert p.error("sendfile", NO_FD, r, NEGATIVE, 5) is ESPIPE
    assert p.error("sendfile", NO_FD, fd, NEGATIVE, 5) is EINVAL
    assert p.error("sendfile", NO_FD, fd, 0, -1) is EINVAL
    assert p.ok("sendfile", fd, d, 0, 0) == 0
    assert p.error("sendfile", fd, r, 0, 0) is EINVAL
    assert p.error("sendfile", NO_FD, fd, 0, 5) is EBADF
    assert p.error("sendfile", ro, fd, 0, 5) is EBADF
    assert p.error("sendfile", fd, d, 0, 5) is EINVAL
    assert p.error("sendfile", p.open(b"/a", O_WRONLY | O_APPEND), fd, 0, 5) is EINVAL
    p.ok("close", r)
    assert p.error("sendfile", w, fd, 0, 5) is EPIPE
    assert p.t.pending.mask == 1 << SIGPIPE - 1


def test_copy_file_range(p: Program) -> None:
    """Positions move where there is no offset."""
    source, target, offset = filled(p), p.open(b"/b", O_CREAT | O_RDWR), p.put((3).to_bytes(8, "little"))
    assert p.ok("copy_file_range", source, offset, target, 0, 100, 0) == 2
    assert p.number(offset, 8) == 5
    assert p.ok("copy_file_range", source, 0, target, 0, 3, 0) == 3
    assert content(p, target) == b"lohel"
    assert p.ok("lseek", source, 0, 1) == 3


def test_copy_file_range_errors(p: Program) -> None:
    """Descriptors, offsets, flags, what they are, their modes, the numbers."""
    fd, wo, d = filled(p), p.open(b"/a", O_WRONLY), p.open(b"/", O_RDONLY)
    r, _ = p.pipe()
    assert p.error("copy_file_range", NO_FD, BAD, fd, 0, 5, 1) is EBADF
    assert p.error("copy_file_range", fd, BAD, NO_FD, 0, 5, 1) is EBADF
    assert p.error("copy_file_range", fd, BAD, fd, 0, 5, 1) is EFAULT
    assert p.error("copy_file_range", d, 0, fd, BAD, 5, 0) is EFAULT
    assert p.error("copy_file_range", d, 0, fd, 0, 5, 1) is EINVAL
    assert p.error("copy_file_range", d, 0, r, 0, 5, 0) is EISDIR
    assert p.error("copy_file_range", wo, 0, r, 0, 5, 0) is EINVAL
    assert p.error("copy_file_range", wo, 0, fd, 0, 5, 0) is EBADF
    assert p.error("copy_file_range", fd, 0, fd, b"\xff" * 7 + b"\x7f", 5, 0) is EOVERFLOW
    assert p.error("copy_file_range", fd, 0, fd, 0, 5, 0) is EINVAL


def test_splice(p: Program) -> None:
    """A file into a pipe, the pipe into a file."""
    source, target = filled(p), p.open(b"/b", O_CREAT | O_RDWR)
    r, w = p.pipe()
    assert p.ok("splice", source, (1).to_bytes(8, "little"), w, 0, 3, 0) == 3
    assert p.ok("splice", r, 0, target, 0, 100, 0) == 3
    assert content(p, target) == b"ell"
    assert p.ok("splice", NO_FD, BAD, NO_FD, BAD, 0, UNKNOWN) == 0


def test_splice_waits(p: Program) -> None:
    """An empty pipe is waited for, unless SPLICE_F_NONBLOCK says not to."""
    target = p.open(b"/b", O_CREAT | O_RDWR)
    r, w = p.pipe()
    assert p.error("splice", r, 0, target, 0, 5, SPLICE_F_NONBLOCK) is EAGAIN
    pending = p.wait("splice", r, 0, target, 0, 5, 0)
    assert pending.attempt is splice.splice_on
    p.ok("write", w, b"xyz", 3)
    assert p.resume() == 3
    assert content(p, target) == b"xyz"


def test_splice_errors(p: Program) -> None:
    """Flags, descriptors, offsets of pipes, offsets, modes, what they are, what the offset says."""
    fd, ro, wo = filled(p), p.open(b"/a", O_RDONLY), p.open(b"/a", O_WRONLY)
    r, w = p.pipe()
    assert p.error("splice", NO_FD, BAD, NO_FD, BAD, 5, UNKNOWN) is EINVAL
    assert p.error("splice", NO_FD, BAD, w, 0, 5, 0) is EBADF
    assert p.error("splice", r, BAD, w, 0, 5, 0) is ESPIPE
    assert p.error("splice", wo, BAD, w, 0, 5, 0) is EFAULT
    assert p.error("splice", r, 0, ro, BAD, 5, 0) is EFAULT
    assert p.error("splice", ro, bytes(8), ro, BAD, 5, 0) is EFAULT
    assert p.error("splice", fd, BAD, fd, 0, 5, 0) is EFAULT
    assert p.error("splice", wo, NEGATIVE, w, 0, 5, 0) is EBADF
    assert p.error("splice", fd, 0, fd, 0, 5, 0) is EINVAL
    assert p.error("splice", r, 0, w, 0, 5, 0) is EINVAL
    assert p.error("splice", fd, NEGATIVE, w, 0, 5, 0) is EINVAL
    p.ok("close", r)
    assert p.error("splice", fd, 0, w, 0, 5, 0) is EPIPE


def test_tee(p: Program) -> None:
    """What is in one pipe is copied into another, and stays."""
    r, w = p.pipe()
    other_r, other_w = p.pipe()
    pending = p.wait("tee", r, other_w, 100, 0)
    assert pending.attempt is splice.tee_on
    p.ok("write", w, b"xyz", 3)
    assert p.resume() == 3
    buf = p.zeros(8)
    assert p.ok("read", r, buf, 8) == p.ok("read", other_r, buf, 8) == 3
    fd = filled(p)
    assert p.error("tee", NO_FD, NO_FD, 0, UNKNOWN) is EINVAL
    assert p.ok("tee", NO_FD, NO_FD, 0, 0) == 0
    assert p.error("tee", NO_FD, w, 5, 0) is EBADF
    assert p.error("tee", w, r, 5, 0) is EBADF
    assert p.error("tee", fd, w, 5, 0) is EINVAL
    assert p.error("tee", r, w, 5, 0) is EINVAL
    assert p.error("tee", r, other_w, 5, SPLICE_F_NONBLOCK) is EAGAIN


def test_vmsplice(p: Program) -> None:
    """Memory into a pipe, and out of it; both wait."""
    r, w = p.pipe()
    buf = p.put(b"hello")
    vector = p.put(IOVEC.pack(buf, 5))
    assert p.ok("vmsplice", w, vector, 1, 0) == 5
    out = p.zeros(8)
    assert p.ok("vmsplice", r, IOVEC.pack(out, 8), 1, 0) == 5
    assert p.get(out, 5) == b"hello"
    p.ok("fcntl", r, F_SETFL, O_NONBLOCK)
    assert p.error("vmsplice", r, IOVEC.pack(out, 8), 1, SPLICE_F_NONBLOCK) is EAGAIN
    pending = p.wait("vmsplice", r, IOVEC.pack(BAD, 8), 1, 0)
    assert p.interrupt() is ERESTARTSYS
    pending = p.wait("vmsplice", r, IOVEC.pack(out, 8), 1, 0)
    assert pending.attempt is splice.take_on
    p.ok("write", w, b"x", 1)
    assert p.resume() == 1
    fd, place = filled(p), p.open(b"/a", O_PATH)
    assert p.error("vmsplice", NO_FD, BAD, 1, UNKNOWN) is EINVAL
    assert p.error("vmsplice", place, vector, 1, 0) is EBADF
    assert p.error("vmsplice", fd, BAD, 2000, 0) is EINVAL
    assert p.error("vmsplice", fd, BAD, 1, 0) is EFAULT
    assert p.ok("vmsplice", fd, vector, 0, 0) == 0
    assert p.error("vmsplice", fd, vector, 1, 0) is EBADF
