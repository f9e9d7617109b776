"""The one place that knows the numbers of system calls: x86-64 numbers to handlers.

A number is handled or stands in ABSENT with the reason why not; `build` refuses anything else. A handler is bound to
its number on that number's first call (see `binder`).
"""

from typing import TYPE_CHECKING, Final

from sentry.kernel.instruments import unimplemented
from sentry.kernel.pending import Bound, Control, Result
from sentry.syscalls import (
    attributes,
    cwd,
    descriptors,
    eventfd,
    fcntl,
    futex,
    ids,
    io,
    locks,
    memory,
    messages,
    mount,
    mqueue,
    msg,
    notify,
    openat,
    paths,
    pids,
    pipe,
    poll,
    prctl,
    process,
    resource,
    sched,
    sem,
    shm,
    signals,
    sockets,
    splice,
    stat,
    sync,
    system,
    time,
    uts,
    wait,
    xattrs,
)
from sentry.syscalls.binder import Calls, Handler, bind
from sentry_abi.errors import ENOSYS
from sentry_abi.numbers import AMD64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentry.kernel.state import Task

GROUPS: Final = (
    attributes.calls,
    cwd.calls,
    descriptors.calls,
    eventfd.calls,
    fcntl.calls,
    futex.calls,
    ids.calls,
    io.calls,
    locks.calls,
    memory.calls,
    messages.calls,
    mount.calls,
    mqueue.calls,
    msg.calls,
    notify.calls,
    openat.calls,
    paths.calls,
    pids.calls,
    pipe.calls,
    poll.calls,
    prctl.calls,
    process.calls,
    resource.calls,
    sched.calls,
    sem.calls,
    shm.calls,
    signals.calls,
    sockets.calls,
    splice.calls,
    stat.calls,
    sync.calls,
    system.calls,
    time.calls,
    uts.calls,
    wait.calls,
    xattrs.calls,
)

_LATER: Final = "comes with a later step of the plan"
_HOST: Final = "acts on the host's hardware or kernel, which a guest must not reach"
_OLD: Final = "no kernel of today has it"
_RARE: Final = "programs fall back where it is missing"


def _because(reason: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


ABSENT: Final[dict[str, str]] = (
    _because(
        "file notification: " + _LATER,
        "fanotify_init fanotify_mark",
    )
    | _because("debuggers: " + _LATER, "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease")
    | _because("namespaces: " + _LATER, "unshare setns pivot_root acct quotactl quotactl_fd")
    | _because(
        "asynchronous I/O: " + _RARE,
        """
        io_setup io_destroy io_getevents io_submit io_cancel io_pgetevents
        io_uring_setup io_uring_enter io_uring_register
        """,
    )
    | _because(
        _HOST,
        """
        iopl ioperm modify_ldt reboot swapon swapoff init_module delete_module finit_module kexec_load kexec_file_load
        settimeofday adjtimex clock_adjtime vhangup bpf perf_event_open lookup_dcookie
        open_by_handle_at name_to_handle_at userfaultfd memfd_secret map_shadow_stack
        uprobe uretprobe
        """,
    )
    | _because(
        _OLD,
        """
        uselib ustat sysfs _sysctl create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg
        afs_syscall tuxcall security set_thread_area get_thread_area epoll_ctl_old epoll_wait_old vserver
        """,
    )
    | _because(
        _RARE,
        """
        add_key request_key keyctl mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node
        sched_setattr sched_getattr remap_file_pages
        landlock_create_ruleset landlock_add_rule landlock_restrict_self cachestat
        fsopen fsconfig fsmount fspick move_mount open_tree mount_setattr statmount listmount
        lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal
        futex_waitv futex_wake futex_wait futex_requeue restart_syscall membarrier seccomp
        """,
    )
    | _because("cannot be honoured where the host preempts unseen; C libraries do without", "rseq")
)


REFUSED: Final = frozenset(("rseq", "get_mempolicy"))
"""Absent calls that every C library or its tools try, and expect to fail: not worth a report."""


def refused(t: "Task", *_registers: int) -> int:
    """Answer ENOSYS, without a report."""
    del t
    return -ENOSYS.errno


def absent_entry(nr: int) -> Bound:
    """Return the entry of a number without a handler: ENOSYS, reported."""

    def entry(t: "Task", *_args: int) -> int:
        return unimplemented(t, nr)

    return entry


def _on_first_call(table: list[Bound], nr: int, handler: "Handler") -> Bound:
    def first(t: "Task", *registers: int) -> Result | Control:
        bound = table[nr] = bind(handler)
        return bound(t, *registers)

    return first


def build(numbers: "Mapping[int, str]", groups: "tuple[Calls, ...]", absent: "Mapping[str, str]") -> list[Bound]:
    """Return the table: an entry for each number from 0 on.

    Raises: ValueError if a name is handled twice, handled and absent, neither, or not a call at all.
    """
    handlers: dict[str, Handler] = {}
    for group in groups:
        for name, handler in group.handlers.items():
            if name in handlers:
                message = f"{name} is handled twice"
                raise ValueError(message)
            handlers[name] = handler
    known = set(numbers.values())
    wrong = (
        (set(handlers) & set(absent)) | (known - set(handlers) - set(absent)) | ((set(handlers) | set(absent)) - known)
    )
    if wrong:
        message = f"neither handled nor absent, both, or unknown: {', '.join(sorted(wrong))}"
        raise ValueError(message)
    table = [absent_entry(nr) for nr in range(max(numbers) + 1)]
    for nr, name in numbers.items():
        if name in REFUSED and name in absent:
            table[nr] = refused
        if name in handlers:
            table[nr] = _on_first_call(table, nr, handlers[name])
    return table


def all_handlers() -> "dict[str, Handler]":
    """Return every handler by the name of its call."""
    return {name: handler for group in GROUPS for name, handler in group.handlers.items()}


def amd64() -> list[Bound]:
    """Return the table of x86-64."""
    return build(AMD64, GROUPS, ABSENT)
