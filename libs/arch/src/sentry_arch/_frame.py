"""Signal frames of x86-64: what a handler finds on its stack, and what rt_sigreturn(2) reads back.

From high to low addresses: the red zone of the interrupted code (128 bytes, skipped), the XSAVE area (64-byte aligned)
with FP_XSTATE_MAGIC2 behind it, siginfo_t, ucontext_t, the return address. Pure functions over bytes.

Sources: Linux arch/x86/kernel/signal_64.c (x64_setup_rt_frame), arch/x86/kernel/fpu/signal.c,
arch/x86/include/uapi/asm/ {ucontext,sigcontext}.h.
"""

from struct import Struct
from typing import Final, NamedTuple

from sentry_arch._regs import EFLAGS_DF, EFLAGS_RF, EFLAGS_TF, EFLAGS_USER, NO_SYSCALL, USER_CS, USER_DS, Regs

RED_ZONE: Final = 128
SIGINFO_SIZE: Final = 128

UC_FP_XSTATE: Final = 1
UC_SIGCONTEXT_SS: Final = 2
UC_STRICT_RESTORE_SS: Final = 4

_HEAD: Final = Struct("=QQQQiIQ")  # pretcode, uc_flags, uc_link, ss_sp, ss_flags, pad, ss_size
_MCONTEXT: Final = Struct("=18QHHHHQQQQQ64x")
# r8..r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags; cs, gs, fs, ss; err, trapno, oldmask, cr2, fpstate; reserved
_MASK: Final = Struct("=Q")
FRAME_SIZE: Final = _HEAD.size + _MCONTEXT.size + _MASK.size + SIGINFO_SIZE
_UC_OFFSET: Final = 8
_INFO_OFFSET: Final = FRAME_SIZE - SIGINFO_SIZE

FP_XSTATE_MAGIC1: Final = 0x46505853
FP_XSTATE_MAGIC2: Final = 0x46505845
_SW_BYTES: Final = Struct("=IIQI28x")  # magic1, extended_size, xfeatures, xstate_size
_SW_OFFSET: Final = 464
_LEGACY_SIZE: Final = 512
_HEADER_SIZE: Final = 64
_BASE_SIZE: Final = _LEGACY_SIZE + _HEADER_SIZE
MXCSR_MASK: Final = 0xFFFF
XFEATURES_FRAME: Final = 0x2E7
"""Components that a frame carries.

X87, SSE, AVX, AVX-512 (three) and PKRU; no AMX tiles.
"""
_FRAME_XSTATE_SIZE: Final = 2696
"""End of PKRU in the standard format, the last of XFEATURES_FRAME."""


class StackT(NamedTuple):
    """An alternate signal stack, as sigaltstack(2) has it."""

    sp: int
    flags: int
    size: int


class Frame(NamedTuple):
    """A frame ready to be copied to the stack."""

    address: int
    """Where the frame begins: the handler's stack pointer."""
    frame: bytes
    fpu_address: int
    fpu: bytes


class Restored(NamedTuple):
    """What rt_sigreturn puts back."""

    regs: Regs
    mask: int
    stack: StackT
    fpu_address: int
    """0: the extended state goes back to its initial value."""


class Fault(NamedTuple):
    """What the CPU said about the last fault of the thread: sigcontext's err, trapno and cr2."""

    err: int = 0
    trapno: int = 0
    cr2: int = 0


NO_FAULT: Final = Fault()


def frame_fpu(area: bytes) -> bytes:
    """Return an XSAVE area of a thread as a signal frame holds it: marked, cut to the components it carries."""
    size = min(len(area), _FRAME_XSTATE_SIZE)
    present = int.from_bytes(area[_LEGACY_SIZE : _LEGACY_SIZE + 8], "little") & XFEATURES_FRAME
    marked = bytearray(area[:size])
    supported = XFEATURES_FRAME & (int.from_bytes(area[_SW_OFFSET : _SW_OFFSET + 8], "little") or XFEATURES_FRAME)
    _SW_BYTES.pack_into(marked, _SW_OFFSET, FP_XSTATE_MAGIC1, size + 4, supported, size)
    marked[_LEGACY_SIZE : _LEGACY_SIZE + 8] = present.to_bytes(8, "little")
    return bytes(marked) + FP_XSTATE_MAGIC2.to_bytes(4, "little")


def fpu_read_size(legacy: bytes) -> int:
    """Return how many bytes of XSAVE area follow from the first 512 bytes of a frame's: 512 when only those count."""
    magic, extended, _, size = _SW_BYTES.unpack_from(legacy, _SW_OFFSET)
    if magic != FP_XSTATE_MAGIC1 or size < _BASE_SIZE or size > _FRAME_XSTATE_SIZE or extended < size + 4:
        return _LEGACY_SIZE
    return int(size)


