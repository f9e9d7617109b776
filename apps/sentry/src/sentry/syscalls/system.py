"""The system and the thread as settings.

Uname(2), sysinfo(2), limits, scheduling, prctl(2), arch_prctl(2), random numbers.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import sentry_auth as auth
from sentry.kernel import cputimers
from sentry.kernel.state import RELEASE, VERSION
from sentry.syscalls.binder import Calls, Flags, Int, Ptr, Size, UInt, ULong
from sentry.syscalls.ids import publish
from sentry.syscalls.process import rusage_image
from sentry_abi import prctl as pr
from sentry_abi.capability import CAP_SYS_ADMIN, CAP_SYS_NICE, CAP_SYS_RESOURCE
from sentry_abi.errors import EACCES, EFAULT, EINVAL, EPERM, ESRCH
from sentry_abi.memory import TASK_SIZE
from sentry_abi.resource import RLIMIT_NICE
from sentry_abi.signal import SIGRTMAX
from sentry_abi.structs import RLIMIT, SCHED_PARAM, SYSINFO, TIMESPEC, UTSNAME

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("system")

ARCH_SET_GS: Final = 0x1001
ARCH_SET_FS: Final = 0x1002
ARCH_GET_FS: Final = 0x1003
ARCH_GET_GS: Final = 0x1004
GRND_ALL: Final = 7
RANDOM_CHUNK: Final = 1 << 20
CPU_BYTES: Final = 8
PRIO_PROCESS: Final = 0
PRIO_PGRP: Final = 1
PRIO_USER: Final = 2


# -- what the system is


@calls.call
def uname(t: "Task", address: Ptr) -> int:
    """uname(2). Raises: EFAULT."""
    uts = t.ns.uts
    t.mm.copy_out(address, UTSNAME.pack(b"Linux", uts.hostname, RELEASE, VERSION, b"x86_64", uts.domainname))
    return 0


def _set_name(t: "Task", address: int, length: int) -> bytes:
    if not t.creds.capable(CAP_SYS_ADMIN):
        raise EPERM
    if not 0 <= length <= 64:
        raise EINVAL
    return bytes(t.mm.copy_in(address, length))


@calls.call
def sethostname(t: "Task", address: Ptr, length: Int) -> int:
    """sethostname(2). Raises: EPERM, EINVAL, EFAULT."""
    t.ns.uts.hostname = _set_name(t, address, length)
    return 0


@calls.call
def setdomainname(t: "Task", address: Ptr, length: Int) -> int:
    """setdomainname(2). Raises: EPERM, EINVAL, EFAULT."""
    t.ns.uts.domainname = _set_name(t, address, length)
    return 0


@calls.call
def sysinfo(t: "Task", address: Ptr) -> int:
    """sysinfo(2): the memory that the sandbox may use is the host's. Raises: EFAULT."""
    total, free = memory_bytes()
    uptime = t.kernel.clock.monotonic_ns() // 1_000_000_000
    t.mm.copy_out(address, SYSINFO.pack(uptime, 0, 0, 0, total, free, 0, 0, 0, 0, len(t.ns.pid.tasks), 0, 0, 1))
    return 0


def memory_bytes() -> tuple[int, int]:
    """Return (total, free) memory of the host in bytes."""
    page = os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page


@calls.call
def getrandom(t: "Task", address: Ptr, count: Size, flags: Flags) -> int:
    """getrandom(2). Raises: EINVAL, EFAULT."""
    if flags & ~GRND_ALL or flags & 6 == 6:
        raise EINVAL
    count = min(count, 0x7FFF_F000)
    random_bytes = t.kernel.host.random_bytes
    done = 0
    while done < count:
        chunk = min(count - done, RANDOM_CHUNK)
        written = t.mm.copy_out_partial(address + done, random_bytes(chunk))
        done += written
        if written < chunk:
            if not done:
                raise EFAULT
            break
    return done


