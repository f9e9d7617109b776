"""`sentry do`: one command of the host in a sandbox of its own, from options to exit status.

The order matters for what a failure says and leaves behind: limits of the host are raised, the platform is made while
the process has one thread, then memory and files, then the kernel; whatever happens, the platform kills and reaps its
stubs first.
"""

import gc
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Final

from sentry.failures import HostFailure, ProgramMissingFailure, ProgramUnusableFailure, UsageFailure
from sentry.kernel.clocks import KernelClock
from sentry.kernel.instruments import add_instrument
from sentry.kernel.kernel import CreateProcessArgs, InitKernelArgs, Kernel
from sentry.kernel.namespaces import UTSNamespace
from sentry.kernel.state import Instrument
from sentry.kernel.vdso import Vdso
from sentry.procfs import mount_proc
from sentry.syscalls.table import all_handlers, amd64
from sentry.volumes import environment, make_tree, mount_volumes
from sentry_abi.errors import EACCES, ENOENT, ENOTDIR, LinuxError
from sentry_auth import INITIAL, user_credentials
from sentry_cpuid import host_features
from sentry_fs import (
    Devpts,
    HostFile,
    HostFilesystem,
    mount_at,
    set_terminal,
    show_terminal,
)
from sentry_host import Host, real_host
from sentry_limits import LimitSet
from sentry_pgalloc import MemoryFile
from sentry_platform import PlatformError, UnknownPlatformError, open_platform, probe_platforms
from sentry_vfs import EXECUTE, FDTable, FSContext, d_path, filename_lookup, path_permission

if TYPE_CHECKING:
    from sentry.console import Console
    from sentry.kernel.events import Events
    from sentry.kernel.state import Task, ThreadGroup
    from sentry.options import Options
    from sentry_auth import Credentials
    from sentry_platform import Platform
    from sentry_vfs import MountNamespace

SIGNALS_PASSED_ON: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
DEFAULT_PATH: Final = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SIGNALED: Final = 128


def run_command(argv: list[bytes], options: "Options") -> int:
    """Run a command; return its exit status, 128 + n if signal n ended it.

    Raises: UsageFailure, HostFailure, ProgramMissingFailure, ProgramUnusableFailure.
    """
    cwd = b"/" if options.rootfs is not None else working_directory()
    host = real_host()
    raise_host_limits()
    platform = start_platform(options.platform)
    try:
        return _run(platform, argv, cwd, host, options)
    finally:
        platform.close()


def _run(platform: "Platform", argv: list[bytes], cwd: bytes, host: Host, options: "Options") -> int:
    try:
        memory = MemoryFile()
    except OSError as error:
        message = f"no memory file can be made: {error.strerror or error}"
        raise HostFailure(message) from error
    kernel = Kernel(platform, memory, host)
    creds = user_credentials(os.getuid(), os.getgid(), tuple(sorted(os.getgroups())))
    tree = make_tree(kernel.vfs, memory, cwd, options.rootfs)
    clock = KernelClock(host)
    kernel.init(
        InitKernelArgs(
            feature_set=host_features(),
            timekeeper=clock,
            root_user_namespace=INITIAL,
            application_cores=host.online_cpus,
            table=amd64(),
            vdso=Vdso(memory, platform, clock),
            root_uts_namespace=UTSNamespace(os.uname().nodename.encode(), b"(none)", INITIAL),
        )
    )
    mount_proc(kernel.state, tree)
    mount_terminals(kernel, tree)
    mount_volumes(kernel.vfs, tree, memory, options.volumes)
    if options.workdir is not None:
        cwd = os.path.join(cwd, os.fsencode(options.workdir))  # noqa: PTH118  (bytes)
    if options.torture:
        from sentry.kernel.torture import Torture  # noqa: PLC0415  (for tests alone)

        kernel.state.torture = Torture()
    report = _Report(kernel, options)
    fs = FSContext(tree.root, umask=_umask())
    try:
        fs.cwd = filename_lookup(None, cwd, fs, creds)
        if not fs.cwd.dentry.positive().is_dir:
            raise ENOTDIR
    except LinuxError as error:
        message = f"the working directory {os.fsdecode(cwd)!r} cannot be used inside: {describe(error)}"
        raise UsageFailure(message) from error
    console = None
    if options.tty:
        from sentry.console import Console  # noqa: PLC0415  (only where asked for)

        console = Console(kernel)
        files = FDTable()
        console.start(files, fs)
    else:
        files = standard_files(kernel, tree, options.closed)
    try:
        return _serve(
            kernel, tree, argv, creds, files, fs, host.limits.copy(), report, console, environment(options.env)
        )
    finally:
        if console is not None:
            console.stop()


