"""A task's file context: root, working directory, umask, and what it has found so far.

The finds are a dictionary from path text to place. One is good as long as nothing was renamed, removed above it or
mounted, and no link was made (the tree's `generation`), the one who asks is the same, and its last dentry still stands
in the tree. The host tells nobody what it renames: all are forgotten after FINDS_S.
Contexts made by fork share it until one of them changes its directory.
"""

from typing import TYPE_CHECKING, Final

from sentry_vfs._node import Path

if TYPE_CHECKING:
    from sentry_vfs._node import Credentials

MAX_FINDS: Final = 4096
FINDS_S: Final = 0.1
"""How long finds are kept, in seconds: the longest that a directory moved by the host still seems in its place."""


class Finds:
    """Places by path text, for one root, one working directory and one identity."""

    __slots__ = ("creds", "follow", "generation", "nofollow", "until")

    def __init__(self) -> None:
        """Make an empty one."""
        self.creds: Credentials | None = None
        self.generation = -1
        self.until = 0.0
        self.follow: dict[bytes, Path] = {}
        self.nofollow: dict[bytes, Path] = {}


class FSContext:
    """Root, working directory and umask; CLONE_FS shares the object, `users` counts the tasks."""

    __slots__ = ("_cwd", "_root", "finds", "umask", "users")

    def __init__(self, root: Path, cwd: Path | None = None, umask: int = 0o022) -> None:
        """Make a context that one task uses."""
        self._root = root
        self._cwd = cwd or root
        self.umask = umask
        self.users = 1
        self.finds = Finds()

    @property
    def root(self) -> Path:
        """Where absolute paths begin and `..` ends."""
        return self._root

    @root.setter
    def root(self, place: Path) -> None:
        self._root = place
        self.finds = Finds()

    @property
    def cwd(self) -> Path:
        """Where relative paths begin."""
        return self._cwd

    @cwd.setter
    def cwd(self, place: Path) -> None:
        self._cwd = place
        self.finds = Finds()

    def fork(self) -> "FSContext":
        """Return a copy for another task."""
        copy = FSContext(self._root, self._cwd, self.umask)
        copy.finds = self.finds
        return copy
