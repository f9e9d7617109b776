"""Group stops and continues, and whether a process group is orphaned.

A parked task counts as stopped where it is: its wait stays a record, and a wake takes effect at the
SIGCONT. Source: Linux kernel/signal.c do_signal_stop, do_notify_parent_cldstop; kernel/exit.c
will_become_orphaned_pgrp.
"""

from typing import TYPE_CHECKING

from sentry.kernel.siginfo import SigInfo
from sentry.kernel.signal import queue_signal, recalc_sigpending, signal_wake_up
from sentry.kernel.state import PARKED, STOPPED, ZOMBIE
from sentry_abi.signal import CLD_CONTINUED, CLD_STOPPED, SA_NOCLDSTOP, SIG_IGN, SIGCHLD, SIGCONT
from sentry_waiter import IN

if TYPE_CHECKING:
    from sentry.kernel.state import ProcessGroup, ThreadGroup


def do_signal_stop(group: "ThreadGroup", signo: int) -> None:
    """Stop a group: every member stops on its way to user mode; the last one completes the stop."""
    if group.stopped or group.exiting:
        return
    group.stop_pending = True
    group.stop_signo = signo
    for task in group.tasks:
        task.attention = True
        if task.state not in (PARKED, STOPPED):
            signal_wake_up(task)
    participate_group_stop(group)


def participate_group_stop(group: "ThreadGroup") -> None:
    """Complete a stop once all members have stopped (task_participate_group_stop)."""
    if group.stop_pending and all(t.state in (PARKED, STOPPED) or t.state >= ZOMBIE for t in group.tasks):
        group.stop_pending = False
        group.stopped = True
        group.stop_reported = False
        group.continued = False
        _notify_parent(group, CLD_STOPPED, group.stop_signo)


def continue_group(group: "ThreadGroup") -> None:
    """Do what SIGCONT does when it is sent: end a stop, complete or not."""
    was_stopped = group.stopped
    if not was_stopped and not group.stop_pending:
        return
    end_stop(group)
    group.continued = was_stopped
    if was_stopped:
        _notify_parent(group, CLD_CONTINUED, SIGCONT)


def end_stop(group: "ThreadGroup") -> None:
    """Resume the members of a stopped group."""
    if not group.stopped and not group.stop_pending:
        return
    group.stopped = group.stop_pending = False
    for task in group.tasks:
        recalc_sigpending(task)
        if task.state in (PARKED, STOPPED):
            task.wake()


def _notify_parent(group: "ThreadGroup", code: int, status: int) -> None:
    """Send the parent SIGCHLD of a stop or continue, and wake its waits (do_notify_parent_cldstop)."""
    parent = group.parent
    if parent is None:
        return
    action = parent.handlers.get(SIGCHLD)
    if parent.tasks and not action.flags & SA_NOCLDSTOP and action.handler != SIG_IGN:
        queue_signal(parent, None, SigInfo(SIGCHLD, code, group.tgid, group.leader.creds.uid, status))
    parent.wait_queue.notify(IN)


def is_orphaned_pgrp(pgrp: "ProcessGroup") -> bool:
    """Return whether no living member has a parent in another group of the same session."""
    for group in pgrp.members.values():
        parent = group.parent
        if not group.tasks:
            continue
        if parent is not None and parent.tasks and parent.pgrp is not pgrp and parent.pgrp.session is pgrp.session:
            return False
    return True
