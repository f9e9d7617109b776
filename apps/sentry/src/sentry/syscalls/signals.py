"""Signals: kill(2), sigaction(2), sigprocmask(2), sigreturn(2) and their relatives."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.deliver import on_stack, shown_stack, sigreturn
from sentry.kernel.pending import KEEP, Control, Pending, Result, attempt
from sentry.kernel.send import send_group, send_task
from sentry.kernel.siginfo import SIGACTION, SigAction, SigInfo, bit
from sentry.kernel.signal import (
    dequeue_signal,
    do_sigaction,
    recalc_sigpending,
    set_current_blocked,
    set_saved_mask,
)
from sentry.kernel.state import NO_STACK
from sentry.syscalls.binder import Calls, Int, Ptr, Signo, Size
from sentry.syscalls.guest import read_sigset, read_timespec
from sentry_abi.capability import CAP_KILL
from sentry_abi.errors import EAGAIN, EINTR, EINVAL, ENOMEM, EPERM, ESRCH, LinuxError
from sentry_abi.signal import (
    MINSIGSTKSZ,
    SI_TKILL,
    SI_USER,
    SIG_BLOCK,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGCONT,
    SIGRTMAX,
    SS_AUTODISARM,
    SS_DISABLE,
    SS_ONSTACK,
    UNBLOCKABLE,
)
from sentry_abi.structs import SIGINFO_QUEUE, STACK
from sentry_arch import StackT

if TYPE_CHECKING:
    from sentry.kernel.state import Task, ThreadGroup

calls = Calls("signals")

SIGSET_SIZE: Final = 8


# -- sending


def may_kill(t: "Task", group: "ThreadGroup", signo: int) -> bool:
    """Return whether a task may signal a process (kill_ok_by_cred; SIGCONT also within the session)."""
    if group is t.group:
        return True
    mine, theirs = t.creds, group.leader.creds
    if mine.euid in (theirs.suid, theirs.uid) or mine.uid in (theirs.suid, theirs.uid) or mine.capable(CAP_KILL):
        return True
    return signo == SIGCONT and group.pgrp.session is t.group.pgrp.session


def _send_all(t: "Task", groups: "list[ThreadGroup]", info: SigInfo) -> int:
    """Signal several processes: success if any could be.

    Raises: ESRCH when there are none, EINVAL for the signal's number, else the last error.
    """
    error: type[LinuxError] | None = ESRCH
    sent = False
    for group in groups:
        check_signo(info.signo)
        if not may_kill(t, group, info.signo):
            error = EPERM
            continue
        sent = True
        if info.signo:
            send_group(group, info)
    if sent:
        return 0
    assert error is not None
    raise error


def _send_everybody(t: "Task", info: SigInfo) -> int:
    """Signal all processes but init and the caller's; those that it may not signal do not count.

    Raises: ESRCH when there are none, EINVAL.
    """
    others = [g for g in t.ns.pid if g is not t.group and g is not t.kernel.global_init]
    try:
        return _send_all(t, others, info)
    except EPERM:
        return 0


def check_signo(signo: int) -> None:
    """Check a signal's number; 0 only asks. Raises: EINVAL."""
    if not 0 <= signo <= SIGRTMAX:
        raise EINVAL


@calls.call
def kill(t: "Task", pid: Int, signo: Signo) -> int:
    """kill(2). Raises: EINVAL, ESRCH, EPERM."""
    info = SigInfo(signo, SI_USER, t.group.tgid, t.creds.uid)
    pids = t.ns.pid
    if pid > 0:
        group = pids.groups.get(pid)
        if group is None:
            task = pids.tasks.get(pid)
            if task is None:
                raise ESRCH
            group = task.group
        return _send_all(t, [group], info)
    if pid == -1:
        return _send_everybody(t, info)
    pgrp = t.group.pgrp if pid == 0 else pids.pgrps.get(-pid)
    if pgrp is None:
        raise ESRCH
    return _send_all(t, list(pgrp.members.values()), info)


