"""/proc/PID and /proc/PID/task/TID. Source: Linux fs/proc/base.c, array.c, task_mmu.c, fd.c, namespace.c; proc(5)."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.state import ZOMBIE
from sentry_abi.capability import CAP_SYS_PTRACE
from sentry_abi.errors import EACCES, EINVAL, ENOENT, ESRCH, LinuxError
from sentry_abi.fcntl import O_CLOEXEC
from sentry_abi.signal import SIG_IGN
from sentry_abi.stat import DT_DIR, DT_LNK, DT_REG, S_IFMT
from sentry_fs import Fixed, Generated, GeneratedDirectory, Link
from sentry_limits import KINDS, UNLIMITED
from sentry_vfs import Dentry, EpollFile, EventFile, FileDescription, Filesystem, Inode, Mount, Path, PathRef, d_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import Task
    from sentry_mm import MemoryManager

TICK_NS: Final = 10_000_000
_STATES: Final = b"RSTZX"
"""By TaskState."""
_STATE_NAMES: Final = {82: b"running", 83: b"sleeping", 68: b"disk sleep", 84: b"stopped", 90: b"zombie", 88: b"dead"}
_MOST: Final = 1 << 20
_MEMORY: Final = (
    *("code_start", "code_end", "stack_start", "data_start", "data_end"),
    *("brk_start", "arg_start", "arg_end", "env_start", "env_end"),
)
"""What /proc/PID/stat shows of an address space, in its order."""


def gone(task: "Task") -> bool:
    """Return whether nothing is left of a task but its status, or not even that."""
    return task.state >= ZOMBIE


def memory_of(task: "Task") -> "MemoryManager | None":
    """Return a living task's address space."""
    return None if gone(task) else task.mm


class TaskFile(Generated):
    """A file about a task; a function makes its content."""

    __slots__ = ("_make", "task")

    def __init__(self, fs: Filesystem, task: "Task", make: "Callable[[Task], bytes]", mode: int) -> None:
        """Make the file; it belongs to the task's user."""
        super().__init__(fs, mode, task.creds.euid, task.creds.egid)
        self.task = task
        self._make = make

    def alive(self) -> bool:
        """Return whether the task is still known."""
        return self.task.state <= ZOMBIE

    def generate(self) -> bytes:
        """Return the content. Raises: ESRCH when the task is gone."""
        if not self.alive():
            raise ESRCH
        return self._make(self.task)


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
    """oom_score_adj and its like: taken and forgotten."""

    __slots__ = ("_text",)

    def __init__(self, fs: Filesystem, task: "Task", text: bytes) -> None:
        """Make it with a first value."""
        super().__init__(fs, task, comm, 0o644)
        self._text = text

    def generate(self) -> bytes:
        """Return the value."""
        return self._text

    def accept(self, data: bytes) -> None:
        """Take a value. Raises: EINVAL."""
        try:
            value = int(data)
        except ValueError:
            raise EINVAL from None
        if not -1000 <= value <= 1000:
            raise EINVAL
        self._text = b"%d\n" % value


class PlaceLink(Link):
    """cwd, root, exe: a link that leads to a place itself, whatever its text."""

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


def permit(task: "Task") -> None:
    """Check that the caller may look into a task. Raises: EACCES, ENOENT for a zombie."""
    if gone(task):
        raise ENOENT
    current = task.kernel.current
    if current is None or current.group is task.group:
        return
    theirs, ours = task.creds, current.creds
    same = (
        ours.fsuid == theirs.euid == theirs.suid == theirs.uid
        and ours.fsgid == theirs.egid == theirs.sgid == theirs.gid
    )
    if not same and not ours.capable(CAP_SYS_PTRACE):
        raise EACCES


def _cwd(task: "Task") -> Path:
    return task.fs.cwd


def _root(task: "Task") -> Path:
    return task.fs.root


