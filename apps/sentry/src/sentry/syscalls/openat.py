"""Opening: open(2), openat2(2), creat(2), memfd_create(2)."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Pending, Result, attempt
from sentry.syscalls.binder import Calls, FdNum, Flags, Int, Mode, PathPtr, Ptr, Size
from sentry.syscalls.files import put
from sentry.syscalls.pathargs import path_at, start_at
from sentry_abi.errors import (
    E2BIG,
    EACCES,
    EINVAL,
    EMFILE,
    ENAMETOOLONG,
    ENODEV,
    ERESTARTSYS,
)
from sentry_abi.fcntl import (
    AT_FDCWD,
    MFD_ALLOW_SEALING,
    MFD_CLOEXEC,
    MFD_HUGETLB,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_LARGEFILE,
    O_PATH,
    O_TMPFILE,
    O_TRUNC,
    O_WRONLY,
)
from sentry_abi.mman import MAP_HUGE_MASK, MAP_HUGE_SHIFT
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_abi.structs import OPEN_HOW
from sentry_vfs import (
    BENEATH,
    IN_ROOT,
    NO_LINKS,
    NO_MAGIC,
    NO_MOUNTS,
    FileDescription,
    do_filp_open,
)
from sentry_waiter import ERR, HUP, IN, OUT

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("opening files")

_ALL: Final = IN | OUT | ERR | HUP
_RESOLVE: Final = ((1, NO_MOUNTS), (2, NO_MAGIC), (4, NO_LINKS), (8, BENEATH), (16, IN_ROOT), (32, 0))
MFD_KNOWN: Final = 0x1F
MFD_NAME_MAX: Final = 249


class Opening(NamedTuple):
    """The open of a FIFO that waits for the other end; this record owns the description."""

    file: FileDescription
    flags: int


def open_at(t: "Task", dirfd: int, path: bytes, flags: int, mode: int, resolve: int = 0) -> Result:
    """Open a file; return its descriptor."""
    if flags & O_CREAT and flags & O_DIRECTORY and flags & O_TMPFILE != O_TMPFILE:
        raise EINVAL
    if not flags & O_PATH:
        flags |= O_LARGEFILE
    if t.files.is_full(t.limits.soft(RLIMIT_NOFILE)):  # found out before a file is made
        raise EMFILE
    file = do_filp_open(start_at(t, dirfd, path), path, flags, mode, t.fs, t.creds, resolve)
    if not file.opening:
        return put(t, file, flags)
    file.incref()
    return open_on(t, Opening(file, flags))


@attempt
def open_on(t: "Task", state: Opening) -> Result:
    """Finish the open of a FIFO, or wait again."""
    file = state.file
    if file.opening:
        assert file.queue is not None
        return Pending(open_on, state, ((file.queue, _ALL),), None, ERESTARTSYS, give_up_open)
    fd = t.files.install(file, 0, bool(state.flags & O_CLOEXEC), t.limits.soft(RLIMIT_NOFILE))
    file.decref()
    return fd


@attempt
def give_up_open(t: "Task", state: Opening) -> Result:
    """Close a FIFO whose open was interrupted."""
    del t
    state.file.decref()
    raise ERESTARTSYS


@calls.call
def open_(t: "Task", path: PathPtr, flags: Int, mode: Mode) -> Result:
    """open(2)."""
    return open_at(t, AT_FDCWD, path_at(t, path), flags, mode)


@calls.call
def openat(t: "Task", dirfd: FdNum, path: PathPtr, flags: Int, mode: Mode) -> Result:
    """openat(2)."""
    return open_at(t, dirfd, path_at(t, path), flags, mode)


@calls.call
def creat(t: "Task", path: PathPtr, mode: Mode) -> Result:
    """creat(2)."""
    return open_at(t, AT_FDCWD, path_at(t, path), O_CREAT | O_WRONLY | O_TRUNC, mode)


@calls.call
def openat2(t: "Task", dirfd: FdNum, path: PathPtr, how: Ptr, size: Size) -> Result:
    """openat2(2)."""
    if size < OPEN_HOW.size:
        raise EINVAL
    if size > 4096:
        raise E2BIG
    raw = t.mm.copy_in(how, size)
    if any(raw[OPEN_HOW.size :]):
        raise E2BIG
    flags, mode, resolve = OPEN_HOW.unpack_from(raw)
    creating = flags & O_CREAT or flags & O_TMPFILE == O_TMPFILE
    if flags >> 32 or resolve & ~63 or mode & ~0o7777 or (mode and not creating) or resolve & 24 == 24:
        raise EINVAL
    bits = 0
    for bit, ours in _RESOLVE:
        bits |= ours if resolve & bit else 0
    return open_at(t, dirfd, path_at(t, path), flags, mode, bits)


@calls.call
def memfd_create(t: "Task", name: PathPtr, flags: Flags) -> Result:
    """memfd_create(2)."""
    if flags & ~(MFD_KNOWN | MAP_HUGE_MASK << MAP_HUGE_SHIFT if flags & MFD_HUGETLB else MFD_KNOWN):
        raise EINVAL
    if flags & MFD_HUGETLB:
        raise ENODEV  # huge pages
    try:
        text = t.mm.cstring(name, MFD_NAME_MAX + 1)
    except ENAMETOOLONG:
        raise EINVAL from None
    maker = t.kernel.vfs.memfds
    if maker is None:
        raise EACCES
    file = maker.new_memfd(text, t.creds.fsuid, t.creds.fsgid, sealable=bool(flags & MFD_ALLOW_SEALING))
    return put(t, file, O_CLOEXEC if flags & MFD_CLOEXEC else 0)
