"""The end of tasks and groups: exit, exit_group, death by signal, reparenting, and what a parent can collect.

Order of an exit (hazards.md section 3, facts 8.8): the host thread stands still; robust list; clear_tid and its wake;
address space, with the vfork parent's release; files; then the group, and with its last task the parent is told.
"""

from typing import TYPE_CHECKING

from sentry.kernel import alarms
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.task import DEAD, VFORK, ZOMBIE
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
    from sentry.kernel.group import ThreadGroup
    from sentry.kernel.kernel import Kernel
    from sentry.kernel.task import Task


class Exits:
    """Exits of one kernel."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: "Kernel") -> None:
        """Serve one kernel."""
        self.kernel = kernel

    def begin_group_exit(self, group: "ThreadGroup", status: int) -> None:
        """End a whole group with a wait status; each member exits as soon as it stands still.

        The first status counts.
        """
        if group.exiting:
            return
        group.exiting = True
        group.exit_status = status
        group.stopped = group.stop_pending = False
        for task in group.tasks:
            self.kernel.signals.nudge(task)

    def kill_siblings(self, task: "Task") -> None:
        """End all other threads of a group and let it live on (execve); they exit as they come to stand."""
        for other in list(task.group.tasks):
            if other is not task:
                self.stop_now(other)
                self.kernel.loop.unpark(other)
                self.exit_task(other)

    @staticmethod
    def stop_now(task: "Task") -> None:
        """Make sure that a task's host thread executes nothing any more."""
        if task.context.running():
            task.context.halt()

    def exit_task(self, task: "Task") -> None:
        """Do the exit of one task whose host thread stands still."""
        kernel = self.kernel
        group = task.group
        task.state = ZOMBIE
        kernel.timers.disarm(task)
        task.cpu_before_ns += task.context.cpu_time_ns()
        kernel.loop.tasks.pop(task.context.index, None)
        self._release_words(task)
        task.context.release()
        if task.vfork_parent is not None:
            self.release_vfork_parent(task)
        task.mm.release()
        kernel.reclaimer.wake()
        undo, task.sem_undo = task.sem_undo, None
        if undo is not None:
            undo.release(group.tgid)
        task.files.release()
        group.cpu_ns += task.cpu_before_ns
        group.tasks.remove(task)
        kernel.pids.tasks.pop(task.tid, None)
        if not group.exiting and task is group.leader:
            group.exit_status = task.exit_status
        if group.stop_pending:
            kernel.jobs.arrived(group)
        if not group.tasks:
            if not group.exiting:
                group.exit_status = group.leader.exit_status
                group.exiting = True
            self._group_dead(group)

    def _release_words(self, task: "Task") -> None:
        """Leave the futex queue, then tell other threads through the words that they watch.

        The robust list, clear_tid.
        """
        mm = task.mm
        waiter, task.futex_waiter = task.futex_waiter, None
        if waiter is not None:
            mm.futexes.cancel(waiter)
        if task.robust_list:
            walk_robust_list(mm.futexes, mm, task.robust_list, task.tid)
        if task.clear_tid and mm.users > 1:
            try:
                mm.copy_out(task.clear_tid, bytes(4))
                mm.futexes.wake(mm, task.clear_tid, 1, private=False)
            except LinuxError:
                pass  # nobody is left to be told of a bad address

    def release_vfork_parent(self, task: "Task") -> None:
        """Let the parent of a vfork child go on: the child has left the shared address space."""
        parent, task.vfork_parent = task.vfork_parent, None
        if parent is not None and parent.state == VFORK:
            parent.held = task.tid
            self.kernel.make_ready(parent)

    def _group_dead(self, group: "ThreadGroup") -> None:
        kernel = self.kernel
        alarms.disarm_all(kernel, group)
        if group.interval_timer is not None:
            kernel.timers.disarm(group.interval_timer)
        group.leader.state = ZOMBIE
        self._reparent_children(group)
        if group.pgrp.session.leader is group and group.pgrp.session.tty is not None:
            for other in kernel.foreground_groups(group.pgrp.session):
                kernel.signals.send_group(other, SigInfo(SIGHUP))
                kernel.signals.send_group(other, SigInfo(SIGCONT))
        if group is kernel.global_init:
            kernel.init_exited(group)
        if group.exit_queue is not None:
            group.exit_queue.notify(IN)
        self.tell_parent(group)

    def _reparent_children(self, group: "ThreadGroup") -> None:
        kernel = self.kernel
        reaper = self._reaper(group)
        affected = {child.pgrp for child in group.children.values()} | {group.pgrp}
        for child in list(group.children.values()):
            if child.leader.pdeath_signal and child.tasks:
                kernel.signals.send_group(child, SigInfo(child.leader.pdeath_signal))
            child.parent = reaper
            child.termination_signal = SIGCHLD
            if reaper is not None:
                reaper.children[child.tgid] = child
            if not child.tasks:
                self.tell_parent(child)
            elif reaper is None:
                self.begin_group_exit(child, SIGKILL)
        group.children.clear()
        kernel.jobs.check_orphans(list(affected))

    def _reaper(self, group: "ThreadGroup") -> "ThreadGroup | None":
        """Return who takes over the children: the nearest living subreaper above, else init."""
        ancestor = group.parent
        while ancestor is not None:
            if ancestor.is_subreaper and ancestor.tasks:
                return ancestor
            ancestor = ancestor.parent
        init = self.kernel.global_init
        return init if init is not None and init.tasks and init is not group else None

    def tell_parent(self, group: "ThreadGroup") -> None:
        """Tell the parent of a zombie, or reap it when nobody will ask."""
        parent = group.parent
        if parent is None or not parent.tasks:
            self.reap(group)
            return
        action = parent.handlers.get(SIGCHLD)
        automatic = group.termination_signal == SIGCHLD and (action.handler == SIG_IGN or action.flags & SA_NOCLDWAIT)
        if group.termination_signal and not (automatic and action.handler == SIG_IGN):
            self.kernel.signals.send_group(parent, self.child_info(group))
        if automatic:
            self.reap(group)
        parent.wait_queue.notify(IN)

    @staticmethod
    def child_info(group: "ThreadGroup") -> SigInfo:
        """Return the siginfo that tells of a zombie."""
        status = group.exit_status
        signo = status & 0x7F
        code = CLD_DUMPED if status & 0x80 else CLD_KILLED if signo else CLD_EXITED
        ticks = group.cpu_ns // 10_000_000
        value = signo or status >> 8
        return SigInfo(group.termination_signal, code, group.tgid, group.leader.creds.uid, value, utime=ticks)

    def reap(self, group: "ThreadGroup") -> None:
        """Forget a zombie: its ids become free and its times count for the parent."""
        if group.parent is not None:
            group.parent.children.pop(group.tgid, None)
            group.parent.child_cpu_ns += group.cpu_ns + group.child_cpu_ns
        group.leave()
        self.kernel.pids.groups.pop(group.tgid, None)
        group.leader.state = DEAD
        if group.exit_queue is not None:
            group.exit_queue.notify(IN | HUP)
