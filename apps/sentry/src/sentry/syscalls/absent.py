"""System calls that do not exist here, and why not."""

from typing import Final

_LATER: Final = "not built yet"
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