def _exe(task: "Task") -> Path:
    exe = task.mm.exe
    if not isinstance(exe, PathRef):
        raise ENOENT
    return exe.path


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
        """Return position, flags and what the kind of file adds."""
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
            return NetDirectory(fs)
        if name == b"ns":
            return NamespaceDirectory(fs)
        return None

    def names(self) -> list[tuple[bytes, int]]:
        """Return all files."""
        found = [(name, DT_REG) for name in FILES] + [(name, DT_LNK) for name in LINKS]
        found += [(b"comm", DT_REG), (b"oom_score_adj", DT_REG), (b"oom_adj", DT_REG)]
        found += [(name, DT_DIR) for name in (b"fd", b"fdinfo", b"net", b"ns")]
        return found if self.thread else [*found, (b"task", DT_DIR)]


_NET_FILES: Final = {
    b"dev": b"Inter-|   Receive                                                |  Transmit\n"
    b" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier"
    b" compressed\n    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0"
    b"     0       0          0\n",
    b"tcp": b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    b"udp": b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    b"tcp6": b"  sl  local_address                         remote_address                        st tx_queue rx_queue"
    b" tr tm->when retrnsmt   uid  timeout inode\n",
    b"udp6": b"  sl  local_address                         remote_address                        st tx_queue rx_queue"
    b" tr tm->when retrnsmt   uid  timeout inode\n",
    b"unix": b"Num       RefCount Protocol Flags    Type St Inode Path\n",
    b"route": b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n",
    b"if_inet6": b"00000000000000000000000000000001 01 80 10 80       lo\n",
    b"protocols": b"protocol  size sockets  memory press maxhdr  slab module\n",
    b"packet": b"sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n",
}


class NetDirectory(GeneratedDirectory):
    """/proc/PID/net: the tables of a network without sockets."""

    __slots__ = ()

    def find(self, name: bytes) -> Inode | None:
        """Return a table."""
        text = _NET_FILES.get(name)
        return None if text is None else Fixed(self.fs, text)

    def names(self) -> list[tuple[bytes, int]]:
        """Return all tables."""
        return [(name, DT_REG) for name in _NET_FILES]


_NAMESPACES: Final = {
    b"cgroup": 4026531835,
    b"ipc": 4026531839,
    b"mnt": 4026531841,
    b"net": 4026531840,
    b"pid": 4026531836,
    b"user": 4026531837,
    b"uts": 4026531838,
}


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


# contents


def _range(task: "Task", first: str, last: str) -> bytes:
    mm = memory_of(task)
    if mm is None:
        return b""
    start, end = getattr(mm, first), getattr(mm, last)
    if not 0 < start < end:
        return b""
    try:
        return bytes(mm.copy_in(start, min(end - start, _MOST)))
    except LinuxError:
        return b""


def cmdline(task: "Task") -> bytes:
    """Return the arguments, each with its NUL; one that was overwritten may reach into the environment."""
    return _range(task, "arg_start", "arg_end")


def environ(task: "Task") -> bytes:
    """Return the environment at the last execve."""
    permit(task)
    return _range(task, "env_start", "env_end")


def auxv(task: "Task") -> bytes:
    """Return the auxiliary vector."""
    permit(task)
    mm = memory_of(task)
    return b"" if mm is None else mm.auxv


def comm(task: "Task") -> bytes:
    """Return the name."""
    return task.comm + b"\n"


def state_of(task: "Task") -> int:
    """Return the letter of a task's state."""
    if task.group.stopped and task.state < ZOMBIE:
        return 84
    if task.parked is not None and task.parked.killable:
        return 68
    return _STATES[task.state]


def _masks(task: "Task") -> tuple[int, int]:
    ignored = caught = 0
    for signo, action in task.group.handlers.actions.items():
        if action.handler == SIG_IGN:
            ignored |= 1 << signo - 1
        elif action.handler:
            caught |= 1 << signo - 1
    return ignored, caught