def _serve(
    kernel: Kernel,
    tree: "MountNamespace",
    argv: list[bytes],
    creds: "Credentials",
    files: FDTable,
    fs: FSContext,
    limits: LimitSet,
    report: "_Report",
    console: "Console | None",
    variables: dict[bytes, bytes],
) -> int:
    path = find_program(fs, creds, argv[0], variables.get(b"PATH", DEFAULT_PATH))
    envv = [key + b"=" + value for key, value in variables.items()]
    args = CreateProcessArgs(
        argv,
        envv,
        creds,
        files,
        limits,
        path,
        working_directory=d_path(fs.cwd),
        umask=fs.umask,
        mount_namespace=tree,
    )
    try:
        group, _ = kernel.create_process(args)
    except LinuxError as error:
        raise _unusable(argv[0], error) from error
    files.release()
    group.leader.nice = os.getpriority(os.PRIO_PROCESS, 0)
    for signo in SIGNALS_PASSED_ON:
        if signal.getsignal(signo) is not signal.SIG_IGN:
            kernel.platform.catch(signo)
    if console is not None:
        take_console(kernel, console, group)
    gc.freeze()  # what there is by now stays: modules, classes, the table
    gc.enable()
    gc.set_threshold(50_000, 50, 100)
    kernel.start()
    kernel.wait_exited()
    report.finish()
    status = group.exit_status
    return SIGNALED + (status & 0x7F) if status & 0x7F else status >> 8


def mount_terminals(kernel: Kernel, mnt: "MountNamespace") -> None:
    """Put devpts at its place, and let /dev/tty open the caller's terminal."""
    terminals = kernel.terminals
    devpts = terminals.devpts = Devpts(kernel.vfs, terminals)
    mount_at(mnt, b"/dev/pts", (devpts, devpts.root), 2 | 8)
    set_terminal(mnt, terminals)


def take_console(kernel: Kernel, console: "Console", group: "ThreadGroup") -> None:
    """Make the console the controlling terminal of the command, and let the window's size follow."""
    kernel.terminals.attach(console.tty, group)
    kernel.platform.catch(signal.SIGWINCH)

    def passed_on(signo: int) -> None:
        if signo == signal.SIGWINCH:
            console.resized()
        else:
            kernel.signal_init(signo)

    kernel.on_host_signal = passed_on


def start_platform(name: str) -> "Platform":
    """Start the platform of a name of `PLATFORMS`.

    Raises: HostFailure if it does not work here, UsageFailure if this version does not have it.
    """
    try:
        return open_platform(name)
    except UnknownPlatformError as error:
        raise UsageFailure(str(error)) from error
    except PlatformError as error:
        raise HostFailure(str(error)) from error


def platforms_report() -> str:
    """Return a line per platform: whether it works on this host, and why not."""
    return "\n".join(f"{name:7} {result.verdict()}" for name, result in probe_platforms().items())


def working_directory() -> bytes:
    """Return the working directory. Raises: UsageFailure if it is gone or may not be entered."""
    try:
        return os.getcwdb()  # noqa: PTH109  (bytes, which Path does not give)
    except OSError as error:
        message = f"the working directory cannot be used: {os.strerror(error.errno or 0)}"
        raise UsageFailure(message) from error


def raise_host_limits() -> None:
    """Raise the soft limits that stubs, descriptors and the memory file meet to the hard ones."""
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_AS):
        soft, hard = resource.getrlimit(limit)
        if soft != hard:
            resource.setrlimit(limit, (hard, hard))


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def standard_files(kernel: Kernel, mnt: "MountNamespace", closed: int) -> FDTable:
    """Return a table with the descriptors 0 to 2 of the sentry that were open when it started."""
    files = FDTable()
    fs = HostFilesystem(kernel.vfs)
    for fd in range(3):
        if not closed >> fd & 1:
            file = HostFile(fd, kernel.watcher, fs)
            files.install_at(file, fd)
            if file.is_terminal:
                kernel.terminals.fallback = file
                show_terminal(mnt, file)
    return files


