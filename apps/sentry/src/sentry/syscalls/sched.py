"""Scheduling and priorities: checked and remembered; the host schedules."""

from typing import TYPE_CHECKING, Final

from sentry.syscalls.binder import Calls, Int, Ptr, UInt
from sentry_abi.capability import CAP_SYS_ADMIN, CAP_SYS_NICE
from sentry_abi.errors import EACCES, EINVAL, EPERM, ESRCH, LinuxError
from sentry_abi.fcntl import (
    IOPRIO_CLASS_IDLE,
    IOPRIO_CLASS_NONE,
    IOPRIO_CLASS_RT,
    IOPRIO_CLASS_SHIFT,
    IOPRIO_WHO_PROCESS,
)
from sentry_abi.resource import PRIO_PGRP, PRIO_PROCESS, PRIO_USER, RLIMIT_NICE
from sentry_abi.sched import SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RESET_ON_FORK, SCHED_RR
from sentry_abi.structs import SCHED_PARAM, TIMESPEC

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("scheduling")

CPU_BYTES: Final = 8


@calls.call
def sched_yield(t: "Task") -> int:
    """sched_yield(2): the next event may be another task's."""
    del t
    return 0


def _target(t: "Task", pid: int) -> "Task":
    task = t.ns.pid.tasks.get(pid) if pid else t
    if task is None:
        raise ESRCH
    return task


def _all_cpus(t: "Task") -> int:
    return (1 << min(t.kernel.application_cores, 64)) - 1


@calls.call
def sched_getaffinity(t: "Task", pid: Int, size: UInt, mask: Ptr) -> int:
    """sched_getaffinity(2). Raises: EINVAL, ESRCH, EFAULT."""
    if size < CPU_BYTES or size % 8:
        raise EINVAL
    affinity = _target(t, pid).affinity or _all_cpus(t)
    t.mm.copy_out(mask, affinity.to_bytes(CPU_BYTES, "little"))
    return CPU_BYTES


@calls.named("sched_setaffinity", partial="remembered, not acted upon: the host schedules")
def sched_setaffinity(t: "Task", pid: Int, size: UInt, mask: Ptr) -> int:
    """sched_setaffinity(2). Raises: EFAULT, ESRCH, EPERM, EINVAL when no application core is left."""
    wanted = int.from_bytes(t.mm.copy_in(mask, min(size, CPU_BYTES)), "little")
    task = _target(t, pid)
    if not _same_user(t, task) and not t.creds.capable(CAP_SYS_NICE):
        raise EPERM
    wanted &= _all_cpus(t)
    if not wanted:
        raise EINVAL
    task.affinity = wanted
    return 0


@calls.call
def sched_getscheduler(t: "Task", pid: Int) -> int:
    """sched_getscheduler(2): SCHED_NORMAL. Raises: EINVAL, ESRCH."""
    if pid < 0:
        raise EINVAL
    _target(t, pid)
    return 0


@calls.call
def sched_setscheduler(t: "Task", pid: Int, policy: Int, param: Ptr) -> int:
    """sched_setscheduler(2): only SCHED_NORMAL, BATCH and IDLE with priority 0.

    Raises: EINVAL, ESRCH, EFAULT, EPERM for a real-time policy. Differs: Linux permits that to privileged tasks.
    """
    if policy < 0 or pid < 0 or not param:
        raise EINVAL
    (priority,) = SCHED_PARAM.unpack(t.mm.copy_in(param, SCHED_PARAM.size))
    _target(t, pid)
    policy &= ~SCHED_RESET_ON_FORK
    real_time = policy in (SCHED_FIFO, SCHED_RR)
    if not (real_time or policy in (SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE)):
        raise EINVAL
    if not 0 <= priority < 100 or bool(priority) != real_time:
        raise EINVAL
    if real_time:
        raise EPERM
    return 0


@calls.call
def sched_getparam(t: "Task", pid: Int, param: Ptr) -> int:
    """sched_getparam(2). Raises: EINVAL, ESRCH, EFAULT."""
    if pid < 0 or not param:
        raise EINVAL
    _target(t, pid)
    t.mm.copy_out(param, SCHED_PARAM.pack(0))
    return 0


@calls.call
def sched_setparam(t: "Task", pid: Int, param: Ptr) -> int:
    """sched_setparam(2). Raises: EINVAL, ESRCH, EFAULT."""
    if pid < 0 or not param:
        raise EINVAL
    (priority,) = SCHED_PARAM.unpack(t.mm.copy_in(param, SCHED_PARAM.size))
    _target(t, pid)
    if priority:
        raise EINVAL
    return 0


