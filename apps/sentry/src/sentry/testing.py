"""A kernel on the host's files, for tests: every argument of `init` and `create_process` with a plain value."""

import os
from typing import TYPE_CHECKING

from sentry.kernel.clocks import KernelClock
from sentry.kernel.kernel import CreateProcessArgs, InitKernelArgs, Kernel
from sentry.kernel.namespaces import NetNamespace
from sentry.kernel.vdso import Vdso
from sentry.procfs import mount_proc
from sentry.syscalls.table import amd64
from sentry_auth import INITIAL, user_credentials
from sentry_cpuid import host_features
from sentry_fs import HostFile, HostFilesystem, build_default_root
from sentry_host import real_host
from sentry_pgalloc import MemoryFile
from sentry_platform import open_platform
from sentry_vfs import FDTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry_host import Host
    from sentry_vfs import MountNamespace


def init_args(kernel: Kernel) -> InitKernelArgs:
    """Return the arguments of `init` for a kernel with two CPUs."""
    clock = KernelClock(kernel.host)
    return InitKernelArgs(
        feature_set=host_features(),
        timekeeper=clock,
        root_user_namespace=INITIAL,
        application_cores=2,
        table=amd64(),
        vdso=Vdso(kernel.memory, kernel.platform, clock),
        network_stack=NetNamespace(INITIAL),
    )


def new_kernel(platform: str, host: "Host | None" = None, cwd: bytes = b"/") -> "tuple[Kernel, MountNamespace]":
    """Return an initialized kernel on a platform, and mounts with the host's files and /proc.

    The host's cwd is visible in them. Close the kernel afterwards.
    """
    kernel = Kernel(open_platform(platform), MemoryFile(), host or real_host())
    kernel.init(init_args(kernel))
    mnt = build_default_root(kernel.vfs, kernel.memory, cwd=cwd)
    mount_proc(kernel.state, mnt)
    return kernel, mnt


def process_args(
    kernel: Kernel, mnt: "MountNamespace", argv: "Sequence[bytes]", output: int | None = None
) -> CreateProcessArgs:
    """Return the arguments of a process of this user; a descriptor of the host's is its output and error."""
    files = FDTable()
    if output is not None:
        filesystem = HostFilesystem(kernel.vfs)
        for fd in (1, 2):
            files.install_at(HostFile(output, kernel.watcher, filesystem), fd)
    creds = user_credentials(os.getuid(), os.getgid())
    return CreateProcessArgs(argv, [b"PATH=/bin"], creds, files, kernel.host.limits.copy(), mount_namespace=mnt)
