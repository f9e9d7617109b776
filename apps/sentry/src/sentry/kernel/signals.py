"""Sending signals, deciding what one does, and building the handler's frame.

The order of things follows Linux kernel/signal.c: side effects of stop and continue signals happen when a signal is
sent, even if it is blocked or ignored (prepare_signal); an ignored one is dropped unless blocked; a fatal one ends the
whole group at once (complete_signal); everything else is decided when the receiver is on its way to user mode
(get_signal).

Differs: process 1 has no protection against signals without a handler, so that a program run as `sentry do -- CMD`
behaves as it does as an ordinary process; gVisor does the same.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel import alarms, siginfo
from sentry.kernel.siginfo import DEFAULT_ACTION, DUMPING, IGNORED, STOPPING, SigAction, SigInfo, SignalQueue
from sentry.kernel.task import HELD, PARKED, RUNNING, SS_DISABLE, VFORK, ZOMBIE
from sentry_abi.errors import EAGAIN, ESRCH, LinuxError
from sentry_abi.signal import (
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESETHAND,
    SA_RESTORER,
    SI_KERNEL,
    SIG_DFL,
    SIG_IGN,
    SIGCONT,
    SIGKILL,
    SIGRTMIN,
    SIGSEGV,
    SIGSTOP,
    UNBLOCKABLE,
)
from sentry_arch import (
    FRAME_SIZE,
    NO_FAULT,
    RED_ZONE,
    Fault,
    Regs,
    StackT,
    build_frame,
    enter_handler,
    fpu_read_size,
    frame_fpu,
    read_frame,
    thread_fpu,
)
from sentry_waiter import IN

if TYPE_CHECKING:
    from sentry.kernel.group import ThreadGroup
    from sentry.kernel.kernel import Kernel
    from sentry.kernel.signalfd import SignalFile
    from sentry.kernel.task import Task

SS_ONSTACK: Final = 1
SS_AUTODISARM: Final = 1 << 31


class Delivery(NamedTuple):
    """A signal whose handler is to run."""

    info: SigInfo
    action: SigAction


class Signals:
    """The signal part of one kernel."""

    __slots__ = ("fds", "kernel")

    def __init__(self, kernel: "Kernel") -> None:
        """Serve one kernel."""
        self.kernel = kernel
        self.fds: list[SignalFile] = []
        """The open signalfds: told of each signal that is queued."""

    # -- masks and attention

    def set_blocked(self, task: "Task", mask: int) -> None:
        """Set the blocked signals of a task; KILL and STOP stay unblocked.

        Others of the group take over what it now blocks.
        """
        task.blocked = mask & ~UNBLOCKABLE
        self.recalculate(task)
        shared = task.group.pending.mask & task.blocked
        if shared and len(task.group.tasks) > 1:
            for other in task.group.tasks:
                if other is not task and shared & ~other.blocked:
                    self.nudge(other)

    def recalculate(self, task: "Task") -> None:
        """Set `attention` from what is pending and what the group is doing."""
        group = task.group
        task.attention = (
            (task.pending.mask | group.pending.mask) & ~task.blocked != 0
            or group.exiting
            or group.stop_pending
            or task.regs is not None
            or task.saved_mask is not None
        )

    def nudge(self, task: "Task") -> None:
        """Make a task look at its signals soon, wherever it is."""
        task.attention = True
        state = task.state
        if state == PARKED:
            self.kernel.make_ready(task)
        elif state == RUNNING:
            task.context.interrupt()
        elif (state == VFORK and task.group.exiting) or (state == HELD and not task.group.stopped):
            self.kernel.make_ready(task)

    # -- sending

    def send_task(self, task: "Task", info: SigInfo) -> None:
        """Send to one thread. Raises: ESRCH if it has ended, EAGAIN if its real-time queue is full."""
        if task.state >= ZOMBIE:
            raise ESRCH
        self._send(task.group, task, task.pending, info)

    def send_group(self, group: "ThreadGroup", info: SigInfo) -> None:
        """Send to a process.

        Raises: EAGAIN if its real-time queue is full; a zombie takes the signal and does nothing.
        """
        if group.tasks:
            self._send(group, None, group.pending, info)

    def send_kernel(self, task: "Task", signo: int) -> None:
        """Send a signal that the kernel itself caused to one thread."""
        if task.state < ZOMBIE:
            self._send(task.group, task, task.pending, SigInfo(signo, SI_KERNEL))

    def force(self, task: "Task", info: SigInfo, fault: Fault = NO_FAULT) -> None:
        """Send a fault of the thread itself: blocked or ignored does not help (force_sig_info)."""
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

    def _send(self, group: "ThreadGroup", task: "Task | None", queue: SignalQueue, info: SigInfo) -> None:
        signo = info.signo
        mask = 1 << (signo - 1)
        if group.exiting:
            return
        self._side_effects(group, signo, mask)
        handlers = group.handlers
        receiver = task or self._receiver(group, mask)
        blocked = receiver.blocked | (receiver.saved_mask or 0) | receiver.sigwait
        if handlers.ignored(signo) and not blocked & mask and signo != SIGKILL:
            return
        if not queue.push(info) and info.code < 0:
            raise EAGAIN
        for file in self.fds:
            if file.mask & mask:
                file.queue.notify(IN)
        action = handlers.get(signo)
        fatal = action.handler == SIG_DFL and not (IGNORED | STOPPING) & mask
        # A stopped group takes nothing but SIGKILL until it is continued (wants_signal).
        takes = not (receiver.blocked | receiver.sigwait) & mask and not group.stopped
        if signo == SIGKILL or (fatal and takes and not DUMPING & mask):
            if self.kernel.events is not None:
                self.kernel.events.uncaught(receiver, info, held=False)
            self.kernel.exits.begin_group_exit(group, signo)
            return
        if mask & ~receiver.blocked or receiver.sigwait & mask:
            self.nudge(receiver)

    @staticmethod
    def _receiver(group: "ThreadGroup", mask: int) -> "Task":
        """Return the thread that should take a signal to the group: the leader if it can, else the first that can."""
        able = [t for t in group.tasks if t.state < ZOMBIE and (not t.blocked & mask or t.sigwait & mask)]
        if not able:
            return group.tasks[0]
        for task in able:
            if not task.attention:
                return task
        return able[0]

    def _side_effects(self, group: "ThreadGroup", signo: int, mask: int) -> None:
        if mask & STOPPING:
            self._discard(group, 1 << (SIGCONT - 1))
        elif signo == SIGCONT:
            self._discard(group, STOPPING)
            self.kernel.jobs.continue_group(group)
        elif signo == SIGKILL:
            self.kernel.jobs.release_stop(group)

    @staticmethod
    def _discard(group: "ThreadGroup", signals: int) -> None:
        group.pending.discard(signals)
        for task in group.tasks:
            task.pending.discard(signals)

    def set_action(self, group: "ThreadGroup", signo: int, action: SigAction) -> SigAction:
        """Set what a group does on a signal; return the old action. Making it ignored discards pending ones."""
        handlers = group.handlers
        old = handlers.get(signo)
        handlers.actions[signo] = action._replace(mask=action.mask & ~UNBLOCKABLE)
        if handlers.ignored(signo):
            self._discard(group, siginfo.bit(signo))
            for task in group.tasks:
                self.recalculate(task)
        return old

    # -- receiving

    def next(self, task: "Task") -> Delivery | None:
        """Take pending signals until one has a handler to run; None when there is nothing more to do.

        What the others do happens here: the group may be ending or stopping afterwards (look at `group.exiting` and
        `group.stop_pending`).
        """
        group = task.group
        while True:
            if group.exiting or group.stop_pending:
                return None
            allowed = ~task.blocked
            info = task.pending.pop(allowed) or group.pending.pop(allowed)
            if info is None:
                self.recalculate(task)
                return None
            if info.timer >= 0:
                info = alarms.signal_taken(group, info)
            signo = info.signo
            action = group.handlers.get(signo)
            if action.handler == SIG_IGN:
                continue
            if action.handler != SIG_DFL:
                if action.flags & SA_RESETHAND:
                    group.handlers.actions[signo] = DEFAULT_ACTION
                return Delivery(info, action)
            mask = 1 << (signo - 1)
            if IGNORED & mask:
                continue
            if STOPPING & mask:
                if signo != SIGSTOP and self.kernel.jobs.is_orphaned(group.pgrp):
                    continue
                self.kernel.jobs.begin_stop(group, signo)
                continue
            if self.kernel.events is not None:
                self.kernel.events.uncaught(task, info, held=True)
            self.kernel.exits.begin_group_exit(group, signo)
            return None

    @staticmethod
    def timer_taken(group: "ThreadGroup", info: SigInfo) -> SigInfo:
        """Note that a POSIX timer's signal has left the queue; return the siginfo to show."""
        return alarms.signal_taken(group, info)

    def enter(self, task: "Task", regs: Regs, delivery: Delivery) -> bool:
        """Build the frame of a handler and point regs at it.

        False: the frame cannot be written, SIGSEGV was forced instead.
        """
        info, action = delivery
        signo = info.signo
        kept = task.blocked if task.saved_mask is None else task.saved_mask
        stack = task.altstack
        top = (regs.rsp - RED_ZONE) & 0xFFFF_FFFF_FFFF_FFFF
        if action.flags & SA_ONSTACK and not stack.flags & SS_DISABLE and not on_stack(stack, regs.rsp):
            top = stack.sp + stack.size
        try:
            if not action.flags & SA_RESTORER:
                raise ESRCH
            image = frame_fpu(task.context.fpu())
            frame = build_frame(
                regs, image, info.pack(), kept, action.restorer, shown_stack(stack, regs.rsp), top, task.fault
            )
            if (
                action.flags & SA_ONSTACK
                and not stack.flags & SS_DISABLE
                and top == stack.sp + stack.size
                and frame.address < stack.sp
            ):
                raise ESRCH
            task.mm.copy_out(frame.fpu_address, frame.fpu)
            task.mm.copy_out(frame.address, frame.frame)
        except LinuxError:
            if signo == SIGSEGV:
                task.group.handlers.actions[SIGSEGV] = DEFAULT_ACTION
            self.force(task, SigInfo(SIGSEGV, SI_KERNEL))
            return False
        if stack.flags & SS_AUTODISARM:
            task.altstack = StackT(0, SS_DISABLE, 0)
        enter_handler(regs, frame, signo, action.handler)
        task.saved_mask = None
        task.fault = NO_FAULT
        mask = task.blocked | action.mask
        if not action.flags & SA_NODEFER:
            mask |= siginfo.bit(signo)
        self.set_blocked(task, mask)
        return True

    def leave(self, task: "Task") -> Regs:
        """Take off the frame that the stack pointer of a held task stands behind (rt_sigreturn); return the registers.

        The context's extended state and the task's mask and alternate stack are put back; a bad frame forces SIGSEGV.
        """
        regs = task.context.regs()
        address = (regs.rsp - 8) & 0xFFFF_FFFF_FFFF_FFFF
        try:
            restored = read_frame(task.mm.copy_in(address, FRAME_SIZE), regs)
            image = b""
            if restored.fpu_address:
                legacy = task.mm.copy_in(restored.fpu_address, 512)
                size = fpu_read_size(legacy)
                image = legacy if size == 512 else task.mm.copy_in(restored.fpu_address, size)
                image = thread_fpu(image, task.context.fpu_size())
            task.context.set_fpu(image)
        except (LinuxError, ValueError):  # not readable, or no frame
            self.force(task, SigInfo(SIGSEGV, SI_KERNEL))
            return regs
        if not on_stack(task.altstack, restored.regs.rsp) or restored.stack.flags & SS_AUTODISARM:
            stack = restored.stack
            task.altstack = StackT(stack.sp, stack.flags & ~SS_ONSTACK, stack.size)
        self.set_blocked(task, restored.mask)
        return restored.regs


def on_stack(stack: StackT, sp: int) -> bool:
    """Return whether a stack pointer lies in an alternate stack (on_sig_stack)."""
    return not stack.flags & SS_DISABLE and stack.sp < sp <= stack.sp + stack.size


def shown_stack(stack: StackT, sp: int) -> StackT:
    """Return an alternate stack with the flags that sigaltstack(2) reports."""
    if not stack.size:
        return StackT(stack.sp, SS_DISABLE, stack.size)
    return stack._replace(flags=stack.flags | SS_ONSTACK) if on_stack(stack, sp) else stack


def is_realtime(signo: int) -> bool:
    """Return whether a signal is a real-time one."""
    return signo >= SIGRTMIN
