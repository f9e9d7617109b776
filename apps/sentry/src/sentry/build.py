"""From a spec to a kernel with a process that waits for its start.

The order matters for what a failure reports and leaves behind: limits of the host are raised, the platform is made
while the process has one thread, then memory and files, then the kernel.
"""

import os
import resource
from typing import TYPE_CHECKING

from sentry.failures import HostFailure, UsageFailure
from sentry.kernel.clocks import KernelClock
from sentry.kernel.kernel import CreateProcessArgs, InitKernelArgs, Kernel
from sentry.kernel.namespaces import NetNamespace, UTSNamespace
from sentry.kernel.vdso import Vdso
from sentry.procfs import mount_proc
from sentry.programs import describe, find_program, unusable
from sentry.report import Report
from sentry.syscalls.table import amd64
from sentry.volumes import environment, make_tree, mount_volumes
from sentry_abi.errors import ENOTDIR, LinuxError
from sentry_abi.mount import MS_NOEXEC, MS_NOSUID
from sentry_auth import INITIAL, Credentials, user_credentials
from sentry_fs import Devfs, Devpts, HostFile, HostFilesystem, mount_at, show_terminal
from sentry_host import KeptDescriptors, keep_descriptors
from sentry_pgalloc import MemoryFile
from sentry_platform import PlatformError, UnknownPlatformError, open_platform, probe_platforms
from sentry_vfs import FDTable, FSContext, d_path, filename_lookup

if TYPE_CHECKING:
    from sentry.console import Console
    from sentry.kernel.state import ThreadGroup
    from sentry.spec import SandboxSpec
    from sentry_cpuid import FeatureSet
    from sentry_host import Host
    from sentry_platform import Platform
    from sentry_vfs import MountNamespace

DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Machine:
    """A kernel that is complete but for `create`, which makes its init."""

    __slots__ = ("_credentials", "_files", "_fs", "_host", "_mnt", "_spec", "console", "kernel", "report")

    def __init__(self, spec: "SandboxSpec", platform: "Platform", host: "Host") -> None:
        """Make kernel, mounts, descriptors and what watches them.

        Raises: UsageFailure, HostFailure.
        """
        cwd = b"/" if spec.rootfs is not None else working_directory()
        self._spec = spec
        self._host = host
        self._credentials = _credentials()
        self.kernel = _kernel(platform, host)
        self.console: Console | None = None
        try:
            self._furnish(cwd)
        except BaseException:
            self.close()
            raise

    def _furnish(self, cwd: bytes) -> None:
        """Make mounts, descriptors and what watches the kernel. Raises: as `__init__`."""
        spec, kernel = self._spec, self.kernel
        devfs = Devfs(kernel.vfs, kernel.memory)
        devfs.terminal = kernel.terminals
        self._mnt = mnt = make_tree(kernel.vfs, kernel.memory, cwd, spec.rootfs, devfs)
        mount_proc(kernel.state, mnt)
        devpts = _mount_devpts(kernel, mnt)
        mount_volumes(kernel.vfs, mnt, spec.volumes)
        if spec.workdir is not None:
            cwd = os.path.join(cwd, os.fsencode(spec.workdir))  # noqa: PTH118  (bytes)
        if spec.torture:
            from sentry.kernel.torture import Torture  # noqa: PLC0415  (for tests alone)

            kernel.state.torture = Torture()
        self.report = Report(kernel, spec)
        self._fs = _context(mnt, cwd, self._credentials)
        if spec.tty:
            self.console, self._files = _console(kernel, self._fs)
        else:
            self._files = _standard_files(kernel, devfs, devpts, spec.closed)

    def close(self) -> None:
        """Restore the terminal, and close everything that the kernel has open; its platform too."""
        if self.console is not None:
            self.console.stop()
        instrument = self.kernel.instrument
        if instrument is not None:
            instrument.close()
        self.kernel.close()

    def create(self) -> "ThreadGroup":
        """Make the process that the spec asks for, which `Kernel.start` lets run.

        Raises: UsageFailure, ProgramMissingFailure, ProgramUnusableFailure.
        """
        spec, fs = self._spec, self._fs
        variables = environment(spec.env)
        argv = [os.fsencode(word) for word in spec.argv]
        path = find_program(fs, self._credentials, argv[0], variables.get(b"PATH", DEFAULT_PATH))
        args = CreateProcessArgs(
            argv,
            [key + b"=" + value for key, value in variables.items()],
            self._credentials,
            self._files,
            self._host.limits.copy(),
            path,
            working_directory=d_path(fs.cwd),
            umask=fs.umask,
            mount_namespace=self._mnt,
        )
        try:
            group, _ = self.kernel.create_process(args)
        except LinuxError as error:
            raise unusable(argv[0], error, found=True) from error
        self._files.release()
        group.leader.nice = os.getpriority(os.PRIO_PROCESS, 0)
        return group


