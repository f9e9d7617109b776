"""Receiving signals: what a pending one does, the frame of a handler, and sigreturn.

Source: Linux kernel/signal.c get_signal, arch/x86/kernel/signal.c setup_rt_frame, arch/x86/kernel/signal_64.c.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel import siginfo
from sentry.kernel.siginfo import DEFAULT_ACTION, IGNORED, STOPPING, SigAction, SigInfo
from sentry.kernel.signal import dequeue_signal, force_sig, recalc_sigpending, set_current_blocked, start_group_exit
from sentry.kernel.stop import do_signal_stop, is_orphaned_pgrp
from sentry_abi.errors import ESRCH, LinuxError
from sentry_abi.signal import (
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESETHAND,
    SA_RESTORER,
    SI_KERNEL,
    SIG_DFL,
    SIG_IGN,
    SIGSEGV,
    SIGSTOP,
    SS_AUTODISARM,
    SS_DISABLE,
    SS_ONSTACK,
)
from sentry_arch import (
    FRAME_SIZE,
    NO_FAULT,
    RED_ZONE,
    Regs,
    StackT,
    build_frame,
    enter_handler,
    fpu_read_size,
    frame_fpu,
    read_frame,
    thread_fpu,
)

if TYPE_CHECKING:
    from sentry.kernel.state import Task

MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF


class Delivery(NamedTuple):
    """A signal whose handler runs next."""

    info: SigInfo
    action: SigAction


def get_signal(task: "Task") -> Delivery | None:
    """Take pending signals until one has a handler to run; None when there is nothing more to do.

    What the others do happens here: the group may be exiting or stopping afterwards (look at `group.exiting` and
    `group.stop_pending`).
    """
    group = task.group
    while True:
        if group.exiting or group.stop_pending:
            return None
        info = dequeue_signal(task, ~task.blocked)
        if info is None:
            recalc_sigpending(task)
            return None
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
            if signo != SIGSTOP and is_orphaned_pgrp(group.pgrp):
                continue
            do_signal_stop(group, signo)
            continue
        if task.kernel.instrument is not None:
            task.kernel.instrument.signal(task, info, stopped=True)
        start_group_exit(group, signo)
        return None


def handle_signal(task: "Task", regs: Regs, delivery: Delivery) -> None:
    """Build the frame of a handler and point regs at it; when the frame cannot be written, force SIGSEGV instead."""
    info, action = delivery
    signo = info.signo
    kept = task.blocked if task.saved_mask is None else task.saved_mask
    stack = task.altstack
    top = (regs.rsp - RED_ZONE) & MASK64
    switches = bool(action.flags & SA_ONSTACK and not stack.flags & SS_DISABLE)
    if switches and not on_stack(stack, regs.rsp):
        top = stack.sp + stack.size
    try:
        if not action.flags & SA_RESTORER:
            raise ESRCH
        fpu = frame_fpu(task.context.fpu())
        frame = build_frame(
            regs, fpu, info.pack(), kept, action.restorer, shown_stack(stack, regs.rsp), top, task.fault
        )
        if switches and top == stack.sp + stack.size and frame.address < stack.sp:
            raise ESRCH
        task.mm.copy_out(frame.fpu_address, frame.fpu)
        task.mm.copy_out(frame.address, frame.frame)
    except LinuxError:
        if signo == SIGSEGV:
            task.group.handlers.actions[SIGSEGV] = DEFAULT_ACTION
        force_sig(task, SigInfo(SIGSEGV, SI_KERNEL))
        return
    if stack.flags & SS_AUTODISARM:
        task.altstack = StackT(0, SS_DISABLE, 0)
    enter_handler(regs, frame, signo, action.handler)
    task.saved_mask = None
    task.fault = NO_FAULT
    mask = task.blocked | action.mask
    if not action.flags & SA_NODEFER:
        mask |= siginfo.bit(signo)
    set_current_blocked(task, mask)


def sigreturn(task: "Task") -> Regs:
    """Pop the frame below the stack pointer of a stopped task (rt_sigreturn); return the registers.

    The context's extended state and the task's mask and alternate stack are put back; a bad frame forces SIGSEGV.
    """
    regs = task.context.regs()
    address = (regs.rsp - 8) & MASK64
    try:
        restored = read_frame(task.mm.copy_in(address, FRAME_SIZE), regs)
        fpu = b""
        if restored.fpu_address:
            legacy = task.mm.copy_in(restored.fpu_address, 512)
            size = fpu_read_size(legacy)
            fpu = legacy if size == 512 else task.mm.copy_in(restored.fpu_address, size)
            fpu = thread_fpu(fpu, task.kernel.platform.fpu_size)
        task.context.set_fpu(fpu)
    except (LinuxError, ValueError):  # not readable, or no frame
        force_sig(task, SigInfo(SIGSEGV, SI_KERNEL))
        return regs
    if not on_stack(task.altstack, restored.regs.rsp) or restored.stack.flags & SS_AUTODISARM:
        stack = restored.stack
        task.altstack = StackT(stack.sp, stack.flags & ~SS_ONSTACK, stack.size)
    set_current_blocked(task, restored.mask)
    return restored.regs


def on_stack(stack: StackT, sp: int) -> bool:
    """Return whether a stack pointer is in an alternate stack (on_sig_stack)."""
    return not stack.flags & SS_DISABLE and stack.sp < sp <= stack.sp + stack.size


def shown_stack(stack: StackT, sp: int) -> StackT:
    """Return an alternate stack with the flags that sigaltstack(2) reports."""
    if not stack.size:
        return StackT(stack.sp, SS_DISABLE, stack.size)
    return stack._replace(flags=stack.flags | SS_ONSTACK) if on_stack(stack, sp) else stack
