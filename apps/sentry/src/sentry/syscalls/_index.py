"""Which call is handled in which module. Written by `tools/dev calls` from the modules themselves."""

from typing import Final

SUBJECTS: Final = {
    "attributes": (
        "access chmod chown faccessat faccessat2 fchmod fchmodat fchmodat2 fchown fchownat futimesat lchown truncate "
        "utime utimensat utimes"
    ),
    "cwd": "chdir chroot fchdir getcwd umask",
    "descriptors": (
        "pidfd_getfd pidfd_open pidfd_send_signal signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime"
    ),
    "eventfd": "eventfd eventfd2",
    "fcntl": "close close_range dup dup2 dup3 fcntl ioctl",
    "futex": "futex get_robust_list set_robust_list",
    "ids": (
        "capget capset getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid setgid setgroups "
        "setregid setresgid setresuid setreuid setuid"
    ),
    "io": "lseek pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readv write writev",
    "locks": "flock",
    "memory": (
        "brk madvise mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap pkey_alloc "
        "pkey_free pkey_mprotect"
    ),
    "messages": "recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto",
    "mount": "mount umount2",
    "mqueue": "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink",
    "msg": "msgctl msgget msgrcv msgsnd",
    "notify": "inotify_add_watch inotify_init inotify_init1 inotify_rm_watch",
    "openat": "creat memfd_create open openat openat2",
    "paths": (
        "link linkat mkdir mkdirat mknod mknodat readlink readlinkat rename renameat renameat2 rmdir symlink "
        "symlinkat unlink unlinkat"
    ),
    "pids": "getpgid getpgrp getpid getppid getsid gettid kcmp set_tid_address setpgid setsid",
    "pipe": "pipe pipe2",
    "poll": "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait poll ppoll pselect6 select",
    "prctl": "arch_prctl prctl",
    "process": "clone clone3 execve execveat exit exit_group fork vfork",
    "resource": "getrlimit getrusage prlimit64 setrlimit",
    "sched": (
        "getcpu getpriority ioprio_get ioprio_set sched_get_priority_max sched_get_priority_min sched_getaffinity "
        "sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setparam sched_setscheduler "
        "sched_yield setpriority"
    ),
    "sem": "semctl semget semop semtimedop",
    "shm": "shmat shmctl shmdt shmget",
    "signals": (
        "kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend "
        "rt_sigtimedwait rt_tgsigqueueinfo sigaltstack tgkill tkill"
    ),
    "sockets": (
        "accept accept4 bind connect getpeername getsockname getsockopt listen setsockopt shutdown socket socketpair"
    ),
    "splice": "copy_file_range sendfile splice tee vmsplice",
    "stat": "fstat fstatfs getdents getdents64 lstat newfstatat stat statfs statx",
    "sync": "fadvise64 fallocate fdatasync fsync ftruncate readahead sync sync_file_range syncfs",
    "system": "getrandom personality sysinfo syslog",
    "time": (
        "alarm clock_getres clock_gettime clock_nanosleep clock_settime getitimer gettimeofday nanosleep setitimer "
        "time timer_create timer_delete timer_getoverrun timer_gettime timer_settime times"
    ),
    "uts": "setdomainname sethostname uname",
    "wait": "wait4 waitid",
    "xattrs": (
        "fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr lremovexattr lsetxattr "
        "removexattr setxattr"
    ),
}
