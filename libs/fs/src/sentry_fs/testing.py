"""For tests of file systems and their users: credentials, and a tree with a context to walk it."""

from typing import Final

from sentry_host import real_host
from sentry_vfs import FSContext, MountNamespace, VirtualFilesystem

VFS: Final = VirtualFilesystem(real_host())
"""What file systems of tests belong to."""


class Creds:
    """Credentials: user 0 has all capabilities, others none."""

    def __init__(self, uid: int = 0, gid: int = 0, groups: tuple[int, ...] = ()) -> None:
        """Make the credentials of a user."""
        self.uid = self.euid = self.suid = self.fsuid = uid
        self.gid = self.egid = self.sgid = self.fsgid = gid
        self.groups = groups

    def capable(self, capability: int, /) -> bool:
        """Return whether the user is 0."""
        del capability
        return self.fsuid == 0


class World:
    """Mounts, a context and credentials: what a task would have."""

    def __init__(self, mnt: MountNamespace) -> None:
        """Begin at the root as user 0."""
        self.mnt = mnt
        self.ctx = FSContext(mnt.root, umask=0)
        self.creds = Creds()
