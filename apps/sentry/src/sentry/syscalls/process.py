"""fork(2), execve(2), exit(2), wait(2) and what identifies processes."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.binprm import BinPrm, open_program
from sentry.kernel.exec import begin_new_exec
from sentry.kernel.exit import do_exit, release_group
from sentry.kernel.fork import CloneArgs, clone
from sentry.kernel.pending import ENDED, Control, Pending, Result, attempt
from sentry.kernel.pidfd import PidFile
from sentry.kernel.send import kill_orphaned_pgrps
from sentry.kernel.signal import start_group_exit
from sentry.kernel.state import ProcessGroup, Session, ThreadGroup
from sentry.syscalls.binder import Calls, FdNum, Flags, Int, PathPtr, Ptr, Size, ULong
from sentry_abi import errors
from sentry_abi.errors import EACCES, EAGAIN, EBADF, ECHILD, EINVAL, EPERM, ESRCH
from sentry_abi.fcntl import AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_NONBLOCK
from sentry_abi.sched import (
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
    CSIGNAL,
)
from sentry_abi.signal import SIGCHLD
from sentry_abi.structs import CLONE_ARGS, RUSAGE
from sentry_abi.wait import P_ALL, P_PGID, P_PID, P_PIDFD, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED, WUNTRACED
from sentry_usermem import read_strings
from sentry_waiter import IN

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("processes")

WALL: Final = 0x4000_0000
WCLONE: Final = 0x8000_0000
WNOTHREAD: Final = 0x2000_0000
PATH_MAX: Final = 4096
MAX_ARG_STRLEN: Final = 131_072
MAX_ARG_BYTES: Final = 6 << 20


# -- making


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
    arguments = read_strings(mm, argv, MAX_ARG_BYTES, MAX_ARG_STRLEN) if argv else []
    environment = read_strings(mm, envp, MAX_ARG_BYTES, MAX_ARG_STRLEN) if envp else []
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
    if flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
        raise EINVAL
    return _exec(t, dirfd, filename, argv, envp, flags)


# -- ending


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


# -- waiting for children


class WaitState(NamedTuple):
    """Which children, what of them, and where the answer goes."""

    kind: int
    number: int
    options: int
    status: int
    info: int
    rusage: int
    is_waitid: bool


def _eligible(group: ThreadGroup, state: WaitState) -> list[ThreadGroup]:
    kind, number = state.kind, state.number
    found = []
    for child in group.children.values():
        if kind == P_PID and child.tgid != number:
            continue
        if kind == P_PGID and child.pgrp.pgid != number:
            continue
        is_clone = child.termination_signal != SIGCHLD
        if not state.options & WALL and is_clone != bool(state.options & WCLONE):
            continue
        found.append(child)
    return found


def _report(t: "Task", state: WaitState, child: ThreadGroup, code: int, status: int, wait_status: int) -> int:
    """Tell of a child in the form that was asked for; return the call's value."""
    if state.rusage:
        t.mm.copy_out(state.rusage, rusage_image(child.cpu_time_ns() + child.child_cpu_ns))
    if state.is_waitid:
        if state.info:
            uid = child.leader.creds.uid
            body = SIGCHLD.to_bytes(4, "little") + bytes(4) + code.to_bytes(4, "little") + bytes(4)
            body += child.tgid.to_bytes(4, "little") + uid.to_bytes(4, "little") + status.to_bytes(4, "little")
            t.mm.copy_out(state.info, body)
        return 0
    if state.status:
        t.mm.copy_out(state.status, wait_status.to_bytes(4, "little"))
    return child.tgid


@attempt
def wait_again(t: "Task", state: WaitState) -> Result:
    """Look through the children for one that has something to tell."""
    options = state.options
    group = t.group
    children = _eligible(group, state)
    for child in children:
        if child.is_zombie and options & WEXITED:
            status = child.exit_status
            signo = status & 0x7F
            code = (3 if status & 0x80 else 2) if signo else 1
            if not options & WNOWAIT:
                release_group(child)  # even if the status then has nowhere to go, as on Linux
            return _report(t, state, child, code, signo or status >> 8, status)
        if child.stopped and options & WUNTRACED and not child.stop_reported:
            value = _report(t, state, child, 5, child.stop_signo, child.stop_signo << 8 | 0x7F)
            child.stop_reported = not options & WNOWAIT
            return value
        if child.continued and options & WCONTINUED:
            value = _report(t, state, child, 6, 18, 0xFFFF)
            child.continued = bool(options & WNOWAIT)
            return value
    if not children:
        raise ECHILD
    if options & WNOHANG:
        if state.is_waitid and state.info:
            t.mm.copy_out(state.info, bytes(28))
        return 0
    return Pending(wait_again, state, ((group.wait_queue, IN),))


@calls.call
def wait4(t: "Task", pid: Int, status: Ptr, options: Flags, rusage: Ptr) -> Result:
    """wait4(2). Raises: EINVAL, ESRCH for INT_MIN, ECHILD, EFAULT."""
    if options & ~(WNOHANG | WUNTRACED | WCONTINUED | WALL | WCLONE | WNOTHREAD):
        raise EINVAL
    if pid == -0x8000_0000:
        raise ESRCH
    kind, number = P_PID, pid
    if pid == -1:
        kind = P_ALL
    elif pid <= 0:
        kind, number = P_PGID, -pid or t.group.pgrp.pgid
    return wait_again(t, WaitState(kind, number, options | WEXITED, status, 0, rusage, is_waitid=False))


