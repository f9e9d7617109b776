"""Descriptors and their flags: close(2), dup(2), fcntl(2), ioctl(2)."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.pending import Result
from sentry.syscalls.binder import AnyFd, Calls, FdNum, Flags, Int, Ptr, Size, UInt
from sentry.syscalls.files import put
from sentry.syscalls.locks import RECORD_COMMANDS, record_lock
from sentry_abi.capability import CAP_SYS_RESOURCE
from sentry_abi.errors import (
    EBADF,
    EINVAL,
    EPERM,
)
from sentry_abi.fcntl import (
    F_ADD_SEALS,
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_GET_SEALS,
    F_GETFD,
    F_GETFL,
    F_GETLEASE,
    F_GETOWN,
    F_GETOWN_EX,
    F_GETPIPE_SZ,
    F_GETSIG,
    F_NOTIFY,
    F_OWNER_PID,
    F_SETFD,
    F_SETFL,
    F_SETLEASE,
    F_SETOWN,
    F_SETOWN_EX,
    F_SETPIPE_SZ,
    F_SETSIG,
    F_UNLCK,
    FASYNC,
    FD_CLOEXEC,
    O_APPEND,
    O_CLOEXEC,
    O_DIRECT,
    O_NOATIME,
    O_NONBLOCK,
)
from sentry_abi.ioctl import FIOASYNC, FIOCLEX, FIONBIO, FIONCLEX, FIONREAD
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_abi.stat import S_IFMT, S_IFREG
from sentry_abi.structs import F_OWNER_EX
from sentry_usermem import read_struct
from sentry_vfs import (
    FileDescription,
    Pipe,
    PipeFile,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("descriptors")

_SETTABLE: Final = O_APPEND | O_NONBLOCK | FASYNC | O_DIRECT | O_NOATIME


@calls.call
def close(t: "Task", fd: FdNum) -> Result:
    """close(2)."""
    t.files.close(fd)
    return 0


@calls.named("close_range", partial="CLOSE_RANGE_UNSHARE copies the table first, whatever is closed")
def close_range(t: "Task", first: UInt, last: UInt, flags: Flags) -> Result:
    """close_range(2)."""
    if flags & ~6 or first > last:
        raise EINVAL
    if flags & 2 and t.files.users > 1:
        table = t.files.fork()
        t.files.release()
        t.files = table
    if flags & 4:
        for fd, _ in tuple(t.files):
            if first <= fd <= last:
                t.files.set_cloexec(fd)
    else:
        t.files.close_range(first, last)
    return 0


@calls.call
def dup(t: "Task", file: AnyFd) -> Result:
    """dup(2)."""
    return put(t, file, 0)


@calls.call
def dup2(t: "Task", old: FdNum, new: FdNum) -> Result:
    """dup2(2)."""
    file = t.files.get_any(old)
    if old != new:
        t.files.install_at(file, new, False, t.limits.soft(RLIMIT_NOFILE))  # noqa: FBT003  (no cloexec)
    return new


@calls.call
def dup3(t: "Task", old: FdNum, new: FdNum, flags: Int) -> Result:
    """dup3(2)."""
    if flags & ~O_CLOEXEC or old == new:
        raise EINVAL
    file = t.files.get_any(old)
    t.files.install_at(file, new, bool(flags & O_CLOEXEC), t.limits.soft(RLIMIT_NOFILE))
    return new


@calls.call
def fcntl(t: "Task", fd: FdNum, command: Int, arg: Size) -> Result:
    """fcntl(2)."""
    file = t.files.get_any(fd)
    if file.is_place and command not in {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL}:
        raise EBADF
    if command in {F_DUPFD, F_DUPFD_CLOEXEC}:
        minimum = (arg & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
        if minimum < 0 or minimum >= t.limits.soft(RLIMIT_NOFILE):
            raise EINVAL
        return put(t, file, O_CLOEXEC if command == F_DUPFD_CLOEXEC else 0, minimum)
    if command == F_GETFD:
        return FD_CLOEXEC if t.files.cloexec(fd) else 0
    if command == F_SETFD:
        t.files.set_cloexec(fd, bool(arg & FD_CLOEXEC))
        return 0
    if command == F_GETFL:
        return file.flags & ~O_CLOEXEC
    if command == F_SETFL:
        file.set_flags(file.flags & ~_SETTABLE | arg & _SETTABLE)
        return 0
    if command in RECORD_COMMANDS:
        return record_lock(t, file, command, arg)
    return _control_more(t, file, command, arg)


def _control_more(t: "Task", file: FileDescription, command: int, arg: int) -> int:
    if command == F_SETPIPE_SZ:
        return _pipe(file).set_capacity(arg & 0xFFFF_FFFF, privileged=t.creds.capable(CAP_SYS_RESOURCE))
    if command == F_GETPIPE_SZ:
        return _pipe(file).capacity
    if command in {F_ADD_SEALS, F_GET_SEALS}:
        return _seals(file, command, arg)
    if command == F_SETOWN:
        file.owner = (arg & 0xFFFF_FFFF ^ 0x8000_0000) - 0x8000_0000
        return 0
    if command == F_GETOWN:
        return file.owner
    if command == F_SETSIG:
        if arg > 64:
            raise EINVAL
        file.signal = arg
        return 0
    if command == F_GETSIG:
        return file.signal
    if command == F_SETOWN_EX:
        file.owner = read_struct(t.mm, arg, F_OWNER_EX)[1]
        return 0
    if command == F_GETOWN_EX:
        t.mm.copy_out(arg, F_OWNER_EX.pack(F_OWNER_PID, abs(file.owner)))
        return 0
    if command == F_GETLEASE:
        return F_UNLCK
    if command in {F_SETLEASE, F_NOTIFY}:
        raise EINVAL
    raise EINVAL


def _pipe(file: FileDescription) -> Pipe:
    if not isinstance(file, PipeFile):
        raise EBADF
    return file.pipe


def _seals(file: FileDescription, command: int, arg: int) -> int:
    if command == F_ADD_SEALS:
        if not file.writable:
            raise EPERM
        if arg & ~63:
            raise EINVAL
    inode = file.inode
    if inode is None:
        raise EINVAL
    if command == F_GET_SEALS:
        return inode.get_seals()
    inode.add_seals(arg)
    return 0


@calls.call
def ioctl(t: "Task", fd: FdNum, command: UInt, arg: Ptr) -> Result:
    """ioctl(2): the descriptor's commands here, the others by the file."""
    file = t.files.get(fd)
    if command == FIOCLEX:
        t.files.set_cloexec(fd)
    elif command == FIONCLEX:
        t.files.set_cloexec(fd, False)  # noqa: FBT003  (the flag is the value)
    elif command in {FIONBIO, FIOASYNC}:
        bit = O_NONBLOCK if command == FIONBIO else FASYNC
        on = any(t.mm.copy_in(arg, 4))
        file.set_flags(file.flags | bit if on else file.flags & ~bit)
    elif command == FIONREAD and file.inode is not None and file.inode.mode & S_IFMT == S_IFREG and file.seekable:
        t.mm.copy_out(arg, (file.size() - file.pos & 0xFFFF_FFFF).to_bytes(4, "little"))
    else:
        return file.ioctl(command, arg, t.mm)
    return 0
