"""The file system and its root directory."""

from typing import TYPE_CHECKING, ClassVar, Final

from sentry.procfs import _system, _task
from sentry_abi.stat import DT_DIR, DT_LNK, DT_REG, PROC_SUPER_MAGIC
from sentry_fs import GeneratedDirectory, Link, mount_at
from sentry_vfs import Dentry, Filesystem, Inode

if TYPE_CHECKING:
    from sentry.kernel.state import KernelState, PIDNamespace, Task
    from sentry_vfs import Mount, MountNamespace

_NOSUID_NODEV_NOEXEC: Final = 2 | 4 | 8


class Procfs(Filesystem):
    """/proc of one PID namespace."""

    __slots__ = ("kernel", "pids", "root")

    name: ClassVar[bytes] = b"proc"
    magic: ClassVar[int] = PROC_SUPER_MAGIC
    volatile: ClassVar[bool] = True

    def __init__(self, kernel: "KernelState", pids: "PIDNamespace") -> None:
        """Make the root directory."""
        super().__init__(kernel.vfs, b"proc")
        self.kernel = kernel
        self.pids = pids
        self.root = Dentry(b"", None, Root(self))
        self.root.pinned = True

    def current(self) -> "Task | None":
        """Return the task whose call is being handled."""
        return self.kernel.current


class Root(GeneratedDirectory):
    """/proc itself."""

    __slots__ = ("_table",)

    fs: Procfs

    def __init__(self, fs: Procfs) -> None:
        """Make the directory."""
        super().__init__(fs)
        self._table = _system.files(fs, fs.kernel)
        self._table[b"self"] = SelfLink(fs)
        self._table[b"thread-self"] = ThreadSelfLink(fs)
        self._table[b"mounts"] = Link(fs, b"self/mounts")
        self._table[b"net"] = Link(fs, b"self/net")

    def find(self, name: bytes) -> Inode | None:
        """Return a file, or the directory of a task: any thread's, though only leaders are listed."""
        found = self._table.get(name)
        if found is not None:
            return found
        if name.isdigit() and name[:1] != b"0" and len(name) < 10:
            task = self.fs.pids.tasks.get(int(name))
            group = self.fs.pids.groups.get(int(name))
            if task is None and group is not None:
                task = group.leader
            if task is not None:
                return _task.ProcessDirectory(self.fs, task)
        return None

    def names(self) -> list[tuple[bytes, int]]:
        """Return files and processes."""
        found = [
            (name, DT_LNK if inode.is_symlink else DT_DIR if inode.is_dir else DT_REG)
            for name, inode in self._table.items()
        ]
        return found + [(b"%d" % group.tgid, DT_DIR) for group in self.fs.pids]


class SelfLink(Link):
    """/proc/self."""

    __slots__ = ()

    fs: Procfs

    def readlink(self) -> bytes:
        """Return the caller's process."""
        task = self.fs.current()
        return b"" if task is None else b"%d" % task.group.tgid


class ThreadSelfLink(Link):
    """/proc/thread-self."""

    __slots__ = ()

    fs: Procfs

    def readlink(self) -> bytes:
        """Return the caller's thread."""
        task = self.fs.current()
        return b"" if task is None else b"%d/task/%d" % (task.group.tgid, task.tid)


def mount_proc(kernel: "KernelState", mnt: "MountNamespace") -> "Mount":
    """Mount /proc of the root PID namespace in a mount namespace."""
    fs = Procfs(kernel, kernel.root_pid_namespace)
    return mount_at(mnt, b"/proc", (fs, fs.root), _NOSUID_NODEV_NOEXEC)
