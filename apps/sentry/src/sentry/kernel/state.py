"""The kernel's data: tasks, thread groups, process groups, sessions, PID namespaces, and the kernel's record.

These classes refer to each other, as the structs of Linux's include/linux/sched.h do, and so they share a file. They
have fields and lookups. The operations are above them, one a module:
`signal`, `stop`, `exit`, `fork`, `exec`, ...
"""

from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from sentry.kernel.reclaim import Reclaimer
from sentry.kernel.siginfo import SignalHandlers, SignalQueue
from sentry_abi.errors import EAGAIN
from sentry_abi.signal import SIGCHLD, SS_DISABLE
from sentry_arch import NO_FAULT, Fault, Regs, StackT
from sentry_futex import Manager
from sentry_ktime import TimerQueue
from sentry_loader import host_hardware
from sentry_netlink_port import Manager as NetlinkPorts
from sentry_vfs import PathRef
from sentry_waiter import Entry, Queue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sentry.kernel.clocks import KernelClock
    from sentry.kernel.instrument import Instrument
    from sentry.kernel.namespaces import IPCNamespace, NetNamespace, SharedUndo, UTSNamespace
    from sentry.kernel.pending import Bound, Outcome, Pending, WaitFilter
    from sentry_auth import Credentials, UserNamespace
    from sentry_cpuid import FeatureSet
    from sentry_host import Host
    from sentry_ktime import Timed
    from sentry_limits import LimitSet
    from sentry_mm import Mappable, MemoryManager
    from sentry_pgalloc import MemoryFile
    from sentry_platform import Context, Platform
    from sentry_sockets import Socket
    from sentry_tty import Tty
    from sentry_vfs import FDTable, FSContext, Inode, MountNamespace, VirtualFilesystem

PID_MAX: Final = 65536
FIRST_REUSED: Final = 2
SOCKETS_LIMIT: Final = 64
"""Entries of the table of sockets below which closed ones are not looked for."""
NO_STACK: Final = StackT(0, SS_DISABLE, 0)
RELEASE: Final = b"6.1.0-sentry"
VERSION: Final = b"#1 SMP PREEMPT_DYNAMIC Sun Jan 10 15:06:54 PST 2016"


class KernelBug(Exception):  # noqa: N818  (named for what it is)
    """A broken invariant of our own: the sandbox ends with a report."""


class TaskState(IntEnum):
    """What a task is doing; ordered (`>= ZOMBIE` has ended)."""

    RUNNING = 0
    """Guest code may be executing, or an event of the task is being handled."""
    PARKED = 1
    """Its call waits, as `Task.parked` describes."""
    STOPPED = 2
    """Stopped with its group on the way to user mode."""
    ZOMBIE = 3
    """Exited; its parent may still ask for the status."""
    DEAD = 4
    """Reaped: its id is free."""


RUNNING: Final = TaskState.RUNNING
PARKED: Final = TaskState.PARKED
STOPPED: Final = TaskState.STOPPED
ZOMBIE: Final = TaskState.ZOMBIE
DEAD: Final = TaskState.DEAD


class NSProxy(NamedTuple):
    """The namespaces of a task (struct nsproxy): immutable and shared; unshare(2) and setns(2) replace the whole."""

    mnt: "MountNamespace"
    pid: "PIDNamespace"
    ipc: "IPCNamespace"
    uts: "UTSNamespace"
    net: "NetNamespace"
    user: "UserNamespace"


class ParkEntry(Entry):
    """A parked task in the queues that it waits on."""

    __slots__ = ("task",)

    def __init__(self, task: "Task") -> None:
        """Make the entry of one task."""
        self.task = task

    def notify(self, queue: Queue, mask: int) -> None:
        """Wake the task, which enters its attempt again."""
        self.task.wake()


