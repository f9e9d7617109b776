"""What the three kinds share: keys, ids, owners, permissions.

An id is an index into a table and a sequence number that counts the passes over the table, so that the id of a removed
object is not soon that of another. Source: Linux ipc/util.c (6.1).
"""

from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from sentry_abi.capability import CAP_IPC_OWNER, CAP_SYS_ADMIN
from sentry_abi.errors import EACCES, EEXIST, EINVAL, ENOENT, ENOSPC, EPERM
from sentry_abi.ipc import IPC_CREAT, IPC_EXCL, IPC_PRIVATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_auth import Credentials

READ: Final = 0o444
WRITE: Final = 0o222
EXECUTE: Final = 0o111
_SHIFT: Final = 15
_MASK: Final = (1 << _SHIFT) - 1
_SEQUENCES: Final = 1 << (31 - _SHIFT)
_CYCLE: Final = 64


class Surroundings(Protocol):
    """What objects record about their use."""

    def now(self) -> int:
        """Return the time of day in seconds."""
        ...

    def pid(self) -> int:
        """Return the process whose call is handled, 0 for none."""
        ...


class Object:
    """One set, segment or queue: struct kern_ipc_perm."""

    __slots__ = ("cgid", "ctime", "cuid", "gid", "id", "key", "mode", "removed", "uid")

    def __init__(self, key: int, mode: int, creds: "Credentials", now: int) -> None:
        """Make an object that is in no registry yet."""
        self.key = key
        self.id = -1
        self.mode = mode & 0o777
        self.uid = self.cuid = int(creds.euid)
        self.gid = self.cgid = int(creds.egid)
        self.ctime = now
        self.removed = False
        """Whether it was removed; waits for it end with EIDRM."""

    def check(self, creds: "Credentials", wanted: int) -> None:
        """Check permission: READ, WRITE, EXECUTE, or the mode bits of a *get call. Raises: EACCES. Linux: ipcperms."""
        requested = wanted >> 6 | wanted >> 3 | wanted
        granted = self.mode
        if creds.euid in (self.cuid, self.uid):
            granted >>= 6
        elif creds.in_group(self.cgid) or creds.in_group(self.gid):
            granted >>= 3
        if requested & ~granted & 7 and not creds.capable(CAP_IPC_OWNER):
            raise EACCES

    def check_owner(self, creds: "Credentials") -> None:
        """Check that the caller may change or remove it. Raises: EPERM. Linux: ipcctl_obtain_check."""
        if creds.euid not in (self.cuid, self.uid) and not creds.capable(CAP_SYS_ADMIN):
            raise EPERM

    def set(self, uid: int, gid: int, mode: int, now: int) -> None:
        """Change owner and permissions: IPC_SET. Raises: EINVAL."""
        if 0xFFFFFFFF in (uid, gid):
            raise EINVAL
        self.uid = uid
        self.gid = gid
        self.mode = self.mode & ~0o777 | mode & 0o777
        self.ctime = now

    @property
    def sequence(self) -> int:
        """The pass over the table in which the id was given."""
        return self.id >> _SHIFT


T = TypeVar("T", bound=Object)


class Registry(Generic[T]):
    """All objects of one kind in one namespace."""

    __slots__ = ("_cursor", "_keys", "_last", "_sequence", "around", "limit", "objects")

    def __init__(self, limit: int, around: Surroundings) -> None:
        """Hold at most limit objects."""
        self.limit = limit
        self.around = around
        self.objects: dict[int, T] = {}
        """By index."""
        self._keys: dict[int, T] = {}
        self._cursor = self._sequence = 0
        self._last = -1

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.objects)

    def __iter__(self) -> "Iterator[T]":
        """Yield them in the order of their indexes."""
        for index in sorted(self.objects):
            yield self.objects[index]

    @property
    def highest(self) -> int:
        """The highest index in use, 0 if there is none: what IPC_INFO returns."""
        return max(self.objects, default=0)

    def find(self, number: int) -> T:
        """Return an object by its id. Raises: EINVAL."""
        found = self.objects.get(number & _MASK) if number >= 0 else None
        if found is None or found.id != number:
            raise EINVAL
        return found

    def at(self, index: int) -> T:
        """Return an object by its index: SHM_STAT and its like. Raises: EINVAL."""
        found = self.objects.get(index & _MASK) if index >= 0 else None
        if found is None:
            raise EINVAL
        return found

    def existing(self, key: int, flags: int) -> T | None:
        """Return the object of a key, None if one is to be made. Raises: ENOENT, EEXIST. Linux: ipcget_public."""
        if key == IPC_PRIVATE:
            return None
        found = self._keys.get(key)
        if found is None:
            if not flags & IPC_CREAT:
                raise ENOENT
            return None
        if flags & IPC_CREAT and flags & IPC_EXCL:
            raise EEXIST
        return found

    def add(self, made: T) -> T:
        """Give an object its id. Raises: ENOSPC. Linux: ipc_addid, ipc_idr_alloc."""
        if len(self.objects) >= self.limit:
            raise ENOSPC
        end = min(max(len(self.objects) * 3 // 2, _CYCLE), self.limit)
        index = next((i for i in range(self._cursor, end) if i not in self.objects), -1)
        if index < 0:
            index = next(i for i in range(end) if i not in self.objects)
        self._cursor = index + 1
        if index <= self._last:
            self._sequence = (self._sequence + 1) % _SEQUENCES
        self._last = index
        made.id = self._sequence << _SHIFT | index
        self.objects[index] = made
        if made.key != IPC_PRIVATE:
            self._keys[made.key] = made
        return made

    def hide(self, gone: T) -> None:
        """Forget an object's key: it can be found by its id alone."""
        if gone.key != IPC_PRIVATE:
            del self._keys[gone.key]
            gone.key = IPC_PRIVATE

    def drop(self, gone: T) -> None:
        """Take an object out of the tables."""
        if gone.key != IPC_PRIVATE:
            del self._keys[gone.key]
        del self.objects[gone.id & _MASK]
        gone.removed = True
