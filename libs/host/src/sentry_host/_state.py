"""Which objects of host can be saved: none. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_host._descriptors import KeptDescriptors
from sentry_host._host import Host

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    Host: "functions of the host; the loader supplies its own",
    KeptDescriptors: "a limit of the host's process for the length of an import",
}


def register(registry: "Registry") -> None:
    """Register nothing: the record is an external, under a key of the saver's choice."""
    del registry
