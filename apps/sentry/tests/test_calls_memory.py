"""Handlers of `syscalls.memory`."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.syscalls import memory
from sentry_abi.errors import EACCES, EBADF, EEXIST, EFAULT, EINVAL, ENOMEM, ENOSPC, EOPNOTSUPP, EPERM
from sentry_abi.fcntl import O_CREAT, O_PATH, O_RDONLY, O_RDWR, O_WRONLY
from sentry_abi.mman import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MREMAP_MAYMOVE,
    PROT_READ,
    PROT_WRITE,
)
from sentry_abi.resource import RLIMIT_MEMLOCK

PAGE = 4096
ANON = MAP_PRIVATE | MAP_ANONYMOUS
RW = PROT_READ | PROT_WRITE


def test_map_and_unmap(p: Program) -> None:
    """Anonymous memory is zero, can be protected, grown and given back; protection has 32 bits."""
    addr = p.ok("mmap", 0, 3 * PAGE, 0xFFFF_FFFF_0000_0000 | RW, ANON, -1, 0)
    assert p.get(addr, 4) == bytes(4)
    p.ok("mprotect", addr, PAGE, PROT_READ)
    assert p.error("gettimeofday", addr, 0) is EFAULT
    p.ok("munmap", addr + PAGE, 1)
    assert p.error("mprotect", addr + PAGE, PAGE, PROT_READ) is ENOMEM
    new = p.ok("mremap", addr, PAGE, 5 * PAGE, MREMAP_MAYMOVE, 0)
    assert p.get(new + 4 * PAGE, 1) == b"\0"
    assert p.error("mmap", new, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) is EEXIST


def test_map_of_file(p: Program) -> None:
    """A shared mapping is the file; a private one keeps its own."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    p.ok("write", fd, b"hello", 5)
    shared = p.ok("mmap", 0, PAGE, RW, MAP_SHARED, fd, 0)
    private = p.ok("mmap", 0, PAGE, RW, MAP_PRIVATE, fd, 0)
    p.t.mm.copy_out(private, b"J")
    p.t.mm.copy_out(shared, b"Y")
    buf = p.zeros(5)
    p.ok("pread64", fd, buf, 5, 0)
    assert p.get(buf, 5) == b"Yello"
    assert p.get(private, 5) == b"Jello"
    p.ok("msync", shared, PAGE, 4)


def test_mmap_errors(p: Program) -> None:
    """Offset, descriptor, length, kind of mapping, mode of the file: in this order."""
    fd = p.open(b"/a", O_CREAT | O_RDWR)
    ro, wo, place = p.open(b"/a", O_RDONLY), p.open(b"/a", O_WRONLY), p.open(b"/a", O_PATH)
    assert p.error("mmap", 0, PAGE, RW, MAP_PRIVATE, NO_FD, 5) is EINVAL
    assert p.error("mmap", 0, 0, RW, MAP_PRIVATE, NO_FD, 0) is EBADF
    assert p.error("mmap", 0, PAGE, RW, MAP_PRIVATE, place, 0) is EBADF
    assert p.error("mmap", 0, 0, RW, MAP_PRIVATE, wo, 0) is EINVAL
    assert p.error("mmap", 5, PAGE, RW, ANON | MAP_FIXED, -1, 0) is EINVAL
    assert p.error("mmap", 0, PAGE, RW, MAP_ANONYMOUS, -1, 0) is EINVAL
    assert p.error("mmap", 0, 1 << 62, RW, ANON, -1, 0) is ENOMEM
    assert p.error("mmap", 0, PAGE, RW, 0, fd, 0) is EINVAL
    assert p.error("mmap", 0, PAGE, RW, MAP_SHARED_VALIDATE | 1 << 25, wo, 0) is EOPNOTSUPP
    assert p.error("mmap", 0, PAGE, RW, MAP_SHARED, ro, 0) is EACCES
    assert p.error("mmap", 0, PAGE, PROT_READ, MAP_PRIVATE, wo, 0) is EACCES


