"""Handlers of `syscalls.process`: making and ending processes."""

from apps.sentry.tests.plain import BAD, NO_FD, Program
from sentry.kernel.pending import ENDED
from sentry.kernel.state import RUNNING, ZOMBIE
from sentry.syscalls import process
from sentry_abi.errors import (
    E2BIG,
    EACCES,
    EBADF,
    EFAULT,
    EINVAL,
    ENOENT,
    ENOEXEC,
    ERESTARTNOINTR,
)
from sentry_abi.fcntl import AT_EMPTY_PATH, AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR
from sentry_abi.sched import (
    CLONE_CHILD_SETTID,
    CLONE_FILES,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CLONE_SIGHAND,
    CLONE_THREAD,
    CLONE_VM,
)
from sentry_abi.signal import SIGCHLD
from sentry_abi.structs import CLONE_ARGS
from sentry_mm.testing import FakeSpace


def clone_args(flags: int = 0, exit_signal: int = 0, stack: int = 0, stack_size: int = 0, set_tid: int = 0) -> bytes:
    """Return a struct clone_args."""
    return CLONE_ARGS.pack(flags, 0, 0, 0, exit_signal, stack, stack_size, 0, 0, set_tid, 0)


def test_fork(p: Program) -> None:
    """A child has a copy of memory and descriptors, and returns 0."""
    fd, where = p.open(b"/a", O_CREAT | O_RDWR), p.put(b"old")
    child = p.forked(p.ok("fork"))
    assert child.t.group.parent is p.t.group
    assert child.context.kept.rax == 0
    assert child.context.resumes == 1
    child.t.mm.copy_out(where, b"new")
    assert p.get(where, 3) == b"old"
    child.ok("close", fd)
    assert p.t.files.get(fd)


def test_thread(p: Program) -> None:
    """A thread shares what the flags say; its ids are stored, its stack and TLS set."""
    parent_tid, child_tid = p.zeros(4), p.zeros(4)
    flags = CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD
    flags |= CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_SETTLS
    thread = p.forked(p.ok("clone", 0xFFFF_FFFF_0000_0000 | flags, 0x5000, parent_tid, child_tid, 0x7000))
    assert thread.t.group is p.t.group
    assert (thread.t.mm, thread.t.files) == (p.t.mm, p.t.files)
    assert p.number(parent_tid) == p.number(child_tid) == thread.t.tid
    assert (thread.context.kept.rsp, thread.context.kept.fs_base) == (0x5000, 0x7000)


def test_vfork(p: Program) -> None:
    """The parent waits, whatever signals come, until the child has left its memory."""
    pending = p.wait("vfork")
    assert (pending.killable, pending.restart) == (True, ERESTARTNOINTR)
    child = p.forked(2)
    assert child.call("exit", 0x1_0000_0007) is ENDED
    assert p.resume() == 2
    assert child.t.group.exit_status == 7 << 8


def test_clone_errors(p: Program) -> None:
    """Flags that exclude each other, before anything is made."""
    before = len(p.t.ns.pid.tasks)
    assert p.error("clone", CLONE_THREAD, 0, 0, 0, 0) is EINVAL
    assert p.error("clone", CLONE_SIGHAND, 0, 0, 0, 0) is EINVAL
    assert p.error("clone", CLONE_PIDFD | CLONE_PARENT_SETTID, 0, 0, 0, 0) is EINVAL
    assert p.error("clone", 77, 0, 0, 0, 0) is EINVAL
    assert len(p.t.ns.pid.tasks) == before


def test_clone3(p: Program) -> None:
    """The size counts first, then the address, then what the structure says."""
    tid = p.ok("clone3", clone_args(exit_signal=SIGCHLD, stack=0x5000, stack_size=0x1000), 88)
    assert p.forked(tid).context.kept.rsp == 0x6000
    assert p.error("clone3", BAD, 63) is EINVAL
    assert p.error("clone3", BAD, 5000) is E2BIG
    assert p.error("clone3", BAD, 64) is EFAULT
    assert p.error("clone3", clone_args() + b"\1", 89) is E2BIG
    assert p.error("clone3", clone_args(flags=1), 88) is EINVAL
    assert p.error("clone3", clone_args(stack_size=8), 88) is EINVAL
    assert p.error("clone3", clone_args(set_tid=1), 88) is EINVAL
    assert p.error("clone3", clone_args(flags=CLONE_THREAD, exit_signal=SIGCHLD), 88) is EINVAL


def test_exec_errors(p: Program) -> None:
    """The name, the file, the arguments, what is in the file: in this order."""
    fd = p.open(b"/script", O_CREAT | O_RDWR, 0o755)
    p.ok("write", fd, b"no program", 10)
    p.ok("close", fd)
    p.open(b"/plain", O_CREAT | O_RDWR, 0o644)
    p.ok("mkdir", b"/d", 0o755)
    assert p.error("execve", BAD, BAD, BAD) is EFAULT
    assert p.error("execve", b"/nope", BAD, 0) is ENOENT
    assert p.error("execve", b"/plain", BAD, 0) is EACCES
    assert p.error("execve", b"/d", 0, BAD) is EACCES
    assert p.error("execve", b"/script", BAD, 0) is EFAULT
    assert p.error("execve", b"/script", 0, BAD) is EFAULT
    assert p.error("execve", b"/script", 0, 0) is ENOEXEC
    assert p.error("execveat", NO_FD, BAD, BAD, 0, 9) is EFAULT
    assert p.error("execveat", NO_FD, b"", BAD, 0, 9) is ENOENT
    assert p.error("execveat", NO_FD, b"x", BAD, 0, 9) is EINVAL
    assert p.error("execveat", AT_FDCWD, b"", BAD, 0, AT_EMPTY_PATH) is EACCES
    assert p.error("execveat", NO_FD, b"", BAD, 0, AT_EMPTY_PATH) is EBADF
    assert p.error("execveat", AT_FDCWD, b"", 0, 0, 0) is ENOENT
    again = p.open(b"/script", O_RDONLY)
    assert p.error("execveat", again, b"", 0, 0, AT_EMPTY_PATH) is ENOEXEC
    assert p.t.state == RUNNING


def test_exit(p: Program) -> None:
    """Eight bits of status; the host's thread ends, and the last process takes its memory with it."""
    child = p.forked(p.ok("fork"))
    space = child.context.space
    assert process.exit_group(child.t, 0x1FF) is ENDED
    assert child.t.state >= ZOMBIE
    assert child.context.ended
    assert isinstance(space, FakeSpace)
    assert space.released
    assert child.t.group.exit_status == 0xFF00
    other = p.forked(p.ok("fork"))
    assert other.call("exit_group", 1) is ENDED
    assert other.t.group.exit_status == 0x100
