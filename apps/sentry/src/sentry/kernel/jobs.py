"""Job control: group stops, continues, orphaned process groups.

Facts section 8.7 and 8.10. A parked task counts as stopped where it is: its wait goes on being a record, and what wakes
it meanwhile waits for the SIGCONT.
"""

from typing import TYPE_CHECKING

from sentry.kernel.siginfo import SigInfo
from sentry.kernel.task import HELD, PARKED, VFORK, ZOMBIE
from sentry_abi.signal import CLD_CONTINUED, CLD_STOPPED, SA_NOCLDSTOP, SIG_IGN, SIGCHLD, SIGCONT, SIGHUP
from sentry_waiter import IN

if TYPE_CHECKING:
    from sentry.kernel.group import ProcessGroup, ThreadGroup
    from sentry.kernel.kernel import Kernel


class Jobs:
    """Stops and continues of one kernel."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: "Kernel") -> None:
        """Serve one kernel."""
        self.kernel = kernel

    def begin_stop(self, group: "ThreadGroup", signo: int) -> None:
        """Stop a group: every member comes to the border of user mode; the last one there completes the stop."""
        if group.stopped or group.exiting:
            return
        group.stop_pending = True
        group.stop_signo = signo
        for task in group.tasks:
            task.attention = True
            if task.state not in (PARKED, HELD, VFORK):
                self.kernel.signals.nudge(task)
        self.arrived(group)

    def arrived(self, group: "ThreadGroup") -> None:
        """Complete a stop when all members stand."""
        if group.stop_pending and all(t.state in (PARKED, HELD, VFORK) or t.state >= ZOMBIE for t in group.tasks):
            group.stop_pending = False
            group.stopped = True
            group.stop_reported = False
            group.continued = False
            self._tell_parent(group, CLD_STOPPED, group.stop_signo)

    def continue_group(self, group: "ThreadGroup") -> None:
        """Do what sending SIGCONT does at once: end a stop, complete or not."""
        was_stopped = group.stopped
        if not was_stopped and not group.stop_pending:
            return
        self.release_stop(group)
        group.continued = was_stopped
        if was_stopped:
            self._tell_parent(group, CLD_CONTINUED, SIGCONT)

    def release_stop(self, group: "ThreadGroup") -> None:
        """Let the members of a stopped group go on."""
        if not group.stopped and not group.stop_pending:
            return
        group.stopped = group.stop_pending = False
        for task in group.tasks:
            self.kernel.signals.recalculate(task)
            if task.state in (PARKED, HELD, VFORK):
                self.kernel.make_ready(task)

    def _tell_parent(self, group: "ThreadGroup", code: int, status: int) -> None:
        parent = group.parent
        if parent is None:
            return
        action = parent.handlers.get(SIGCHLD)
        if not action.flags & SA_NOCLDSTOP and action.handler != SIG_IGN:
            self.kernel.signals.send_group(parent, SigInfo(SIGCHLD, code, group.tgid, group.leader.creds.uid, status))
        parent.wait_queue.notify(IN)

    @staticmethod
    def is_orphaned(pgrp: "ProcessGroup") -> bool:
        """Return whether no member has a parent in another group of the same session."""
        for group in pgrp.members.values():
            parent = group.parent
            if parent is not None and parent.tasks and parent.pgrp is not pgrp and parent.pgrp.session is pgrp.session:
                return False
        return True

    def check_orphans(self, pgrps: "list[ProcessGroup]") -> None:
        """Send SIGHUP and SIGCONT to the groups that became orphaned with a stopped member."""
        for pgrp in pgrps:
            if pgrp.members and any(g.stopped for g in pgrp.members.values()) and self.is_orphaned(pgrp):
                for group in list(pgrp.members.values()):
                    self.kernel.signals.send_group(group, SigInfo(SIGHUP))
                    self.kernel.signals.send_group(group, SigInfo(SIGCONT))
