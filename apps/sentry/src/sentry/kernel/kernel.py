"""The kernel object, with the operations of gVisor's `kernel.Kernel`: from outside, one record of state and one loop.

Guests are served on one kernel thread, the one that made the platform; it runs most operations. `kill`, `pause`,
`unpause`, `send_external_signal`, `save_error` and `set_save_error` may be called from any thread: `ext_mu` orders
them.
Lock order: `ext_mu` alone.
"""

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.binprm import BinPrm, open_program
from sentry.kernel.clocks import KernelClock
from sentry.kernel.cputimers import CpuTicker
from sentry.kernel.fork import Parts, new_mm, new_task
from sentry.kernel.instruments import unimplemented
from sentry.kernel.loop import Loop
from sentry.kernel.namespaces import IPCNamespace, NetNamespace, UTSNamespace
from sentry.kernel.send import send_group, send_pgrp
from sentry.kernel.siginfo import SigInfo
from sentry.kernel.signal import start_group_exit
from sentry.kernel.state import KernelState, NSProxy, PIDNamespace, ThreadGroup
from sentry.kernel.terminals import Terminals
from sentry.kernel.vdso import Vdso
from sentry.kernel.watcher import Watcher
from sentry_abi.errors import ENOTDIR, ESRCH, LinuxError
from sentry_abi.signal import SI_KERNEL, SI_USER, SIGINT, SIGQUIT
from sentry_arch import initial_regs
from sentry_auth import root_credentials
from sentry_limits import LimitSet
from sentry_vfs import FOLLOW, FSContext, VirtualFilesystem, filename_lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sentry.kernel.instrument import Instrument
    from sentry.kernel.pending import Bound
    from sentry.kernel.state import Task
    from sentry_auth import Credentials, UserNamespace
    from sentry_cpuid import FeatureSet
    from sentry_host import Host
    from sentry_netlink_port import Manager as NetlinkPorts
    from sentry_pgalloc import MemoryFile
    from sentry_platform import Platform
    from sentry_sockets import AbstractSocketNamespace, Socket
    from sentry_vfs import FDTable, FileDescription, MountNamespace, Path

CLOCK_TICK_NS: Final = 10_000_000


class InitKernelArgs(NamedTuple):
    """What a kernel is made of (gVisor: InitKernelArgs)."""

    feature_set: "FeatureSet | Callable[[], FeatureSet] | None"
    """The CPU as guests see it, or a function that returns it, called when it is first asked for."""
    timekeeper: KernelClock | None
    """The clocks of all tasks."""
    root_user_namespace: "UserNamespace | None"
    application_cores: int
    """CPUs that guests see, numbered from 0 (nr_cpu_ids)."""
    table: "Sequence[Bound]" = ()
    """The system calls by number. Differs: gVisor finds it by architecture."""
    use_host_cores: bool = False
    """Raise `application_cores` to the most CPUs that the host can have."""
    extra_auxv: "Sequence[tuple[int, int]]" = ()
    """Entries that every program's auxiliary vector has besides those of the loader."""
    vdso: Vdso | None = None
    """The vDSO and its parameter page; None: programs have none."""
    network_stack: NetNamespace | None = None
    """The initial network namespace; None: unix sockets alone."""
    root_abstract_socket_namespace: "AbstractSocketNamespace | None" = None
    root_uts_namespace: UTSNamespace | None = None
    root_ipc_namespace: IPCNamespace | None = None
    pid_namespace: PIDNamespace | None = None


