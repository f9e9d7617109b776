"""Which objects of netlink_port can be saved, and how. Only save, load and tests import this."""

from _thread import allocate_lock
from typing import TYPE_CHECKING, Final

from sentry_netlink_port._manager import Manager

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {}


def register(registry: "Registry") -> None:
    """Register managers: the ids stay in use. The loader sets its `random_bytes`."""
    registry.savable(
        "netlink_port.Manager",
        fields=("_ports",),
        unsaved={"random_bytes": "the host's"},
        fresh={"_lock": allocate_lock},
    )(Manager)