def test_other_errors(p: Program) -> None:
    """Alignment counts before what is mapped, a length of nothing before both."""
    addr = p.ok("mmap", 0, PAGE, RW, ANON, -1, 0)
    assert p.error("mprotect", 5, 1, 99) is EINVAL
    assert p.ok("mprotect", addr, 0, 1) == 0
    assert p.error("mprotect", BAD, PAGE, 1) is ENOMEM
    assert p.error("munmap", 5, 1) is EINVAL
    assert p.error("munmap", addr, 0) is EINVAL
    assert p.error("mremap", 5, 1, 1, 0, 0) is EINVAL
    assert p.error("mremap", BAD, PAGE, PAGE, 0, 0) is EFAULT
    assert p.error("madvise", addr, 0, 99) is EINVAL
    assert p.error("madvise", BAD, PAGE, 4) is ENOMEM
    assert p.error("msync", addr, PAGE, 5) is EINVAL
    assert p.error("msync", BAD, PAGE, 1) is ENOMEM
    top = -PAGE
    assert p.error("mprotect", top, PAGE, -1) is EINVAL
    assert p.error("mprotect", top, PAGE, 0x100) is ENOMEM
    assert p.error("madvise", 0, -1, 0) is EINVAL
    assert p.error("madvise", top, 1, 0) is EINVAL
    assert p.error("mincore", top, 0, top) is ENOMEM
    assert p.error("mincore", BAD, 1, top) is EFAULT
    assert p.error("mincore", 5, 1, BAD) is EINVAL
    assert p.error("mincore", BAD, PAGE, BAD) is ENOMEM
    assert p.error("mincore", addr, PAGE, BAD) is EFAULT


def test_advice_and_residence(p: Program) -> None:
    """MADV_DONTNEED gives zeros again; mincore says what is there."""
    addr, vector = p.ok("mmap", 0, PAGE, RW, ANON, -1, 0), p.zeros(8)
    p.t.mm.copy_out(addr, b"x")
    p.ok("mincore", addr, PAGE, vector)
    assert p.get(vector, 1) == b"\1"
    p.ok("madvise", addr, PAGE, 4)
    assert p.get(addr, 1) == b"\0"


def test_locks(p: Program) -> None:
    """Without privilege RLIMIT_MEMLOCK holds: 0 is EPERM, less than is asked ENOMEM."""
    addr = p.ok("mmap", 0, 4 * PAGE, RW, ANON, -1, 0)
    assert p.ok("mlock", addr, PAGE) == 0
    assert p.ok("munlock", addr, PAGE) == 0
    assert p.error("mlock2", addr, PAGE, 9) is EINVAL
    assert p.ok("mlock2", addr, PAGE, 1) == 0
    assert p.error("mlock", BAD, PAGE) is ENOMEM
    assert p.error("mlockall", 0) is EINVAL
    assert p.ok("mlockall", 1) == 0
    assert p.ok("munlockall") == 0
    p.become(1000)
    p.t.limits.set(RLIMIT_MEMLOCK, PAGE, PAGE, privileged=True)
    assert p.error("mlock", addr, 2 * PAGE) is ENOMEM
    p.t.limits.set(RLIMIT_MEMLOCK, 0, 0, privileged=True)
    assert p.error("mlock", addr, PAGE) is EPERM


def test_brk(p: Program) -> None:
    """Brk answers where the heap ends; what cannot be leaves it."""
    end = p.ok("brk", 0)
    assert p.ok("brk", -1) == end


def test_protection_keys(p: Program) -> None:
    """There are none, which is not the same as being wrong."""
    addr = p.ok("mmap", 0, PAGE, RW, ANON, -1, 0)
    assert p.error("pkey_alloc", 1, 0) is EINVAL
    assert p.error("pkey_alloc", 0, 0) is ENOSPC
    assert p.error("pkey_free", 1) is EINVAL
    assert p.error("pkey_mprotect", addr, PAGE, 1, 3) is EINVAL
    assert memory.pkey_mprotect(p.t, addr, PAGE, 1, -1) == 0
