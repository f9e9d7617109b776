"""ELF and the auxiliary vector: what the loader reads and what a program finds on its stack.

Sources: Linux include/uapi/linux/elf.h, elf-em.h, auxvec.h, arch/x86/include/uapi/asm/auxvec.h, hwcap2.h,
linux/binfmts.h.
"""

from typing import Final

# Auxiliary vector.
AT_NULL: Final = 0
AT_IGNORE: Final = 1
AT_EXECFD: Final = 2
AT_PHDR: Final = 3
AT_PHENT: Final = 4
AT_PHNUM: Final = 5
AT_PAGESZ: Final = 6
AT_BASE: Final = 7
AT_FLAGS: Final = 8
AT_ENTRY: Final = 9
AT_NOTELF: Final = 10
AT_UID: Final = 11
AT_EUID: Final = 12
AT_GID: Final = 13
AT_EGID: Final = 14
AT_PLATFORM: Final = 15
AT_HWCAP: Final = 16
AT_CLKTCK: Final = 17
AT_SECURE: Final = 23
AT_BASE_PLATFORM: Final = 24
AT_RANDOM: Final = 25
AT_HWCAP2: Final = 26
AT_RSEQ_FEATURE_SIZE: Final = 27
AT_RSEQ_ALIGN: Final = 28
AT_EXECFN: Final = 31
AT_SYSINFO_EHDR: Final = 33
AT_MINSIGSTKSZ: Final = 51
HWCAP2_RING3MWAIT: Final = 1
HWCAP2_FSGSBASE: Final = 2

# File header.
ET_NONE: Final = 0
ET_REL: Final = 1
ET_EXEC: Final = 2
ET_DYN: Final = 3
ET_CORE: Final = 4
EM_386: Final = 3
EM_X86_64: Final = 62
EI_NIDENT: Final = 16
EI_CLASS: Final = 4
EI_DATA: Final = 5
EI_VERSION: Final = 6
EI_OSABI: Final = 7
ELFCLASS32: Final = 1
ELFCLASS64: Final = 2
ELFDATA2LSB: Final = 1
EV_CURRENT: Final = 1

# Program headers.
PT_NULL: Final = 0
PT_LOAD: Final = 1
PT_DYNAMIC: Final = 2
PT_INTERP: Final = 3
PT_NOTE: Final = 4
PT_SHLIB: Final = 5
PT_PHDR: Final = 6
PT_TLS: Final = 7
PT_GNU_EH_FRAME: Final = 0x6474_E550
PT_GNU_STACK: Final = 0x6474_E551
PT_GNU_RELRO: Final = 0x6474_E552
PT_GNU_PROPERTY: Final = 0x6474_E553
PF_X: Final = 1
PF_W: Final = 2
PF_R: Final = 4

# Notes of a core file.
NT_PRSTATUS: Final = 1
NT_PRFPREG: Final = 2
NT_PRPSINFO: Final = 3
NT_AUXV: Final = 6
NT_SIGINFO: Final = 0x5349_4749
NT_FILE: Final = 0x4649_4C45
NT_X86_XSTATE: Final = 0x202

# Longest first line of a script.
BINPRM_BUF_SIZE: Final = 256
