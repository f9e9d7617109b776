"""The kernel object: it owns tasks, clocks, memory and files, and has the operations of gVisor's `kernel.Kernel`.

Everything happens on one kernel thread, the one that made the platform. Calls from other threads (`kill`,
`send_external_signal` and the like) hand a function to that thread and kick the loop; `ext_mu` orders them. Lock order:
`ext_mu` alone.
"""

import os
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakValueDictionary

import sentry_netlink_port as netlink_port
from sentry.kernel.clocks import KernelClock
from sentry.kernel.cputicks import Ticker
from sentry.kernel.exits import Exits
from sentry.kernel.freeze import Freezer
from sentry.kernel.group import PIDNamespace, ThreadGroup
from sentry.kernel.image import open_program
from sentry.kernel.jobs import Jobs
from sentry.kernel.namespaces import IPCNamespace, NSProxy, UTSNamespace
from sentry.kernel.network import new_network
from sentry.kernel.reclaim import Reclaimer
from sentry.kernel.run import Loop
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.signals import Signals
from sentry.kernel.task import Task
from sentry.kernel.terminals import Terminals
from sentry.kernel.vdso import Vdso
from sentry.kernel.watcher import Watcher
from sentry_abi.errors import ENOSYS, ESRCH, LinuxError
from sentry_abi.signal import SI_KERNEL, SI_USER, SIGINT, SIGKILL, SIGQUIT
from sentry_arch import initial_regs
from sentry_auth import INITIAL
from sentry_futex import Manager
from sentry_ktime import TimerQueue
from sentry_limits import LimitSet
from sentry_loader import host_hardware
from sentry_mm import MemoryManager
from sentry_vfs import Path, VirtualFilesystem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry.kernel.events import Events
    from sentry.kernel.group import Session
    from sentry.syscalls.binder import Bound
    from sentry_auth import Credentials
    from sentry_cpuid import FeatureSet
    from sentry_host import Host
    from sentry_pgalloc import MemoryFile
    from sentry_platform import Platform
    from sentry_sockets import Network, Socket
    from sentry_vfs import FDTable, FileDescription, FSContext, Inode, MountNamespace

CLOCK_TICK_NS: Final = 10_000_000
RELEASE: Final = b"6.1.0-sentry"
VERSION: Final = b"#1 SMP PREEMPT_DYNAMIC Sun Jan 10 15:06:54 PST 2016"


class InitKernelArgs(NamedTuple):
    """What a kernel is made of (gVisor: InitKernelArgs)."""

    table: "Sequence[Bound]"
    tree: "MountNamespace"
    creds: "Credentials"
    """Root credentials of the supervisor."""
    application_cores: int
    hostname: bytes = b"sentry"


class CreateProcessArgs(NamedTuple):
    """How a process begins (gVisor: CreateProcessArgs)."""

    argv: "Sequence[bytes]"
    envv: "Sequence[bytes]"
    creds: "Credentials"
    files: "FDTable"
    fs: "FSContext"
    limits: "LimitSet"
    filename: bytes = b""
    """File to run; else `file`; else argv[0], which must then be an absolute path."""
    file: "FileDescription | None" = None
    container_id: str = ""


class KernelContext(NamedTuple):
    """For whom the kernel does something: gVisor's context values, as one typed record."""

    kernel: "Kernel"
    creds: "Credentials"
    limits: LimitSet


class StateError(Exception):
    """An operation of the kernel was called when it cannot be: says which and why."""


