"""Which objects of auth can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_auth._credentials import Credentials
from sentry_auth._exec import ExecCredentials, FilePrivileges
from sentry_auth._filecaps import FileCapabilities
from sentry_auth._idmap import Extent, IdMap
from sentry_auth._namespace import INITIAL, UserNamespace

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    ExecCredentials: "lives for one execve",
    FileCapabilities: "parsed from an attribute for one call",
    FilePrivileges: "lives for one execve",
}
EXTERNALS: Final[dict[str, object]] = {"auth.INITIAL": INITIAL}
"""Objects outside of every image, for its `externals`: there is one initial namespace, which is compared by `is`."""


def register(registry: "Registry") -> None:
    """Register credentials and user namespaces."""
    registry.savable("auth.Extent")(Extent)
    registry.savable(
        "auth.IdMap",
        fields=("extents",),
        unsaved=dict.fromkeys(
            ("_backward", "_forward", "_lower_starts", "_starts"), "sorted from the extents by after_load"
        ),
    )(IdMap)
    registry.savable("auth.UserNamespace", fields=UserNamespace.__slots__)(UserNamespace)
    registry.savable("auth.Credentials")(Credentials)
