"""Signal frames: what is built is what is read, alignment, and what a guest may not smuggle in."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_arch import (
    EFLAGS_USER,
    FIELDS,
    FRAME_SIZE,
    NO_FAULT,
    NO_SYSCALL,
    RED_ZONE,
    USER_CS,
    USER_DS,
    Fault,
    Regs,
    StackT,
    build_frame,
    enter_handler,
    fpu_read_size,
    frame_fpu,
    read_frame,
    thread_fpu,
)

KEPT = [
    name
    for name in FIELDS
    if name not in {"orig_rax", "cs", "ss", "ds", "es", "fs", "gs", "fs_base", "gs_base", "eflags"}
]
words = st.integers(0, 2**64 - 1)


def registers(values: list[int]) -> Regs:
    """Return registers with these values."""
    regs = Regs()
    for name, value in zip(FIELDS, values, strict=True):
        setattr(regs, name, value)
    return regs


def xsave(size: int = 2696, present: int = 0xE7) -> bytes:
    """Return an XSAVE area with something in it."""
    area = bytearray(i * 7 & 0xFF for i in range(size))
    area[464:512] = bytes(48)
    area[512:576] = present.to_bytes(8, "little") + bytes(56)
    area[24:32] = (0x1F80).to_bytes(4, "little") + b"\xff\xff\x00\x00"
    return bytes(area)


@given(st.lists(words, min_size=27, max_size=27), words, st.integers(0x10000, 2**47 - 1))
def test_round_trip(values: list[int], mask: int, top: int) -> None:
    """All general registers, the mask and the stack come back; the handler's stack is aligned as the ABI says."""
    regs = registers(values)
    stack = StackT(0x1234000, 0, 0x8000)
    info = bytes(range(128))
    frame = build_frame(regs, frame_fpu(xsave()), info, mask, 0x4444, stack, top, Fault(1, 2, 3))
    assert frame.address % 16 == 8
    assert frame.fpu_address % 64 == 0
    assert frame.fpu_address + len(frame.fpu) <= top
    assert frame.address + FRAME_SIZE <= frame.fpu_address
    assert len(frame.frame) == FRAME_SIZE
    assert frame.frame[-128:] == info
    assert int.from_bytes(frame.frame[:8], "little") == 0x4444
    before = Regs()
    before.fs_base, before.eflags = 0x77, 0x202
    restored = read_frame(frame.frame, before)
    for name in KEPT:
        assert getattr(restored.regs, name) == getattr(regs, name), name
    assert restored.regs.fs_base == 0x77
    assert restored.regs.eflags == (0x202 & ~EFLAGS_USER) | (regs.eflags & EFLAGS_USER)
    assert restored.regs.orig_rax == NO_SYSCALL
    assert (restored.mask, restored.stack, restored.fpu_address) == (mask, stack, frame.fpu_address)


def test_handler_arguments() -> None:
    """A handler gets number, siginfo and context, with flags as the ABI wants them."""
    regs = Regs()
    regs.eflags = 0x202 | 0x400 | 0x100 | 0x10000
    frame = build_frame(regs, frame_fpu(xsave()), bytes(128), 0, 0, StackT(0, 2, 0), 0x7FFF0000 - RED_ZONE, NO_FAULT)
    enter_handler(regs, frame, 11, 0x1000)
    assert (regs.rip, regs.rsp, regs.rdi, regs.rax) == (0x1000, frame.address, 11, 0)
    assert regs.rsi == frame.address + FRAME_SIZE - 128
    assert regs.rdx == frame.address + 8
    assert regs.eflags == 0x202


def test_extended_state_round_trip() -> None:
    """What a frame carries comes back; what it does not carry is in its initial state."""
    area = xsave(11008, 0x602E7)
    inside = frame_fpu(area)
    assert len(inside) == 2696 + 4
    size = fpu_read_size(inside[:512])
    assert size == 2696
    back = thread_fpu(inside[:size], 11008)
    assert len(back) == 11008
    assert int.from_bytes(back[512:520], "little") == 0x2E7
    assert back[576:2696] == area[576:2696]
    assert not any(back[2696:])


def test_legacy_frame_restores_x87_and_sse_only() -> None:
    """Without the magic number only the first 512 bytes count."""
    legacy = xsave()[:512]
    assert fpu_read_size(legacy) == 512
    back = thread_fpu(legacy, 2696)
    assert int.from_bytes(back[512:520], "little") == 3
    assert back[32:416] == legacy[32:416]


@given(st.binary(min_size=2696, max_size=2696))
def test_nothing_forbidden_gets_through(data: bytes) -> None:
    """Whatever a guest writes, reserved bits of MXCSR are refused and those of the header are clear."""
    size = fpu_read_size(data[:512])
    assert 512 <= size <= 2696
    if data[26:28] != bytes(2):
        with pytest.raises(ValueError, match="MXCSR"):
            thread_fpu(data[:size], 2696)
        data = data[:26] + bytes(2) + data[28:]
    back = thread_fpu(data[:size], 2696)
    assert int.from_bytes(back[24:28], "little") <= 0xFFFF
    assert int.from_bytes(back[512:520], "little") & ~0x2E7 == 0
    assert not any(back[520:576])


CS = FRAME_SIZE - 128 - 8 - 64 - 40 - 8
"""Where the selectors lie: before err, trapno, oldmask, cr2, fpstate, the reserved words, the mask and siginfo."""


@pytest.mark.parametrize(
    ("flags", "cs", "ss", "taken"),
    [
        (7, USER_CS, USER_DS, True),
        (7, 0x10, USER_DS, False),
        (7, 0, USER_DS, False),
        (7, USER_CS, 0x18, False),
        (3, USER_CS, 0, True),
    ],
)
def test_segments(flags: int, cs: int, ss: int, *, taken: bool) -> None:
    """Only user mode's own segments are taken; a program of old that does not say it has set ss need not have."""
    frame = bytearray(FRAME_SIZE)
    struct.pack_into("=Q", frame, 8, flags)
    struct.pack_into("=HHHH", frame, CS, cs, 0, 0, ss)
    if taken:
        assert read_frame(bytes(frame), Regs()).regs.rip == 0
    else:
        with pytest.raises(ValueError, match="segments"):
            read_frame(bytes(frame), Regs())


@given(st.binary(min_size=FRAME_SIZE, max_size=FRAME_SIZE))
def test_any_frame_can_be_read(data: bytes) -> None:
    """A frame made of noise gives registers, once its segments are user mode's; others are refused."""
    good = bytearray(data)
    good[CS : CS + 8] = struct.pack("=HHHH", USER_CS, 0, 0, USER_DS)
    if int.from_bytes(data[CS : CS + 2], "little") | 3 != USER_CS:
        with pytest.raises(ValueError, match="segments"):
            read_frame(data, Regs())
    restored = read_frame(bytes(good), Regs())
    assert restored.regs.orig_rax == NO_SYSCALL
    assert restored.regs.eflags & ~(EFLAGS_USER | 0x202) == 0
