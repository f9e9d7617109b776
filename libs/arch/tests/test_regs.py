"""Registers: packed and back."""

import random
from struct import unpack

from sentry_arch import FIELDS, NO_SYSCALL, USER_CS, USER_DS, USER_REGS, Regs, initial_regs


def test_pack_round_trip() -> None:
    """Every field keeps its place."""
    rng = random.Random(1)  # noqa: S311  (repeatable)
    data = bytes(rng.randrange(256) for _ in range(USER_REGS.size))
    regs = Regs(data)
    assert regs.pack() == data
    assert [getattr(regs, name) for name in FIELDS] == list(unpack("=27Q", data))
    copy = regs.copy()
    assert copy == regs
    copy.rax ^= 1
    assert copy != regs
    assert regs != "no registers"
    assert "rip=" in repr(regs)


def test_initial_registers() -> None:
    """A new program finds nothing but entry, stack and the fixed selectors."""
    regs = initial_regs(0x1000, 0x2000)
    assert (regs.rip, regs.rsp, regs.cs, regs.ss, regs.orig_rax) == (0x1000, 0x2000, USER_CS, USER_DS, NO_SYSCALL)
    rest = set(FIELDS) - {"rip", "rsp", "cs", "ss", "orig_rax", "eflags"}
    assert not any(getattr(regs, name) for name in rest)


def test_what_a_call_does_to_registers() -> None:
    """A result is what rax holds, an error its complement; a restart executes the same instruction again."""
    regs = initial_regs(0x1002, 0x2000)
    regs.set_return_value(-38)
    assert regs.rax == 0xFFFF_FFFF_FFFF_FFDA
    regs.set_return_value(7)
    assert regs.rax == 7
    regs.restart_syscall(202)
    assert (regs.rip, regs.rax) == (0x1000, 202)
    regs.set_stack_pointer(0x3000)
    regs.set_tls(0x4000)
    assert (regs.rsp, regs.fs_base) == (0x3000, 0x4000)
