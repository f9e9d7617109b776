"""Masks, pending signals, wakes, and the start of a group's exit: what sending and receiving share.

Sending with its side effects is `send`, stops are `stop`, handlers `deliver`. Source: Linux kernel/signal.c.
"""

from typing import TYPE_CHECKING

from sentry.kernel import siginfo
from sentry.kernel.siginfo import DUMPING, IGNORED, STOPPING, SigInfo, SignalQueue
from sentry.kernel.state import PARKED, RUNNING, STOPPED, ZOMBIE
from sentry_abi.errors import EAGAIN
from sentry_abi.signal import SI_KERNEL, SIG_DFL, SIG_IGN, SIGKILL, UNBLOCKABLE
from sentry_arch import NO_FAULT, Fault
from sentry_waiter import IN

if TYPE_CHECKING:
    from sentry.kernel.siginfo import SigAction
    from sentry.kernel.state import Task, ThreadGroup


def recalc_sigpending(task: "Task") -> None:
    """Set `attention` from what is pending and what the group is doing."""
    group = task.group
    task.attention = (
        (task.pending.mask | group.pending.mask) & ~task.blocked != 0
        or group.exiting
        or group.stop_pending
        or task.regs is not None
        or task.saved_mask is not None
    )


def has_signal(task: "Task") -> bool:
    """Return whether a signal is pending that the task does not block (signal_pending)."""
    return (task.pending.mask | task.group.pending.mask) & ~task.blocked != 0


def signal_wake_up(task: "Task") -> None:
    """Make a task handle its signals soon: interrupt or wake it."""
    task.attention = True
    state = task.state
    if state is PARKED:
        task.wake()
    elif state is RUNNING:
        task.context.interrupt()
    elif state is STOPPED and not task.group.stopped:
        task.wake()


def set_current_blocked(task: "Task", mask: int) -> None:
    """Set the blocked signals of a task; KILL and STOP stay unblocked.

    Pending signals of the group that it now blocks wake a thread that does not (retarget_shared_pending).
    """
    task.blocked = mask & ~UNBLOCKABLE
    recalc_sigpending(task)
    shared = task.group.pending.mask & task.blocked
    if shared and len(task.group.tasks) > 1:
        for other in task.group.tasks:
            if other is not task and shared & ~other.blocked:
                signal_wake_up(other)


def set_saved_mask(task: "Task", mask: int) -> None:
    """Block `mask` for the length of this call (sigsuspend, ppoll, pselect); the old mask comes back after it.

    A handler that ends the call runs under the temporary mask and its frame puts the old one back.
    """
    if task.saved_mask is None:
        task.saved_mask = task.blocked
    task.attention = True
    set_current_blocked(task, mask)


def start_group_exit(group: "ThreadGroup", status: int) -> None:
    """End a whole group with a wait status; each member exits at its next stop. The first status counts.

    Linux: zap_process, SIGNAL_GROUP_EXIT.
    """
    if group.exiting:
        return
    group.exiting = True
    group.exit_status = status
    group.stopped = group.stop_pending = False
    for task in group.tasks:
        signal_wake_up(task)


def queue_signal(group: "ThreadGroup", task: "Task | None", info: SigInfo) -> None:
    """Queue a signal to a group, or to one of its threads, and wake who takes it (send_signal, complete_signal).

    An ignored signal is dropped unless blocked; a fatal one ends the group at once. Side effects of stop and continue
    signals are `send`'s. Raises: EAGAIN if the real-time queue is full.
    """
    signo = info.signo
    mask = 1 << (signo - 1)
    if group.exiting:
        return
    handlers = group.handlers
    receiver = task or _receiver(group, mask)
    blocked = receiver.blocked | (receiver.saved_mask or 0) | receiver.sigwait
    if handlers.ignored(signo) and not blocked & mask and signo != SIGKILL:
        return
    queue: SignalQueue = group.pending if task is None else task.pending
    if not queue.push(info) and info.code < 0:
        raise EAGAIN
    kernel = group.kernel
    for file in kernel.signalfds:
        if file.mask & mask:
            file.queue.notify(IN)
    action = handlers.get(signo)
    fatal = action.handler == SIG_DFL and not (IGNORED | STOPPING) & mask
    # A stopped group takes nothing but SIGKILL until it is continued (wants_signal).
    takes = not (receiver.blocked | receiver.sigwait) & mask and not group.stopped
    if signo == SIGKILL or (fatal and takes and not DUMPING & mask):
        if kernel.instrument is not None:
            kernel.instrument.signal(receiver, info, stopped=False)
        start_group_exit(group, signo)
        return
    if mask & ~receiver.blocked or receiver.sigwait & mask:
        signal_wake_up(receiver)


def _receiver(group: "ThreadGroup", mask: int) -> "Task":
    """Return the thread that takes a signal to the group: the first that can and is idle, else the first that can."""
    able = [t for t in group.tasks if t.state < ZOMBIE and (not t.blocked & mask or t.sigwait & mask)]
    if not able:
        return group.tasks[0]
    for task in able:
        if not task.attention:
            return task
    return able[0]


def dequeue_signal(task: "Task", allowed: int) -> SigInfo | None:
    """Take the next pending signal of a set, the thread's own before the group's; None without one.

    The overrun of a POSIX timer's signal is final from here on.
    """
    group = task.group
    info = task.pending.pop(allowed) or group.pending.pop(allowed)
    if info is None or info.timer < 0:
        return info
    timer = group.posix_timers.get(info.timer)
    if timer is None:
        return info
    timer.overrun_last, timer.overrun = timer.overrun, 0
    return info._replace(overrun=timer.overrun_last)


def force_sig(task: "Task", info: SigInfo, fault: Fault = NO_FAULT) -> None:
    """Queue a fault of the thread itself, blocked or ignored or not (force_sig_info)."""
    signo = info.signo
    mask = siginfo.bit(signo)
    handlers = task.group.handlers
    action = handlers.get(signo)
    if task.blocked & mask or action.handler == SIG_IGN:
        handlers.actions.pop(signo, None)
        task.blocked &= ~mask
    task.fault = fault
    task.pending.push(info)
    task.attention = True
    instrument = task.kernel.instrument
    if instrument is not None:
        instrument.fault(task, info)


def send_sig(task: "Task", signo: int) -> None:
    """Queue a signal that the kernel itself causes (SIGPIPE, SIGXFSZ) to one thread. Not for stop and continue."""
    if task.state < ZOMBIE:
        queue_signal(task.group, task, SigInfo(signo, SI_KERNEL))


def flush_signals(group: "ThreadGroup", signals: int) -> None:
    """Drop all pending signals of a set, the group's and its threads' (flush_sigqueue_mask)."""
    group.pending.discard(signals)
    for task in group.tasks:
        task.pending.discard(signals)


def do_sigaction(group: "ThreadGroup", signo: int, action: "SigAction") -> "SigAction":
    """Set what a group does on a signal; return the old action. Making it ignored drops pending ones."""
    handlers = group.handlers
    old = handlers.get(signo)
    handlers.actions[signo] = action._replace(mask=action.mask & ~UNBLOCKABLE)
    if handlers.ignored(signo):
        flush_signals(group, siginfo.bit(signo))
        for task in group.tasks:
            recalc_sigpending(task)
    return old
