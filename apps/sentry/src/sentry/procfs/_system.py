"""The files of /proc that belong to no task."""

import os
from typing import TYPE_CHECKING, Final

from sentry.kernel.state import RELEASE, RUNNING, VERSION
from sentry.procfs._figure import Figure
from sentry.procfs._sysctl import sysctl
from sentry.procfs._sysvipc import msg, sem, shm
from sentry_fs import build
from sentry_vfs import Filesystem, Inode

if TYPE_CHECKING:
    from sentry.kernel.state import KernelState

TICK_NS: Final = 10_000_000
_SECOND: Final = 1_000_000_000
_FILESYSTEMS: Final = (b"sysfs", b"tmpfs", b"proc", b"devtmpfs", b"overlay", b"pipefs", b"ramfs")


def _cmdline(_kernel: "KernelState") -> bytes:
    return b"BOOT_IMAGE=/vmlinuz quiet\n"


def _cpuinfo(kernel: "KernelState") -> bytes:
    """Show the host's processors: guests run on them natively, so flags must be true.

    Where the sentry has no /proc to look into, CPUID is read.
    """
    try:
        with open("/proc/cpuinfo", "rb") as file:  # noqa: PTH123  (no pathlib at start)
            blocks = [block for block in file.read().split(b"\n\n") if block.strip()]
    except OSError:
        blocks = [kernel.feature_set.cpuinfo(number).encode().rstrip() for number in range(kernel.application_cores)]
    return b"".join(block + b"\n\n" for block in blocks[: kernel.application_cores])


def _devices(_kernel: "KernelState") -> bytes:
    return b"Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:\n"


def _filesystems(_kernel: "KernelState") -> bytes:
    return b"".join(b"nodev\t%b\n" % name for name in _FILESYSTEMS)


def _loadavg(kernel: "KernelState") -> bytes:
    pids = kernel.caller_ns().pid
    return b"0.00 0.00 0.00 1/%d %d\n" % (len(pids.tasks), pids.last)


def memory_figures() -> tuple[int, int]:
    """Return total and available memory of the host in KiB."""
    pages = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_AVPHYS_PAGES")
    return pages[0] << 2, pages[1] << 2


def _meminfo(kernel: "KernelState") -> bytes:
    total, free = memory_figures()
    used = min(kernel.memory.total_usage() >> 10, total)
    free = min(free, total - used)
    rows = (
        (b"MemTotal", total),
        (b"MemFree", free),
        (b"MemAvailable", free),
        (b"Buffers", 0),
        (b"Cached", 0),
        (b"SwapCached", 0),
        (b"Active", used),
        (b"Inactive", 0),
        (b"SwapTotal", 0),
        (b"SwapFree", 0),
        (b"Dirty", 0),
        (b"Writeback", 0),
        (b"AnonPages", used),
        (b"Mapped", 0),
        (b"Shmem", 0),
        (b"CommitLimit", total),
        (b"Committed_AS", used),
        (b"VmallocTotal", 34359738367),
        (b"HugePages_Total", -1),
        (b"Hugepagesize", 2048),
    )
    return b"".join(
        b"HugePages_Total:       0\n" if value < 0 else b"%-15b %8d kB\n" % (name + b":", value) for name, value in rows
    )


def _stat(kernel: "KernelState") -> bytes:
    busy = sum(group.cpu_time_ns() for group in kernel.caller_ns().pid) // TICK_NS
    up = kernel.clock.monotonic_ns() // TICK_NS
    cores = kernel.application_cores
    idle = max(0, up * cores - busy)
    rows = [b"cpu  %d 0 0 %d 0 0 0 0 0 0\n" % (busy, idle)]
    rows += [b"cpu%d %d 0 0 %d 0 0 0 0 0 0\n" % (index, busy // cores, idle // cores) for index in range(cores)]
    boot = (kernel.clock.realtime_ns() - kernel.clock.monotonic_ns()) // _SECOND
    pids = kernel.caller_ns().pid
    running = sum(task.state == RUNNING for task in pids.tasks.values())
    rows.append(
        b"intr 0\nctxt 0\nbtime %d\nprocesses %d\nprocs_running %d\nprocs_blocked 0\nsoftirq 0\n"
        % (boot, pids.last, running)
    )
    return b"".join(rows)


def _swaps(_kernel: "KernelState") -> bytes:
    return b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def _uptime(kernel: "KernelState") -> bytes:
    up = kernel.clock.monotonic_ns()
    busy = sum(group.cpu_time_ns() for group in kernel.caller_ns().pid)
    idle = max(0, up * kernel.application_cores - busy)
    return b"%.2f %.2f\n" % (up / _SECOND, idle / _SECOND)


def _vmstat(_kernel: "KernelState") -> bytes:
    return b"nr_free_pages %d\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\n" % (
        memory_figures()[1] >> 2
    )


def _version(_kernel: "KernelState") -> bytes:
    return b"Linux version %b (sentry) %b\n" % (RELEASE, VERSION)


def files(fs: Filesystem, kernel: "KernelState") -> dict[bytes, Inode]:
    """Return the entries of /proc that no task is behind."""
    table: dict[bytes, Inode] = {
        name: Figure(fs, kernel, make)
        for name, make in {
            b"cmdline": _cmdline,
            b"cpuinfo": _cpuinfo,
            b"devices": _devices,
            b"filesystems": _filesystems,
            b"loadavg": _loadavg,
            b"meminfo": _meminfo,
            b"stat": _stat,
            b"swaps": _swaps,
            b"uptime": _uptime,
            b"version": _version,
            b"vmstat": _vmstat,
        }.items()
    }
    table[b"sys"] = sysctl(fs, kernel)
    table[b"sysvipc"] = build(
        fs, {name: Figure(fs, kernel, make) for name, make in {"msg": msg, "sem": sem, "shm": shm}.items()}
    )
    return table