class Kernel:
    """One emulated Linux kernel."""

    def __init__(self, platform: "Platform", memory: "MemoryFile", host: "Host") -> None:
        """Make a kernel on a platform, a memory file and a host; `init` completes it."""
        self.host = host
        self.boot_id = host.random_bytes(16)
        """What /proc/sys/kernel/random/boot_id shows."""
        self.platform = platform
        self.memory = memory
        self.ext_mu = threading.Lock()
        self.clock = KernelClock(host)
        self.vfs = VirtualFilesystem(host, self)
        self.timers = TimerQueue(self.clock)
        self.ticker = Ticker(self)
        self.reclaimer = Reclaimer(self)
        self.pids = PIDNamespace()
        self.signals = Signals(self)
        self.jobs = Jobs(self)
        self.exits = Exits(self)
        self.loop = Loop(self)
        self.make_ready = self.loop.make_ready
        self.watcher = Watcher(platform)
        self.network = new_network(self)
        self.terminals = Terminals(self)
        self.torture: Any = None
        self.table: Sequence[Bound] = ()
        self.global_init: ThreadGroup | None = None
        self.started = False
        self.initialized = False
        self.on_host_signal: Callable[[int], None] | None = None
        self.on_unimplemented: Callable[[Task, int], None] | None = None
        self.events: Events | None = None
        self.freezer = Freezer(self)
        self.netlink_ports = netlink_port.Manager()
        self.sockets: WeakValueDictionary[int, Socket] = WeakValueDictionary()
        self._socket_id = 0
        self.hardware = host_hardware()
        self.futexes = Manager()
        self.vdso = Vdso(self)
        self._unique_id = 0
        self._syslog = b""
        self._save_error: Exception | None = None

    # -- init

    def init(self, args: InitKernelArgs) -> None:
        """Complete the kernel (gVisor: Init).

        Raises: StateError if it was called before or there are no application cores.
        """
        if self.initialized:
            message = "the kernel has been initialized already"
            raise StateError(message)
        if args.application_cores < 1:
            message = "a kernel needs at least one application core"
            raise StateError(message)
        self.table = args.table
        self.root_creds = args.creds
        self.application_cores = args.application_cores
        self.root_user_namespace = INITIAL
        self.root_uts_namespace = UTSNamespace(args.hostname, b"(none)", INITIAL)
        self.root_ipc_namespace = IPCNamespace(INITIAL, self)
        self.ns = NSProxy(
            mnt=args.tree,
            pid=self.pids,
            ipc=self.root_ipc_namespace,
            uts=self.root_uts_namespace,
            net=self.network,
            user=INITIAL,
        )
        self.initialized = True

    # -- create

    def new_mm(self, group: "ThreadGroup | None" = None, limits: "LimitSet | None" = None) -> MemoryManager:
        """Return an address space with nothing in it. Raises: EAGAIN, ENOMEM."""
        if group is not None:
            limits = group.limits
        assert limits is not None
        return MemoryManager(self.platform.new_space(), self.memory, limits, self.futexes.fork())

    def create_process(self, args: CreateProcessArgs) -> tuple[ThreadGroup, int]:
        """Make a process that waits for `start`, or for `start_process` afterwards (gVisor: CreateProcess).

        The first one that succeeds is init for ever. It has no parent and leads its own session.

        Raises: StateError without arguments, or with a relative argv[0] and nothing else to run; LinuxError as
        execve(2).
        """
        if not args.argv:
            message = "a process needs at least one argument"
            raise StateError(message)
        filename = args.filename or args.argv[0]
        if args.file is None and not filename.startswith(b"/"):
            message = f"{os.fsdecode(filename)!r} is not an absolute path"
            raise StateError(message)
        image = open_program(
            self, args.fs, args.creds, args.limits, filename, list(args.argv), list(args.envv), args.file
        )
        mm = self.new_mm(limits=args.limits)
        try:
            start = image.map_into(mm)
            context = self.platform.new_context(mm.space)
        except LinuxError:
            mm.release()
            raise
        tgid = self.pids.allocate()
        group = ThreadGroup(self, tgid, None, args.limits)
        group.container_id = args.container_id
        self.pids.groups[tgid] = group
        task = Task(self, group, tgid, self.ns)
        task.context = context
        task.mm = mm
        task.files = args.files
        task.fs = args.fs
        task.creds = image.creds
        task.comm = image.comm
        group.leader = task
        group.tasks.append(task)
        self.pids.tasks[tgid] = task
        self.loop.tasks[context.index] = task
        context.set_fpu(b"")
        context.set_regs(initial_regs(start.entry, start.stack_pointer))
        if self.global_init is None:
            self.global_init = group
        return group, tgid

    # -- run

    def start(self) -> None:
        """Let the created processes run as soon as the loop does (gVisor: Start).

        Raises: StateError the second time, or when there is no process.
        """
        if self.started:
            message = "the kernel has been started already"
            raise StateError(message)
        if not self.pids.tasks:
            message = "there is no process to start"
            raise StateError(message)
        self.started = True
        self.vdso.begin()
        for task in self.pids.tasks.values():
            task.context.resume()

    def start_process(self, group: ThreadGroup) -> None:
        """Let a process that was created after `start` run."""
        for task in group.tasks:
            task.context.resume()

    def wait_exited(self) -> None:
        """Serve the guests until the last task has exited; on the kernel thread."""
        self.loop.run()

    def kill(self, status: int) -> None:
        """Mark every group as exiting with a wait status and kill all; from any thread; does not wait."""
        with self.ext_mu:
            self.loop.call_soon(lambda: self._kill_all(status))

    def _kill_all(self, status: int) -> None:
        for group in self.pids:
            self.exits.begin_group_exit(group, status)

    def init_exited(self, init: ThreadGroup) -> None:
        """Kill everything else: the namespace ends with its init."""
        for group in self.pids:
            if group is not init:
                self.exits.begin_group_exit(group, SIGKILL)

    # -- signals from outside

    def send_external_signal(self, signo: int) -> None:
        """Send a signal to init's group as if from outside (gVisor: SendExternalSignal); from any thread."""
        with self.ext_mu:
            self.loop.call_soon(lambda: self.host_signal(signo, forward=True))

    def send_container_signal(self, container_id: str, signo: int) -> None:
        """Send a signal to the group leaders of a container, on the kernel thread.

        Raises: ESRCH when it has none; else the last error.
        """
        found = [g for g in self.pids if g.container_id == container_id and g.tasks]
        if not found:
            raise ESRCH
        for group in found:
            self.signals.send_group(group, SigInfo(signo, SI_KERNEL))

    def host_signal(self, signo: int, *, forward: bool = False) -> None:
        """Take a signal that the host sent to the sentry.

        The owner of the sandbox decides, else init gets it. What a terminal's keys cause (SIGINT, SIGQUIT) goes to
        the whole process group of init, as on the host: a waiting shell leaves the decision to its command.
        """
        if self.on_host_signal is not None and not forward:
            self.on_host_signal(signo)
        elif self.global_init is not None:
            init = self.global_init
            groups = list(init.pgrp.members.values()) if signo in {SIGINT, SIGQUIT} else [init]
            for group in groups:
                self.signals.send_group(group, SigInfo(signo, SI_USER))

    def foreground_groups(self, session: "Session") -> list[ThreadGroup]:
        """Return the groups in the foreground of a session's terminal."""
        tty = session.tty
        pgrp = self.pids.pgrps.get(getattr(tty, "foreground", 0))
        return list(pgrp.members.values()) if pgrp is not None else []

    def caller_ns(self) -> NSProxy:
        """Return the namespaces of the task whose call is under way, the initial ones outside of a call."""
        task = self.loop.current
        return self.ns if task is None else task.ns

    # -- pausing

    def pause(self) -> None:
        """Stop all guest code and serve no call until `unpause`; from any other thread, or before `wait_exited`. Nests.

        Nobody inside notices: no call is interrupted. Time goes on.
        """
        with self.ext_mu:
            count = self.freezer.pause
        count()

    def unpause(self) -> None:
        """End one pause. Raises: RuntimeError without one."""
        with self.ext_mu:
            self.freezer.unpause()

    # -- what calls ask for

    def unimplemented(self, task: Task, nr: int) -> int:
        """Answer a call that does not exist here: ENOSYS, and it is reported."""
        self.emit_unimplemented_event(task)
        if self.on_unimplemented is not None:
            self.on_unimplemented(task, nr)
        return -ENOSYS.errno

    def syslog(self) -> bytes:
        """Return the kernel's log: made once, then constant."""
        if not self._syslog:
            lines = (b"Linux version %s (%s)" % (RELEASE, VERSION), b"Command line: sentry", b"Ready!")
            self._syslog = b"".join(b"<6>[    %d.000000] %s\n" % (i, line) for i, line in enumerate(lines))
        return self._syslog

    def record_socket(self, socket: "Socket") -> int:
        """Remember a socket, weakly, under the next id; return the id."""
        self._socket_id += 1
        self.sockets[self._socket_id] = socket
        return self._socket_id

    def list_sockets(self) -> "list[tuple[int, Socket]]":
        """Return the sockets that are still there, by rising id."""
        return sorted(self.sockets.items())

    def supervisor_context(self) -> "KernelContext":
        """Return the context of work that no task asked for: root, without limits."""
        return KernelContext(self, self.root_creds, LimitSet())

    def unique_id(self) -> int:
        """Return the next of a sequence of ids, from 1 on."""
        self._unique_id += 1
        return self._unique_id

    def generate_inotify_cookie(self) -> int:
        """Return the next inotify cookie: 32 bits, never 0."""
        return self.vfs.fsnotify_get_cookie()

    def is_executed(self, inode: "Inode") -> bool:
        """Return whether a living process executes the file: it is then not to be written to."""
        for task in self.loop.tasks.values():
            exe = task.mm.exe
            if isinstance(exe, Path) and exe.dentry.inode is inode:
                return True
        return False

    def save_error(self) -> Exception | None:
        """Return the first error that was set."""
        return self._save_error

    def set_save_error(self, error: Exception) -> None:
        """Keep an error, if it is the first."""
        if self._save_error is None:
            self._save_error = error

    def now_nanoseconds(self) -> int:
        """Return the real time."""
        return self.clock.realtime_ns()

    def now_monotonic(self) -> int:
        """Return the monotonic time."""
        return self.clock.monotonic_ns()

    def cpu_clock_now(self) -> int:
        """Return the CPU clock: ticks of 10 ms since the host's boot."""
        return self.clock.monotonic_ns() // CLOCK_TICK_NS

    @property
    def memory_file(self) -> "MemoryFile":
        """The memory file."""
        return self.memory

    def set_memory_file(self, memory: "MemoryFile") -> None:
        """Take a memory file instead of the first one. Raises: StateError once there are processes."""
        if self.pids.tasks:
            message = "the memory file cannot be changed under running processes"
            raise StateError(message)
        self.memory = memory
        self.vdso = Vdso(self)

    @property
    def task_set(self) -> PIDNamespace:
        """All tasks and groups: the root PID namespace."""
        return self.pids

    @property
    def timekeeper(self) -> KernelClock:
        """The clocks."""
        return self.clock

    @property
    def realtime_clock(self) -> "Callable[[], int]":
        """The real-time clock: call it for nanoseconds."""
        return self.clock.realtime_ns

    @property
    def monotonic_clock(self) -> "Callable[[], int]":
        """The monotonic clock: call it for nanoseconds."""
        return self.clock.monotonic_ns

    @property
    def feature_set(self) -> "FeatureSet":
        """The CPU as guests see it: the host's, since their code runs on it."""
        from sentry_cpuid import host_features  # noqa: PLC0415  (0.7 ms, and few ask)

        return host_features()

    @property
    def network_stack(self) -> "Network":
        """The network namespace."""
        return self.network

    def emit_unimplemented_event(self, task: Task) -> None:
        """Tell of a call that does not exist here, at most 100 a second and 1000 at once."""
        if self.events is not None:
            self.events.unimplemented(task)

    def close(self) -> None:
        """Kill every stub and give the memory back; idempotent."""
        self.platform.close()
        self.memory.close()