class CreateProcessArgs(NamedTuple):
    """How a process begins (gVisor: CreateProcessArgs)."""

    argv: "Sequence[bytes]"
    envv: "Sequence[bytes]"
    credentials: "Credentials"
    fd_table: "FDTable"
    """The process takes a reference (`users`); the caller releases its own when it is done with the table."""
    limits: "LimitSet"
    filename: bytes = b""
    """File to run; else `file`; else argv[0], which must then be an absolute path."""
    file: "FileDescription | None" = None
    working_directory: bytes = b""
    """Initial working directory; the root if empty."""
    umask: int = 0o022
    max_symlink_traversals: int | None = None
    """Symbolic links followed at most on the way to the working directory, and again to the program; None: 40."""
    uts_namespace: UTSNamespace | None = None
    """None, for this and the next three: the kernel's root namespace."""
    ipc_namespace: IPCNamespace | None = None
    abstract_socket_namespace: "AbstractSocketNamespace | None" = None
    pid_namespace: PIDNamespace | None = None
    mount_namespace: "MountNamespace | None" = None
    """None: init's."""
    container_id: str = ""


class KernelContext(NamedTuple):
    """The caller of an operation: gVisor's context values, as one typed record."""

    kernel: KernelState
    credentials: "Credentials"
    limits: LimitSet
    ns: NSProxy | None
    root: "Path | None"
    """Where absolute paths begin; None before there is a mount namespace."""


class StateError(Exception):
    """An operation was called in the wrong state of the kernel: the message says which and why."""


