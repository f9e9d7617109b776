"""Resource limits, usage and priorities: getrlimit(2), getrusage(2), getpriority(2).

Sources: Linux include/uapi/asm-generic/resource.h, linux/resource.h.
"""

from typing import Final

# Kinds of limit.
RLIMIT_CPU: Final = 0
RLIMIT_FSIZE: Final = 1
RLIMIT_DATA: Final = 2
RLIMIT_STACK: Final = 3
RLIMIT_CORE: Final = 4
RLIMIT_RSS: Final = 5
RLIMIT_NPROC: Final = 6
RLIMIT_NOFILE: Final = 7
RLIMIT_MEMLOCK: Final = 8
RLIMIT_AS: Final = 9
RLIMIT_LOCKS: Final = 10
RLIMIT_SIGPENDING: Final = 11
RLIMIT_MSGQUEUE: Final = 12
RLIMIT_NICE: Final = 13
RLIMIT_RTPRIO: Final = 14
RLIMIT_RTTIME: Final = 15
RLIM_NLIMITS: Final = 16

# No limit.
RLIM_INFINITY: Final = 0xFFFF_FFFF_FFFF_FFFF

# Initial values.
_STK_LIM: Final = 8_388_608
MLOCK_LIMIT: Final = 8_388_608
INR_OPEN_CUR: Final = 1024
INR_OPEN_MAX: Final = 4096
MQ_BYTES_MAX: Final = 819_200

# getrusage(2).
RUSAGE_SELF: Final = 0
RUSAGE_CHILDREN: Final = -1
RUSAGE_BOTH: Final = -2
RUSAGE_THREAD: Final = 1

# getpriority(2).
PRIO_MIN: Final = -20
PRIO_MAX: Final = 20
PRIO_PROCESS: Final = 0
PRIO_PGRP: Final = 1
PRIO_USER: Final = 2
