"""Thread groups (processes), process groups, sessions, and the namespace that numbers them.

Facts section 8.1, 8.2, 8.10. One namespace so far: a task has one id.
"""

from typing import TYPE_CHECKING, Any, Final

from sentry.kernel.siginfo import SignalHandlers, SignalQueue
from sentry_abi.errors import EAGAIN
from sentry_abi.signal import SIGCHLD
from sentry_waiter import Queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry.kernel.kernel import Kernel
    from sentry.kernel.task import Task
    from sentry_limits import LimitSet

PID_MAX: Final = 65536
FIRST_REUSED: Final = 2


class Session:
    """A session: process groups that may share a terminal."""

    __slots__ = ("leader", "sid", "tty")

    def __init__(self, leader: "ThreadGroup") -> None:
        """Make the session that leader leads."""
        self.leader = leader
        self.sid = leader.tgid
        self.tty: Any = None


class ProcessGroup:
    """A process group: what kill(-pgid) and the terminal address."""

    __slots__ = ("members", "pgid", "session")

    def __init__(self, pgid: int, session: Session) -> None:
        """Make an empty group."""
        self.pgid = pgid
        self.session = session
        self.members: dict[int, ThreadGroup] = {}


class ThreadGroup:
    """A process: threads that share signal actions, limits and a place among parents and children."""

    __slots__ = (
        "child_cpu_ns",
        "children",
        "container_id",
        "continued",
        "cpu_marks",
        "cpu_ns",
        "cpu_warned",
        "did_exec",
        "dumpable",
        "exit_queue",
        "exit_status",
        "exiting",
        "handlers",
        "interval_timer",
        "is_subreaper",
        "kernel",
        "leader",
        "limits",
        "max_rss",
        "parent",
        "pending",
        "pgrp",
        "posix_timers",
        "stop_pending",
        "stop_reported",
        "stop_signo",
        "stopped",
        "tasks",
        "termination_signal",
        "tgid",
        "wait_queue",
    )

    def __init__(self, kernel: "Kernel", tgid: int, parent: "ThreadGroup | None", limits: "LimitSet") -> None:
        """Make a group without tasks; it joins its parent's process group, or leads a session of its own."""
        self.kernel = kernel
        self.tgid = tgid
        self.parent = parent
        self.limits = limits
        self.leader: Task
        self.tasks: list[Task] = []
        self.children: dict[int, ThreadGroup] = {}
        self.handlers = SignalHandlers()
        self.pending = SignalQueue()
        self.termination_signal = SIGCHLD
        self.container_id = ""
        self.wait_queue = Queue()
        self.exit_queue: Queue | None = None
        """Who watches for the end through a pidfd, once there is one."""
        self.did_exec = False
        self.dumpable = 1
        self.is_subreaper = False

        self.exiting = False
        self.exit_status = 0
        self.stop_signo = 0
        self.stop_pending = False
        """A stop is under way: members still have to come to the border."""
        self.stopped = False
        """All members stand; the parent was told."""
        self.stop_reported = False
        """wait(WUNTRACED) has taken the stop."""
        self.continued = False
        """wait(WCONTINUED) has something to take."""

        self.cpu_ns = 0
        self.cpu_marks: dict[int, Any] = {}
        self.cpu_warned = 0
        self.child_cpu_ns = 0
        self.max_rss = 0
        self.interval_timer: Any = None
        self.posix_timers: dict[int, Any] = {}

        self.pgrp: ProcessGroup
        if parent is None:
            self.pgrp = ProcessGroup(tgid, Session(self))
            kernel.pids.pgrps[tgid] = self.pgrp
        else:
            self.pgrp = parent.pgrp
            parent.children[tgid] = self
        self.pgrp.members[tgid] = self

    @property
    def is_zombie(self) -> bool:
        """Whether all threads have ended and only the status is left."""
        return not self.tasks

    def join(self, pgrp: ProcessGroup) -> None:
        """Move to another process group of the same session, or a new one."""
        self.leave()
        self.pgrp = pgrp
        pgrp.members[self.tgid] = self
        self.kernel.pids.pgrps[pgrp.pgid] = pgrp

    def leave(self) -> None:
        """Leave the process group; an empty one frees its id."""
        self.pgrp.members.pop(self.tgid, None)
        if not self.pgrp.members:
            self.kernel.pids.pgrps.pop(self.pgrp.pgid, None)

    def cpu_time_ns(self) -> int:
        """Return the CPU time of all threads, the ended ones too."""
        return self.cpu_ns + sum(task.cpu_time_ns() for task in self.tasks)


class PIDNamespace:
    """Numbers of tasks, groups, process groups and sessions. An id is busy while any of them carries it."""

    __slots__ = ("groups", "last", "pgrps", "tasks")

    def __init__(self) -> None:
        """Start before id 1."""
        self.tasks: dict[int, Task] = {}
        self.groups: dict[int, ThreadGroup] = {}
        self.pgrps: dict[int, ProcessGroup] = {}
        self.last = 0

    def allocate(self) -> int:
        """Return the next free id.

        Raises: EAGAIN when all are busy.
        """
        candidate = self.last
        for _ in range(PID_MAX):
            candidate += 1
            if candidate >= PID_MAX:
                candidate = FIRST_REUSED
            if self._free(candidate):
                self.last = candidate
                return candidate
        raise EAGAIN

    def _free(self, pid: int) -> bool:
        if pid in self.tasks or pid in self.groups or pid in self.pgrps:
            return False
        return all(pgrp.session.sid != pid for pgrp in self.pgrps.values())

    def __iter__(self) -> "Iterator[ThreadGroup]":
        """Return the groups, zombies too, by id."""
        return iter([self.groups[pid] for pid in sorted(self.groups)])
