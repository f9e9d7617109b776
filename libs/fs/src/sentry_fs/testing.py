"""For tests of whatever stands on file systems: credentials, and a tree with a context to walk it."""

from sentry_vfs import FSContext, Tree


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
    """A tree, a context and credentials: what a task would have."""

    def __init__(self, tree: Tree) -> None:
        """Stand at the root as user 0."""
        self.tree = tree
        self.ctx = FSContext(tree.root, umask=0)
        self.creds = Creds()