def stat(task: "Task") -> bytes:
    """Return the line of figures."""
    group, mm = task.group, memory_of(task)
    parent = group.parent.tgid if group.parent is not None else 0
    session = group.pgrp.session
    ignored, caught = _masks(task)
    memory = [0 if mm is None else int(getattr(mm, name)) for name in _MEMORY]
    fields = [
        parent,
        group.pgrp.pgid,
        session.sid,
        0 if session.tty is None else 136 << 8 | session.tty.index,
        -1 if session.tty is None else session.tty.foreground or -1,
        0x400000,
        *(0, 0, 0, 0),
        group.cpu_time_ns() // TICK_NS,
        0,
        group.child_cpu_ns // TICK_NS,
        0,
        20 + task.nice,
        task.nice,
        max(1, len(group.tasks)),
        0,
        task.start_ns // TICK_NS,
        0 if mm is None else mm.total_bytes,
        0 if mm is None else mm.resident_bytes() >> 12,
        UNLIMITED,
        memory[0],
        memory[1],
        memory[2],
        0,
        0,
        (task.pending.mask | group.pending.mask) & (1 << 63) - 1,
        task.blocked & (1 << 63) - 1,
        ignored & (1 << 63) - 1,
        caught & (1 << 63) - 1,
        *(0, 0, 0),
        group.termination_signal,
        *(0, 0, 0, 0, 0, 0),
        memory[3],
        memory[4],
        memory[5],
        memory[6],
        memory[7],
        memory[8],
        memory[9],
        group.exit_status if task.state >= ZOMBIE else 0,
    ]
    figures = b" ".join(b"%d" % field for field in fields)
    return b"%d (%b) %c %b\n" % (task.tid, task.comm, state_of(task), figures)


def statm(task: "Task") -> bytes:
    """Return sizes in pages."""
    mm = memory_of(task)
    if mm is None:
        return b"0 0 0 0 0 0 0\n"
    code = mm.code_end - mm.code_start + 4095 >> 12
    return b"%d %d 0 %d 0 %d 0\n" % (mm.total_bytes >> 12, mm.resident_bytes() >> 12, code, mm.data_bytes >> 12)


def status(task: "Task") -> bytes:
    """Return figures with names."""
    group, creds, mm = task.group, task.creds, memory_of(task)
    letter = state_of(task)
    ignored, caught = _masks(task)
    parent = group.parent.tgid if group.parent is not None else 0
    rows = [
        b"Name:\t%b" % task.comm.replace(b"\\", b"\\\\").replace(b"\n", b"\\n"),
        b"Umask:\t%04o" % task.fs.umask if mm is not None else b"",
        b"State:\t%c (%b)" % (letter, _STATE_NAMES[letter]),
        b"Tgid:\t%d" % group.tgid,
        b"Ngid:\t0",
        b"Pid:\t%d" % task.tid,
        b"PPid:\t%d" % parent,
        b"TracerPid:\t0",
        b"Uid:\t%d\t%d\t%d\t%d" % (creds.uid, creds.euid, creds.suid, creds.fsuid),
        b"Gid:\t%d\t%d\t%d\t%d" % (creds.gid, creds.egid, creds.sgid, creds.fsgid),
        b"FDSize:\t%d" % (0 if mm is None else max(64, len(task.files))),
        b"Groups:\t" + b"".join(b"%d " % gid for gid in creds.groups),
        b"NStgid:\t%d" % group.tgid,
        b"NSpid:\t%d" % task.tid,
        b"NSpgid:\t%d" % group.pgrp.pgid,
        b"NSsid:\t%d" % group.pgrp.session.sid,
    ]
    if mm is not None:
        resident = mm.resident_bytes() >> 10
        rows += [
            b"VmPeak:\t%8d kB" % (mm.total_bytes >> 10),
            b"VmSize:\t%8d kB" % (mm.total_bytes >> 10),
            b"VmLck:\t%8d kB" % (mm.locked_bytes >> 10),
            b"VmPin:\t%8d kB" % 0,
            b"VmHWM:\t%8d kB" % resident,
            b"VmRSS:\t%8d kB" % resident,
            b"RssAnon:\t%8d kB" % resident,
            b"RssFile:\t%8d kB" % 0,
            b"RssShmem:\t%8d kB" % 0,
            b"VmData:\t%8d kB" % (mm.data_bytes >> 10),
            b"VmStk:\t%8d kB" % (mm.stack_bytes >> 10),
            b"VmExe:\t%8d kB" % (mm.code_end - mm.code_start + 1023 >> 10),
            b"VmLib:\t%8d kB" % 0,
            b"VmPTE:\t%8d kB" % 0,
            b"VmSwap:\t%8d kB" % 0,
        ]
    cores = task.kernel.application_cores
    rows += [
        b"Threads:\t%d" % max(1, len(group.tasks)),
        b"SigQ:\t0/%d" % group.limits.soft(11),
        b"SigPnd:\t%016x" % task.pending.mask,
        b"ShdPnd:\t%016x" % group.pending.mask,
        b"SigBlk:\t%016x" % task.blocked,
        b"SigIgn:\t%016x" % ignored,
        b"SigCgt:\t%016x" % caught,
        b"CapInh:\t%016x" % creds.inheritable,
        b"CapPrm:\t%016x" % creds.permitted,
        b"CapEff:\t%016x" % creds.effective,
        b"CapBnd:\t%016x" % creds.bounding,
        b"CapAmb:\t%016x" % creds.ambient,
        b"NoNewPrivs:\t%d" % task.no_new_privs,
        b"Seccomp:\t0",
        b"Seccomp_filters:\t0",
        b"Cpus_allowed:\t%x" % ((1 << cores) - 1),
        b"Cpus_allowed_list:\t%b" % (b"0-%d" % (cores - 1) if cores > 1 else b"0"),
        b"Mems_allowed:\t1",
        b"Mems_allowed_list:\t0",
        b"voluntary_ctxt_switches:\t0",
        b"nonvoluntary_ctxt_switches:\t0",
    ]
    return b"\n".join(row for row in rows if row) + b"\n"


