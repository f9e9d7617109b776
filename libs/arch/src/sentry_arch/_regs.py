"""The general registers of one x86-64 guest thread.

Field order is that of `struct user_regs_struct` (arch/x86/include/asm/user_64.h): its bytes convert in one step.
"""

from operator import attrgetter
from struct import Struct
from typing import Final

FIELDS: Final = (
    "r15",
    "r14",
    "r13",
    "r12",
    "rbp",
    "rbx",
    "r11",
    "r10",
    "r9",
    "r8",
    "rax",
    "rcx",
    "rdx",
    "rsi",
    "rdi",
    "orig_rax",
    "rip",
    "cs",
    "eflags",
    "rsp",
    "ss",
    "fs_base",
    "gs_base",
    "ds",
    "es",
    "fs",
    "gs",
)
USER_REGS: Final = Struct(f"={len(FIELDS)}Q")

USER_CS: Final = 0x33
USER_DS: Final = 0x2B
EFLAGS_INITIAL: Final = 0x202
EFLAGS_TF: Final = 0x100
EFLAGS_DF: Final = 0x400
EFLAGS_RF: Final = 0x10000
EFLAGS_USER: Final = 0x250DD5
"""Flags that a signal frame may set: AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF and ID (Linux FIX_EFLAGS, plus ID)."""

MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF
NO_SYSCALL: Final = MASK64
SYSCALL_LENGTH: Final = 2


class Regs:
    """Registers as unsigned 64-bit integers; mutable, compared by value."""

    __slots__ = FIELDS

    r15: int
    r14: int
    r13: int
    r12: int
    rbp: int
    rbx: int
    r11: int
    r10: int
    r9: int
    r8: int
    rax: int
    rcx: int
    rdx: int
    rsi: int
    rdi: int
    orig_rax: int
    rip: int
    cs: int
    eflags: int
    rsp: int
    ss: int
    fs_base: int
    gs_base: int
    ds: int
    es: int
    fs: int
    gs: int

    def __init__(self, data: bytes | bytearray | memoryview = bytes(USER_REGS.size)) -> None:
        """Unpack the registers from a `struct user_regs_struct`; all zero by default."""
        (
            self.r15,
            self.r14,
            self.r13,
            self.r12,
            self.rbp,
            self.rbx,
            self.r11,
            self.r10,
            self.r9,
            self.r8,
            self.rax,
            self.rcx,
            self.rdx,
            self.rsi,
            self.rdi,
            self.orig_rax,
            self.rip,
            self.cs,
            self.eflags,
            self.rsp,
            self.ss,
            self.fs_base,
            self.gs_base,
            self.ds,
            self.es,
            self.fs,
            self.gs,
        ) = USER_REGS.unpack(data)

    def pack(self) -> bytes:
        """Return the registers as `struct user_regs_struct`."""
        return USER_REGS.pack(*_all_fields(self))

    def copy(self) -> "Regs":
        """Return an independent copy."""
        return Regs(self.pack())

    def set_return_value(self, value: int) -> None:
        """Give the system call that these registers are in its result, -errno for an error."""
        self.rax = value & MASK64

    def restart_syscall(self, nr: int) -> None:
        """Go back to the `syscall` instruction just executed, to make call nr with the same arguments."""
        self.rip -= SYSCALL_LENGTH
        self.rax = nr

    def set_stack_pointer(self, address: int) -> None:
        """Run on another stack."""
        self.rsp = address

    def set_tls(self, address: int) -> None:
        """Set the base of thread-local storage."""
        self.fs_base = address

    def __eq__(self, other: object) -> bool:
        """Compare all registers."""
        return isinstance(other, Regs) and self.pack() == other.pack()

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        """Show what a fault report needs."""
        return f"Regs(rip={self.rip:#x}, rsp={self.rsp:#x}, rax={self.rax:#x})"


_all_fields: Final = attrgetter(*FIELDS)
"""All registers of a thread in one C call: a signal reads and writes them four times."""


def initial_regs(entry: int, stack_pointer: int) -> Regs:
    """Return the registers of a new program: Linux clears all but these (ELF_PLAT_INIT, start_thread)."""
    regs = Regs()
    regs.rip = entry
    regs.rsp = stack_pointer
    regs.cs = USER_CS
    regs.ss = USER_DS
    regs.eflags = EFLAGS_INITIAL
    regs.orig_rax = NO_SYSCALL
    return regs
