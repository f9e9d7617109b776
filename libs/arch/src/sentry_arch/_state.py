"""Which objects of arch can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_arch._frame import Fault, Frame, Restored, StackT
from sentry_arch._regs import FIELDS, Regs

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    Frame: "lives while a signal is delivered",
    Restored: "lives for one rt_sigreturn",
}


def register(registry: "Registry") -> None:
    """Register what a thread has beside its extended state, which is bytes."""
    registry.savable("arch.Regs", fields=FIELDS)(Regs)
    registry.savable("arch.Fault")(Fault)
    registry.savable("arch.StackT")(StackT)