def limits(task: "Task") -> bytes:
    """Return the table of resource limits."""
    rows = [b"%-25b %-20b %-20b %-10b\n" % (b"Limit", b"Soft Limit", b"Hard Limit", b"Units")]
    for number, kind in enumerate(KINDS):
        values = [b"unlimited" if value >= UNLIMITED else b"%d" % value for value in task.group.limits.get(number)]
        rows.append(b"%-25b %-20b %-20b %-10b\n" % (kind.name.encode(), values[0], values[1], kind.unit.encode()))
    return b"".join(rows)


def name_of(name: object) -> bytes:
    """Return the text behind a mapping: bytes, or what knows its path."""
    if isinstance(name, bytes):
        return name
    if isinstance(name, FileDescription):
        return name.path()
    return d_path(name) if isinstance(name, Path) else b""


def _map_rows(task: "Task", *, details: bool) -> bytes:
    permit(task)
    mm = memory_of(task)
    if mm is None:
        return b""
    rows = []
    for area in mm.vmas:
        prot = area.prot
        letters = bytes(letter if prot & bit else 45 for bit, letter in ((1, 114), (2, 119), (4, 120))) + (
            b"s" if area.shared else b"p"
        )
        inode = area.file if isinstance(area.file, Inode) else None
        dev, ino = (inode.fs.dev, inode.ino) if inode is not None else (0, 0)
        offset = area.offset if area.file is not None else 0
        row = b"%08x-%08x %b %08x %02x:%02x %d " % (area.start, area.end, letters, offset, 0, dev & 0xFF, ino)
        name = name_of(mm.name_of(area))
        row = row.ljust(73) + name if name else row
        rows.append(row + b"\n")
        if details:
            size = area.end - area.start >> 10
            rows.append(
                b"Size:           %8d kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
                b"Rss:            %8d kB\nPss:            %8d kB\nVmFlags: \n" % (size, 0, 0)
            )
    return b"".join(rows)


def maps(task: "Task") -> bytes:
    """Return the areas of the address space."""
    return _map_rows(task, details=False)


