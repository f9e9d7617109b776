"""Timers, signals and processes as files: timerfd, signalfd, pidfd.

Sources: Linux fs/timerfd.c, fs/signalfd.c, kernel/pid.c, kernel/signal.c.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.itimer import TimerSpec
from sentry.kernel.pending import Result
from sentry.kernel.pidfd import PidFile
from sentry.kernel.send import send_group
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.signalfd import SignalFile
from sentry.kernel.timerfd import TimerFile
from sentry.syscalls.binder import Calls, FdNum, Flags, Int, Ptr, Signo, Size
from sentry.syscalls.files import put
from sentry.syscalls.guest import INT, KTIME_MAX, SECOND, read_one, read_sigset
from sentry.syscalls.signals import check_signo, may_kill, queued_info
from sentry_abi.capability import CAP_SYS_PTRACE, CAP_WAKE_ALARM
from sentry_abi.errors import EBADF, EINVAL, EPERM, ESRCH
from sentry_abi.fcntl import O_CLOEXEC, O_NONBLOCK
from sentry_abi.poll import TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET
from sentry_abi.signal import SI_TKILL, SI_USER, UNBLOCKABLE
from sentry_abi.structs import ITIMERSPEC
from sentry_abi.time import CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM

if TYPE_CHECKING:
    from sentry.kernel.state import Task, ThreadGroup

calls = Calls("timers, signals and processes as files")

CLOCKS: Final = frozenset({CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM})
_SETTABLE: Final = O_CLOEXEC | O_NONBLOCK


# -- timers


@calls.call
def timerfd_create(t: "Task", clock: Int, flags: Int) -> Result:
    """timerfd_create(2)."""
    if flags & ~_SETTABLE or clock not in CLOCKS:
        raise EINVAL
    if clock in {CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM} and not t.creds.capable(CAP_WAKE_ALARM):
        raise EPERM
    return put(t, TimerFile(t.kernel, clock, flags & O_NONBLOCK), flags)


def _timer(t: "Task", fd: int) -> TimerFile:
    file = t.files.get(fd)
    if not isinstance(file, TimerFile):
        raise EINVAL
    return file


def _write_spec(t: "Task", address: int, spec: TimerSpec) -> None:
    value, interval = spec
    t.mm.copy_out(address, ITIMERSPEC.pack(interval // SECOND, interval % SECOND, value // SECOND, value % SECOND))


@calls.call
def timerfd_settime(t: "Task", fd: FdNum, flags: Int, new: Ptr, old: Ptr) -> Result:
    """timerfd_settime(2)."""
    i_sec, i_ns, v_sec, v_ns = ITIMERSPEC.unpack(t.mm.copy_in(new, ITIMERSPEC.size))
    if flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET):
        raise EINVAL
    if not (0 <= i_ns < SECOND and 0 <= v_ns < SECOND and i_sec >= 0 and v_sec >= 0):
        raise EINVAL
    spec = TimerSpec(min(v_sec * SECOND + v_ns, KTIME_MAX), min(i_sec * SECOND + i_ns, KTIME_MAX))
    before = _timer(t, fd).set(spec, absolute=bool(flags & TFD_TIMER_ABSTIME))
    if old:
        _write_spec(t, old, before)
    return 0


@calls.call
def timerfd_gettime(t: "Task", fd: FdNum, address: Ptr) -> Result:
    """timerfd_gettime(2)."""
    _write_spec(t, address, _timer(t, fd).get())
    return 0


# -- signals


@calls.call
def signalfd4(t: "Task", fd: FdNum, mask: Ptr, size: Size, flags: Int) -> Result:
    """signalfd(2) with flags."""
    if size != 8:
        raise EINVAL
    signals = read_sigset(t, mask) & ~UNBLOCKABLE
    if flags & ~_SETTABLE:
        raise EINVAL
    if fd == -1:
        return put(t, SignalFile(t.kernel, signals, flags & O_NONBLOCK), flags)
    file = t.files.get(fd)
    if not isinstance(file, SignalFile):
        raise EINVAL
    file.mask = signals
    file.queue.notify(1)
    return fd


@calls.call
def signalfd(t: "Task", fd: FdNum, mask: Ptr, size: Size) -> Result:
    """signalfd(2)."""
    return signalfd4(t, fd, mask, size, 0)


# -- processes


@calls.call
def pidfd_open(t: "Task", pid: Int, flags: Flags) -> Result:
    """pidfd_open(2)."""
    if flags & ~O_NONBLOCK or pid <= 0:
        raise EINVAL
    group = t.ns.pid.groups.get(pid)
    if group is None:
        raise EINVAL if pid in t.ns.pid.tasks else ESRCH
    return put(t, PidFile(group, flags & O_NONBLOCK), O_CLOEXEC)


def process_of(t: "Task", fd: int) -> "ThreadGroup":
    """Return the process that a descriptor refers to. Raises: EBADF."""
    file = t.files.get(fd)
    if not isinstance(file, PidFile):
        raise EBADF
    return file.group


@calls.call
def pidfd_send_signal(t: "Task", fd: FdNum, signo: Signo, info: Ptr, flags: Flags) -> Result:
    """pidfd_send_signal(2). A directory /proc/PID refers to its process too."""
    if flags:
        raise EINVAL
    task = getattr(t.files.get(fd).inode, "task", None)
    group: ThreadGroup = process_of(t, fd) if task is None else task.group
    if info:
        sent = queued_info(t, signo, info)
        if read_one(t, info, INT) != signo:
            raise EINVAL
        if group is not t.group and (sent.code >= 0 or sent.code == SI_TKILL):
            raise EPERM
    else:
        sent = SigInfo(signo, SI_USER, t.group.tgid, t.creds.uid)
    if t.ns.pid.groups.get(group.tgid) is not group:
        raise ESRCH
    check_signo(signo)
    if not may_kill(t, group, signo):
        raise EPERM
    if signo:
        send_group(group, sent)
    return 0


@calls.call
def pidfd_getfd(t: "Task", fd: FdNum, target: FdNum, flags: Flags) -> Result:
    """pidfd_getfd(2)."""
    if flags:
        raise EINVAL
    group = process_of(t, fd)
    if not group.tasks:
        raise ESRCH
    theirs, mine = group.leader.creds, t.creds
    same = {theirs.uid, theirs.euid, theirs.suid} == {mine.fsuid} and {theirs.gid, theirs.egid, theirs.sgid} == {
        mine.fsgid
    }
    if group is not t.group and not (same and group.dumpable) and not mine.capable(CAP_SYS_PTRACE):
        raise EPERM
    return put(t, group.tasks[0].files.get_any(target), O_CLOEXEC)
