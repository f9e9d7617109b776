"""Resource limits and usage: getrlimit(2), prlimit(2), getrusage(2)."""

from typing import TYPE_CHECKING

from sentry.kernel import cputimers
from sentry.syscalls.binder import Calls, Int, Ptr, UInt
from sentry_abi.capability import CAP_SYS_RESOURCE
from sentry_abi.errors import EINVAL, EPERM, ESRCH
from sentry_abi.structs import RLIMIT, RUSAGE

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("limits and usage")


@calls.call
def getrlimit(t: "Task", resource: UInt, address: Ptr) -> int:
    """getrlimit(2). Raises: EINVAL, EFAULT."""
    t.mm.copy_out(address, RLIMIT.pack(*t.limits.get(resource)))
    return 0


@calls.call
def setrlimit(t: "Task", resource: UInt, address: Ptr) -> int:
    """setrlimit(2). Raises: EFAULT, EINVAL, EPERM."""
    soft, hard = RLIMIT.unpack(t.mm.copy_in(address, RLIMIT.size))
    t.limits.set(resource, soft, hard, privileged=t.creds.capable(CAP_SYS_RESOURCE))
    cputimers.watch(t.group)
    return 0


@calls.call
def prlimit64(t: "Task", pid: Int, resource: UInt, new: Ptr, old: Ptr) -> int:
    """prlimit(2). Raises: ESRCH, EPERM, EINVAL, EFAULT."""
    task = t.ns.pid.tasks.get(pid) if pid else t
    fresh = RLIMIT.unpack(t.mm.copy_in(new, RLIMIT.size)) if new else None
    if task is None:
        raise ESRCH
    mine, theirs = t.creds, task.creds
    same = {theirs.uid, theirs.euid, theirs.suid} == {mine.uid} and {theirs.gid, theirs.egid, theirs.sgid} == {mine.gid}
    if task is not t and not same and not mine.capable(CAP_SYS_RESOURCE):
        raise EPERM
    before = task.limits.get(resource)
    if fresh is not None:
        task.limits.set(resource, fresh[0], fresh[1], privileged=mine.capable(CAP_SYS_RESOURCE))
        cputimers.watch(task.group)
    if old:
        t.mm.copy_out(old, RLIMIT.pack(*before))
    return 0


@calls.call
def getrusage(t: "Task", who: Int, address: Ptr) -> int:
    """getrusage(2). Raises: EINVAL, EFAULT."""
    if who == 0:
        used = t.group.cpu_time_ns()
    elif who == -1:
        used = t.group.child_cpu_ns
    elif who == 1:
        used = t.cpu_time_ns()
    else:
        raise EINVAL
    t.mm.copy_out(address, rusage(used))
    return 0


def rusage(cpu_ns: int) -> bytes:
    """Return struct rusage for a CPU time; the host does not tell how it divides, so all of it is user time."""
    seconds, rest = divmod(cpu_ns, 1_000_000_000)
    return RUSAGE.pack(seconds, rest // 1000, *(0,) * 16)
