"""fork, vfork, clone and clone3: one way to make a task from another. And `new_task`, which makes every task.

Source: clone(2); Linux kernel/fork.c copy_process. The child is started last, after all stores to memory.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.namespaces import SharedUndo
from sentry.kernel.pending import Pending, Result, attempt
from sentry.kernel.pidfd import PidFile
from sentry.kernel.signal import recalc_sigpending
from sentry.kernel.state import NO_STACK, Task, ThreadGroup
from sentry_abi.errors import EAGAIN, EINVAL, EMFILE, EPERM, ERESTARTNOINTR, LinuxError
from sentry_abi.resource import RLIMIT_NOFILE
from sentry_abi.sched import (
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID,
    CLONE_CLEAR_SIGHAND,
    CLONE_FILES,
    CLONE_FS,
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
)
from sentry_abi.signal import SIGCHLD, SIGRTMAX
from sentry_mm import MemoryManager
from sentry_waiter import IN, Queue

if TYPE_CHECKING:
    from sentry.kernel.state import KernelState, NSProxy
    from sentry_auth import Credentials
    from sentry_limits import LimitSet
    from sentry_platform import Context
    from sentry_vfs import FDTable, FSContext

NAMESPACES: Final = (
    CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET
    | CLONE_NEWTIME
)
TASK_LIMIT: Final = 32000


class CloneArgs(NamedTuple):
    """What the three calls have in common (struct kernel_clone_args)."""

    flags: int
    stack: int = 0
    """New stack pointer, 0 for the parent's."""
    parent_tid: int = 0
    child_tid: int = 0
    tls: int = 0
    exit_signal: int = SIGCHLD
    pidfd: int = 0
    """Where CLONE_PIDFD puts the descriptor's number."""


class Parts(NamedTuple):
    """What a new task runs with; the task releases each."""

    context: "Context"
    mm: MemoryManager
    files: "FDTable"
    fs: "FSContext"
    creds: "Credentials"
    comm: bytes


def new_mm(kernel: "KernelState", limits: "LimitSet") -> MemoryManager:
    """Return an address space with nothing in it. Raises: EAGAIN, ENOMEM."""
    return MemoryManager(kernel.platform.new_space(), kernel.memory, limits, kernel.futexes.fork())


def new_task(group: ThreadGroup, tid: int, ns: "NSProxy", parts: Parts) -> Task:
    """Make a task, which does not run yet, and enter it in all tables; the first leads its group."""
    kernel = group.kernel
    task = Task(kernel, group, tid, ns)
    task.context, task.mm, task.files, task.fs, task.creds, task.comm = parts
    if not group.tasks:
        group.leader = task
    group.tasks.append(task)
    ns.pid.tasks[tid] = task
    kernel.contexts[task.context.index] = task
    return task


def check(args: CloneArgs) -> None:
    """Check the flags.

    Raises: EINVAL; EPERM for namespaces, of which there is one each.
    """
    flags = args.flags
    if flags & CLONE_SIGHAND and not flags & CLONE_VM:
        raise EINVAL
    if flags & CLONE_THREAD and not flags & CLONE_SIGHAND:
        raise EINVAL
    if flags & CLONE_SIGHAND and flags & CLONE_CLEAR_SIGHAND:
        raise EINVAL
    if flags & CLONE_FS and flags & (CLONE_NEWNS | CLONE_NEWUSER):
        raise EINVAL
    if flags & CLONE_THREAD and flags & (CLONE_NEWUSER | CLONE_NEWPID):
        raise EINVAL
    if flags & NAMESPACES:
        raise EPERM
    if flags & CLONE_PIDFD and flags & CLONE_THREAD:
        raise EINVAL
    if not 0 <= args.exit_signal <= SIGRTMAX:
        raise EINVAL