def thread_fpu(frame_area: bytes, size: int) -> bytes:
    """Return a frame's area as an XSAVE area of `size` bytes for a thread; what the guest may not set is cleared.

    A frame without the extended part restores x87 and SSE and puts the rest to its initial value, as Linux does.

    Raises: ValueError  reserved bits of MXCSR are set, which no XRSTOR takes
    """
    if int.from_bytes(frame_area[24:28], "little") & ~MXCSR_MASK:
        msg = "reserved bits of MXCSR are set"
        raise ValueError(msg)
    area = bytearray(size)
    area[: len(frame_area)] = frame_area
    area[_SW_OFFSET:_LEGACY_SIZE] = bytes(_LEGACY_SIZE - _SW_OFFSET)
    if len(frame_area) <= _LEGACY_SIZE:
        present = 3
    else:
        present = int.from_bytes(area[_LEGACY_SIZE : _LEGACY_SIZE + 8], "little") & XFEATURES_FRAME
    area[_LEGACY_SIZE : _LEGACY_SIZE + _HEADER_SIZE] = present.to_bytes(8, "little") + bytes(_HEADER_SIZE - 8)
    area[28:32] = MXCSR_MASK.to_bytes(4, "little")
    return bytes(area)


def build_frame(
    regs: Regs, fpu: bytes, info: bytes, mask: int, restorer: int, stack: StackT, top: int, fault: Fault
) -> Frame:
    """Lay out a frame below `top` (already below the red zone, or the end of the alternate stack).

    regs   the interrupted thread, as it will go on after rt_sigreturn
    fpu    from `frame_fpu`
    info   siginfo_t, 128 bytes
    mask   the blocked signals to put back
    """
    fpu_address = (top - len(fpu)) & ~63
    address = ((fpu_address - FRAME_SIZE) & ~15) - 8
    flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
    frame = (
        _HEAD.pack(restorer, flags, 0, stack.sp, stack.flags, 0, stack.size)
        + _MCONTEXT.pack(
            regs.r8,
            regs.r9,
            regs.r10,
            regs.r11,
            regs.r12,
            regs.r13,
            regs.r14,
            regs.r15,
            regs.rdi,
            regs.rsi,
            regs.rbp,
            regs.rbx,
            regs.rdx,
            regs.rax,
            regs.rcx,
            regs.rsp,
            regs.rip,
            regs.eflags,
            USER_CS,
            0,
            0,
            USER_DS,
            fault.err,
            fault.trapno,
            mask,
            fault.cr2,
            fpu_address,
        )
        + _MASK.pack(mask)
        + info
    )
    return Frame(address, frame, fpu_address, fpu)


def enter_handler(regs: Regs, frame: Frame, signo: int, handler: int) -> None:
    """Change regs so that the handler runs on the frame: `handler(signo, &info, &ucontext)`."""
    regs.rip = handler
    regs.rsp = frame.address
    regs.rdi = signo
    regs.rsi = frame.address + _INFO_OFFSET
    regs.rdx = frame.address + _UC_OFFSET
    regs.rax = 0
    regs.eflags &= ~(EFLAGS_DF | EFLAGS_RF | EFLAGS_TF)
    regs.orig_rax = NO_SYSCALL


def read_frame(frame: bytes, before: Regs) -> Restored:
    """Read a frame of FRAME_SIZE bytes that the guest may have changed; segment bases stay as in `before`.

    Raises: ValueError  a code or stack segment that is not 64-bit user mode's: on Linux the return to it faults

    Differs: 32-bit code segments are refused as well; nothing else here runs 32-bit code either.
    """
    _, flags, _, sp, stack_flags, _, size = _HEAD.unpack_from(frame, 0)
    regs = before.copy()
    (
        regs.r8,
        regs.r9,
        regs.r10,
        regs.r11,
        regs.r12,
        regs.r13,
        regs.r14,
        regs.r15,
        regs.rdi,
        regs.rsi,
        regs.rbp,
        regs.rbx,
        regs.rdx,
        regs.rax,
        regs.rcx,
        regs.rsp,
        regs.rip,
        eflags,
        cs,
        _,
        _,
        ss,
        _,
        _,
        _,
        _,
        fpu_address,
    ) = _MCONTEXT.unpack_from(frame, _HEAD.size)
    if cs | 3 != USER_CS or (flags & UC_STRICT_RESTORE_SS and ss | 3 != USER_DS):
        msg = "segments other than those of 64-bit user mode"
        raise ValueError(msg)
    regs.eflags = (before.eflags & ~EFLAGS_USER) | (eflags & EFLAGS_USER)
    regs.orig_rax = NO_SYSCALL
    (mask,) = _MASK.unpack_from(frame, _HEAD.size + _MCONTEXT.size)
    return Restored(regs, mask, StackT(sp, stack_flags, size), fpu_address)
