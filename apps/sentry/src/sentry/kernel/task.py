"""A task: one guest thread, and all that the kernel knows of it.

A task is always in one of these states. RUNNING: guest code may be executing, or an event of it is being handled.
PARKED: its call waits, described by `parked`. VFORK: it waits until its child gives the address space back. HELD: it
stands at the border to user mode, stopped with its group. ZOMBIE: it has exited and somebody may still ask how. DEAD:
its id is free.
"""

from typing import TYPE_CHECKING, Any, Final

from sentry.kernel.siginfo import SignalQueue
from sentry_arch import NO_FAULT, Fault, Regs, StackT
from sentry_waiter import Entry, Queue

if TYPE_CHECKING:
    from sentry.kernel.group import ThreadGroup
    from sentry.kernel.kernel import Kernel
    from sentry.kernel.namespaces import NSProxy, SharedUndo
    from sentry.kernel.pending import Pending
    from sentry.kernel.siginfo import SigInfo
    from sentry_auth import Credentials
    from sentry_limits import LimitSet
    from sentry_mm import MemoryManager
    from sentry_platform import Context
    from sentry_vfs import FDTable, FSContext

RUNNING: Final = 0
PARKED: Final = 1
VFORK: Final = 2
HELD: Final = 3
ZOMBIE: Final = 4
DEAD: Final = 5

SS_DISABLE: Final = 2
NO_STACK: Final = StackT(0, SS_DISABLE, 0)


class ParkEntry(Entry):
    """Stands for a parked task in the queues that it waits on."""

    __slots__ = ("task",)

    def __init__(self, task: "Task") -> None:
        """Make the entry of one task."""
        self.task = task

    def notify(self, queue: Queue, mask: int) -> None:
        """Let the task look again."""
        self.task.kernel.make_ready(self.task)


class Task:
    """One guest thread. Fields are grouped by who changes them."""

    __slots__ = (
        "affinity",
        "altstack",
        "attention",
        "blocked",
        "clear_tid",
        "comm",
        "context",
        "cpu_before_ns",
        "creds",
        "entry",
        "exit_status",
        "fault",
        "files",
        "fs",
        "futex_waiter",
        "group",
        "held",
        "kernel",
        "mm",
        "nice",
        "no_new_privs",
        "nr",
        "ns",
        "parked",
        "pdeath_signal",
        "pending",
        "queued",
        "regs",
        "restart_block",
        "robust_list",
        "saved_mask",
        "sem_undo",
        "sigwait",
        "start_ns",
        "state",
        "tid",
        "timed_out",
        "timer_seq",
        "vfork_parent",
    )

    def __init__(self, kernel: "Kernel", group: "ThreadGroup", tid: int, ns: "NSProxy") -> None:
        """Make a task without a context, memory or files; creation and fork fill them in."""
        self.kernel = kernel
        self.group = group
        self.tid = tid
        self.ns = ns
        self.state = RUNNING
        self.comm = b""
        self.start_ns = kernel.clock.monotonic_ns()

        # scheduling: remembered for whoever asks, the host schedules
        self.nice = 0
        self.affinity = 0
        """CPUs that it may run on, bit n for CPU n; 0 for all of the kernel's."""

        # the thread and what it shares
        self.context: Context
        self.mm: MemoryManager
        self.files: FDTable
        self.fs: FSContext
        self.creds: Credentials

        # the call under way
        self.nr = -1
        self.parked: Pending | None = None
        self.entry = ParkEntry(self)
        self.queued = False
        self.timed_out = False
        self.timer_seq = 0
        self.restart_block: Any = None
        self.regs: Regs | None = None
        """The registers of a held context, which `Loop.finish` writes back.

        None while the context holds them itself.
        """
        self.held: Any = None
        """HELD: what `Loop.finish` is to go on with."""
        self.futex_waiter: Any = None

        # signals
        self.attention = False
        self.blocked = 0
        self.saved_mask: int | None = None
        self.sigwait = 0
        self.pending = SignalQueue()
        self.altstack = NO_STACK
        self.fault: Fault = NO_FAULT
        self.pdeath_signal = 0

        # the end
        self.exit_status = 0
        self.clear_tid = 0
        self.robust_list = 0
        self.vfork_parent: Task | None = None
        self.cpu_before_ns = 0
        self.no_new_privs = False
        self.sem_undo: SharedUndo | None = None

    @property
    def limits(self) -> "LimitSet":
        """The resource limits of the group."""
        return self.group.limits

    def send_signal(self, signo: int) -> None:
        """Send a signal of the kernel's own (SIGPIPE, SIGXFSZ) to this thread."""
        self.kernel.signals.send_kernel(self, signo)

    def queue_signal(self, info: "SigInfo") -> None:
        """Send a signal to this thread."""
        self.kernel.signals.send_task(self, info)

    def set_saved_mask(self, mask: int) -> None:
        """Block `mask` for the length of this call (sigsuspend, ppoll, pselect); the old mask comes back after it.

        A handler that ends the call runs under the temporary mask and its frame puts the old one back.
        """
        if self.saved_mask is None:
            self.saved_mask = self.blocked
        self.attention = True
        self.kernel.signals.set_blocked(self, mask)

    def hold(self) -> Regs:
        """Stop the context and return its registers, to be changed in place.

        They are written back on the way to user mode. Raises: ESRCH when the host has killed it.
        """
        regs = self.regs
        if regs is None:
            regs = self.regs = self.context.regs()
            self.attention = True
        return regs

    def cpu_time_ns(self) -> int:
        """Return the CPU time used so far."""
        if self.state >= ZOMBIE:
            return self.cpu_before_ns
        return self.cpu_before_ns + self.context.cpu_time_ns()

    def expired(self, now_ns: int) -> None:
        """Be told by the timer queue that the deadline of the wait has come."""
        self.kernel.make_ready(self)

    def __repr__(self) -> str:
        """Show the ids and the name."""
        return f"<task {self.tid} of {self.group.tgid} {self.comm!r} state {self.state}>"