def _send_thread(t: "Task", tgid: int, tid: int, info: SigInfo) -> int:
    task = t.ns.pid.tasks.get(tid)
    if task is None or (tgid > 0 and task.group.tgid != tgid):
        raise ESRCH
    check_signo(info.signo)
    if not may_kill(t, task.group, info.signo):
        raise EPERM
    if info.signo:
        send_task(task, info)
    return 0


@calls.call
def tgkill(t: "Task", tgid: Int, tid: Int, signo: Signo) -> int:
    """tgkill(2). Raises: EINVAL, ESRCH, EPERM, EAGAIN."""
    if tgid <= 0 or tid <= 0:
        raise EINVAL
    return _send_thread(t, tgid, tid, SigInfo(signo, SI_TKILL, t.group.tgid, t.creds.uid))


@calls.call
def tkill(t: "Task", tid: Int, signo: Signo) -> int:
    """tkill(2). Raises: EINVAL, ESRCH, EPERM, EAGAIN."""
    if tid <= 0:
        raise EINVAL
    return _send_thread(t, 0, tid, SigInfo(signo, SI_TKILL, t.group.tgid, t.creds.uid))


def queued_info(t: "Task", signo: int, address: int) -> SigInfo:
    """Return a siginfo that a guest made, its signo replaced. Raises: EFAULT."""
    raw = signo.to_bytes(4, "little", signed=True) + t.mm.copy_in(address, 128)[4:]
    _, _, code, pid, uid, _ = SIGINFO_QUEUE.unpack(raw)
    return SigInfo(signo, code, pid, uid, raw=raw)


@calls.call
def rt_sigqueueinfo(t: "Task", pid: Int, signo: Signo, info: Ptr) -> int:
    """rt_sigqueueinfo(2). Raises: EFAULT, EPERM for codes that only the kernel uses, ESRCH, EINVAL, EAGAIN."""
    queued = queued_info(t, signo, info)
    if (queued.code >= 0 or queued.code == SI_TKILL) and pid != t.tid:
        raise EPERM
    group = t.ns.pid.groups.get(pid)
    if group is None:
        raise ESRCH
    return _send_all(t, [group], queued)


@calls.call
def rt_tgsigqueueinfo(t: "Task", tgid: Int, tid: Int, signo: Signo, info: Ptr) -> int:
    """rt_tgsigqueueinfo(2). Raises: EFAULT, EINVAL, EPERM, ESRCH, EAGAIN."""
    queued = queued_info(t, signo, info)
    if tgid <= 0 or tid <= 0:
        raise EINVAL
    if (queued.code >= 0 or queued.code == SI_TKILL) and tid != t.tid:
        raise EPERM
    return _send_thread(t, tgid, tid, queued)


# -- actions and masks


@calls.call
def rt_sigaction(t: "Task", signo: Signo, act: Ptr, oact: Ptr, size: Size) -> int:
    """rt_sigaction(2). Raises: EINVAL, EFAULT."""
    if size != SIGSET_SIZE:
        raise EINVAL
    new = SigAction(*SIGACTION.unpack(t.mm.copy_in(act, SIGACTION.size))) if act else None
    if not 1 <= signo <= SIGRTMAX or (new is not None and UNBLOCKABLE & bit(signo)):
        raise EINVAL
    old = t.group.handlers.get(signo)
    if new is not None:
        do_sigaction(t.group, signo, new)
    if oact:
        t.mm.copy_out(oact, SIGACTION.pack(*old))
    return 0


@calls.call
def rt_sigprocmask(t: "Task", how: Int, new: Ptr, old: Ptr, size: Size) -> int:
    """rt_sigprocmask(2). Raises: EINVAL, EFAULT."""
    if size != SIGSET_SIZE:
        raise EINVAL
    before = t.blocked
    if new:
        mask = read_sigset(t, new)
        if how == SIG_BLOCK:
            mask |= before
        elif how == SIG_UNBLOCK:
            mask = before & ~mask
        elif how != SIG_SETMASK:
            raise EINVAL
        set_current_blocked(t, mask)
    if old:
        t.mm.copy_out(old, before.to_bytes(8, "little"))
    return 0


