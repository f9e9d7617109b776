"""Making and ending processes: fork(2), clone(2), execve(2), exit(2)."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.binprm import BinPrm, check_file, open_program
from sentry.kernel.exec import begin_new_exec
from sentry.kernel.exit import do_exit
from sentry.kernel.fork import CloneArgs, clone
from sentry.kernel.pending import ENDED, Control, Result
from sentry.kernel.signal import start_group_exit
from sentry.syscalls.binder import Calls, FdNum, Flags, Int, PathPtr, Ptr, Size, ULong
from sentry_abi import errors
from sentry_abi.errors import EINVAL, ENOENT, LinuxError
from sentry_abi.fcntl import AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, PATH_MAX
from sentry_abi.sched import (
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
    CSIGNAL,
    MAX_ARG_STRLEN,
)
from sentry_abi.structs import CLONE_ARGS
from sentry_usermem import read_strings

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("processes")

MAX_ARG_BYTES: Final = 6 << 20


@calls.call
def fork(t: "Task") -> Result:
    """fork(2)."""
    return clone(t, CloneArgs(0))


@calls.call
def vfork(t: "Task") -> Result:
    """vfork(2)."""
    return clone(t, CloneArgs(CLONE_VM | CLONE_VFORK))


@calls.named("clone")
def clone_(t: "Task", flags: ULong, stack: Ptr, parent_tid: Ptr, child_tid: Ptr, tls: ULong) -> Result:
    """clone(2) with the argument order of x86-64."""
    low = flags & 0xFFFF_FFFF
    if low & CLONE_PIDFD and low & CLONE_PARENT_SETTID:
        raise EINVAL  # both want the same pointer
    return clone(t, CloneArgs(low & ~CSIGNAL, stack, parent_tid, child_tid, tls, low & CSIGNAL, parent_tid))


@calls.call
def clone3(t: "Task", args: Ptr, size: Size) -> Result:
    """clone3(2).

    Raises: EINVAL, E2BIG, EFAULT; EPERM for namespaces; EINVAL for set_tid and cgroups, which do not exist.
    """
    if size < 64:
        raise EINVAL
    if size > 4096:
        raise errors.E2BIG
    raw = t.mm.copy_in(args, size)
    if any(raw[CLONE_ARGS.size :]):
        raise errors.E2BIG
    fields = CLONE_ARGS.unpack(raw[: CLONE_ARGS.size].ljust(CLONE_ARGS.size, b"\0"))
    flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, _set_tid, set_tid_size, _cgroup = fields
    if flags & CSIGNAL or set_tid_size or flags & 0x2_0000_0000:
        raise EINVAL
    if flags & (CLONE_THREAD | CLONE_PARENT) and exit_signal:
        raise EINVAL
    if bool(stack) != bool(stack_size):
        raise EINVAL
    stack_top = stack + stack_size if stack else 0
    return clone(t, CloneArgs(flags, stack_top, parent_tid, child_tid, tls, exit_signal, pidfd))


def _exec(t: "Task", dirfd: int, filename: int, argv: int, envp: int, flags: int) -> Control:
    mm = t.mm
    path = mm.cstring(filename, PATH_MAX)
    if not path and not flags & AT_EMPTY_PATH:
        raise ENOENT
    if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
        raise EINVAL
    try:
        arguments = read_strings(mm, argv, MAX_ARG_BYTES, MAX_ARG_STRLEN) if argv else []
        environment = read_strings(mm, envp, MAX_ARG_BYTES, MAX_ARG_STRLEN) if envp else []
    except LinuxError:  # a file that cannot be executed counts first
        check_file(BinPrm(t.fs, t.creds, t.limits, path, (), (), files=t.files, dirfd=dirfd, flags=flags))
        raise
    request = BinPrm(
        t.fs,
        t.creds,
        t.limits,
        path,
        arguments or [b""],
        environment,
        files=t.files,
        dirfd=dirfd,
        flags=flags,
        no_new_privs=t.no_new_privs,
        shared=t.fs.users > 1 and t.fs.users > sum(task.fs is t.fs for task in t.group.tasks),
    )
    return begin_new_exec(t, open_program(t.kernel, request))


@calls.call
def execve(t: "Task", filename: PathPtr, argv: Ptr, envp: Ptr) -> Control:
    """execve(2)."""
    return _exec(t, -100, filename, argv, envp, 0)


@calls.call
def execveat(t: "Task", dirfd: FdNum, filename: PathPtr, argv: Ptr, envp: Ptr, flags: Flags) -> Control:
    """execveat(2). Raises: EINVAL for unknown flags; as execve."""
    return _exec(t, dirfd, filename, argv, envp, flags)


@calls.named("exit")
def exit_(t: "Task", code: Int) -> Control:
    """_exit(2) of one thread."""
    t.exit_status = (code & 0xFF) << 8
    do_exit(t)
    return ENDED


@calls.call
def exit_group(t: "Task", code: Int) -> Control:
    """exit_group(2)."""
    start_group_exit(t.group, (code & 0xFF) << 8)
    do_exit(t)
    return ENDED
