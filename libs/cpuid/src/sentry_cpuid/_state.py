"""Which objects of cpuid can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_cpuid._cpu import Leaf
from sentry_cpuid._features import Block
from sentry_cpuid._set import Cache, ExtendedState, FeatureSet

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {Block: "constants"}


def register(registry: "Registry") -> None:
    """Register descriptions of processors."""
    registry.savable("cpuid.Leaf")(Leaf)
    registry.savable("cpuid.Cache")(Cache)
    registry.savable("cpuid.ExtendedState")(ExtendedState)
    registry.savable("cpuid.FeatureSet")(FeatureSet)