def find_program(fs: FSContext, creds: "Credentials", name: bytes, path: bytes) -> bytes:
    """Return the path of a command as execvp(3) finds it.

    Raises: ProgramMissingFailure, ProgramUnusableFailure.
    """
    if b"/" in name:
        try:
            filename_lookup(None, name, fs, creds)
        except LinuxError as error:
            raise _unusable(name, error) from error
        return name if name.startswith(b"/") else d_path(fs.cwd).rstrip(b"/") + b"/" + name
    denied: LinuxError | None = None
    for directory in path.split(b":"):
        candidate = (directory or b".") + b"/" + name
        try:
            where = filename_lookup(None, candidate, fs, creds)
            if where.dentry.positive().is_dir:
                continue
            path_permission(where, EXECUTE, creds)
        except (ENOENT, ENOTDIR):
            continue
        except LinuxError as error:
            denied = error
            continue
        return candidate if candidate.startswith(b"/") else d_path(fs.cwd).rstrip(b"/") + b"/" + candidate
    raise _unusable(name, denied or ENOENT())


def _unusable(name: bytes, error: LinuxError) -> Exception:
    text = os.fsdecode(name)
    if isinstance(error, ENOENT | ENOTDIR):
        return ProgramMissingFailure(f"{text}: not found")
    if isinstance(error, EACCES):
        return ProgramUnusableFailure(f"{text}: permission denied")
    return ProgramUnusableFailure(f"{text}: cannot be executed: {describe(error)}")


def describe(error: LinuxError) -> str:
    """Return an error in words, as the C library has them."""
    return os.strerror(error.errno)


def open_events(path: str) -> "Events":
    """Return the events of a kernel that go to a Unix socket or a file. Raises: UsageFailure."""
    import socket  # noqa: PLC0415  (only where asked for)
    import stat  # noqa: PLC0415  (as above)

    from sentry.kernel.events import Events  # noqa: PLC0415  (as above)
    from sentry_eventchannel import SocketEmitter  # noqa: PLC0415  (as above)

    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH110, PTH116  (start-up: no pathlib)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as made:
                made.connect(path)
                fd = made.detach()
        else:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        message = f"--events {path}: {os.strerror(error.errno or 0)}"
        raise UsageFailure(message) from error
    return Events(SocketEmitter(fd))


class _Report(Instrument):
    """Counts calls that do not exist here: for the debug log, and for a line at the end."""

    __slots__ = ("_kernel", "_log", "_missing", "_show")

    def __init__(self, kernel: Kernel, options: "Options") -> None:
        """Watch a kernel, with whatever else the options ask for."""
        self._missing: dict[int, int] = {}
        self._show = options.debug
        self._log = -1
        if options.debug_log is not None:
            try:
                self._log = os.open(options.debug_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                message = f"--debug-log {options.debug_log}: {os.strerror(error.errno or 0)}"
                raise UsageFailure(message) from error
        self._kernel = kernel
        add_instrument(kernel.state, self)
        if options.events is not None:
            add_instrument(kernel.state, open_events(options.events))
        if options.strace:
            from sentry.strace import Strace  # noqa: PLC0415  (only where asked for)

            add_instrument(kernel.state, Strace(all_handlers()))

    def unimplemented(self, task: "Task", nr: int) -> None:
        """Note a call that does not exist here."""
        if nr not in self._missing:
            self._missing[nr] = 0
            if self._log >= 0:
                text = f"[{task.group.tgid}] {os.fsdecode(task.comm)}: call {call_name(nr)} is not implemented\n"
                os.write(self._log, text.encode(errors="replace"))
        self._missing[nr] += 1

    def finish(self) -> None:
        """Print what was missing, and end the events."""
        instrument = self._kernel.instrument
        if instrument is not None:
            instrument.close()
        if self._show and self._missing:
            names = ", ".join(f"{call_name(nr)} ({count})" for nr, count in sorted(self._missing.items()))
            sys.stderr.write(f"sentry: calls that are not implemented: {names}\n")


def call_name(nr: int) -> str:
    """Return the name of a call's number."""
    from sentry_abi.numbers import AMD64  # noqa: PLC0415  (reports alone)

    return AMD64.get(nr, f"number {nr}")
