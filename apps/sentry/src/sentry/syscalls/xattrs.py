"""Extended attributes. Source: Linux fs/xattr.c."""

from typing import TYPE_CHECKING, Final

from sentry.kernel.pending import Result
from sentry.syscalls.binder import Calls, Fd, Int, PathPtr, Ptr, Size
from sentry.syscalls.paths import find
from sentry.syscalls.waits import path_at
from sentry_abi.errors import E2BIG, EBADF, EINVAL, ENODATA, EPERM, ERANGE, EROFS
from sentry_abi.fcntl import AT_FDCWD
from sentry_abi.poll import IN_ATTRIB
from sentry_vfs import READ, WRITE, FileDescription, Inode, Path, PathFile, happened, may, owns

if TYPE_CHECKING:
    from sentry.kernel.task import Task

calls = Calls("extended attributes")

NAME_MAX: Final = 256  # with the NUL
SIZE_MAX: Final = 65536
CAP_SYS_ADMIN: Final = 21


def _name(t: "Task", pointer: int) -> bytes:
    name = t.mm.cstring(pointer, NAME_MAX)
    if not name:
        raise ERANGE
    return name


def _inode(file: FileDescription) -> Inode:
    if file.inode is None or isinstance(file, PathFile):
        raise EBADF
    return file.inode


def _permit(t: "Task", inode: Inode, name: bytes, want: int) -> None:
    if name.startswith(b"trusted."):
        if not t.creds.capable(CAP_SYS_ADMIN):
            raise EPERM if want == WRITE else ENODATA
    elif name.startswith(b"user."):
        may(inode, t.creds, want)
    elif want == WRITE and not owns(inode, t.creds):
        raise EPERM


def _get(t: "Task", inode: Inode, name: int, value: int, size: int) -> int:
    text = _name(t, name)
    _permit(t, inode, text, READ)
    found = inode.getxattr(text)
    if size:
        if len(found) > size:
            raise ERANGE
        t.mm.copy_out(value, found)
    return len(found)


def _tell(place: Path | None, inode: Inode) -> None:
    if inode.fs.watched:
        happened(None if place is None else place.dentry, inode, IN_ATTRIB)


def _set(t: "Task", place: Path | None, inode: Inode, args: tuple[int, int, int, int]) -> int:
    name, value, size, flags = args
    if flags & ~3:
        raise EINVAL
    text = _name(t, name)
    if size > SIZE_MAX:
        raise E2BIG
    content = t.mm.copy_in(value, size) if size else b""
    if place is not None and place.mount.readonly:
        raise EROFS
    _permit(t, inode, text, WRITE)
    inode.setxattr(None if place is None else place.dentry, text, content, flags)
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


def _remove(t: "Task", place: Path | None, inode: Inode, name: int) -> int:
    text = _name(t, name)
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
    return _get(t, _at(t, path, follow=True).dentry.positive(), name, value, size)


@calls.call
def lgetxattr(t: "Task", path: PathPtr, name: Ptr, value: Ptr, size: Size) -> Result:
    """lgetxattr(2)."""
    return _get(t, _at(t, path, follow=False).dentry.positive(), name, value, size)


@calls.call
def fgetxattr(t: "Task", file: Fd, name: Ptr, value: Ptr, size: Size) -> Result:
    """fgetxattr(2)."""
    return _get(t, _inode(file), name, value, size)


@calls.call
def setxattr(t: "Task", path: PathPtr, name: Ptr, value: Ptr, size: Size, flags: Int) -> Result:
    """setxattr(2)."""
    place = _at(t, path, follow=True)
    return _set(t, place, place.dentry.positive(), (name, value, size, flags))


@calls.call
def lsetxattr(t: "Task", path: PathPtr, name: Ptr, value: Ptr, size: Size, flags: Int) -> Result:
    """lsetxattr(2)."""
    place = _at(t, path, follow=False)
    return _set(t, place, place.dentry.positive(), (name, value, size, flags))


@calls.call
def fsetxattr(t: "Task", file: Fd, name: Ptr, value: Ptr, size: Size, flags: Int) -> Result:
    """fsetxattr(2)."""
    return _set(t, file.where, _inode(file), (name, value, size, flags))


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
    place = _at(t, path, follow=True)
    return _remove(t, place, place.dentry.positive(), name)


@calls.call
def lremovexattr(t: "Task", path: PathPtr, name: Ptr) -> Result:
    """lremovexattr(2)."""
    place = _at(t, path, follow=False)
    return _remove(t, place, place.dentry.positive(), name)


@calls.call
def fremovexattr(t: "Task", file: Fd, name: Ptr) -> Result:
    """fremovexattr(2)."""
    return _remove(t, file.where, _inode(file), name)
