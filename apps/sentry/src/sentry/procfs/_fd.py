"""/proc/PID/fd and fdinfo: open descriptors."""

from typing import TYPE_CHECKING

from sentry.kernel.state import ZOMBIE
from sentry.procfs._stat import comm
from sentry.procfs._taskfile import TaskFile, gone, permit
from sentry_abi.errors import ENOENT, LinuxError
from sentry_abi.fcntl import O_CLOEXEC
from sentry_abi.stat import DT_LNK, DT_REG, S_IFMT
from sentry_fs import GeneratedDirectory, Link
from sentry_vfs import Dentry, EpollFile, EventFile, FileDescription, Filesystem, Inode, Mount, Path

if TYPE_CHECKING:
    from sentry.kernel.state import Task


class FdDirectory(GeneratedDirectory):
    """fd and fdinfo: one entry per descriptor."""

    __slots__ = ("info", "task")

    def __init__(self, fs: Filesystem, task: "Task", *, info: bool) -> None:
        """Make one of the two."""
        super().__init__(fs, 0o500, task.creds.euid, task.creds.egid)
        self.task = task
        self.info = info

    def alive(self) -> bool:
        """Return whether the task is still known."""
        return self.task.state <= ZOMBIE

    def find(self, name: bytes) -> Inode | None:
        """Return the entry of a number."""
        if not name.isdigit() or (name[:1] == b"0" and name != b"0") or len(name) > 9 or gone(self.task):
            return None
        permit(self.task)
        fd = int(name)
        try:
            file = self.task.files.get_any(fd)
        except LinuxError:
            return None
        return FdInfo(self.fs, self.task, file, fd) if self.info else FdLink(self.fs, self.task, file, fd)

    def names(self) -> list[tuple[bytes, int]]:
        """Return all numbers."""
        permit(self.task)
        kind = DT_REG if self.info else DT_LNK
        return [(b"%d" % fd, kind) for fd, _ in self.task.files]


class FdLink(Link):
    """/proc/PID/fd/N: leads to what the descriptor has open."""

    __slots__ = ("_fd", "_file", "_task")

    def __init__(self, fs: Filesystem, task: "Task", file: FileDescription, fd: int) -> None:
        """Make the link of one descriptor."""
        super().__init__(fs, b"", task.creds.euid, task.creds.egid)
        self.mode = self.mode & S_IFMT | 0o100 | (0o400 if file.readable else 0) | (0o200 if file.writable else 0)
        self._task = task
        self._file = file
        self._fd = fd

    def alive(self) -> bool:
        """Return whether the number still has this description."""
        try:
            return not gone(self._task) and self._task.files.get_any(self._fd) is self._file
        except LinuxError:
            return False

    def size(self) -> int:
        """Return 64, as Linux does."""
        return 64

    def readlink(self) -> bytes:
        """Return the path, or the kind of a file without one."""
        return self._file.path()

    def follow(self) -> Path:
        """Return the place; a file without one gets a place that only this link leads to."""
        permit(self._task)
        file = self._file
        if file.where is not None:
            return file.where
        if file.inode is None:
            raise ENOENT
        return Path(Mount(file.inode.fs, Dentry(b"", None, file.inode)), Dentry(file.path(), None, file.inode))


class FdInfo(TaskFile):
    """/proc/PID/fdinfo/N."""

    __slots__ = ("_fd", "_file")

    def __init__(self, fs: Filesystem, task: "Task", file: FileDescription, fd: int) -> None:
        """Make the file of one descriptor."""
        super().__init__(fs, task, comm, 0o400)
        self._file = file
        self._fd = fd

    def alive(self) -> bool:
        """Return whether the number still has this description."""
        try:
            return not gone(self.task) and self.task.files.get_any(self._fd) is self._file
        except LinuxError:
            return False

    def generate(self) -> bytes:
        """Return position, flags and the lines of the file's kind."""
        file = self._file
        flags = file.flags | (O_CLOEXEC if self.task.files.cloexec(self._fd) else 0)
        mount = file.where.mount.id if file.where is not None else 0
        ino = file.inode.ino if file.inode is not None else 0
        text = b"pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n" % (file.pos, flags, mount, ino)
        if isinstance(file, EventFile):
            text += b"eventfd-count: %16x\n" % file.count
        elif isinstance(file, EpollFile):
            for item in file.items():
                text += b"tfd: %8d events: %8x data: %16x\n" % (item.fd, item.events, item.data)
        return text