class Task:
    """One guest thread (struct task_struct)."""

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
        "group",
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
        "robust_list",
        "saved_mask",
        "sem_undo",
        "sigwait",
        "start_ns",
        "state",
        "stop_result",
        "tid",
        "timed_out",
        "timer_seq",
        "vfork_done",
    )

    def __init__(self, kernel: "KernelState", group: "ThreadGroup", tid: int, ns: NSProxy) -> None:
        """Make a task without a context, memory or files; `fork.new_task` fills them in."""
        self.kernel = kernel
        self.group = group
        self.tid = tid
        self.ns = ns
        self.state = RUNNING
        self.comm = b""
        self.start_ns = kernel.clock.monotonic_ns()

        # scheduling: kept for the calls that ask; the host schedules
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
        """In `KernelState.ready`."""
        self.timed_out = False
        self.timer_seq = 0
        self.regs: Regs | None = None
        """Registers of a stopped context, written back on the way to user mode; None while the context has them."""
        self.stop_result: Outcome | None = None
        """STOPPED: the outcome of its call, resumed at SIGCONT."""

        # signals
        self.attention = False
        """Something has to be looked at before user mode: signals, a stop, an exit, changed registers (TIF_* flags)."""
        self.blocked = 0
        self.saved_mask: int | None = None
        self.sigwait = 0
        """Signals that a sigtimedwait(2) under way takes."""
        self.pending = SignalQueue()
        self.altstack = NO_STACK
        self.fault: Fault = NO_FAULT
        self.pdeath_signal = 0

        # the end
        self.exit_status = 0
        self.clear_tid = 0
        self.robust_list = 0
        self.vfork_done: Queue | None = None
        """Where the parent of a vfork child waits; None once the child has left the parent's memory."""
        self.cpu_before_ns = 0
        self.no_new_privs = False
        self.sem_undo: SharedUndo | None = None

    @property
    def limits(self) -> "LimitSet":
        """The resource limits of the group."""
        return self.group.limits

    def wake(self) -> None:
        """Queue the task for the loop (wake_up_process)."""
        if not self.queued:
            self.queued = True
            self.kernel.ready.append(self)

    def hold(self) -> Regs:
        """Stop the context and return its registers, to be changed in place and written back on the way to user mode.

        Raises: ESRCH when the host has killed it.
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
        """Timer callback: the wait's deadline has passed."""
        self.wake()

    def __repr__(self) -> str:
        """Show the ids and the name."""
        return f"<task {self.tid} of {self.group.tgid} {self.comm!r} {self.state.name}>"


class Session:
    """A session: process groups that may share a terminal."""

    __slots__ = ("leader", "sid", "tty")

    def __init__(self, leader: "ThreadGroup") -> None:
        """Make the session that leader leads."""
        self.leader = leader
        self.sid = leader.tgid
        self.tty: Tty | None = None


class ProcessGroup:
    """A process group: what kill(-pgid) and the terminal address."""

    __slots__ = ("members", "pgid", "session")

    def __init__(self, pgid: int, session: Session) -> None:
        """Make an empty group."""
        self.pgid = pgid
        self.session = session
        self.members: dict[int, ThreadGroup] = {}


class CpuTimer:
    """ITIMER_VIRTUAL or ITIMER_PROF: a time of a group's CPU clock."""

    __slots__ = ("interval_ns", "next_ns")

    def __init__(self) -> None:
        """Make a disarmed timer."""
        self.next_ns = 0
        self.interval_ns = 0


class RealTimer:
    """ITIMER_REAL of a group; `itimer` arms it."""

    __slots__ = ("group", "interval_ns", "next_ns", "timer_seq")

    def __init__(self, group: "ThreadGroup") -> None:
        """Make a disarmed timer."""
        self.group = group
        self.next_ns = 0
        self.interval_ns = 0
        self.timer_seq = 0

    def expired(self, now_ns: int) -> None:
        """Timer callback; `itimer` overrides it."""
        raise NotImplementedError


class PosixTimer:
    """One timer_create(2) timer (struct k_itimer); `posix_timers` arms it."""

    __slots__ = (
        "clock",
        "group",
        "interval_ns",
        "next_ns",
        "notify",
        "number",
        "overrun",
        "overrun_last",
        "owner",
        "signo",
        "tid",
        "timer_seq",
        "value",
    )

    def __init__(
        self, group: "ThreadGroup", number: int, clock: int, notify: int, signo: int, value: int, tid: int
    ) -> None:
        """Make a disarmed timer."""
        self.group = group
        self.number = number
        self.clock = clock
        self.notify = notify
        self.signo = signo
        self.value = value
        self.tid = tid
        self.owner = 0
        """The thread whose CPU time counts, for CLOCK_THREAD_CPUTIME_ID."""
        self.next_ns = 0
        self.interval_ns = 0
        self.overrun = 0
        self.overrun_last = 0
        self.timer_seq = 0

    def expired(self, now_ns: int) -> None:
        """Timer callback; `posix_timers` overrides it."""
        raise NotImplementedError


