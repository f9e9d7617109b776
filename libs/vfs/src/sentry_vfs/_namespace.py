"""The mounts of one mount namespace. Source: Linux fs/namespace.c; mount_namespaces(7)."""

from sentry_abi.errors import EBUSY, EINVAL, ENOTDIR
from sentry_vfs._fsnotify import fsnotify_unmount
from sentry_vfs._node import Dentry, Filesystem, Mount, Path, follow_mount
from sentry_vfs._pathref import mntget, mntput


class MountNamespace:
    """All mounts that are reached from one root mount (struct mnt_namespace)."""

    __slots__ = ("root_mount", "user_namespace")

    def __init__(self, fs: Filesystem, root: Dentry, flags: int = 0) -> None:
        """Make a namespace with one mount."""
        self.root_mount = Mount(fs, root, flags)
        self.user_namespace: object = None
        """The user namespace that owns this one, set by the kernel that takes it."""
        root.count += 1
        mntget(self.root_mount)

    @property
    def root(self) -> Path:
        """The topmost place at the root."""
        return follow_mount(self.root_mount, self.root_mount.root)

    def attach(self, fs: Filesystem, root: Dentry, where: Path, flags: int = 0) -> Mount:
        """Mount a file system, from root on, at a place; return the mount.

        Raises: ENOTDIR if only one of the two is a directory.
        """
        mount, dentry = follow_mount(*where)
        if (dentry.children is None) != (root.children is None):
            raise ENOTDIR
        made = Mount(fs, root, flags)
        root.count += 1
        mntget(made)
        made.parent, made.point = mount, dentry
        mount.children[dentry] = made
        dentry.mounted += 1
        dentry.pin()
        fs.vfs.generation += 1
        return made

    def detach(self, where: Path) -> None:
        """Unmount what is mounted at a place. Raises: EINVAL (not the root of a mount), EBUSY (mounts below it)."""
        mount, dentry = where
        if dentry is not mount.root or mount.parent is None or mount.point is None:
            raise EINVAL
        if mount.children:
            raise EBUSY
        del mount.parent.children[mount.point]
        mount.point.mounted -= 1
        mount.parent = mount.point = None
        fs = mount.fs
        if fs.watched and all(other.fs is not fs for other in self.all_mounts()):
            fsnotify_unmount(fs)
        fs.vfs.generation += 1
        mount.root.count -= 1
        mntput(mount)

    def release(self) -> None:
        """Unmount everything, the last mount first: the namespace has no task any more (put_mnt_ns)."""
        for mount in reversed(self.all_mounts()):
            mount.root.count -= 1
            mntput(mount)

    def all_mounts(self) -> list[Mount]:
        """Return the mounts by rising id: parents first."""
        found = [self.root_mount]
        for mount in found:
            found.extend(mount.children.values())
        return sorted(found, key=lambda mount: mount.id)
