"""Which objects of futex can be saved, and how. Only save, load and tests import this."""

from _thread import RLock
from typing import TYPE_CHECKING, Final

from sentry_futex._futex import Family, Manager, Waiter

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {}


def register(registry: "Registry") -> None:
    """Register managers with all waiters: a wait is a record and stays queued across a save.

    The definer of a subclass of `Waiter` registers it, and so does that of an identity in a key (`Target.shared_key`).
    """
    registry.savable("futex.Waiter", fields=Waiter.__slots__)(Waiter)
    registry.savable("futex.Family", fields=("shared",), fresh={"mu": RLock})(Family)
    registry.savable(
        "futex.Manager",
        fields=("_family", "_private"),
        unsaved={"_mu": "the family's; after_load takes it again", "_shared": "the same"},
    )(Manager)
