"""Which objects of waiter can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_waiter._queue import Queue

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {}


def register(registry: "Registry") -> None:
    """Register queues, which are saved with their entries; the definer of a class of entries registers that."""
    registry.savable("waiter.Queue", fields=Queue.__slots__)(Queue)
