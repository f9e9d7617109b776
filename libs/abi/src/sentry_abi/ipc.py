"""System V IPC and POSIX message queues.

Sources: Linux include/uapi/linux/ipc.h, sem.h, shm.h, msg.h, mqueue.h.
"""

from typing import Final

# Common.
IPC_CREAT: Final = 0o1000
IPC_EXCL: Final = 0o2000
IPC_NOWAIT: Final = 0o4000
IPC_RMID: Final = 0
IPC_SET: Final = 1
IPC_STAT: Final = 2
IPC_INFO: Final = 3
IPC_PRIVATE: Final = 0

# Semaphores.
SEM_UNDO: Final = 0x1000
GETPID: Final = 0xB
GETVAL: Final = 0xC
GETALL: Final = 0xD
GETNCNT: Final = 0xE
GETZCNT: Final = 0xF
SETVAL: Final = 0x10
SETALL: Final = 0x11
SEM_STAT: Final = 0x12
SEM_INFO: Final = 0x13
SEM_STAT_ANY: Final = 0x14
SEMMNI: Final = 0x7D00
SEMMSL: Final = 0x7D00
SEMMNS: Final = 0x3D09_0000
SEMOPM: Final = 0x1F4
SEMVMX: Final = 0x7FFF

# Shared memory.
SHM_RDONLY: Final = 0x1000
SHM_RND: Final = 0x2000
SHM_REMAP: Final = 0x4000
SHM_EXEC: Final = 0x8000
SHM_LOCK: Final = 0xB
SHM_UNLOCK: Final = 0xC
SHM_STAT: Final = 0xD
SHM_INFO: Final = 0xE
SHM_STAT_ANY: Final = 0xF
SHM_DEST: Final = 0x200
SHM_LOCKED: Final = 0x400
SHM_HUGETLB: Final = 0x800
SHM_NORESERVE: Final = 0x1000
SHMMIN: Final = 1
SHMMNI: Final = 0x1000

# Message queues.
MSG_NOERROR: Final = 0x1000
MSG_EXCEPT: Final = 0x2000
MSG_COPY: Final = 0x4000
MSG_STAT: Final = 0xB
MSG_INFO: Final = 0xC
MSG_STAT_ANY: Final = 0xD
MSGMNI: Final = 0x7D00
MSGMAX: Final = 0x2000
MSGMNB: Final = 0x4000
MQ_PRIO_MAX: Final = 0x8000