@calls.call
def syslog(t: "Task", kind: Int, address: Ptr, length: Int) -> int:
    """syslog(2): reads of the kernel's log. Raises: EINVAL, EFAULT, EPERM."""
    log = t.kernel.syslog()
    if kind in (3, 4):
        if length < 0 or not address:
            raise EINVAL
        tail = log[-length:] if length else b""
        t.mm.copy_out(address, tail)
        return len(tail)
    if kind == 10:
        return len(log)
    if kind == 9:
        return 0
    if not 0 <= kind <= 10:
        raise EINVAL
    raise EPERM


# -- limits and usage


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
    if task.group is not t.group and not mine.capable(CAP_SYS_RESOURCE) and mine.uid != theirs.uid:
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
    t.mm.copy_out(address, rusage_image(used))
    return 0


# -- scheduling: accepted and remembered nowhere, since the host schedules


@calls.call
def sched_yield(t: "Task") -> int:
    """sched_yield(2): the call itself has let others run."""
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

    Raises: EINVAL, ESRCH, EFAULT, EPERM.
    """
    if pid < 0 or not param:
        raise EINVAL
    (priority,) = SCHED_PARAM.unpack(t.mm.copy_in(param, SCHED_PARAM.size))
    _target(t, pid)
    if policy in (1, 2):
        raise EPERM
    if policy not in (0, 3, 5) or priority:
        raise EINVAL
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
    _target(t, pid)
    if SCHED_PARAM.unpack(t.mm.copy_in(param, SCHED_PARAM.size)) != (0,):
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
    """Return the tasks that a priority call is about. Raises: EINVAL, ESRCH."""
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
    for task in tasks:
        if not _same_user(t, task) and not privileged:
            raise EPERM
        if value < task.nice and not privileged and 20 - value > task.limits.soft(RLIMIT_NICE):
            raise EACCES
        task.nice = value
    return 0


@calls.call
def ioprio_get(t: "Task", which: Int, who: Int) -> int:
    """ioprio_get(2): none set. Raises: EINVAL, ESRCH."""
    if not 1 <= which <= 3:
        raise EINVAL
    if which == 1:
        _target(t, who)
    return 0


@calls.named("ioprio_set", partial="checked, not acted upon: the host schedules")
def ioprio_set(t: "Task", which: Int, who: Int, _value: Int) -> int:
    """ioprio_set(2). Raises: EINVAL, ESRCH."""
    if not 1 <= which <= 3:
        raise EINVAL
    if which == 1:
        _target(t, who)
    return 0


@calls.call
def personality(t: "Task", persona: UInt) -> int:
    """personality(2): PER_LINUX and only that. Raises: EINVAL."""
    del t
    if persona not in (0, 0xFFFF_FFFF):
        raise EINVAL
    return 0


# -- the thread


@calls.call
def arch_prctl(t: "Task", option: Int, address: ULong) -> int:
    """arch_prctl(2). Raises: EPERM for an address beyond user space, EFAULT, EINVAL."""
    if option in (ARCH_SET_FS, ARCH_SET_GS):
        if address >= TASK_SIZE:
            raise EPERM
        regs = t.hold()
        if option == ARCH_SET_FS:
            regs.fs_base = address
        else:
            regs.gs_base = address
        return 0
    if option in (ARCH_GET_FS, ARCH_GET_GS):
        regs = t.hold()
        base = regs.fs_base if option == ARCH_GET_FS else regs.gs_base
        t.mm.copy_out(address, base.to_bytes(8, "little"))
        return 0
    raise EINVAL


@calls.call
def prctl(t: "Task", option: Int, a: ULong, b: ULong, c: ULong, d: ULong) -> int:
    """prctl(2). Raises: EINVAL for options that are not in the table below."""
    entry = _PRCTL.get(option)
    if entry is None:
        raise EINVAL
    return entry(t, a, b, c, d)


def _set_name_of(t: "Task", a: int, *_: int) -> int:
    raw = b""
    for i in range(15):
        byte = t.mm.copy_in(a + i, 1)
        if byte == b"\0":
            break
        raw += byte
    t.comm = raw
    return 0


def _get_name_of(t: "Task", a: int, *_: int) -> int:
    t.mm.copy_out(a, t.comm[:15].ljust(16, b"\0"))
    return 0


def _set_dumpable(t: "Task", a: int, *_: int) -> int:
    if a not in (0, 1):
        raise EINVAL
    t.group.dumpable = a
    return 0


def _set_pdeathsig(t: "Task", a: int, *_: int) -> int:
    if a > SIGRTMAX:
        raise EINVAL
    t.pdeath_signal = a
    return 0


def _get_pdeathsig(t: "Task", a: int, *_: int) -> int:
    t.mm.copy_out(a, t.pdeath_signal.to_bytes(4, "little"))
    return 0


def _set_keepcaps(t: "Task", a: int, *_: int) -> int:
    return publish(t, auth.set_keep_caps(t.creds, a))


def _capbset_read(t: "Task", a: int, *_: int) -> int:
    return int(t.creds.bounding & auth.check_capability(a) != 0)


def _capbset_drop(t: "Task", a: int, *_: int) -> int:
    return publish(t, auth.drop_bounding(t.creds, a))


def _set_securebits(t: "Task", a: int, *_: int) -> int:
    return publish(t, auth.set_securebits(t.creds, a))


def _set_no_new_privs(t: "Task", a: int, b: int, c: int, d: int) -> int:
    if a != 1 or b or c or d:
        raise EINVAL
    t.no_new_privs = True
    return 0


def _set_subreaper(t: "Task", a: int, *_: int) -> int:
    t.group.is_subreaper = bool(a)
    return 0


def _get_subreaper(t: "Task", a: int, *_: int) -> int:
    t.mm.copy_out(a, int(t.group.is_subreaper).to_bytes(4, "little"))
    return 0


def _cap_ambient(t: "Task", a: int, b: int, c: int, d: int) -> int:
    creds = t.creds
    if a == pr.PR_CAP_AMBIENT_CLEAR_ALL:
        if b or c or d:
            raise EINVAL
        return publish(t, auth.clear_ambient(creds))
    bit = auth.check_capability(b)
    if c or d:
        raise EINVAL
    if a == pr.PR_CAP_AMBIENT_IS_SET:
        return int(creds.ambient & bit != 0)
    if a == pr.PR_CAP_AMBIENT_RAISE:
        return publish(t, auth.raise_ambient(creds, b))
    if a == pr.PR_CAP_AMBIENT_LOWER:
        return publish(t, auth.lower_ambient(creds, b))
    raise EINVAL


_PRCTL: Final[dict[int, Callable[..., int]]] = {
    pr.PR_SET_NAME: _set_name_of,
    pr.PR_GET_NAME: _get_name_of,
    pr.PR_GET_DUMPABLE: lambda t, *_: t.group.dumpable,
    pr.PR_SET_DUMPABLE: _set_dumpable,
    pr.PR_SET_PDEATHSIG: _set_pdeathsig,
    pr.PR_GET_PDEATHSIG: _get_pdeathsig,
    pr.PR_GET_KEEPCAPS: lambda t, *_: int(t.creds.securebits & auth.securebits.KEEP_CAPS != 0),
    pr.PR_SET_KEEPCAPS: _set_keepcaps,
    pr.PR_CAPBSET_READ: _capbset_read,
    pr.PR_CAPBSET_DROP: _capbset_drop,
    pr.PR_GET_SECUREBITS: lambda t, *_: t.creds.securebits,
    pr.PR_SET_SECUREBITS: _set_securebits,
    pr.PR_SET_NO_NEW_PRIVS: _set_no_new_privs,
    pr.PR_GET_NO_NEW_PRIVS: lambda t, *_: int(t.no_new_privs),
    pr.PR_SET_CHILD_SUBREAPER: _set_subreaper,
    pr.PR_GET_CHILD_SUBREAPER: _get_subreaper,
    pr.PR_GET_SECCOMP: lambda *_: 0,
    pr.PR_GET_TIMERSLACK: lambda *_: 50_000,
    pr.PR_SET_TIMERSLACK: lambda *_: 0,
    pr.PR_CAP_AMBIENT: _cap_ambient,
    pr.PR_SET_THP_DISABLE: lambda *_: 0,
    pr.PR_GET_THP_DISABLE: lambda *_: 0,
}
