"""Extended attributes. Source: Linux fs/xattr.c."""

from typing import TYPE_CHECKING, Final, NamedTuple

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, Fd, FdNum, Int, PathPtr, Ptr, Size
from sentry.syscalls.pathargs import path_at
from sentry.syscalls.paths import find
from sentry_abi.capability import CAP_SYS_ADMIN
from sentry_abi.errors import E2BIG, EBADF, EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE, EROFS
from sentry_abi.fcntl import AT_FDCWD, XATTR_NAME_MAX
from sentry_abi.poll import IN_ATTRIB
from sentry_abi.stat import S_IFDIR, S_IFMT, S_IFREG, S_ISVTX
from sentry_vfs import READ, WRITE, FileDescription, Inode, Path, fsnotify_dentry, may, owns

if TYPE_CHECKING:
    from sentry.kernel.state import Task

calls = Calls("extended attributes")

SIZE_MAX: Final = 65536
_PREFIXES: Final = (b"user.", b"trusted.", b"security.")


def _name(t: "Task", pointer: int) -> bytes:
    name = t.mm.cstring(pointer, XATTR_NAME_MAX + 1)
    if not name:
        raise ERANGE
    return name


def _inode(file: FileDescription) -> Inode:
    if file.inode is None:
        raise EBADF
    return file.inode


def _permit(t: "Task", inode: Inode, name: bytes, want: int) -> None:
    """Check the permission (xattr_permission), then the name (xattr_resolve_name).

    Raises: EPERM, ENODATA, EACCES, EOPNOTSUPP, EINVAL.
    """
    if name.startswith(b"trusted."):
        if not t.creds.capable(CAP_SYS_ADMIN):
            raise EPERM if want == WRITE else ENODATA
    elif name.startswith(b"user."):
        kind = inode.mode & S_IFMT
        if kind not in {S_IFREG, S_IFDIR}:
            raise EPERM if want == WRITE else ENODATA
        if want == WRITE and kind == S_IFDIR and inode.mode & S_ISVTX and not owns(inode, t.creds):
            raise EPERM
        may(inode, t.creds, want)
    elif want == WRITE and not owns(inode, t.creds):
        raise EPERM
    if not name.startswith(_PREFIXES):
        raise EOPNOTSUPP
    if name in _PREFIXES:
        raise EINVAL


def _get(t: "Task", inode: Inode, text: bytes, value: int, size: int) -> int:
    _permit(t, inode, text, READ)
    found = inode.getxattr(text)
    if size:
        if len(found) > size:
            raise ERANGE
        t.mm.copy_out(value, found)
    return len(found)


def _tell(place: Path | None, inode: Inode) -> None:
    if inode.fs.watched:
        fsnotify_dentry(None if place is None else place.dentry, inode, IN_ATTRIB)


class Attribute(NamedTuple):
    """The name, value and flags of a setxattr."""

    name: bytes
    value: bytes
    flags: int


def _attribute(t: "Task", name: int, value: int, size: int, flags: int) -> Attribute:
    """Read the arguments of a setxattr, before the path. Raises: EINVAL, ERANGE, E2BIG, EFAULT."""
    if flags & ~3:
        raise EINVAL
    text = _name(t, name)
    if size > SIZE_MAX:
        raise E2BIG
    return Attribute(text, t.mm.copy_in(value, size) if size else b"", flags)


def _set(t: "Task", place: Path | None, inode: Inode, new: Attribute) -> int:
    if place is not None and place.mount.readonly:
        raise EROFS
    _permit(t, inode, new.name, WRITE)
    inode.setxattr(None if place is None else place.dentry, new.name, new.value, new.flags)
    _tell(place, inode)
    return 0


def _list(t: "Task", inode: Inode, buf: int, size: int) -> int:
    admin = t.creds.capable(CAP_SYS_ADMIN)
    found = b"".join(name + b"\0" for name in inode.listxattr() if admin or not name.startswith(b"trusted."))
    if size:
        if len(found) > size:
            raise ERANGE
        t.mm.copy_out(buf, found)
    return len(found)


def _remove(t: "Task", place: Path | None, inode: Inode, text: bytes) -> int:
    if place is not None and place.mount.readonly:
        raise EROFS
    _permit(t, inode, text, WRITE)
    inode.removexattr(None if place is None else place.dentry, text)
    _tell(place, inode)
    return 0


def _at(t: "Task", path: int, *, follow: bool) -> Path:
    return find(t, AT_FDCWD, path_at(t, path), follow=follow)


@calls.call
def getxattr(t: "Task", path: PathPtr, name: Ptr, value: Ptr, size: Size) -> Result:
    """getxattr(2)."""
    text = _name(t, name)
    return _get(t, _at(t, path, follow=True).dentry.positive(), text, value, size)


@calls.call
def lgetxattr(t: "Task", path: PathPtr, name: Ptr, value: Ptr, size: Size) -> Result:
    """lgetxattr(2)."""
    text = _name(t, name)
    return _get(t, _at(t, path, follow=False).dentry.positive(), text, value, size)


@calls.call
def fgetxattr(t: "Task", fd: FdNum, name: Ptr, value: Ptr, size: Size) -> Result:
    """fgetxattr(2)."""
    text = _name(t, name)
    return _get(t, _inode(t.files.get(fd)), text, value, size)


@calls.call
def setxattr(t: "Task", path: PathPtr, name: Ptr, value: Ptr, size: Size, flags: Int) -> Result:
    """setxattr(2)."""
    new = _attribute(t, name, value, size, flags)
    place = _at(t, path, follow=True)
    return _set(t, place, place.dentry.positive(), new)


@calls.call
def lsetxattr(t: "Task", path: PathPtr, name: Ptr, value: Ptr, size: Size, flags: Int) -> Result:
    """lsetxattr(2)."""
    new = _attribute(t, name, value, size, flags)
    place = _at(t, path, follow=False)
    return _set(t, place, place.dentry.positive(), new)


@calls.call
def fsetxattr(t: "Task", fd: FdNum, name: Ptr, value: Ptr, size: Size, flags: Int) -> Result:
    """fsetxattr(2)."""
    new = _attribute(t, name, value, size, flags)
    file = t.files.get(fd)
    return _set(t, file.where, _inode(file), new)


@calls.call
def listxattr(t: "Task", path: PathPtr, buf: Ptr, size: Size) -> Result:
    """listxattr(2)."""
    return _list(t, _at(t, path, follow=True).dentry.positive(), buf, size)


@calls.call
def llistxattr(t: "Task", path: PathPtr, buf: Ptr, size: Size) -> Result:
    """llistxattr(2)."""
    return _list(t, _at(t, path, follow=False).dentry.positive(), buf, size)


@calls.call
def flistxattr(t: "Task", file: Fd, buf: Ptr, size: Size) -> Result:
    """flistxattr(2)."""
    return _list(t, _inode(file), buf, size)


@calls.call
def removexattr(t: "Task", path: PathPtr, name: Ptr) -> Result:
    """removexattr(2)."""
    text = _name(t, name)
    place = _at(t, path, follow=True)
    return _remove(t, place, place.dentry.positive(), text)


@calls.call
def lremovexattr(t: "Task", path: PathPtr, name: Ptr) -> Result:
    """lremovexattr(2)."""
    text = _name(t, name)
    place = _at(t, path, follow=False)
    return _remove(t, place, place.dentry.positive(), text)


@calls.call
def fremovexattr(t: "Task", fd: FdNum, name: Ptr) -> Result:
    """fremovexattr(2)."""
    text = _name(t, name)
    file = t.files.get(fd)
    return _remove(t, file.where, _inode(file), text)
