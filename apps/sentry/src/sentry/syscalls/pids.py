"""What identifies processes: ids, process groups, sessions, and whether two share something."""

from typing import TYPE_CHECKING

from sentry.kernel.state import ProcessGroup, Session, ThreadGroup
from sentry.syscalls.binder import Calls, Int, Ptr, ULong
from sentry_abi.errors import EACCES, EINVAL, EPERM, ESRCH

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("process ids")


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
    group.join(pgrp)
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
