"""A task's root, working directory and umask (struct fs_struct), with the paths found from there.

Contexts made by fork share the path cache until one of them changes its root or directory.
"""

from sentry_vfs._node import Path
from sentry_vfs._pathcache import PathCache
from sentry_vfs._pathref import path_get, path_put


class FSContext:
    """Root, working directory and umask; CLONE_FS shares the object, `users` counts the tasks."""

    __slots__ = ("_cwd", "_root", "paths", "umask", "users")

    def __init__(self, root: Path, cwd: Path | None = None, umask: int = 0o022) -> None:
        """Make a context with one user."""
        self._root = root
        self._cwd = cwd or root
        path_get(self._root)
        path_get(self._cwd)
        self.umask = umask
        self.users = 1
        self.paths = PathCache(root.mount.fs.vfs)

    def after_load(self) -> None:
        """Begin with an empty cache."""
        self.paths = PathCache(self._root.mount.fs.vfs)

    @property
    def root(self) -> Path:
        """Where absolute paths begin and `..` ends."""
        return self._root

    @root.setter
    def root(self, place: Path) -> None:
        path_get(place)
        path_put(self._root)
        self._root = place
        self.paths = PathCache(self.paths.vfs)

    @property
    def cwd(self) -> Path:
        """Where relative paths begin."""
        return self._cwd

    @cwd.setter
    def cwd(self, place: Path) -> None:
        path_get(place)
        path_put(self._cwd)
        self._cwd = place
        self.paths = PathCache(self.paths.vfs)

    def fork(self) -> "FSContext":
        """Return a copy for another task."""
        copy = FSContext(self._root, self._cwd, self.umask)
        copy.paths = self.paths
        return copy

    def release(self) -> None:
        """Count one task less; the last one releases both places."""
        self.users -= 1
        if not self.users:
            path_put(self._root)
            path_put(self._cwd)