class Kernel:
    """One emulated Linux kernel."""

    def __init__(self, platform: "Platform", memory: "MemoryFile", host: "Host") -> None:
        """Make a kernel on a platform, a memory file and a host; `init` completes it."""
        self.platform: Final = platform
        self.host: Final = host
        self.memory = memory
        self.vfs: Final = VirtualFilesystem(host)
        self.watcher: Final = Watcher(platform)
        self.on_host_signal: Callable[[int], None] | None = None
        """Takes the signals that the host sends to the sentry; None: init gets them."""
        self.state: KernelState
        self.loop: Loop
        self.terminals: Terminals
        self._initialized = False
        self._save_error: Exception | None = None

    # -- init

    def set_memory_file(self, memory: "MemoryFile") -> None:
        """Take a memory file instead of the first one (gVisor: SetMemoryFile). Raises: StateError after `init`."""
        if self._initialized:
            message = "the memory file cannot be changed after init"
            raise StateError(message)
        self.memory = memory

    def init(self, args: InitKernelArgs) -> None:
        """Complete the kernel, with no tasks (gVisor: Init).

        Raises: StateError if it was called before; without a feature set, a timekeeper, a root user namespace or
        application cores, in this order.
        """
        if self._initialized:
            message = "kernel already initialized"
            raise StateError(message)
        if args.feature_set is None:
            message = "feature_set is None"
            raise StateError(message)
        if args.timekeeper is None:
            message = "timekeeper is None"
            raise StateError(message)
        if args.root_user_namespace is None:
            message = "root_user_namespace is None"
            raise StateError(message)
        if args.application_cores < 1:
            message = "application_cores is 0"
            raise StateError(message)
        user = args.root_user_namespace
        state = KernelState(self.platform, self.memory, self.vfs, args.timekeeper, args.feature_set, user)
        self.vfs.programs = state
        state.table = args.table
        state.application_cores = args.application_cores
        if args.use_host_cores:
            state.use_host_cores = True
            state.application_cores = max(args.application_cores, self.host.possible_cpus)
        state.extra_auxv = tuple(args.extra_auxv)
        state.vdso = args.vdso
        state.root_pid_namespace = args.pid_namespace or PIDNamespace(user)
        state.root_uts_namespace = args.root_uts_namespace or UTSNamespace(b"sentry", b"(none)", user)
        state.root_ipc_namespace = args.root_ipc_namespace or IPCNamespace(user, state)
        net = args.network_stack or NetNamespace(user, internet=False)
        net.host = state
        abstract = args.root_abstract_socket_namespace
        state.network_stack = net if abstract is None else net.sharing(abstract)
        state.cpu_ticker = CpuTicker(state)
        self.state = state
        self.terminals = Terminals(state)
        self.loop = Loop(state, self.watcher, self._host_signal)
        self.ext_mu = self.loop.freezer.ext_mu
        self._initialized = True

    # -- create

    def create_process(self, args: CreateProcessArgs) -> tuple[ThreadGroup, int]:
        """Make a process that waits for `start`, or for `start_process` afterwards; on the kernel thread.

        The first one that succeeds is init. It has no parent and leads its own session (gVisor:
        CreateProcess). What to run: `filename`, else `file`, else argv[0].

        Raises: StateError without a mount namespace, a working directory, or anything to run; LinuxError as execve(2).
        """
        with self.ext_mu:
            ns = self._namespaces(args)
            fs = FSContext(ns.mnt.root, umask=args.umask)
            try:
                return self._create(args, ns, fs)
            except (LinuxError, StateError):
                fs.release()
                raise

    def _create(self, args: CreateProcessArgs, ns: NSProxy, fs: FSContext) -> tuple[ThreadGroup, int]:
        state = self.state
        if args.working_directory:
            fs.cwd = self._working_directory(args, fs)
        filename, file = args.filename, None
        if not filename:
            file = args.file
            filename = args.argv[0] if args.argv else b""
            if file is None:
                filename = _absolute(args.argv)
        request = BinPrm(
            fs,
            args.credentials,
            args.limits,
            filename,
            args.argv,
            args.envv,
            file,
            max_links=args.max_symlink_traversals,
        )
        program = open_program(state, request)
        try:
            tgid = ns.pid.allocate()
            mm = new_mm(state, args.limits)
        except LinuxError:
            program.close()
            raise
        try:
            start = program.map_into(mm)
            context = state.platform.new_context(mm.space)
        except LinuxError:
            mm.release()
            raise
        args.fd_table.users += 1
        group = ThreadGroup(state, ns.pid, tgid, None, args.limits)
        group.container_id = args.container_id
        new_task(group, tgid, ns, Parts(context, mm, args.fd_table, fs, program.creds, program.comm))
        context.set_fpu(b"")
        context.set_regs(initial_regs(start.entry, start.stack_pointer))
        if state.global_init is None:
            state.global_init = group
        return group, tgid

    def _namespaces(self, args: CreateProcessArgs) -> NSProxy:
        state = self.state
        abstract = args.abstract_socket_namespace
        mnt = args.mount_namespace
        if mnt is None:
            if state.global_init is None:
                message = "no mount namespace: there is no init to take it from"
                raise StateError(message)
            mnt = state.init_task().ns.mnt
        elif mnt.user_namespace is None:
            mnt.user_namespace = state.root_user_namespace
        return NSProxy(
            mnt=mnt,
            pid=args.pid_namespace or state.root_pid_namespace,
            ipc=args.ipc_namespace or state.root_ipc_namespace,
            uts=args.uts_namespace or state.root_uts_namespace,
            net=state.network_stack if abstract is None else state.network_stack.sharing(abstract),
            user=state.root_user_namespace,
        )

    @staticmethod
    def _working_directory(args: CreateProcessArgs, fs: FSContext) -> "Path":
        """Look up the initial working directory. Raises: StateError."""
        try:
            where = filename_lookup(
                None, args.working_directory, fs, args.credentials, FOLLOW, args.max_symlink_traversals
            )
            if not where.dentry.positive().is_dir:
                raise ENOTDIR
        except LinuxError as error:
            name, reason = os.fsdecode(args.working_directory), os.strerror(error.errno)
            message = f"failed to find initial working directory {name!r}: {reason}"
            raise StateError(message) from error
        return where

    # -- run

    def start(self) -> None:
        """Make the created processes runnable (gVisor: Start).

        Raises: StateError when there is no process, or the second time.
        """
        with self.ext_mu:
            state = self.state
            if state.global_init is None:
                message = "kernel contains no tasks"
                raise StateError(message)
            if state.started:
                message = "kernel already started"
                raise StateError(message)
            state.started = True
            if isinstance(state.vdso, Vdso):
                state.vdso.begin(state.timers)
            for task in state.root_pid_namespace.tasks.values():
                task.context.resume()

    def start_process(self, group: ThreadGroup) -> None:
        """Let a process that was created after `start` run (gVisor: StartProcess)."""
        group.leader.context.resume()

    def wait_exited(self) -> None:
        """Serve the guests until the last task has exited (gVisor: WaitExited); on the kernel thread."""
        self.loop.run()

    def kill(self, status: int) -> None:
        """Start the exit of every group with a wait status (gVisor: Kill); from any thread; does not wait."""
        with self.ext_mu:
            self.loop.call_soon(lambda: self._kill_all(status))

    def _kill_all(self, status: int) -> None:
        for group in self.state.root_pid_namespace:
            start_group_exit(group, status)

    # -- pausing

    def pause(self) -> None:
        """Stop all guest code and serve no call until `unpause`; from any thread. Nests (gVisor: Pause).

        It is invisible inside: no call is interrupted. Time goes on.
        """
        self.loop.freezer.pause()

    def unpause(self) -> None:
        """End one pause; from any thread (gVisor: Unpause). Raises: RuntimeError without one."""
        self.loop.freezer.unpause()

    # -- signals from outside

    def send_external_signal(self, signo: int) -> None:
        """Send a signal to init's group as if from outside (gVisor: SendExternalSignal); from any thread."""
        with self.ext_mu:
            self.loop.call_soon(lambda: self.signal_init(signo))

    def send_container_signal(self, container_id: str, signo: int) -> None:
        """Send a signal to the processes of a container, on the kernel thread (gVisor: SendContainerSignal).

        Raises: ESRCH when it has none; else the last error.
        """
        with self.ext_mu:
            found = [g for g in self.state.root_pid_namespace if g.container_id == container_id and g.tasks]
            error: LinuxError | None = None if found else ESRCH()
            for group in found:
                try:
                    send_group(group, SigInfo(signo, SI_KERNEL))
                except LinuxError as failure:
                    error = failure
            if error is not None:
                raise error

    def _host_signal(self, signo: int) -> None:
        """Take a signal that the host sent to the sentry: the owner of the sandbox decides, else init gets it."""
        if self.on_host_signal is not None:
            self.on_host_signal(signo)
        else:
            self.signal_init(signo)

    def signal_init(self, signo: int) -> None:
        """Send init a signal from outside, on the kernel thread.

        What a terminal's keys cause (SIGINT, SIGQUIT) goes to the whole process group of init, as on the host: a
        waiting shell leaves the decision to its command.
        """
        init = self.state.global_init
        if init is not None:
            info = SigInfo(signo, SI_USER)
            if signo in (SIGINT, SIGQUIT):
                send_pgrp(init.pgrp, info)
            else:
                send_group(init, info)

    # -- accessors

    @property
    def feature_set(self) -> "FeatureSet":
        """The CPU as guests see it."""
        return self.state.feature_set

    @property
    def timekeeper(self) -> KernelClock:
        """The clocks."""
        return self.state.clock

    @property
    def task_set(self) -> PIDNamespace:
        """All tasks and groups."""
        return self.state.root_pid_namespace

    @property
    def root_user_namespace(self) -> "UserNamespace":
        """The root user namespace."""
        return self.state.root_user_namespace

    @property
    def root_uts_namespace(self) -> UTSNamespace:
        """The root UTS namespace."""
        return self.state.root_uts_namespace

    @property
    def root_ipc_namespace(self) -> IPCNamespace:
        """The root IPC namespace."""
        return self.state.root_ipc_namespace

    @property
    def root_pid_namespace(self) -> PIDNamespace:
        """The root PID namespace."""
        return self.state.root_pid_namespace

    @property
    def root_abstract_socket_namespace(self) -> "AbstractSocketNamespace":
        """The abstract names of unix sockets."""
        return self.state.network_stack.stack.abstract

    @property
    def network_stack(self) -> NetNamespace:
        """The initial network namespace."""
        return self.state.network_stack

    @property
    def global_init(self) -> ThreadGroup | None:
        """The process with id 1, also after it has exited; None before there is one."""
        return self.state.global_init

    @property
    def application_cores(self) -> int:
        """The number of CPUs that guests see."""
        return self.state.application_cores

    @property
    def netlink_ports(self) -> "NetlinkPorts":
        """The netlink port ids."""
        return self.state.netlink_ports

    @property
    def memory_file(self) -> "MemoryFile":
        """The memory file."""
        return self.memory

    @property
    def realtime_clock(self) -> "Callable[[], int]":
        """The real-time clock: call it for nanoseconds."""
        return self.state.clock.realtime_ns

    @property
    def monotonic_clock(self) -> "Callable[[], int]":
        """The monotonic clock: call it for nanoseconds."""
        return self.state.clock.monotonic_ns

    def now_nanoseconds(self) -> int:
        """Return the real time."""
        return self.state.clock.realtime_ns()

    def now_monotonic(self) -> int:
        """Return the monotonic time."""
        return self.state.clock.monotonic_ns()

    def cpu_clock_now(self) -> int:
        """Return the CPU clock: ticks of 10 ms of the monotonic clock.

        Differs: gVisor counts ticks while the kernel runs; the host counts CPU time here.
        """
        return self.state.clock.monotonic_ns() // CLOCK_TICK_NS

    def syslog(self) -> bytes:
        """Return the kernel's log."""
        return self.state.syslog()

    def unique_id(self) -> int:
        """Return the next of a sequence of ids, from 1 on."""
        self.state.last_unique_id += 1
        return self.state.last_unique_id

    def generate_inotify_cookie(self) -> int:
        """Return the next inotify cookie: 32 bits, never 0."""
        return self.vfs.fsnotify_get_cookie()

    def record_socket(self, socket: "Socket") -> int:
        """Add a socket to the table of all open sockets; return its entry number, from 0 on."""
        return self.state.record_socket(socket)

    def list_sockets(self) -> "list[tuple[int, Socket]]":
        """Return the sockets that are still open, by rising entry number."""
        return self.state.open_sockets()

    def emit_unimplemented_event(self, task: "Task", nr: int) -> None:
        """Report an unimplemented call to the instrument, if there is one."""
        unimplemented(task, nr)

    def supervisor_context(self) -> KernelContext:
        """Return the context of the kernel's own work: root, without limits (gVisor: SupervisorContext)."""
        state = self.state
        ns = state.init_task().ns if state.global_init is not None else None
        root = ns.mnt.root if ns is not None else None
        return KernelContext(state, root_credentials(state.root_user_namespace), LimitSet(), ns, root)

    def process_context(self, args: CreateProcessArgs) -> KernelContext:
        """Return the context of a process that is being made (gVisor: CreateProcessArgs.NewContext)."""
        ns = self._namespaces(args)
        return KernelContext(self.state, args.credentials, args.limits, ns, ns.mnt.root)

    def save_error(self) -> Exception | None:
        """Return the first error that was set; from any thread."""
        with self.ext_mu:
            return self._save_error

    def set_save_error(self, error: Exception) -> None:
        """Keep an error that ends a save, if it is the first; from any thread."""
        with self.ext_mu:
            if self._save_error is None:
                self._save_error = error

    @property
    def instrument(self) -> "Instrument[Task] | None":
        """The instrument that watches the kernel, if any."""
        return self.state.instrument

    def close(self) -> None:
        """Kill every stub, close what is open of the host's files, and give the memory back; idempotent."""
        self.platform.close()
        self.vfs.close()
        self.memory.close()


def _absolute(argv: "Sequence[bytes]") -> bytes:
    """Return argv[0], the program of a process that names no other. Raises: StateError."""
    if not argv:
        message = "no filename or command provided"
        raise StateError(message)
    if not argv[0].startswith(b"/"):
        message = f"{os.fsdecode(argv[0])!r} is not an absolute path"
        raise StateError(message)
    return argv[0]
