"""Which objects of limits can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_limits._limits import Kind, Limit, LimitSet

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {Kind: "constants"}


def register(registry: "Registry") -> None:
    """Register sets of limits."""
    registry.savable("limits.Limit")(Limit)
    registry.savable("limits.LimitSet", fields=LimitSet.__slots__)(LimitSet)