def clone(task: Task, args: CloneArgs) -> Result:
    """Make a child of task; return its id, at once or, with CLONE_VFORK, when the child leaves the address space.

    Raises: EINVAL, EPERM from `check`; EAGAIN at the limit of tasks; ENOMEM, EAGAIN from the host.
    """
    check(args)
    kernel = task.kernel
    pids = task.ns.pid
    flags = args.flags
    if len(pids.tasks) >= TASK_LIMIT:
        raise EAGAIN
    if flags & CLONE_PIDFD and task.files.is_full(task.limits.soft(RLIMIT_NOFILE)):
        raise EMFILE
    regs = task.hold()
    fpu = task.context.fpu()
    tid = pids.allocate()
    shared_mm = bool(flags & CLONE_VM)
    mm = task.mm if shared_mm else task.mm.fork()
    if shared_mm:
        mm.users += 1
    try:
        context = kernel.platform.new_context(mm.space)
    except LinuxError:
        mm.release()
        raise
    group = task.group if flags & CLONE_THREAD else _new_group(task, tid, args)
    if not shared_mm:
        mm.limits = group.limits
    parts = Parts(context, mm, _files(task, flags), _fs(task, flags), task.creds, task.comm)
    child = new_task(group, tid, task.ns, parts)
    _inherit(task, child, args)
    if flags & CLONE_PIDFD:
        number = task.files.install(PidFile(group, 0), 0, True, task.limits.soft(RLIMIT_NOFILE))  # noqa: FBT003  (cloexec)
        _store(task, args.pidfd, number)
    if flags & CLONE_PARENT_SETTID:
        _store(task, args.parent_tid, tid)
    if flags & CLONE_CHILD_SETTID:
        _store(child, args.child_tid, tid)
    child_regs = regs.copy()
    child_regs.set_return_value(0)
    if args.stack:
        child_regs.set_stack_pointer(args.stack)
    if flags & CLONE_SETTLS:
        child_regs.set_tls(args.tls)
    context.set_fpu(fpu)
    context.set_regs(child_regs)
    if kernel.started:
        context.resume()
    if flags & CLONE_VFORK:
        child.vfork_done = Queue()
        return wait_for_vfork_done(task, Vfork(child, tid))
    return tid


class Vfork(NamedTuple):
    """The record of a wait for a vfork child."""

    child: Task
    tid: int


@attempt
def wait_for_vfork_done(task: Task, state: Vfork) -> Result:
    """Return the child's id once it has left the shared address space (execve or exit)."""
    del task
    done = state.child.vfork_done
    if done is None:
        return state.tid
    return Pending(wait_for_vfork_done, state, ((done, IN),), None, ERESTARTNOINTR, killable=True)


def _files(task: Task, flags: int) -> "FDTable":
    if flags & CLONE_FILES:
        task.files.users += 1
        return task.files
    return task.files.fork()


def _fs(task: Task, flags: int) -> "FSContext":
    if flags & CLONE_FS:
        task.fs.users += 1
        return task.fs
    return task.fs.fork()


def _inherit(task: Task, child: Task, args: CloneArgs) -> None:
    """Copy to a child what it inherits, apart from its parts."""
    flags = args.flags
    if flags & CLONE_SYSVSEM:
        if task.sem_undo is None:
            task.sem_undo = SharedUndo()
        child.sem_undo = task.sem_undo
        child.sem_undo.users += 1
    child.nice = task.nice
    child.affinity = task.affinity
    child.blocked = task.blocked if task.saved_mask is None else task.saved_mask
    child.no_new_privs = task.no_new_privs
    child.altstack = task.altstack if not flags & CLONE_VM or flags & CLONE_VFORK else NO_STACK
    if flags & CLONE_CHILD_CLEARTID:
        child.clear_tid = args.child_tid
    recalc_sigpending(child)


def _new_group(task: Task, tid: int, args: CloneArgs) -> ThreadGroup:
    old = task.group
    parent = old.parent if args.flags & CLONE_PARENT else old
    group = ThreadGroup(task.kernel, task.ns.pid, tid, parent, old.limits.copy())
    if parent is None:
        group.join(old.pgrp)
    if args.flags & CLONE_SIGHAND:
        group.handlers = old.handlers
    elif args.flags & CLONE_CLEAR_SIGHAND:
        group.handlers = old.handlers.after_exec()
    else:
        group.handlers = old.handlers.copy()
    group.termination_signal = args.exit_signal
    group.dumpable = old.dumpable
    return group


def _store(task: Task, address: int, tid: int) -> None:
    with suppress(LinuxError):  # as Linux, which ignores the result of this put_user
        task.mm.copy_out(address, tid.to_bytes(4, "little"))
