"""/proc/sys: settings of the kernel."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.state import RELEASE, VERSION
from sentry.procfs._figure import Figure
from sentry_abi.capability import CAP_SYS_ADMIN
from sentry_abi.errors import EINVAL, EPERM
from sentry_fs import FixedDirectory, Generated, build
from sentry_vfs import Filesystem

if TYPE_CHECKING:
    from sentry.kernel.state import KernelState

_PID_MAX: Final = 65536


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
        """Set the value. Raises: EINVAL."""
        if len(data) > 256:
            raise EINVAL
        self._text = data.rstrip(b"\n") + b"\n"


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


def sysctl(fs: Filesystem, kernel: "KernelState") -> FixedDirectory:
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