def _console(kernel: Kernel, fs: FSContext) -> "tuple[Console, FDTable]":
    """Return the host's terminal as one of the sandbox, and descriptors 0 to 2 of it. Raises: UsageFailure."""
    from sentry.console import Console  # noqa: PLC0415  (only where asked for)

    console = Console(kernel)
    files = FDTable()
    console.start(files, fs)
    return console, files


def _feature_set() -> "FeatureSet":
    """Return the host's CPU, since guest code runs on it."""
    with KeptDescriptors():
        from sentry_cpuid import host_features  # noqa: PLC0415  (2 ms, and most programs do not ask)

    return host_features()


def _kernel(platform: "Platform", host: "Host") -> Kernel:
    """Return an initialized kernel. Raises: HostFailure."""
    try:
        memory = MemoryFile()
    except OSError as error:
        message = f"no memory file can be made: {error.strerror or error}"
        raise HostFailure(message) from error
    kernel = Kernel(platform, memory, host)
    clock = KernelClock(host)
    kernel.init(
        InitKernelArgs(
            feature_set=_feature_set,
            timekeeper=clock,
            root_user_namespace=INITIAL,
            application_cores=host.online_cpus,
            table=amd64(),
            vdso=Vdso(memory, platform, clock),
            network_stack=NetNamespace(INITIAL),
            root_uts_namespace=UTSNamespace(os.uname().nodename.encode(), b"(none)", INITIAL),
        )
    )
    return kernel


def _credentials() -> Credentials:
    """Return those of the user who runs the sentry."""
    return user_credentials(os.getuid(), os.getgid(), tuple(sorted(os.getgroups())))


def _context(mnt: "MountNamespace", cwd: bytes, creds: Credentials) -> FSContext:
    """Return root, working directory and umask of the first process. Raises: UsageFailure."""
    mask = os.umask(0o022)
    os.umask(mask)
    fs = FSContext(mnt.root, umask=mask)
    try:
        fs.cwd = filename_lookup(None, cwd, fs, creds)
        if not fs.cwd.dentry.positive().is_dir:
            raise ENOTDIR
    except LinuxError as error:
        message = f"the working directory {os.fsdecode(cwd)!r} cannot be used inside: {describe(error)}"
        raise UsageFailure(message) from error
    return fs


def _mount_devpts(kernel: Kernel, mnt: "MountNamespace") -> Devpts:
    """Mount the devpts of the kernel's terminals, and return it."""
    terminals = kernel.terminals
    devpts = terminals.devpts = Devpts(kernel.vfs, terminals)
    mount_at(mnt, b"/dev/pts", (devpts, devpts.root), MS_NOSUID | MS_NOEXEC)
    return devpts


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


def raise_host_limits() -> dict[int, tuple[int, int]]:
    """Raise the soft limits that stubs, descriptors and the memory file meet to the hard ones; return those before."""
    before = {resource.RLIMIT_NOFILE: resource.getrlimit(resource.RLIMIT_NOFILE)}
    keep_descriptors()
    for limit in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_AS):
        soft, hard = resource.getrlimit(limit)
        if soft != hard:
            before[limit] = soft, hard
            resource.setrlimit(limit, (hard, hard))
    return before


def restore_host_limits(before: dict[int, tuple[int, int]]) -> None:
    """Set limits as they were."""
    for limit, values in before.items():
        resource.setrlimit(limit, values)


def _standard_files(kernel: Kernel, devfs: Devfs, devpts: Devpts, closed: int) -> FDTable:
    """Return a table with the descriptors 0 to 2 of the sentry that were open when it started."""
    files = FDTable()
    fs = HostFilesystem(kernel.vfs)
    for fd in range(3):
        if not closed >> fd & 1:
            file = HostFile(fd, kernel.watcher, fs)
            files.install_at(file, fd)
            if file.is_terminal:
                kernel.terminals.fallback = file
                show_terminal(devfs, devpts, file)
    return files