class ThreadGroup:
    """A process (struct signal_struct): threads that share signal actions, limits and a place in the process tree."""

    __slots__ = (
        "child_cpu_ns",
        "children",
        "container_id",
        "continued",
        "cpu_ns",
        "cpu_timers",
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
        "parent",
        "pending",
        "pgrp",
        "pids",
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

    def __init__(
        self,
        kernel: "KernelState",
        pids: "PIDNamespace",
        tgid: int,
        parent: "ThreadGroup | None",
        limits: "LimitSet",
    ) -> None:
        """Make a group without tasks; it joins its parent's process group, or leads a session of its own."""
        self.kernel = kernel
        self.pids = pids
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
        """Who polls a pidfd of the group; made with the first pidfd."""
        self.did_exec = False
        self.dumpable = 1
        self.is_subreaper = False

        self.exiting = False
        self.exit_status = 0
        self.stop_signo = 0
        self.stop_pending = False
        """A stop is under way: some members have not stopped yet."""
        self.stopped = False
        """All members have stopped and the parent has its SIGCHLD."""
        self.stop_reported = False
        """wait(WUNTRACED) has taken the stop."""
        self.continued = False
        """wait(WCONTINUED) has something to take."""

        self.cpu_ns = 0
        self.cpu_timers: dict[int, CpuTimer] = {}
        self.cpu_warned = 0
        self.child_cpu_ns = 0
        self.interval_timer: RealTimer | None = None
        self.posix_timers: dict[int, PosixTimer] = {}

        self.pgrp: ProcessGroup
        if parent is None:
            self.pgrp = ProcessGroup(tgid, Session(self))
            pids.pgrps[tgid] = self.pgrp
        else:
            self.pgrp = parent.pgrp
            parent.children[tgid] = self
        self.pgrp.members[tgid] = self
        pids.groups[tgid] = self

    @property
    def is_zombie(self) -> bool:
        """Whether all threads have ended and only the status is left."""
        return not self.tasks

    def join(self, pgrp: ProcessGroup) -> None:
        """Move to another process group of the same session, or a new one."""
        self.leave()
        self.pgrp = pgrp
        pgrp.members[self.tgid] = self
        self.pids.pgrps[pgrp.pgid] = pgrp

    def leave(self) -> None:
        """Leave the process group; an empty one frees its id."""
        self.pgrp.members.pop(self.tgid, None)
        if not self.pgrp.members:
            self.pids.pgrps.pop(self.pgrp.pgid, None)

    def cpu_time_ns(self) -> int:
        """Return the CPU time of all threads, the ended ones too."""
        return self.cpu_ns + sum(task.cpu_time_ns() for task in self.tasks)


class PIDNamespace:
    """Ids of tasks, groups, process groups and sessions. An id is busy while any of them carries it.

    Differs: a task has one id, since there is one namespace so far.
    """

    __slots__ = ("groups", "last", "pgrps", "tasks", "user_namespace")

    def __init__(self, user_namespace: "UserNamespace") -> None:
        """Make an empty namespace whose first id is 1."""
        self.user_namespace = user_namespace
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


class SignalListener(Protocol):
    """An open signalfd: its queue is notified when a signal of its set is queued anywhere."""

    mask: int
    queue: Queue


class FrozenEvent(NamedTuple):
    """An event of the platform that came while the kernel was frozen; served at the thaw."""

    kind: int
    fields: tuple[int, ...]


class KernelState:
    """All data of one emulated kernel. `Kernel` owns it; every task refers to it."""

    __slots__ = (
        "_feature_set",
        "application_cores",
        "boot_id",
        "clock",
        "contexts",
        "cpu_ticker",
        "cpu_watched",
        "current",
        "extra_auxv",
        "frozen_events",
        "futexes",
        "global_init",
        "hardware",
        "host",
        "instrument",
        "last_unique_id",
        "memory",
        "netlink_ports",
        "network_stack",
        "next_socket_id",
        "platform",
        "ready",
        "reclaimer",
        "root_ipc_namespace",
        "root_pid_namespace",
        "root_user_namespace",
        "root_uts_namespace",
        "signalfds",
        "sockets",
        "sockets_limit",
        "started",
        "table",
        "timers",
        "torture",
        "use_host_cores",
        "vdso",
        "vfs",
    )

    def __init__(
        self,
        platform: "Platform",
        memory: "MemoryFile",
        vfs: "VirtualFilesystem",
        clock: "KernelClock",
        feature_set: "FeatureSet | Callable[[], FeatureSet]",
        root_user_namespace: "UserNamespace",
    ) -> None:
        """Make the record of a kernel without tasks; `Kernel.init` fills in what has no value here."""
        # from outside: given again by a restore
        self.platform = platform
        self.memory = memory
        self.vfs = vfs
        self.host: Host = vfs.host
        self.table: Sequence[Bound] = ()
        self.instrument: Instrument[Task] | None = None
        self.torture: WaitFilter | None = None

        # the machine
        self.boot_id = self.host.random_bytes(16)
        """What /proc/sys/kernel/random/boot_id shows."""
        self._feature_set = feature_set
        self.hardware = host_hardware()
        self.application_cores = 1
        self.use_host_cores = False
        self.extra_auxv: tuple[tuple[int, int], ...] = ()
        self.vdso: Mappable | None = None

        # time
        self.clock = clock
        self.timers = TimerQueue(clock)
        self.reclaimer = Reclaimer(memory, vfs, self.timers)
        self.cpu_ticker: Timed | None = None
        self.cpu_watched: dict[ThreadGroup, None] = {}
        """Groups with a timer or a limit on CPU time, in the order in which they were added."""

        # namespaces and files
        self.root_user_namespace = root_user_namespace
        self.root_pid_namespace: PIDNamespace
        self.root_uts_namespace: UTSNamespace
        self.root_ipc_namespace: IPCNamespace
        self.network_stack: NetNamespace

        # tasks
        self.contexts: dict[int, Task] = {}
        """Tasks by the index of their context."""
        self.current: Task | None = None
        """The task whose event is being handled."""
        self.ready: deque[Task] = deque()
        """Parked and stopped tasks that the loop has to look at, in the order of their wakes."""
        self.global_init: ThreadGroup | None = None
        self.started = False
        self.frozen_events: deque[FrozenEvent] = deque()

        # what tasks share
        self.futexes = Manager()
        self.signalfds: list[SignalListener] = []
        self.netlink_ports = NetlinkPorts(self.host.random_bytes)
        self.sockets: dict[int, Socket] = {}
        """Sockets by entry number; closed ones are dropped when the table is listed or has doubled."""
        self.sockets_limit = SOCKETS_LIMIT
        self.next_socket_id = 0
        self.last_unique_id = 0

    @property
    def feature_set(self) -> "FeatureSet":
        """The CPU as guests see it; found when first asked for."""
        found = self._feature_set
        if callable(found):
            found = self._feature_set = found()
        return found

    def before_save(self) -> None:
        """Find the CPU features before a save."""
        self.feature_set  # noqa: B018  (kept by the property)

    def realtime_ns(self) -> int:
        """Return the real time."""
        return self.clock.realtime_ns()

    def current_tgid(self) -> int:
        """Return the process whose call is under way, 0 outside of a call."""
        task = self.current
        return 0 if task is None else task.group.tgid

    def current_ids(self) -> tuple[int, int, int]:
        """Return process, real user and real group of the task whose call is under way."""
        task = self.current
        assert task is not None
        return task.group.tgid, task.creds.uid, task.creds.gid

    def init_task(self) -> Task:
        """Return the leader of init, whose namespaces are those of the sandbox as a whole."""
        init = self.global_init
        assert init is not None
        return init.leader

    def caller_ns(self) -> NSProxy:
        """Return the namespaces of the task whose call is under way, init's outside of a call."""
        task = self.current
        return self.init_task().ns if task is None else task.ns

    def record_socket(self, socket: "Socket") -> int:
        """Add a socket to the table of all open sockets; return its entry number, from 0 on."""
        entry = self.next_socket_id
        self.next_socket_id += 1
        self.sockets[entry] = socket
        if len(self.sockets) > self.sockets_limit:
            self.open_sockets()
            self.sockets_limit = max(SOCKETS_LIMIT, 2 * len(self.sockets))
        return entry

    def open_sockets(self) -> "list[tuple[int, Socket]]":
        """Return the sockets that are open, by rising entry number."""
        self.sockets = {entry: socket for entry, socket in self.sockets.items() if socket.refs}
        return list(self.sockets.items())

    def is_executed(self, inode: "Inode") -> bool:
        """Return whether a living process executes the file, which then cannot be opened for writing."""
        for task in self.contexts.values():
            exe = task.mm.exe
            if isinstance(exe, PathRef) and exe.path.dentry.inode is inode:
                return True
        return False

    def schedule_trim(self) -> None:
        """Trim the file systems that wait for it between two events."""
        self.reclaimer.wake()

    def syslog(self) -> bytes:
        """Return the kernel's log, which is constant."""
        lines = (b"Linux version %s (%s)" % (RELEASE, VERSION), b"Command line: sentry", b"Ready!")
        return b"".join(b"<6>[    %d.000000] %s\n" % (i, line) for i, line in enumerate(lines))
