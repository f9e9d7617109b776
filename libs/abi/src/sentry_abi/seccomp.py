"""seccomp(2), BPF filters and the audit architecture of x86-64.

Sources: Linux include/uapi/linux/seccomp.h, filter.h, bpf_common.h, audit.h.
"""

from typing import Final

# Modes, operations, flags.
SECCOMP_MODE_DISABLED: Final = 0
SECCOMP_MODE_STRICT: Final = 1
SECCOMP_MODE_FILTER: Final = 2
SECCOMP_SET_MODE_STRICT: Final = 0
SECCOMP_SET_MODE_FILTER: Final = 1
SECCOMP_GET_ACTION_AVAIL: Final = 2
SECCOMP_GET_NOTIF_SIZES: Final = 3
SECCOMP_FILTER_FLAG_TSYNC: Final = 1
SECCOMP_FILTER_FLAG_LOG: Final = 2
SECCOMP_FILTER_FLAG_SPEC_ALLOW: Final = 4
SECCOMP_FILTER_FLAG_NEW_LISTENER: Final = 8
SECCOMP_FILTER_FLAG_TSYNC_ESRCH: Final = 0x10
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: Final = 0x20

# Actions.
SECCOMP_RET_KILL_PROCESS: Final = 0x8000_0000
SECCOMP_RET_KILL_THREAD: Final = 0
SECCOMP_RET_TRAP: Final = 0x3_0000
SECCOMP_RET_ERRNO: Final = 0x5_0000
SECCOMP_RET_USER_NOTIF: Final = 0x7FC0_0000
SECCOMP_RET_TRACE: Final = 0x7FF0_0000
SECCOMP_RET_LOG: Final = 0x7FFC_0000
SECCOMP_RET_ALLOW: Final = 0x7FFF_0000
SECCOMP_RET_ACTION_FULL: Final = 0xFFFF_0000
SECCOMP_RET_ACTION: Final = 0x7FFF_0000
SECCOMP_RET_DATA: Final = 0xFFFF
SECCOMP_USER_NOTIF_FLAG_CONTINUE: Final = 1

# BPF.
BPF_LD: Final = 0
BPF_LDX: Final = 1
BPF_ST: Final = 2
BPF_STX: Final = 3
BPF_ALU: Final = 4
BPF_JMP: Final = 5
BPF_RET: Final = 6
BPF_MISC: Final = 7
BPF_W: Final = 0
BPF_H: Final = 8
BPF_B: Final = 0x10
BPF_IMM: Final = 0
BPF_ABS: Final = 0x20
BPF_IND: Final = 0x40
BPF_MEM: Final = 0x60
BPF_LEN: Final = 0x80
BPF_MSH: Final = 0xA0
BPF_ADD: Final = 0
BPF_SUB: Final = 0x10
BPF_MUL: Final = 0x20
BPF_DIV: Final = 0x30
BPF_OR: Final = 0x40
BPF_AND: Final = 0x50
BPF_LSH: Final = 0x60
BPF_RSH: Final = 0x70
BPF_NEG: Final = 0x80
BPF_MOD: Final = 0x90
BPF_XOR: Final = 0xA0
BPF_JA: Final = 0
BPF_JEQ: Final = 0x10
BPF_JGT: Final = 0x20
BPF_JGE: Final = 0x30
BPF_JSET: Final = 0x40
BPF_K: Final = 0
BPF_X: Final = 8
BPF_A: Final = 0x10
BPF_TAX: Final = 0
BPF_TXA: Final = 0x80
BPF_MAXINSNS: Final = 0x1000
BPF_MEMWORDS: Final = 0x10

# Audit architecture.
AUDIT_ARCH_X86_64: Final = 0xC000_003E
AUDIT_ARCH_I386: Final = 0x4000_0003
