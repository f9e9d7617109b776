"""Futexes: futex(2) operations, flags and word layout, robust lists, futex_waitv(2).

Sources: Linux include/uapi/linux/futex.h; futex(2), set_robust_list(2).
"""

from typing import Final

# Operations.
FUTEX_WAIT: Final = 0
FUTEX_WAKE: Final = 1
FUTEX_FD: Final = 2
FUTEX_REQUEUE: Final = 3
FUTEX_CMP_REQUEUE: Final = 4
FUTEX_WAKE_OP: Final = 5
FUTEX_LOCK_PI: Final = 6
FUTEX_UNLOCK_PI: Final = 7
FUTEX_TRYLOCK_PI: Final = 8
FUTEX_WAIT_BITSET: Final = 9
FUTEX_WAKE_BITSET: Final = 10
FUTEX_WAIT_REQUEUE_PI: Final = 11
FUTEX_CMP_REQUEUE_PI: Final = 12
FUTEX_LOCK_PI2: Final = 13

# Flags of an operation.
FUTEX_PRIVATE_FLAG: Final = 0x80
FUTEX_CLOCK_REALTIME: Final = 0x100
FUTEX_CMD_MASK: Final = 0xFFFF_FE7F

# Bits of a priority-inheritance or robust futex word.
FUTEX_WAITERS: Final = 0x8000_0000
FUTEX_OWNER_DIED: Final = 0x4000_0000
FUTEX_TID_MASK: Final = 0x3FFF_FFFF
FUTEX_BITSET_MATCH_ANY: Final = 0xFFFF_FFFF
ROBUST_LIST_LIMIT: Final = 0x800

# Parts of FUTEX_WAKE_OP.
FUTEX_OP_SET: Final = 0
FUTEX_OP_ADD: Final = 1
FUTEX_OP_OR: Final = 2
FUTEX_OP_ANDN: Final = 3
FUTEX_OP_XOR: Final = 4
FUTEX_OP_OPARG_SHIFT: Final = 8
FUTEX_OP_CMP_EQ: Final = 0
FUTEX_OP_CMP_NE: Final = 1
FUTEX_OP_CMP_LT: Final = 2
FUTEX_OP_CMP_LE: Final = 3
FUTEX_OP_CMP_GT: Final = 4
FUTEX_OP_CMP_GE: Final = 5

# futex_waitv(2) and the futex2 flags.
FUTEX_32: Final = 2
FUTEX_WAITV_MAX: Final = 0x80
FUTEX2_SIZE_U8: Final = 0
FUTEX2_SIZE_U16: Final = 1
FUTEX2_SIZE_U32: Final = 2
FUTEX2_SIZE_U64: Final = 3
FUTEX2_NUMA: Final = 4
FUTEX2_PRIVATE: Final = 0x80
