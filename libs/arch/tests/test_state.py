"""Registers through an image."""

import io
import random

from sentry_arch import USER_REGS, Fault, Regs, StackT
from sentry_arch._state import register
from sentry_state import Reader, Registry, Writer


def test_registers_come_back() -> None:
    """Every register keeps its value; a fault and a stack are equal."""
    rng = random.Random(2)  # noqa: S311  (repeatable)
    regs = Regs(bytes(rng.randrange(256) for _ in range(USER_REGS.size)))
    registry, file = Registry(), io.BytesIO()
    register(registry)
    with Writer(file, registry=registry) as writer:
        writer.save("thread", [regs, Fault(6, 14, 0x1000), StackT(1, 2, 3)])
    file.seek(0)
    assert Reader(file, registry=registry).load("thread") == [regs, Fault(6, 14, 0x1000), StackT(1, 2, 3)]
