"""The processor itself: the one module that imports the native part."""

from typing import NamedTuple

from sentry_cpuid._native._lib import ffi, lib


class Leaf(NamedTuple):
    """What CPUID answers: four 32-bit registers."""

    eax: int = 0
    ebx: int = 0
    ecx: int = 0
    edx: int = 0


ZERO = Leaf()


def cpuid(leaf: int, subleaf: int = 0) -> Leaf:
    """Return what the processor answers that happens to run this thread.

    In a virtual machine a call costs some microseconds. Raises: ValueError for what does not fit into 32 bits.
    """
    if not (0 <= leaf < 1 << 32 and 0 <= subleaf < 1 << 32):
        message = f"CPUID takes two 32-bit numbers, not {leaf:#x} and {subleaf:#x}"
        raise ValueError(message)
    registers = ffi.new("uint32_t[4]")
    lib.ks_cpuid(leaf, subleaf, registers)
    return Leaf(registers[0], registers[1], registers[2], registers[3])