@calls.call
def rt_sigpending(t: "Task", mask: Ptr, size: Size) -> int:
    """sigpending(2). Raises: EINVAL, EFAULT."""
    if size > SIGSET_SIZE:
        raise EINVAL
    pending = (t.pending.mask | t.group.pending.mask) & t.blocked
    t.mm.copy_out(mask, pending.to_bytes(8, "little")[:size])
    return 0


@calls.call
def rt_sigreturn(t: "Task") -> Control:
    """sigreturn(2): restore the state in a handler's frame."""
    t.regs = sigreturn(t)
    t.attention = True
    return KEEP


@calls.call
def sigaltstack(t: "Task", new: Ptr, old: Ptr) -> int:
    """sigaltstack(2). Raises: EFAULT, EPERM while running on it, EINVAL for unknown flags, ENOMEM below MINSIGSTKSZ."""
    sp = t.hold().rsp
    stack = t.altstack
    if new:
        address, flags, size = STACK.unpack(t.mm.copy_in(new, STACK.size))
        flags &= 0xFFFF_FFFF
        if on_stack(stack, sp):
            raise EPERM
        if flags & ~SS_AUTODISARM not in (0, SS_DISABLE, SS_ONSTACK):
            raise EINVAL
        if flags & SS_DISABLE:
            t.altstack = NO_STACK
        elif size < MINSIGSTKSZ:
            raise ENOMEM
        else:
            t.altstack = StackT(address, flags & SS_AUTODISARM, size)
    if old:
        shown = shown_stack(stack, sp)
        flags = shown.flags - (1 << 32) if shown.flags >= 1 << 31 else shown.flags
        t.mm.copy_out(old, STACK.pack(shown.sp, flags, shown.size))
    return 0


# -- waiting


@attempt
def wait_for_handler(t: "Task", state: None) -> Result:
    """Wait until a handler ends the call."""
    del t
    return Pending(wait_for_handler, state, restart=EINTR)


@calls.call
def pause(t: "Task") -> Result:
    """pause(2). Raises: EINTR."""
    return wait_for_handler(t, None)


@calls.call
def rt_sigsuspend(t: "Task", mask: Ptr, size: Size) -> Result:
    """sigsuspend(2). Raises: EINVAL, EFAULT, EINTR."""
    if size != SIGSET_SIZE:
        raise EINVAL
    set_saved_mask(t, read_sigset(t, mask))
    return wait_for_handler(t, None)


class SigWaitState(NamedTuple):
    """Which signals, where the siginfo goes, and until when."""

    signals: int
    info: int
    deadline: int | None


@attempt
def sigwait_again(t: "Task", state: SigWaitState) -> Result:
    """Take a signal of the set, or wait for one."""
    taken = dequeue_signal(t, state.signals)
    if taken is not None:
        t.sigwait = 0
        recalc_sigpending(t)
        if state.info:
            t.mm.copy_out(state.info, taken.pack())
        return taken.signo
    if t.timed_out or state.deadline == 0:
        t.sigwait = 0
        raise EAGAIN
    t.sigwait = state.signals
    return Pending(sigwait_again, state, deadline=state.deadline, restart=EINTR, on_signal=sigwait_over)


@attempt
def sigwait_over(t: "Task", state: SigWaitState) -> Result:
    """End the wait for a handler of another signal."""
    del state
    t.sigwait = 0
    raise EINTR


@calls.call
def rt_sigtimedwait(t: "Task", signals: Ptr, info: Ptr, timeout: Ptr, size: Size) -> Result:
    """sigtimedwait(2). Raises: EINVAL, EFAULT, EAGAIN on timeout, EINTR."""
    if size != SIGSET_SIZE:
        raise EINVAL
    wanted = read_sigset(t, signals) & ~UNBLOCKABLE
    deadline = None
    if timeout:
        length = read_timespec(t, timeout)
        deadline = t.kernel.clock.monotonic_ns() + length if length else 0
    return sigwait_again(t, SigWaitState(wanted, info, deadline))
