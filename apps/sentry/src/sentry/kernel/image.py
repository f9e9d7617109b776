"""Programs as execve finds them: opened by path, checked, parsed, ready to be mapped."""

from typing import TYPE_CHECKING, Final, cast

from sentry_abi.errors import EACCES, EINVAL, ELOOP, ENODATA, ENOENT, ENOTDIR, EOPNOTSUPP, ETXTBSY, LinuxError
from sentry_abi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_RDONLY
from sentry_abi.mount import MS_NOSUID
from sentry_abi.resource import RLIMIT_STACK
from sentry_abi.structs import STAT
from sentry_auth import KGID, KUID, PLAIN, XATTR_NAME, FilePrivileges, exec_credentials
from sentry_loader import Ids, Image, LoadedImage, prepare
from sentry_vfs import EXECUTE, FOLLOW, Path, dentry_open, filename_lookup, path_permission

if TYPE_CHECKING:
    from sentry.kernel.kernel import Kernel
    from sentry_auth import Credentials
    from sentry_limits import LimitSet
    from sentry_mm import Mappable, MemoryManager
    from sentry_vfs import FDTable, FileDescription, FSContext

S_IFMT: Final = 0o170000
S_IFREG: Final = 0o100000
S_IFLNK: Final = 0o120000


class Executable:
    """A file that may be executed: `sentry_loader.ExecFile` over an open file."""

    __slots__ = ("_identity", "file", "where")

    def __init__(self, file: "FileDescription", where: Path) -> None:
        """Hold an open file, counted."""
        file.incref()
        self.file = file
        self.where = where
        fields = STAT.unpack(where.dentry.positive().stat())
        self._identity = (fields[0], fields[1], fields[12] * 1_000_000_000 + fields[13], fields[7])

    def pread(self, size: int, offset: int) -> bytes:
        """Return at most size bytes at offset."""
        buffer = bytearray(size)
        with memoryview(buffer) as view:
            done = self.file.pread([view], offset)
        return bytes(buffer[:done])

    def mappable(self) -> "Mappable":
        """Return the file as something to be mapped. Raises: ENODEV."""
        return cast("Mappable", self.file.mappable())

    def identity(self) -> tuple[int, int, int, int]:
        """Return device, inode, change time and size."""
        return self._identity

    def privileges(self) -> FilePrivileges:
        """Return what the file offers to whoever executes it: nothing on a mount with nosuid."""
        mount, dentry = self.where
        if mount.flags & MS_NOSUID:
            return PLAIN
        inode = dentry.positive()
        try:
            attribute = inode.getxattr(XATTR_NAME)
        except (ENODATA, EOPNOTSUPP):
            attribute = None
        return FilePrivileges(inode.mode, KUID(inode.uid), KGID(inode.gid), attribute)

    def close(self) -> None:
        """Give the open file back; the place stays known."""
        self.file.decref()


class ProgramImage:
    """A program that can replace another."""

    __slots__ = ("_image", "_opened", "comm", "creds", "secure")

    def __init__(self, image: Image, opened: list[Executable], creds: "Credentials", *, secure: bool) -> None:
        """Keep what was opened until it is mapped; the credentials are those that the program will have."""
        self._image = image
        self._opened = opened
        self.comm = image.comm
        self.creds = creds
        self.secure = secure

    def map_into(self, mm: "MemoryManager") -> LoadedImage:
        """Map the program into an address space, and give the files back.

        Raises: LinuxError; the space is then useless.
        """
        try:
            loaded = self._image.map_into(mm)
            mm.exe = cast("Executable", loaded.exe).where
            return loaded
        finally:
            for executable in self._opened:
                executable.close()


def open_executable(
    kernel: "Kernel", fs: "FSContext", creds: "Credentials", start: Path | None, path: bytes, flags: int
) -> Executable:
    """Open a file for execution (do_open_execat).

    Raises: what a path walk does; ELOOP for a link not to be followed; EACCES if it is no regular file, not executable,
    or on a mount that says noexec; ETXTBSY while it is open for writing.
    """
    where = filename_lookup(start, path, fs, creds, 0 if flags & AT_SYMLINK_NOFOLLOW else FOLLOW)
    if where.dentry.positive().mode & S_IFMT == S_IFLNK:
        raise ELOOP
    executable = _open_at(kernel, creds, where)
    if path.endswith(b"/"):
        executable.close()
        raise ENOTDIR
    return executable


def open_program(
    kernel: "Kernel",
    fs: "FSContext",
    creds: "Credentials",
    limits: "LimitSet",
    path: bytes,
    argv: list[bytes],
    envv: list[bytes],
    file: "FileDescription | None" = None,
    *,
    dirfd: int = AT_FDCWD,
    files: "FDTable | None" = None,
    flags: int = 0,
    no_new_privs: bool = False,
    shared: bool = False,
) -> ProgramImage:
    """Find a program, check it and its interpreters, and count its arguments; nothing has changed afterwards.

    `shared`: another process shares the filesystem context, so that privileges of the file do not count.

    Raises: EPERM if not all of the file's capabilities can be had; ENOENT, EBADF, EACCES, ENOEXEC, ELIBBAD, ELOOP,
    E2BIG and the errors of a path walk.
    """
    opened: list[Executable] = []

    def opener(name: bytes) -> Executable:
        executable = open_executable(kernel, fs, creds, None, name, 0)
        opened.append(executable)
        return executable

    shown = path
    try:
        if file is not None:
            if file.where is None:
                raise EACCES
            first = Executable(file, file.where)
        else:
            start = None
            if dirfd != AT_FDCWD and not path.startswith(b"/"):
                if files is None:
                    raise EINVAL
                base = files.get_any(dirfd)
                start = base.where
                shown = b"/dev/fd/%d" % dirfd + (b"/" + path if path else b"")
            if not path:
                if not flags & AT_EMPTY_PATH or start is None:
                    raise ENOENT
                first = _open_at(kernel, creds, start)
            else:
                first = open_executable(kernel, fs, creds, start, path, flags)
        opened.append(first)
        cloexec = files is not None and dirfd != AT_FDCWD and files.cloexec(dirfd)
        image = prepare(
            first,
            shown,
            argv,
            envv,
            opener,
            stack_limit=limits.soft(RLIMIT_STACK),
            random=kernel.host.random_bytes(56),
            path_inaccessible=cloexec,
            hardware=kernel.hardware,
            vdso=kernel.vdso,
        )
        privileges = cast("Executable", image.exe).privileges()
        new, secure = exec_credentials(creds, privileges, no_new_privs=no_new_privs, unsafe=shared)
        image.ids = Ids(new.uid, new.euid, new.gid, new.egid, secure)
    except LinuxError:
        for executable in opened:
            executable.close()
        raise
    return ProgramImage(image, opened, new, secure=secure)


def _open_at(kernel: "Kernel", creds: "Credentials", where: Path) -> Executable:
    inode = where.dentry.positive()
    if inode.mode & S_IFMT != S_IFREG:
        raise EACCES
    path_permission(where, EXECUTE, creds)
    if inode.is_written() and inode.fs is not kernel.vfs.memfds:  # Linux does not count a memory file's own descriptor
        raise ETXTBSY
    return Executable(dentry_open(where, O_RDONLY), where)