def smaps(task: "Task") -> bytes:
    """Return the areas with figures; Differs: residence is not known per area and shown as 0."""
    return _map_rows(task, details=True)


_MOUNT_FLAGS: Final = ((2, b"nosuid"), (4, b"nodev"), (8, b"noexec"))


def _mounts(task: "Task") -> list[tuple[Mount, bytes, bytes]]:
    """Return (mount, place, flags) of all mounts below the task's root."""
    if gone(task):
        raise EINVAL
    root = task.fs.root
    found = []
    for mount in task.ns.mnt.all_mounts():
        place = d_path(Path(mount, mount.root), root)
        if place.startswith(b"(unreachable)"):
            continue
        words = [b"ro" if mount.readonly else b"rw"] + [word for bit, word in _MOUNT_FLAGS if mount.flags & bit]
        escaped = (
            place.replace(b"\\", b"\\134").replace(b" ", b"\\040").replace(b"\t", b"\\011").replace(b"\n", b"\\012")
        )
        found.append((mount, escaped, b",".join([*words, b"relatime"])))
    return found


def mounts(task: "Task") -> bytes:
    """Return the mounts in the format of fstab."""
    return b"".join(b"%b %b %b %b 0 0\n" % (m.source, place, m.fs.name, flags) for m, place, flags in _mounts(task))


def mountinfo(task: "Task") -> bytes:
    """Return the mounts with their numbers."""
    rows = []
    for mount, place, flags in _mounts(task):
        above = mount.parent.id if mount.parent is not None else 1
        inside = d_path(Path(mount, mount.root), Path(mount, mount.root)) if mount.parent is None else b"/"
        super_flags = b"ro" if mount.fs.readonly else mount.fs.options
        head = (mount.id, above, mount.fs.dev >> 8 & 0xFFF, mount.fs.dev & 0xFF, inside, place, flags)
        rows.append(b"%d %d %d:%d %b %b %b - %b %b %b\n" % (*head, mount.fs.name, mount.source, super_flags))
    return b"".join(rows)


def mountstats(task: "Task") -> bytes:
    """Return the mounts in words."""
    return b"".join(
        b"device %b mounted on %b with fstype %b\n" % (mount.source, place, mount.fs.name)
        for mount, place, _ in _mounts(task)
    )


def _id_map(_task: "Task") -> bytes:
    return b"%10d %10d %10d\n" % (0, 0, 4294967295)


def _constant(text: bytes) -> "Callable[[Task], bytes]":
    """Return a maker of fixed content."""

    def make(_task: "Task") -> bytes:
        return text

    return make


FILES: "Final[dict[bytes, tuple[Callable[[Task], bytes], int]]]" = {
    b"auxv": (auxv, 0o400),
    b"cgroup": (_constant(b"0::/\n"), 0o444),
    b"cmdline": (cmdline, 0o444),
    b"environ": (environ, 0o400),
    b"gid_map": (_id_map, 0o444),
    b"io": (_constant(b"rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"), 0o400),
    b"limits": (limits, 0o444),
    b"loginuid": (_constant(b"4294967295"), 0o444),
    b"maps": (maps, 0o444),
    b"mountinfo": (mountinfo, 0o444),
    b"mounts": (mounts, 0o444),
    b"mountstats": (mountstats, 0o400),
    b"oom_score": (_constant(b"0\n"), 0o444),
    b"personality": (_constant(b"00000000\n"), 0o400),
    b"sessionid": (_constant(b"4294967295"), 0o444),
    b"setgroups": (_constant(b"allow\n"), 0o444),
    b"smaps": (smaps, 0o444),
    b"stat": (stat, 0o444),
    b"statm": (statm, 0o444),
    b"status": (status, 0o444),
    b"uid_map": (_id_map, 0o444),
    b"wchan": (_constant(b"0"), 0o444),
}

LINKS: "Final[dict[bytes, Callable[[Task], Path]]]" = {b"cwd": _cwd, b"exe": _exe, b"root": _root}