@calls.call
def waitid(t: "Task", kind: Int, number: Int, info: Ptr, options: Flags, rusage: Ptr) -> Result:
    """waitid(2). Raises: EINVAL, ECHILD, EFAULT."""
    known = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WALL | WCLONE | WNOTHREAD
    if options & ~known or not options & (WEXITED | WSTOPPED | WCONTINUED):
        raise EINVAL
    least = 1 if kind == P_PID else -0x8000_0000 if kind == P_ALL else 0
    if kind not in (P_ALL, P_PID, P_PGID, P_PIDFD) or number < least:
        raise EINVAL
    if kind == P_PGID and number == 0:
        number = t.group.pgrp.pgid
    if kind == P_PIDFD:
        file = t.files.get(number)
        if not isinstance(file, PidFile):
            raise EBADF
        kind, number = P_PID, file.group.tgid
        if file.group.parent is not t.group or t.ns.pid.groups.get(number) is not file.group:
            raise ECHILD
        result = wait_again(t, WaitState(kind, number, options, 0, info, rusage, is_waitid=True))
        if isinstance(result, Pending) and file.flags & O_NONBLOCK:
            raise EAGAIN
        return result
    return wait_again(t, WaitState(kind, number, options, 0, info, rusage, is_waitid=True))


def rusage_image(cpu_ns: int) -> bytes:
    """Return struct rusage for a CPU time; the host does not tell how it divides, so all of it is user time."""
    seconds, rest = divmod(cpu_ns, 1_000_000_000)
    return RUSAGE.pack(seconds, rest // 1000, *(0,) * 16)


# -- ids


@calls.call
def getpid(t: "Task") -> int:
    """getpid(2)."""
    return t.group.tgid


@calls.call
def gettid(t: "Task") -> int:
    """gettid(2)."""
    return t.tid


@calls.call
def getppid(t: "Task") -> int:
    """getppid(2); 0 for init."""
    parent = t.group.parent
    return parent.tgid if parent is not None else 0


@calls.call
def set_tid_address(t: "Task", address: Ptr) -> int:
    """set_tid_address(2)."""
    t.clear_tid = address
    return t.tid


def _group(t: "Task", pid: int) -> ThreadGroup:
    """Return a process, the caller's for 0. Raises: ESRCH."""
    if pid == 0:
        return t.group
    group = t.ns.pid.groups.get(pid)
    if group is None:
        task = t.ns.pid.tasks.get(pid)
        if task is None:
            raise ESRCH
        return task.group
    return group


@calls.call
def getpgid(t: "Task", pid: Int) -> int:
    """getpgid(2). Raises: ESRCH."""
    return _group(t, pid).pgrp.pgid


@calls.call
def getpgrp(t: "Task") -> int:
    """getpgrp(2)."""
    return t.group.pgrp.pgid


@calls.call
def getsid(t: "Task", pid: Int) -> int:
    """getsid(2). Raises: ESRCH."""
    return _group(t, pid).pgrp.session.sid


@calls.call
def setpgid(t: "Task", pid: Int, pgid: Int) -> int:
    """setpgid(2). Raises: EINVAL, ESRCH, EPERM, EACCES."""
    if pgid < 0:
        raise EINVAL
    caller = t.group
    group = t.ns.pid.groups.get(pid or caller.tgid)
    if group is None or (group is not caller and group.parent is not caller):
        raise ESRCH
    if group is not caller:
        if group.pgrp.session is not caller.pgrp.session:
            raise EPERM
        if group.did_exec:
            raise EACCES
    if group.pgrp.session.sid == group.tgid:
        raise EPERM
    pgid = pgid or group.tgid
    session = caller.pgrp.session
    if pgid == group.pgrp.pgid:
        return 0
    pgrp = t.ns.pid.pgrps.get(pgid)
    if pgrp is None:
        if pgid != group.tgid:
            raise EPERM
        pgrp = ProcessGroup(pgid, session)
    elif pgrp.session is not session:
        raise EPERM
    old = group.pgrp
    group.join(pgrp)
    kill_orphaned_pgrps([old])
    return 0


@calls.call
def setsid(t: "Task") -> int:
    """setsid(2). Raises: EPERM if a process group has this id."""
    group = t.group
    if group.tgid in t.ns.pid.pgrps:
        raise EPERM
    group.join(ProcessGroup(group.tgid, Session(group)))
    return group.tgid


@calls.call
def getcpu(t: "Task", cpu: Ptr, node: Ptr, _cache: Ptr) -> int:
    """getcpu(2): CPU by thread id, node 0. Raises: EFAULT."""
    if cpu:
        t.mm.copy_out(cpu, ((t.tid - 1) % t.kernel.application_cores).to_bytes(4, "little"))
    if node:
        t.mm.copy_out(node, bytes(4))
    return 0


@calls.call
def kcmp(t: "Task", pid1: Int, pid2: Int, kind: Int, a: ULong, b: ULong) -> int:
    """kcmp(2) for what this kernel shares: files, memory, filesystem context, signal handlers.

    Raises: ESRCH, EINVAL, EBADF.
    """
    one, two = (t.ns.pid.tasks.get(pid) for pid in (pid1, pid2))
    if one is None or two is None:
        raise ESRCH
    if kind == 0:
        pair: tuple[object, object] = (one.files.get_any(a), two.files.get_any(b))
    elif kind in (1, 2, 3, 4):
        pair = (
            (one.mm, two.mm),
            (one.files, two.files),
            (one.fs, two.fs),
            (one.group.handlers, two.group.handlers),
        )[kind - 1]
    else:
        raise EINVAL
    left, right = id(pair[0]), id(pair[1])
    return 0 if left == right else 1 if left < right else 2
