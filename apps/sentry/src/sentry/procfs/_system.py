"""The files of /proc that are about the whole system."""

import os
from typing import TYPE_CHECKING, Final

from sentry.kernel.state import RELEASE, RUNNING, VERSION
from sentry_abi.capability import CAP_SYS_ADMIN
from sentry_abi.errors import EINVAL, EPERM
from sentry_fs import FixedDirectory, Generated, build
from sentry_vfs import Filesystem, Inode

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import KernelState

TICK_NS: Final = 10_000_000
_SECOND: Final = 1_000_000_000
_FILESYSTEMS: Final = (b"sysfs", b"tmpfs", b"proc", b"devtmpfs", b"overlay", b"pipefs", b"ramfs")
_PID_MAX: Final = 65536


class Figure(Generated):
    """A file whose content a function of the kernel makes."""

    __slots__ = ("_kernel", "_make")

    def __init__(
        self, fs: Filesystem, kernel: "KernelState", make: "Callable[[KernelState], bytes]", mode: int = 0o444
    ) -> None:
        """Make the file."""
        super().__init__(fs, mode)
        self._kernel = kernel
        self._make = make

    def generate(self) -> bytes:
        """Return the content now."""
        return self._make(self._kernel)


class Hostname(Generated):
    """/proc/sys/kernel/hostname and domainname."""

    __slots__ = ("_attribute", "_kernel")

    def __init__(self, fs: Filesystem, kernel: "KernelState", attribute: str) -> None:
        """Make the file of an attribute of the kernel."""
        super().__init__(fs, 0o644)
        self._kernel = kernel
        self._attribute = attribute

    def generate(self) -> bytes:
        """Return the name."""
        return bytes(getattr(self._kernel.caller_ns().uts, self._attribute)) + b"\n"

    def accept(self, data: bytes) -> None:
        """Set the name. Raises: EINVAL (longer than 64), EPERM (not the superuser)."""
        task = self._kernel.current
        if task is None or not task.creds.capable(CAP_SYS_ADMIN):
            raise EPERM
        name = data.split(b"\n")[0]
        if len(name) > 64:
            raise EINVAL
        setattr(task.ns.uts, self._attribute, name)


class Setting(Generated):
    """A number or word of /proc/sys that can be written and has no effect."""

    __slots__ = ("_text",)

    def __init__(self, fs: Filesystem, text: bytes) -> None:
        """Make it with a first value."""
        super().__init__(fs, 0o644)
        self._text = text + b"\n"

    def generate(self) -> bytes:
        """Return the value."""
        return self._text

    def accept(self, data: bytes) -> None:
        """Take a value. Raises: EINVAL."""
        if len(data) > 256:
            raise EINVAL
        self._text = data.rstrip(b"\n") + b"\n"


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
    table[b"sys"] = _sys(fs, kernel)
    table[b"sysvipc"] = build(
        fs, {name: Figure(fs, kernel, make) for name, make in {"msg": _msg, "sem": _sem, "shm": _shm}.items()}
    )
    return table


