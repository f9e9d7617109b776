"""The end of tasks and groups: exit, reparenting, and what a parent can collect.

Order of an exit: the host thread has stopped; robust list; clear_tid and its wake; the release of a vfork parent;
address space; files; then the group, and with its last task the parent's signal. Source: Linux kernel/exit.c.
"""

from typing import TYPE_CHECKING

from sentry.kernel.freezer import forget_events
from sentry.kernel.park import abort_wait
from sentry.kernel.posix_timers import exit_itimers
from sentry.kernel.send import kill_orphaned_pgrps, send_group
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.signal import start_group_exit
from sentry.kernel.state import DEAD, ZOMBIE
from sentry.kernel.stop import participate_group_stop
from sentry_abi.errors import LinuxError
from sentry_abi.signal import (
    CLD_DUMPED,
    CLD_EXITED,
    CLD_KILLED,
    SA_NOCLDWAIT,
    SIG_IGN,
    SIGCHLD,
    SIGCONT,
    SIGHUP,
    SIGKILL,
)
from sentry_futex import walk_robust_list
from sentry_waiter import HUP, IN

if TYPE_CHECKING:
    from sentry.kernel.state import ProcessGroup, Session, Task, ThreadGroup


def stop_thread(task: "Task") -> None:
    """Stop a task's host thread for good."""
    if task.context.running():
        task.context.halt()


def do_exit(task: "Task") -> None:
    """Do the exit of one task whose host thread has stopped."""
    kernel = task.kernel
    group = task.group
    abort_wait(task)
    task.state = ZOMBIE
    kernel.timers.disarm(task)
    task.cpu_before_ns += task.context.cpu_time_ns()
    kernel.contexts.pop(task.context.index, None)
    if kernel.frozen_events:
        forget_events(kernel, task.context.index)
    _mm_release(task)
    task.context.release()
    release_vfork(task)
    task.mm.release()
    kernel.reclaimer.wake()
    undo, task.sem_undo = task.sem_undo, None
    if undo is not None:
        undo.release(group.tgid)
    task.files.release()
    task.fs.release()
    group.cpu_ns += task.cpu_before_ns
    group.tasks.remove(task)
    task.ns.pid.tasks.pop(task.tid, None)
    if not group.exiting and task is group.leader:
        group.exit_status = task.exit_status
    if group.stop_pending:
        participate_group_stop(group)
    if not group.tasks:
        if not group.exiting:
            group.exit_status = group.leader.exit_status
            group.exiting = True
        _exit_notify(group)


def _mm_release(task: "Task") -> None:
    """Write and wake the futexes that other threads wait on: the robust list, clear_tid."""
    mm = task.mm
    if task.robust_list:
        walk_robust_list(mm.futexes, mm, task.robust_list, task.tid)
    if task.clear_tid and mm.users > 1:
        try:
            mm.copy_out(task.clear_tid, bytes(4))
            mm.futexes.wake(mm, task.clear_tid, 1, private=False)
        except LinuxError:
            pass  # a bad address: Linux ignores the result too


def release_vfork(task: "Task") -> None:
    """Wake the parent of a vfork child that has left the shared address space (complete_vfork_done)."""
    done, task.vfork_done = task.vfork_done, None
    if done is not None:
        done.notify(IN)


def _exit_notify(group: "ThreadGroup") -> None:
    kernel = group.kernel
    exit_itimers(group)
    if group.interval_timer is not None:
        kernel.timers.disarm(group.interval_timer)
    group.leader.state = ZOMBIE
    _forget_original_parent(group)
    session = group.pgrp.session
    if session.leader is group and session.tty is not None:
        for other in foreground_groups(session):
            send_group(other, SigInfo(SIGHUP))
            send_group(other, SigInfo(SIGCONT))
    if group is kernel.global_init:
        _zap_pid_namespace(group)
    if group.exit_queue is not None:
        group.exit_queue.notify(IN)
    notify_parent(group)


def foreground_groups(session: "Session") -> "list[ThreadGroup]":
    """Return the groups in the foreground of a session's terminal."""
    tty = session.tty
    pgrp = session.leader.pids.pgrps.get(tty.foreground) if tty is not None else None
    return list(pgrp.members.values()) if pgrp is not None else []


def _zap_pid_namespace(init: "ThreadGroup") -> None:
    """Kill everything else: the namespace ends with its init (zap_pid_ns_processes)."""
    for group in init.pids:
        if group is not init:
            start_group_exit(group, SIGKILL)


def _forget_original_parent(group: "ThreadGroup") -> None:
    """Reparent the children of a group; hang up the process groups that this, or its end, orphans."""
    reaper = _find_reaper(group)
    affected: list[ProcessGroup] = []
    if group.parent is not None and _counts_for(group.parent, group.pgrp):
        affected.append(group.pgrp)
    for child in list(group.children.values()):
        if _counts_for(group, child.pgrp) and child.pgrp not in affected:
            affected.append(child.pgrp)
        if child.leader.pdeath_signal and child.tasks:
            send_group(child, SigInfo(child.leader.pdeath_signal))
        child.parent = reaper
        child.termination_signal = SIGCHLD
        if reaper is not None:
            reaper.children[child.tgid] = child
        if not child.tasks:
            notify_parent(child)
        elif reaper is None:
            start_group_exit(child, SIGKILL)
    group.children.clear()
    kill_orphaned_pgrps(affected)


def _counts_for(parent: "ThreadGroup", pgrp: "ProcessGroup") -> bool:
    """Return whether a parent keeps a process group of its children from being orphaned (kill_orphaned_pgrp)."""
    return parent.pgrp is not pgrp and parent.pgrp.session is pgrp.session


def _find_reaper(group: "ThreadGroup") -> "ThreadGroup | None":
    """Return the new parent of the children: the nearest living subreaper above, else init."""
    ancestor = group.parent
    while ancestor is not None:
        if ancestor.is_subreaper and ancestor.tasks:
            return ancestor
        ancestor = ancestor.parent
    init = group.kernel.global_init
    return init if init is not None and init.tasks and init is not group else None


def notify_parent(group: "ThreadGroup") -> None:
    """Signal the parent of a zombie, or reap it if the parent never asks (do_notify_parent)."""
    parent = group.parent
    if parent is None or not parent.tasks:
        release_group(group)
        return
    action = parent.handlers.get(SIGCHLD)
    automatic = group.termination_signal == SIGCHLD and (action.handler == SIG_IGN or action.flags & SA_NOCLDWAIT)
    if group.termination_signal and not (automatic and action.handler == SIG_IGN):
        send_group(parent, _child_info(group))
    if automatic:
        release_group(group)
    parent.wait_queue.notify(IN)


def _child_info(group: "ThreadGroup") -> SigInfo:
    """Return the siginfo of a zombie's SIGCHLD."""
    status = group.exit_status
    signo = status & 0x7F
    code = CLD_DUMPED if status & 0x80 else CLD_KILLED if signo else CLD_EXITED
    ticks = group.cpu_ns // 10_000_000
    value = signo or status >> 8
    return SigInfo(group.termination_signal, code, group.tgid, group.leader.creds.uid, value, utime=ticks)


def release_group(group: "ThreadGroup") -> None:
    """Forget a zombie: its ids become free and its times count for the parent (release_task)."""
    if group.parent is not None:
        group.parent.children.pop(group.tgid, None)
        group.parent.child_cpu_ns += group.cpu_ns + group.child_cpu_ns
    group.leave()
    group.pids.groups.pop(group.tgid, None)
    group.leader.state = DEAD
    if group.exit_queue is not None:
        group.exit_queue.notify(IN | HUP)