@calls.call
def sched_get_priority_max(t: "Task", policy: Int) -> int:
    """sched_get_priority_max(2). Raises: EINVAL."""
    del t
    if policy in (1, 2):
        return 99
    if policy in (0, 3, 5, 6):
        return 0
    raise EINVAL


@calls.call
def sched_get_priority_min(t: "Task", policy: Int) -> int:
    """sched_get_priority_min(2). Raises: EINVAL."""
    del t
    if policy in (1, 2):
        return 1
    if policy in (0, 3, 5, 6):
        return 0
    raise EINVAL


@calls.call
def sched_rr_get_interval(t: "Task", pid: Int, address: Ptr) -> int:
    """sched_rr_get_interval(2). Raises: EINVAL, ESRCH, EFAULT."""
    if pid < 0:
        raise EINVAL
    _target(t, pid)
    t.mm.copy_out(address, TIMESPEC.pack(0, 4_000_000))
    return 0


def _same_user(t: "Task", task: "Task") -> bool:
    return t.creds.euid in (task.creds.uid, task.creds.euid)


def _whose(t: "Task", which: int, who: int) -> "list[Task]":
    """Return the tasks that (which, who) selects. Raises: EINVAL, ESRCH."""
    pids = t.ns.pid
    if which == PRIO_PROCESS:
        return [_target(t, who)]
    if which == PRIO_PGRP:
        pgrp = pids.pgrps.get(who) if who else t.group.pgrp
        found = [task for group in pgrp.members.values() for task in group.tasks] if pgrp is not None else []
    elif which == PRIO_USER:
        uid = who & 0xFFFF_FFFF if who else t.creds.uid
        found = [task for task in pids.tasks.values() if task.creds.uid == uid]
    else:
        raise EINVAL
    if not found:
        raise ESRCH
    return found


@calls.call
def getpriority(t: "Task", which: Int, who: Int) -> int:
    """getpriority(2): 20 minus the lowest nice value. Raises: EINVAL, ESRCH."""
    return 20 - min(task.nice for task in _whose(t, which, who))


@calls.named("setpriority", partial="remembered, not acted upon: the host schedules")
def setpriority(t: "Task", which: Int, who: Int, value: Int) -> int:
    """setpriority(2). Raises: EINVAL, ESRCH, EPERM (another user's), EACCES (a lower value, without privilege)."""
    value = max(-20, min(value, 19))
    tasks = _whose(t, which, who)
    privileged = t.creds.capable(CAP_SYS_NICE)
    error: type[LinuxError] | None = None
    for task in tasks:  # those that it may change are changed, whatever happens with the others
        if not _same_user(t, task) and not privileged:
            error = EPERM
        elif value < task.nice and not privileged and 20 - value > task.limits.soft(RLIMIT_NICE):
            error = EACCES
        else:
            task.nice = value
    if error is not None:
        raise error
    return 0


@calls.call
def ioprio_get(t: "Task", which: Int, who: Int) -> int:
    """ioprio_get(2): none set. Raises: EINVAL, ESRCH."""
    _whose(t, which - IOPRIO_WHO_PROCESS, who)
    return 0


@calls.named("ioprio_set", partial="checked, not acted upon: the host schedules")
def ioprio_set(t: "Task", which: Int, who: Int, value: Int) -> int:
    """ioprio_set(2). Raises: EINVAL, EPERM (real time, without privilege), ESRCH."""
    kind = value >> IOPRIO_CLASS_SHIFT & 7
    if kind == IOPRIO_CLASS_RT and not t.creds.capable(CAP_SYS_NICE) and not t.creds.capable(CAP_SYS_ADMIN):
        raise EPERM
    if kind > IOPRIO_CLASS_IDLE or (kind == IOPRIO_CLASS_NONE and value & 7):
        raise EINVAL
    _whose(t, which - IOPRIO_WHO_PROCESS, who)
    return 0


@calls.call
def getcpu(t: "Task", cpu: Ptr, node: Ptr, _cache: Ptr) -> int:
    """getcpu(2): CPU by thread id, node 0. Raises: EFAULT."""
    if cpu:
        t.mm.copy_out(cpu, ((t.tid - 1) % t.kernel.application_cores).to_bytes(4, "little"))
    if node:
        t.mm.copy_out(node, bytes(4))
    return 0
