"""Paths that were found, by their text.

An entry is used while no rename, removal of a directory, mount or new link has happened (`KernelWide.generation`), for
the same identity, while its last dentry is hashed. The host does not report its own renames: all entries expire after
`MAX_AGE_NS`.
"""

from typing import Final

from sentry_vfs._node import Credentials, KernelWide, Path

MAX_PATHS: Final = 4096
MAX_AGE_NS: Final = 100_000_000
"""How long a directory that the host has moved can still be found at its old path."""


class PathCache:
    """Places by path text, for one root, one working directory and one identity."""

    __slots__ = ("creds", "expires_ns", "follow", "generation", "monotonic_ns", "nofollow", "vfs")

    def __init__(self, vfs: KernelWide, creds: Credentials | None = None) -> None:
        """Make an empty cache, for any identity if creds is None."""
        self.vfs = vfs
        self.monotonic_ns = vfs.host.monotonic_ns
        self.creds = creds
        self.generation = -1
        self.expires_ns = 0
        self.follow: dict[bytes, Path] = {}
        """Places of paths whose last name, if it is a link, was followed."""
        self.nofollow: dict[bytes, Path] = {}

    def clear(self, now_ns: int) -> None:
        """Drop all paths; entries from now on are good for `MAX_AGE_NS`."""
        self.follow.clear()
        self.nofollow.clear()
        self.generation = self.vfs.generation
        self.expires_ns = now_ns + MAX_AGE_NS
