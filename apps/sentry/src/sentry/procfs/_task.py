"""/proc/PID and /proc/PID/task: the directories of processes and threads."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.state import ZOMBIE
from sentry.procfs._fd import FdDirectory
from sentry.procfs._maps import maps, smaps
from sentry.procfs._mounts import mountinfo, mounts, mountstats
from sentry.procfs._net import NetDirectory
from sentry.procfs._stat import auxv, cmdline, comm, environ, limits, stat, statm, status
from sentry.procfs._taskfile import Content, TaskFile, permit
from sentry_abi.errors import EINVAL, ENOENT, ESRCH
from sentry_abi.stat import DT_DIR, DT_LNK, DT_REG
from sentry_fs import GeneratedDirectory, Link
from sentry_vfs import Filesystem, Inode, Path, PathRef, d_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import Task

_NAMESPACES: Final = {
    b"cgroup": 4026531835,
    b"ipc": 4026531839,
    b"mnt": 4026531841,
    b"net": 4026531840,
    b"pid": 4026531836,
    b"user": 4026531837,
    b"uts": 4026531838,
}


class Comm(TaskFile):
    """The name, which its own process may set."""

    __slots__ = ()

    def accept(self, data: bytes) -> None:
        """Set the name. Raises: EINVAL (another process asks)."""
        current = self.task.kernel.current
        if current is None or current.group is not self.task.group:
            raise EINVAL
        self.task.comm = data.rstrip(b"\n")[:15]


class Score(TaskFile):
    """oom_score_adj and its like: can be written, without effect."""

    __slots__ = ("_text",)

    def __init__(self, fs: Filesystem, task: "Task", text: bytes) -> None:
        """Make it with a first value."""
        super().__init__(fs, task, comm, 0o644)
        self._text = text

    def generate(self) -> bytes:
        """Return the value."""
        return self._text

    def accept(self, data: bytes) -> None:
        """Set the value. Raises: EINVAL."""
        try:
            value = int(data)
        except ValueError:
            raise EINVAL from None
        if not -1000 <= value <= 1000:
            raise EINVAL
        self._text = b"%d\n" % value


class PlaceLink(Link):
    """cwd, root, exe: a link that leads to a place itself, not by its text."""

    __slots__ = ("_find", "task")

    def __init__(self, fs: Filesystem, task: "Task", find: "Callable[[Task], Path]") -> None:
        """Make the link."""
        super().__init__(fs, b"", task.creds.euid, task.creds.egid)
        self.task = task
        self._find = find

    def alive(self) -> bool:
        """Return whether the task is still known."""
        return self.task.state <= ZOMBIE

    def follow(self) -> Path:
        """Return the place. Raises: ENOENT (a zombie has none), EACCES."""
        permit(self.task)
        return self._find(self.task)

    def readlink(self) -> bytes:
        """Return the path of the place."""
        return d_path(self.follow())


def _cwd(task: "Task") -> Path:
    return task.fs.cwd


def _root(task: "Task") -> Path:
    return task.fs.root


def _exe(task: "Task") -> Path:
    exe = task.mm.exe
    if not isinstance(exe, PathRef):
        raise ENOENT
    return exe.path


class NamespaceDirectory(GeneratedDirectory):
    """/proc/PID/ns."""

    __slots__ = ()

    def find(self, name: bytes) -> Inode | None:
        """Return a link that names a namespace."""
        number = _NAMESPACES.get(name)
        return None if number is None else Link(self.fs, b"%b:[%d]" % (name, number))

    def names(self) -> list[tuple[bytes, int]]:
        """Return all kinds."""
        return [(name, DT_LNK) for name in _NAMESPACES]


def _id_map(_task: "Task") -> bytes:
    return b"%10d %10d %10d\n" % (0, 0, 4294967295)


FILES: Final[dict[bytes, tuple[Content, int]]] = {
    b"auxv": (auxv, 0o400),
    b"cgroup": (b"0::/\n", 0o444),
    b"cmdline": (cmdline, 0o444),
    b"environ": (environ, 0o400),
    b"gid_map": (_id_map, 0o444),
    b"io": (b"rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n", 0o400),
    b"limits": (limits, 0o444),
    b"loginuid": (b"4294967295", 0o444),
    b"maps": (maps, 0o444),
    b"mountinfo": (mountinfo, 0o444),
    b"mounts": (mounts, 0o444),
    b"mountstats": (mountstats, 0o400),
    b"oom_score": (b"0\n", 0o444),
    b"personality": (b"00000000\n", 0o400),
    b"sessionid": (b"4294967295", 0o444),
    b"setgroups": (b"allow\n", 0o444),
    b"smaps": (smaps, 0o444),
    b"stat": (stat, 0o444),
    b"statm": (statm, 0o444),
    b"status": (status, 0o444),
    b"uid_map": (_id_map, 0o444),
    b"wchan": (b"0", 0o444),
}


LINKS: "Final[dict[bytes, Callable[[Task], Path]]]" = {b"cwd": _cwd, b"exe": _exe, b"root": _root}


class TaskList(GeneratedDirectory):
    """/proc/PID/task."""

    __slots__ = ("task",)

    def __init__(self, fs: Filesystem, task: "Task") -> None:
        """Make the directory."""
        super().__init__(fs, 0o555, task.creds.euid, task.creds.egid)
        self.task = task

    def alive(self) -> bool:
        """Return whether the task is still known."""
        return self.task.state <= ZOMBIE

    def find(self, name: bytes) -> Inode | None:
        """Return the directory of a thread."""
        for task in self._threads():
            if name == b"%d" % task.tid:
                return ProcessDirectory(self.fs, task, thread=True)
        return None

    def names(self) -> list[tuple[bytes, int]]:
        """Return the threads."""
        return [(b"%d" % task.tid, DT_DIR) for task in self._threads()]

    def _threads(self) -> "list[Task]":
        return self.task.group.tasks or [self.task]


class ProcessDirectory(GeneratedDirectory):
    """/proc/PID, or with thread /proc/PID/task/TID."""

    __slots__ = ("task", "thread")

    def __init__(self, fs: Filesystem, task: "Task", *, thread: bool = False) -> None:
        """Make the directory."""
        super().__init__(fs, 0o555, task.creds.euid, task.creds.egid)
        self.task = task
        self.thread = thread

    def alive(self) -> bool:
        """Return whether the number still is this task's."""
        pids = self.task.ns.pid
        task, tid = self.task, self.task.tid
        if self.thread:
            return task.state < ZOMBIE or pids.tasks.get(tid) is task
        group = pids.groups.get(tid)
        return pids.tasks.get(tid) is task or (group is not None and group.leader is task)

    def find(self, name: bytes) -> Inode | None:
        """Return a file. Raises: ESRCH in the directory of a task that is gone."""
        fs, task = self.fs, self.task
        if task.state > ZOMBIE:
            raise ESRCH
        entry = FILES.get(name)
        if entry is not None:
            make, mode = entry
            return TaskFile(fs, task, make, mode)
        place = LINKS.get(name)
        if place is not None:
            return PlaceLink(fs, task, place)
        return self._special(name)

    def _special(self, name: bytes) -> Inode | None:
        fs, task = self.fs, self.task
        if name in {b"fd", b"fdinfo"}:
            return FdDirectory(fs, task, info=name == b"fdinfo")
        if name == b"task" and not self.thread:
            return TaskList(fs, task)
        if name == b"comm":
            return Comm(fs, task, comm, 0o644)
        if name in {b"oom_score_adj", b"oom_adj"}:
            return Score(fs, task, b"0\n")
        if name == b"net":
            return NetDirectory(fs, task)
        if name == b"ns":
            return NamespaceDirectory(fs)
        return None

    def names(self) -> list[tuple[bytes, int]]:
        """Return all files."""
        found = [(name, DT_REG) for name in FILES] + [(name, DT_LNK) for name in LINKS]
        found += [(b"comm", DT_REG), (b"oom_score_adj", DT_REG), (b"oom_adj", DT_REG)]
        found += [(name, DT_DIR) for name in (b"fd", b"fdinfo", b"net", b"ns")]
        return found if self.thread else [*found, (b"task", DT_DIR)]
