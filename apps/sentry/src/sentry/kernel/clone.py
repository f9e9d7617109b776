"""fork, vfork, clone and clone3: one way to make a task from another.

Facts section 8.9; clone(2); Linux kernel/fork.c copy_process. The child is started last, after all stores to memory.
"""

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.group import ThreadGroup
from sentry.kernel.namespaces import SharedUndo
from sentry.kernel.pidfd import PidFile
from sentry.kernel.run import ENDED, Control
from sentry.kernel.task import NO_STACK, RUNNING, VFORK, Task
from sentry_abi.errors import EAGAIN, EINVAL, EMFILE, EPERM, LinuxError
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

if TYPE_CHECKING:
    from sentry.kernel.kernel import Kernel

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

RLIMIT_NOFILE: Final = 7
TASK_LIMIT: Final = 32000


class CloneArgs(NamedTuple):
    """What the three calls boil down to."""

    flags: int
    stack: int = 0
    """New stack pointer, 0 for the parent's."""
    parent_tid: int = 0
    child_tid: int = 0
    tls: int = 0
    exit_signal: int = SIGCHLD
    pidfd: int = 0
    """Where CLONE_PIDFD puts the descriptor's number."""


def check(args: CloneArgs) -> None:
    """Refuse combinations that make no sense.

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


def clone(task: Task, args: CloneArgs) -> int | Control:
    """Make a child of task; return its id.

    Raises: EINVAL, EPERM from `check`; EAGAIN at the limit of tasks; ENOMEM, EAGAIN when the host has no room.
    """
    check(args)
    kernel = task.kernel
    flags = args.flags
    if len(kernel.pids.tasks) >= TASK_LIMIT:
        raise EAGAIN
    if flags & CLONE_PIDFD and task.files.is_full(task.limits.soft(RLIMIT_NOFILE)):
        raise EMFILE
    regs = task.hold()
    fpu = task.context.fpu()
    tid = kernel.pids.allocate()
    shared_mm = bool(flags & CLONE_VM)
    mm = task.mm if shared_mm else task.mm.fork()
    if shared_mm:
        mm.users += 1
    try:
        context = kernel.platform.new_context(mm.space)
    except LinuxError:
        mm.release()
        raise
    if flags & CLONE_THREAD:
        group = task.group
    else:
        parent = task.group.parent if flags & CLONE_PARENT else task.group
        group = _new_group(kernel, task, tid, parent, args)
    if not shared_mm:
        mm.limits = group.limits
    child = Task(kernel, group, tid, task.ns)
    child.context = context
    child.mm = mm
    child.files = task.files if flags & CLONE_FILES else task.files.fork()
    child.fs = task.fs if flags & CLONE_FS else task.fs.fork()
    if flags & CLONE_FILES:
        child.files.users += 1
    if flags & CLONE_FS:
        child.fs.users += 1
    if flags & CLONE_SYSVSEM:
        if task.sem_undo is None:
            task.sem_undo = SharedUndo()
        child.sem_undo = task.sem_undo
        child.sem_undo.users += 1
    child.creds = task.creds
    child.comm = task.comm
    child.nice = task.nice
    child.affinity = task.affinity
    child.blocked = task.blocked if task.saved_mask is None else task.saved_mask
    child.no_new_privs = task.no_new_privs
    if not shared_mm or flags & CLONE_VFORK:
        child.altstack = task.altstack
    else:
        child.altstack = NO_STACK
    if flags & CLONE_CHILD_CLEARTID:
        child.clear_tid = args.child_tid
    _adopt(kernel, child)
    if flags & CLONE_PIDFD:
        number = task.files.install(PidFile(group, 0), 0, True, task.limits.soft(RLIMIT_NOFILE))  # noqa: FBT003  (cloexec)
        _store(task, args.pidfd, number)
    if flags & CLONE_PARENT_SETTID:
        _store(task, args.parent_tid, tid)
    if flags & CLONE_CHILD_SETTID:
        _store(child, args.child_tid, tid)
    child_regs = regs.copy()
    child_regs.rax = 0
    if args.stack:
        child_regs.rsp = args.stack
    if flags & CLONE_SETTLS:
        child_regs.fs_base = args.tls
    context.set_fpu(fpu)
    context.set_regs(child_regs)
    if kernel.started:
        context.resume()
    if flags & CLONE_VFORK:
        child.vfork_parent = task
        task.state = VFORK
        task.held = None
        return ENDED
    return tid


def _new_group(kernel: "Kernel", task: Task, tid: int, parent: "ThreadGroup | None", args: CloneArgs) -> ThreadGroup:
    group = ThreadGroup(kernel, tid, parent, task.group.limits.copy())
    if parent is None:
        group.join(task.group.pgrp)
    old = task.group
    if args.flags & CLONE_SIGHAND:
        group.handlers = old.handlers
    elif args.flags & CLONE_CLEAR_SIGHAND:
        group.handlers = old.handlers.after_exec()
    else:
        group.handlers = old.handlers.copy()
    group.termination_signal = args.exit_signal
    group.dumpable = old.dumpable
    kernel.pids.groups[tid] = group
    return group


def _adopt(kernel: "Kernel", child: Task) -> None:
    group = child.group
    if not group.tasks:
        group.leader = child
    group.tasks.append(child)
    kernel.pids.tasks[child.tid] = child
    kernel.loop.tasks[child.context.index] = child
    child.state = RUNNING
    kernel.signals.recalculate(child)


def _store(task: Task, address: int, tid: int) -> None:
    with suppress(LinuxError):  # as Linux, whose put_user nobody checks
        task.mm.copy_out(address, tid.to_bytes(4, "little"))
