"""execve: a new program in an old task.

Everything that can fail is done before the point of no return: finding, checking and parsing the file, counting the
arguments (`binprm`). After it only SIGKILL is left for an error. Source: execve(2); Linux fs/exec.c begin_new_exec.
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.exit import do_exit, release_vfork, stop_thread
from sentry.kernel.fork import new_mm
from sentry.kernel.pending import KEEP, Control
from sentry.kernel.posix_timers import exit_itimers
from sentry.kernel.signal import start_group_exit
from sentry.kernel.state import NO_STACK
from sentry_abi.errors import LinuxError
from sentry_abi.resource import RLIMIT_STACK
from sentry_abi.signal import SIGCHLD, SIGKILL
from sentry_arch import NO_FAULT, initial_regs
from sentry_auth import loses_dumpable

if TYPE_CHECKING:
    from sentry.kernel.binprm import Program
    from sentry.kernel.state import Task

SECURE_STACK: Final = 8 << 20
"""No larger stack limit for a program that has gained privileges."""


def begin_new_exec(task: "Task", program: "Program") -> Control:
    """Replace the task's program; the task continues at the new one's entry."""
    kernel = task.kernel
    group = task.group
    task.hold()
    _de_thread(task)
    old = task.mm
    alone = old.users == 1
    if alone:
        mm = old
        mm.begin()
        mm.reset()
    else:
        try:
            mm = new_mm(kernel, group.limits)
        except LinuxError:
            program.close()
            start_group_exit(group, SIGKILL)
            return KEEP
    try:
        start = program.map_into(mm)
        if alone:
            mm.commit()
        else:
            task.context.bind(mm.space)
    except LinuxError:
        if not alone:
            mm.release()
        start_group_exit(group, SIGKILL)
        return KEEP
    if not alone:
        task.mm = mm
        old.release()
    release_vfork(task)
    _new_identity(task, program)
    task.regs = initial_regs(start.entry, start.stack_pointer)
    task.attention = True
    task.context.set_fpu(b"")
    return KEEP


def _de_thread(task: "Task") -> None:
    """End all other threads of the group; the surviving thread takes the leader's id (de_thread)."""
    group = task.group
    for other in list(group.tasks):
        if other is not task:
            stop_thread(other)
            do_exit(other)
    if task is group.leader:
        return
    pids = task.ns.pid
    pids.tasks.pop(task.tid, None)
    task.tid = group.tgid
    pids.tasks[task.tid] = task
    task.start_ns = group.leader.start_ns
    group.leader = task


def _new_identity(task: "Task", program: "Program") -> None:
    group = task.group
    exit_itimers(group)
    group.handlers = group.handlers.after_exec()
    group.termination_signal = SIGCHLD
    group.did_exec = True
    task.comm = program.comm
    task.altstack = NO_STACK
    task.clear_tid = 0
    task.robust_list = 0
    task.fault = NO_FAULT
    _commit_creds(task, program)
    if task.files.users > 1:
        shared = task.files
        task.files = shared.fork()
        shared.release()
    task.files.close_on_exec()


def _commit_creds(task: "Task", program: "Program") -> None:
    """Give a task its program's credentials; one that gains privileges loses its parent-death signal."""
    group = task.group
    new = program.creds
    gained = loses_dumpable(task.creds, new)
    group.dumpable = int(not gained and new.euid == new.uid and new.egid == new.gid)
    if gained or program.secure:
        task.pdeath_signal = 0
    if program.secure:
        soft, hard = group.limits.get(RLIMIT_STACK)
        if soft > SECURE_STACK:
            group.limits.set(RLIMIT_STACK, SECURE_STACK, hard, privileged=False)
    task.creds = new