def _sys(fs: Filesystem, kernel: "KernelState") -> FixedDirectory:
    kernel_table: dict[str, object] = {
        "cap_last_cap": b"40\n",
        "core_pattern": Setting(fs, b"core"),
        "domainname": Hostname(fs, kernel, "domainname"),
        "hostname": Hostname(fs, kernel, "hostname"),
        "ngroups_max": b"65536\n",
        "osrelease": Figure(fs, kernel, _osrelease),
        "ostype": b"Linux\n",
        "pid_max": b"%d\n" % _PID_MAX,
        "random": {
            "boot_id": Figure(fs, kernel, _boot_id),
            "entropy_avail": b"256\n",
            "poolsize": b"256\n",
            "uuid": Figure(fs, kernel, _uuid),
        },
        "randomize_va_space": b"2\n",
        "msgmax": b"8192\n",
        "msgmnb": b"16384\n",
        "msgmni": b"32000\n",
        "sem": b"32000\t1024000000\t500\t32000\n",
        "shmall": b"18446744073692774399\n",
        "shmmax": b"18446744073692774399\n",
        "shmmni": b"4096\n",
        "threads-max": b"%d\n" % _PID_MAX,
        "version": Figure(fs, kernel, _release_version),
        "yama": {"ptrace_scope": b"0\n"},
    }
    vm_table: dict[str, object] = {
        "max_map_count": Setting(fs, b"65530"),
        "mmap_min_addr": b"65536\n",
        "overcommit_memory": Setting(fs, b"0"),
        "overcommit_ratio": Setting(fs, b"50"),
        "swappiness": Setting(fs, b"60"),
    }
    fs_table: dict[str, object] = {
        "file-max": b"9223372036854775807\n",
        "file-nr": b"0\t0\t9223372036854775807\n",
        "inotify": {
            "max_queued_events": b"16384\n",
            "max_user_instances": b"128\n",
            "max_user_watches": b"65536\n",
        },
        "mqueue": {
            "msg_default": b"10\n",
            "msg_max": b"10\n",
            "msgsize_default": b"8192\n",
            "msgsize_max": b"8192\n",
            "queues_max": b"256\n",
        },
        "nr_open": b"1048576\n",
        "pipe-max-size": b"1048576\n",
        "protected_hardlinks": b"1\n",
        "protected_symlinks": b"1\n",
    }
    core: dict[str, object] = {"somaxconn": b"4096\n", "rmem_max": b"212992\n", "wmem_max": b"212992\n"}
    ipv4: dict[str, object] = {"ip_local_port_range": b"32768\t60999\n", "tcp_rmem": b"4096\t131072\t6291456\n"}
    net: dict[str, object] = {"core": core, "ipv4": ipv4, "ipv6": {"conf": {}}}
    return build(fs, {"kernel": kernel_table, "vm": vm_table, "fs": fs_table, "net": net, "user": {}})


def _cmdline(_kernel: "KernelState") -> bytes:
    return b"BOOT_IMAGE=/vmlinuz quiet\n"


def _cpuinfo(kernel: "KernelState") -> bytes:
    """Show the host's processors: guests run on them natively, so flags must be true.

    Where the sentry has no /proc to look into, the processor is asked itself.
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


def _msg(kernel: "KernelState") -> bytes:
    head = (
        b"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime"
        b"      ctime\n"
    )
    rows = [
        b"%10d %10d  %4o  %10d %10d %5d %5d %5d %5d %5d %5d %10d %10d %10d\n"
        % (
            item.key, item.id, item.mode, item.held, len(item.messages), item.lspid, item.lrpid,
            item.uid, item.gid, item.cuid, item.cgid, item.stime, item.rtime, item.ctime,
        )
        for item in kernel.caller_ns().ipc.queues
    ]  # fmt: skip
    return b"".join([head, *rows])


def _sem(kernel: "KernelState") -> bytes:
    head = b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
    rows = [
        b"%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n"
        % (
            item.key, item.id, item.mode, len(item.values),
            item.uid, item.gid, item.cuid, item.cgid, item.otime, item.ctime,
        )
        for item in kernel.caller_ns().ipc.semaphores
    ]  # fmt: skip
    return b"".join([head, *rows])


def _shm(kernel: "KernelState") -> bytes:
    head = (
        b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime"
        b"      dtime      ctime                   rss                  swap\n"
    )
    rows = [
        b"%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d %21d %21d\n"
        % (
            item.key, item.id, item.mode, item.size, item.cpid, item.lpid, item.attached,
            item.uid, item.gid, item.cuid, item.cgid, item.atime, item.dtime, item.ctime, item.resident << 12, 0,
        )
        for item in kernel.caller_ns().ipc.segments
    ]  # fmt: skip
    return b"".join([head, *rows])


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


def _osrelease(_kernel: "KernelState") -> bytes:
    return RELEASE + b"\n"


def _release_version(_kernel: "KernelState") -> bytes:
    return VERSION + b"\n"


def _format_uuid(raw: bytes) -> bytes:
    text = raw.hex()
    parts = text[:8], text[8:12], "4" + text[13:16], "%x" % (int(text[16], 16) & 3 | 8) + text[17:20], text[20:32]
    return "-".join(parts).encode() + b"\n"


def _uuid(kernel: "KernelState") -> bytes:
    return _format_uuid(kernel.host.random_bytes(16))


def _boot_id(kernel: "KernelState") -> bytes:
    return _format_uuid(kernel.boot_id)
