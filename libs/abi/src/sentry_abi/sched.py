"""Processes: clone(2), unshare(2) and clone3(2) flags, scheduling policies, priorities, wait(2), pidfd, kcmp, rseq.

Sources: Linux include/uapi/linux/sched.h, linux/sched/types.h, linux/wait.h, linux/kcmp.h, linux/rseq.h,
linux/pidfd.h.
"""

from typing import Final

# Flags of clone(2), clone3(2), unshare(2), setns(2).
CSIGNAL: Final = 0xFF
CLONE_VM: Final = 0x100
CLONE_FS: Final = 0x200
CLONE_FILES: Final = 0x400
CLONE_SIGHAND: Final = 0x800
CLONE_PIDFD: Final = 0x1000
CLONE_PTRACE: Final = 0x2000
CLONE_VFORK: Final = 0x4000
CLONE_PARENT: Final = 0x8000
CLONE_THREAD: Final = 0x1_0000
CLONE_NEWNS: Final = 0x2_0000
CLONE_SYSVSEM: Final = 0x4_0000
CLONE_SETTLS: Final = 0x8_0000
CLONE_PARENT_SETTID: Final = 0x10_0000
CLONE_CHILD_CLEARTID: Final = 0x20_0000
CLONE_DETACHED: Final = 0x40_0000
CLONE_UNTRACED: Final = 0x80_0000
CLONE_CHILD_SETTID: Final = 0x100_0000
CLONE_NEWCGROUP: Final = 0x200_0000
CLONE_NEWUTS: Final = 0x400_0000
CLONE_NEWIPC: Final = 0x800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000
CLONE_IO: Final = 0x8000_0000
CLONE_CLEAR_SIGHAND: Final = 0x1_0000_0000
CLONE_INTO_CGROUP: Final = 0x2_0000_0000
CLONE_NEWTIME: Final = 0x80

# Sizes of struct clone_args by version.
CLONE_ARGS_SIZE_VER0: Final = 64
CLONE_ARGS_SIZE_VER1: Final = 80
CLONE_ARGS_SIZE_VER2: Final = 88

# Scheduling policies and flags: sched_setscheduler(2), sched_setattr(2).
SCHED_NORMAL: Final = 0
SCHED_FIFO: Final = 1
SCHED_RR: Final = 2
SCHED_BATCH: Final = 3
SCHED_IDLE: Final = 5
SCHED_DEADLINE: Final = 6
SCHED_RESET_ON_FORK: Final = 0x4000_0000
SCHED_FLAG_RESET_ON_FORK: Final = 1
SCHED_FLAG_RECLAIM: Final = 2
SCHED_FLAG_DL_OVERRUN: Final = 4
SCHED_FLAG_KEEP_POLICY: Final = 8
SCHED_FLAG_KEEP_PARAMS: Final = 0x10
SCHED_FLAG_UTIL_CLAMP_MIN: Final = 0x20
SCHED_FLAG_UTIL_CLAMP_MAX: Final = 0x40

# kcmp(2).
KCMP_FILE: Final = 0
KCMP_VM: Final = 1
KCMP_FILES: Final = 2
KCMP_FS: Final = 3
KCMP_SIGHAND: Final = 4
KCMP_IO: Final = 5
KCMP_SYSVSEM: Final = 6
KCMP_EPOLL_TFD: Final = 7

# rseq(2).
RSEQ_FLAG_UNREGISTER: Final = 1
RSEQ_CPU_ID_UNINITIALIZED: Final = -1
RSEQ_CPU_ID_REGISTRATION_FAILED: Final = -2

# pidfd_open(2).
PIDFD_NONBLOCK: Final = 0o4000
PIDFD_THREAD: Final = 0o200

# exec: argument limits of execve(2).
MAX_ARG_STRLEN: Final = 131_072
MAX_ARG_STRINGS: Final = 2_147_483_647
