"""Namespaces other than that of process ids: names of the host, and what System V IPC would share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentry_auth import UserNamespace


class UTSNamespace:
    """Host and domain name, each up to 64 bytes; who owns them."""

    __slots__ = ("domainname", "hostname", "user_namespace")

    def __init__(self, hostname: bytes, domainname: bytes, user_namespace: "UserNamespace") -> None:
        """Make a namespace with these names."""
        self.hostname = hostname
        self.domainname = domainname
        self.user_namespace = user_namespace


class IPCNamespace:
    """What System V IPC objects belong to; there are none so far."""

    __slots__ = ("user_namespace",)

    def __init__(self, user_namespace: "UserNamespace") -> None:
        """Make an empty namespace."""
        self.user_namespace = user_namespace
