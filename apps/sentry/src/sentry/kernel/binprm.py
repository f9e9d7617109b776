"""Programs as execve finds them: opened by path, checked, parsed, ready to be mapped (struct linux_binprm)."""

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from sentry_abi.errors import EACCES, EINVAL, ELOOP, ENODATA, ENOENT, ENOTDIR, EOPNOTSUPP, ETXTBSY, LinuxError
from sentry_abi.fcntl import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_RDONLY
from sentry_abi.mount import MS_NOSUID
from sentry_abi.resource import RLIMIT_STACK
from sentry_abi.stat import S_IFLNK, S_IFMT, S_IFREG
from sentry_abi.structs import STAT
from sentry_auth import KGID, KUID, PLAIN, XATTR_NAME, FilePrivileges, exec_credentials
from sentry_loader import Ids, Image, LoadedImage, prepare
from sentry_vfs import EXECUTE, FOLLOW, Path, PathRef, dentry_open, filename_lookup, path_permission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentry.kernel.state import KernelState
    from sentry_auth import Credentials
    from sentry_limits import LimitSet
    from sentry_mm import Mappable, MemoryManager
    from sentry_vfs import FDTable, FileDescription, FSContext

RANDOM: Final = 56
"""Bytes of entropy that a program's addresses and AT_RANDOM take."""


class BinPrm(NamedTuple):
    """The request to execute a program: who, where from, what, and with which arguments."""

    fs: "FSContext"
    creds: "Credentials"
    limits: "LimitSet"
    filename: bytes
    argv: "Sequence[bytes]"
    envv: "Sequence[bytes]"
    file: "FileDescription | None" = None
    """An open file to execute instead of `filename`, which then only names it."""
    files: "FDTable | None" = None
    """Where `dirfd` is looked up."""
    dirfd: int = AT_FDCWD
    flags: int = 0
    """AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW."""
    no_new_privs: bool = False
    max_links: int | None = None
    """Symbolic links followed at most for each file; None: Linux's limit."""
    shared: bool = False
    """Another process shares the filesystem context, so that privileges of the file do not count (LSM_UNSAFE_SHARE)."""


class Executable:
    """A file that may be executed: `sentry_loader.ExecFile` over an open file."""

    __slots__ = ("_identity", "file", "where")

    def __init__(self, file: "FileDescription", where: Path) -> None:
        """Take a reference to an open file."""
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
        """Return what executing the file gives: set-id bits, capabilities; nothing on a mount with nosuid."""
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
        """Release the open file; its path stays known."""
        self.file.decref()


class Program:
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
        """Map the program into an address space, and close the files.

        Raises: LinuxError; the space is then useless.
        """
        try:
            loaded = self._image.map_into(mm)
            mm.exe = PathRef(cast("Executable", loaded.exe).where)
            return loaded
        finally:
            self.close()

    def close(self) -> None:
        """Close the files without mapping them."""
        for executable in self._opened:
            executable.close()
        self._opened.clear()


def open_program(kernel: "KernelState", request: BinPrm) -> Program:
    """Find a program, check it and its interpreters, and count its arguments; nothing has changed afterwards.

    Raises: EPERM if not all of the file's capabilities can be had; ENOENT, EBADF, EACCES, ENOEXEC, ELIBBAD, ELOOP,
    E2BIG and the errors of a path walk.
    """
    opened: list[Executable] = []

    def opener(name: bytes) -> Executable:
        executable = _open_exec(request, None, name, 0)
        opened.append(executable)
        return executable

    try:
        first, shown = _first(request)
        opened.append(first)
        files, dirfd = request.files, request.dirfd
        image = prepare(
            first,
            shown,
            request.argv,
            request.envv,
            opener,
            stack_limit=request.limits.soft(RLIMIT_STACK),
            random=kernel.host.random_bytes(RANDOM),
            path_inaccessible=files is not None and dirfd != AT_FDCWD and files.cloexec(dirfd),
            hardware=kernel.hardware,
            vdso=kernel.vdso,
            extra_auxv=kernel.extra_auxv,
        )
        privileges = cast("Executable", image.exe).privileges()
        creds, secure = exec_credentials(
            request.creds, privileges, no_new_privs=request.no_new_privs, unsafe=request.shared
        )
        image.ids = Ids(creds.uid, creds.euid, creds.gid, creds.egid, secure)
    except LinuxError:
        for executable in opened:
            executable.close()
        raise
    return Program(image, opened, creds, secure=secure)


def check_file(request: BinPrm) -> None:
    """Check that the file is one that may be executed, whatever is in it. Raises: as `open_program`."""
    first, _ = _first(request)
    first.close()


def _first(request: BinPrm) -> tuple[Executable, bytes]:
    """Open what was asked for; return it and the name that the program sees. Raises: as `open_program`."""
    path, dirfd = request.filename, request.dirfd
    if request.file is not None:
        if request.file.where is None:
            raise EACCES
        return Executable(request.file, request.file.where), path
    start, shown = None, path
    if dirfd != AT_FDCWD and not path.startswith(b"/"):
        if request.files is None:
            raise EINVAL
        start = request.files.get_any(dirfd).where
        shown = b"/dev/fd/%d" % dirfd + (b"/" + path if path else b"")
    if path:
        return _open_exec(request, start, path, request.flags), shown
    if not request.flags & AT_EMPTY_PATH:
        raise ENOENT
    if dirfd == AT_FDCWD:
        start = request.fs.cwd
    if start is None:
        raise ENOENT
    return _open_at(request, start), shown


def _open_exec(request: BinPrm, start: Path | None, path: bytes, flags: int) -> Executable:
    """Open a file for execution (do_open_execat).

    Raises: what a path walk does; ELOOP for a link not to be followed; EACCES if it is no regular file, not executable,
    or on a mount that says noexec; ETXTBSY while it is open for writing.
    """
    follow = 0 if flags & AT_SYMLINK_NOFOLLOW else FOLLOW
    where = filename_lookup(start, path, request.fs, request.creds, follow, request.max_links)
    if where.dentry.positive().mode & S_IFMT == S_IFLNK:
        raise ELOOP
    executable = _open_at(request, where)
    if path.endswith(b"/"):
        executable.close()
        raise ENOTDIR
    return executable


def _open_at(request: BinPrm, where: Path) -> Executable:
    inode = where.dentry.positive()
    if inode.mode & S_IFMT != S_IFREG:
        raise EACCES
    path_permission(where, EXECUTE, request.creds)
    if inode.is_written():
        raise ETXTBSY
    return Executable(dentry_open(where, O_RDONLY), where)
