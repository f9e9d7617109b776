"""Which objects of usermem can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_usermem._atomic import SharedWords
from sentry_usermem._guest import ByteMemory

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {SharedWords: "an address of this process"}


def register(registry: "Registry") -> None:
    """Register memory of tests and tools; guests' memory is mm's."""
    registry.savable("usermem.ByteMemory", fields=ByteMemory.__slots__)(ByteMemory)
