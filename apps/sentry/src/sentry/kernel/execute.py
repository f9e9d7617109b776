"""execve: a new program in an old task.

Everything that can fail is done before the point of no return: finding, checking and parsing the file, counting the
arguments. After it only SIGKILL is left for an error. Facts section 8.8; execve(2); Linux fs/exec.c begin_new_exec.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel import alarms
from sentry.kernel.run import KEEP, Control
from sentry.kernel.task import NO_STACK, Task
from sentry_abi.errors import LinuxError
from sentry_abi.resource import RLIMIT_STACK
from sentry_abi.signal import SIGCHLD, SIGKILL
from sentry_arch import NO_FAULT, initial_regs
from sentry_auth import loses_dumpable

if TYPE_CHECKING:
    from sentry.kernel.image import ProgramImage

SECURE_STACK: Final = 8 << 20
"""No larger stack limit for a program that has gained privileges."""


def exec_image(task: Task, image: "ProgramImage") -> Control:
    """Put a prepared program in the place of task's; the task goes on at the program's entry."""
    kernel = task.kernel
    group = task.group
    task.hold()
    kernel.exits.kill_siblings(task)
    if task is not group.leader:
        _take_over_leader(task)
    old = task.mm
    alone = old.users == 1
    if alone:
        mm = old
        mm.begin()
        mm.reset()
    else:
        try:
            mm = kernel.new_mm(group)
        except LinuxError:
            kernel.exits.begin_group_exit(group, SIGKILL)
            return KEEP
    try:
        start = image.map_into(mm)
        if alone:
            mm.commit()
    except LinuxError:
        if not alone:
            mm.release()
        kernel.exits.begin_group_exit(group, SIGKILL)
        return KEEP
    if not alone:
        task.cpu_before_ns += task.context.cpu_time_ns()
        kernel.loop.tasks.pop(task.context.index, None)
        task.context.bind(mm.space)
        kernel.loop.tasks[task.context.index] = task
        task.mm = mm
        if task.vfork_parent is not None:
            kernel.exits.release_vfork_parent(task)
        old.release()
    _new_identity(task, image)
    task.regs = initial_regs(start.entry, start.stack_pointer)
    task.attention = True
    task.context.set_fpu(b"")
    return KEEP


def _take_over_leader(task: Task) -> None:
    """Give a thread that survives an exec the leader's id, as Linux does."""
    group = task.group
    pids = task.ns.pid
    pids.tasks.pop(task.tid, None)
    task.tid = group.tgid
    pids.tasks[task.tid] = task
    task.start_ns = group.leader.start_ns
    group.leader = task


def _new_identity(task: Task, image: "ProgramImage") -> None:
    group = task.group
    kernel = task.kernel
    alarms.disarm_all(kernel, group)
    group.handlers = group.handlers.after_exec()
    group.termination_signal = SIGCHLD
    group.did_exec = True
    task.comm = image.comm
    task.altstack = NO_STACK
    task.clear_tid = 0
    task.robust_list = 0
    task.fault = NO_FAULT
    _new_credentials(task, image)
    if task.files.users > 1:
        shared = task.files
        task.files = shared.fork()
        shared.release()
    task.files.close_on_exec()


def _new_credentials(task: Task, image: "ProgramImage") -> None:
    """Give a task its program's credentials; who has gained something forgets what its parent arranged."""
    group = task.group
    new = image.creds
    gained = loses_dumpable(task.creds, new)
    group.dumpable = int(not gained and new.euid == new.uid and new.egid == new.gid)
    if gained or image.secure:
        task.pdeath_signal = 0
    if image.secure:
        soft, hard = group.limits.get(RLIMIT_STACK)
        if soft > SECURE_STACK:
            group.limits.set(RLIMIT_STACK, SECURE_STACK, hard, privileged=False)
    task.creds = new
