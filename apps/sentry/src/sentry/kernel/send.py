"""Sending signals, with the side effects that happen at once, blocked or ignored or not (prepare_signal).

Differs: process 1 has no protection against signals without a handler, so that a program run as `sentry do -- CMD`
behaves as it does as an ordinary process; gVisor does the same.
"""

from typing import TYPE_CHECKING

from sentry.kernel.siginfo import STOPPING, SigInfo
from sentry.kernel.signal import flush_signals, queue_signal
from sentry.kernel.state import ZOMBIE
from sentry.kernel.stop import continue_group, end_stop, is_orphaned_pgrp
from sentry_abi.errors import ESRCH
from sentry_abi.signal import SIGCONT, SIGHUP, SIGKILL

if TYPE_CHECKING:
    from sentry.kernel.state import ProcessGroup, Task, ThreadGroup


def send_task(task: "Task", info: SigInfo) -> None:
    """Send to one thread. Raises: ESRCH if it has ended, EAGAIN if its real-time queue is full."""
    if task.state >= ZOMBIE:
        raise ESRCH
    _prepare(task.group, info.signo)
    queue_signal(task.group, task, info)


def send_group(group: "ThreadGroup", info: SigInfo) -> None:
    """Send to a process; to a zombie nothing happens. Raises: EAGAIN if its real-time queue is full."""
    if group.tasks:
        _prepare(group, info.signo)
        queue_signal(group, None, info)


def send_pgrp(pgrp: "ProcessGroup", info: SigInfo) -> None:
    """Send to every process of a process group (kill_pgrp_info). Raises: EAGAIN."""
    for group in list(pgrp.members.values()):
        send_group(group, info)


def _prepare(group: "ThreadGroup", signo: int) -> None:
    if group.exiting:
        return
    mask = 1 << (signo - 1)
    if mask & STOPPING:
        flush_signals(group, 1 << (SIGCONT - 1))
    elif signo == SIGCONT:
        flush_signals(group, STOPPING)
        continue_group(group)
    elif signo == SIGKILL:
        end_stop(group)


def kill_orphaned_pgrps(pgrps: "list[ProcessGroup]") -> None:
    """Send SIGHUP and SIGCONT to the process groups that are orphaned and have a stopped member."""
    for pgrp in pgrps:
        if pgrp.members and any(g.stopped for g in pgrp.members.values()) and is_orphaned_pgrp(pgrp):
            for group in list(pgrp.members.values()):
                send_group(group, SigInfo(SIGHUP))
                send_group(group, SigInfo(SIGCONT))
