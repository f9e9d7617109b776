"""Error numbers of x86-64 Linux, one exception class each, and the restart codes.

The tree::

    LinuxError            the guest sees it: the call returns -errno
      EPERM, ENOENT, ...  one class per number; `errno` is a class attribute
    RestartError          never reaches the guest: an interrupted call that may start again
      ERESTARTSYS ...

A handler raises a fresh object each time (`raise ENOENT`): a shared instance would keep tracebacks, and with them
frames and files, alive. `LinuxError` is not an `OSError`: trouble of the host cannot leak to the guest unseen;
translate it with `from_host`.

Sources: Linux include/uapi/asm-generic/errno-base.h and errno.h, include/linux/errno.h (restart codes), errno(3).
"""

from typing import ClassVar, Final


class LinuxError(Exception):
    """An error that the guest sees as a negative return value."""

    __slots__ = ()
    errno: ClassVar[int] = 0

    def __str__(self) -> str:
        """Return the symbol and, if there is one, what was said when it was raised."""
        said = super().__str__()
        name = type(self).__name__
        return f"{name}: {said}" if said else name


class EPERM(LinuxError):
    """Operation not permitted."""

    __slots__ = ()
    errno = 1


class ENOENT(LinuxError):
    """No such file or directory."""

    __slots__ = ()
    errno = 2


class ESRCH(LinuxError):
    """No such process."""

    __slots__ = ()
    errno = 3


class EINTR(LinuxError):
    """Interrupted system call."""

    __slots__ = ()
    errno = 4


class EIO(LinuxError):
    """Input/output error."""

    __slots__ = ()
    errno = 5


class ENXIO(LinuxError):
    """No such device or address."""

    __slots__ = ()
    errno = 6


class E2BIG(LinuxError):
    """Argument list too long."""

    __slots__ = ()
    errno = 7


class ENOEXEC(LinuxError):
    """Exec format error."""

    __slots__ = ()
    errno = 8


class EBADF(LinuxError):
    """Bad file descriptor."""

    __slots__ = ()
    errno = 9


class ECHILD(LinuxError):
    """No child processes."""

    __slots__ = ()
    errno = 10


class EAGAIN(LinuxError):
    """Resource temporarily unavailable."""

    __slots__ = ()
    errno = 11


class ENOMEM(LinuxError):
    """Cannot allocate memory."""

    __slots__ = ()
    errno = 12


class EACCES(LinuxError):
    """Permission denied."""

    __slots__ = ()
    errno = 13


class EFAULT(LinuxError):
    """Bad address."""

    __slots__ = ()
    errno = 14


class ENOTBLK(LinuxError):
    """Block device required."""

    __slots__ = ()
    errno = 15


class EBUSY(LinuxError):
    """Device or resource busy."""

    __slots__ = ()
    errno = 16


class EEXIST(LinuxError):
    """File exists."""

    __slots__ = ()
    errno = 17


class EXDEV(LinuxError):
    """Invalid cross-device link."""

    __slots__ = ()
    errno = 18


class ENODEV(LinuxError):
    """No such device."""

    __slots__ = ()
    errno = 19


class ENOTDIR(LinuxError):
    """Not a directory."""

    __slots__ = ()
    errno = 20


class EISDIR(LinuxError):
    """Is a directory."""

    __slots__ = ()
    errno = 21


class EINVAL(LinuxError):
    """Invalid argument."""

    __slots__ = ()
    errno = 22


class ENFILE(LinuxError):
    """Too many open files in system."""

    __slots__ = ()
    errno = 23


class EMFILE(LinuxError):
    """Too many open files."""

    __slots__ = ()
    errno = 24


class ENOTTY(LinuxError):
    """Inappropriate ioctl for device."""

    __slots__ = ()
    errno = 25


class ETXTBSY(LinuxError):
    """Text file busy."""

    __slots__ = ()
    errno = 26


class EFBIG(LinuxError):
    """File too large."""

    __slots__ = ()
    errno = 27


class ENOSPC(LinuxError):
    """No space left on device."""

    __slots__ = ()
    errno = 28


class ESPIPE(LinuxError):
    """Illegal seek."""

    __slots__ = ()
    errno = 29


class EROFS(LinuxError):
    """Read-only file system."""

    __slots__ = ()
    errno = 30


class EMLINK(LinuxError):
    """Too many links."""

    __slots__ = ()
    errno = 31


class EPIPE(LinuxError):
    """Broken pipe."""

    __slots__ = ()
    errno = 32


class EDOM(LinuxError):
    """Numerical argument out of domain."""

    __slots__ = ()
    errno = 33


class ERANGE(LinuxError):
    """Numerical result out of range."""

    __slots__ = ()
    errno = 34


class EDEADLK(LinuxError):
    """Resource deadlock avoided."""

    __slots__ = ()
    errno = 35


class ENAMETOOLONG(LinuxError):
    """File name too long."""

    __slots__ = ()
    errno = 36


class ENOLCK(LinuxError):
    """No locks available."""

    __slots__ = ()
    errno = 37


class ENOSYS(LinuxError):
    """Function not implemented."""

    __slots__ = ()
    errno = 38


class ENOTEMPTY(LinuxError):
    """Directory not empty."""

    __slots__ = ()
    errno = 39


class ELOOP(LinuxError):
    """Too many levels of symbolic links."""

    __slots__ = ()
    errno = 40


class ENOMSG(LinuxError):
    """No message of desired type."""

    __slots__ = ()
    errno = 42


class EIDRM(LinuxError):
    """Identifier removed."""

    __slots__ = ()
    errno = 43


class ECHRNG(LinuxError):
    """Channel number out of range."""

    __slots__ = ()
    errno = 44


class EL2NSYNC(LinuxError):
    """Level 2 not synchronized."""

    __slots__ = ()
    errno = 45


class EL3HLT(LinuxError):
    """Level 3 halted."""

    __slots__ = ()
    errno = 46


class EL3RST(LinuxError):
    """Level 3 reset."""

    __slots__ = ()
    errno = 47


class ELNRNG(LinuxError):
    """Link number out of range."""

    __slots__ = ()
    errno = 48


class EUNATCH(LinuxError):
    """Protocol driver not attached."""

    __slots__ = ()
    errno = 49


class ENOCSI(LinuxError):
    """No CSI structure available."""

    __slots__ = ()
    errno = 50


class EL2HLT(LinuxError):
    """Level 2 halted."""

    __slots__ = ()
    errno = 51


class EBADE(LinuxError):
    """Invalid exchange."""

    __slots__ = ()
    errno = 52


class EBADR(LinuxError):
    """Invalid request descriptor."""

    __slots__ = ()
    errno = 53


class EXFULL(LinuxError):
    """Exchange full."""

    __slots__ = ()
    errno = 54


class ENOANO(LinuxError):
    """No anode."""

    __slots__ = ()
    errno = 55


class EBADRQC(LinuxError):
    """Invalid request code."""

    __slots__ = ()
    errno = 56


class EBADSLT(LinuxError):
    """Invalid slot."""

    __slots__ = ()
    errno = 57


class EBFONT(LinuxError):
    """Bad font file format."""

    __slots__ = ()
    errno = 59


class ENOSTR(LinuxError):
    """Device not a stream."""

    __slots__ = ()
    errno = 60


class ENODATA(LinuxError):
    """No data available."""

    __slots__ = ()
    errno = 61


class ETIME(LinuxError):
    """Timer expired."""

    __slots__ = ()
    errno = 62


class ENOSR(LinuxError):
    """Out of streams resources."""

    __slots__ = ()
    errno = 63


class ENONET(LinuxError):
    """Machine is not on the network."""

    __slots__ = ()
    errno = 64


class ENOPKG(LinuxError):
    """Package not installed."""

    __slots__ = ()
    errno = 65


class EREMOTE(LinuxError):
    """Object is remote."""

    __slots__ = ()
    errno = 66


class ENOLINK(LinuxError):
    """Link has been severed."""

    __slots__ = ()
    errno = 67


class EADV(LinuxError):
    """Advertise error."""

    __slots__ = ()
    errno = 68


class ESRMNT(LinuxError):
    """Srmount error."""

    __slots__ = ()
    errno = 69


class ECOMM(LinuxError):
    """Communication error on send."""

    __slots__ = ()
    errno = 70


class EPROTO(LinuxError):
    """Protocol error."""

    __slots__ = ()
    errno = 71


class EMULTIHOP(LinuxError):
    """Multihop attempted."""

    __slots__ = ()
    errno = 72


class EDOTDOT(LinuxError):
    """RFS specific error."""

    __slots__ = ()
    errno = 73


class EBADMSG(LinuxError):
    """Bad message."""

    __slots__ = ()
    errno = 74


class EOVERFLOW(LinuxError):
    """Value too large for defined data type."""

    __slots__ = ()
    errno = 75


class ENOTUNIQ(LinuxError):
    """Name not unique on network."""

    __slots__ = ()
    errno = 76


class EBADFD(LinuxError):
    """File descriptor in bad state."""

    __slots__ = ()
    errno = 77


class EREMCHG(LinuxError):
    """Remote address changed."""

    __slots__ = ()
    errno = 78


class ELIBACC(LinuxError):
    """Can not access a needed shared library."""

    __slots__ = ()
    errno = 79


class ELIBBAD(LinuxError):
    """Accessing a corrupted shared library."""

    __slots__ = ()
    errno = 80


class ELIBSCN(LinuxError):
    """.lib section in a.out corrupted."""

    __slots__ = ()
    errno = 81


class ELIBMAX(LinuxError):
    """Attempting to link in too many shared libraries."""

    __slots__ = ()
    errno = 82


class ELIBEXEC(LinuxError):
    """Cannot exec a shared library directly."""

    __slots__ = ()
    errno = 83


class EILSEQ(LinuxError):
    """Invalid or incomplete multibyte or wide character."""

    __slots__ = ()
    errno = 84


class ERESTART(LinuxError):
    """Interrupted system call should be restarted."""

    __slots__ = ()
    errno = 85


class ESTRPIPE(LinuxError):
    """Streams pipe error."""

    __slots__ = ()
    errno = 86


class EUSERS(LinuxError):
    """Too many users."""

    __slots__ = ()
    errno = 87


class ENOTSOCK(LinuxError):
    """Socket operation on non-socket."""

    __slots__ = ()
    errno = 88


class EDESTADDRREQ(LinuxError):
    """Destination address required."""

    __slots__ = ()
    errno = 89


class EMSGSIZE(LinuxError):
    """Message too long."""

    __slots__ = ()
    errno = 90


class EPROTOTYPE(LinuxError):
    """Protocol wrong type for socket."""

    __slots__ = ()
    errno = 91


class ENOPROTOOPT(LinuxError):
    """Protocol not available."""

    __slots__ = ()
    errno = 92


class EPROTONOSUPPORT(LinuxError):
    """Protocol not supported."""

    __slots__ = ()
    errno = 93


class ESOCKTNOSUPPORT(LinuxError):
    """Socket type not supported."""

    __slots__ = ()
    errno = 94


class EOPNOTSUPP(LinuxError):
    """Operation not supported."""

    __slots__ = ()
    errno = 95


class EPFNOSUPPORT(LinuxError):
    """Protocol family not supported."""

    __slots__ = ()
    errno = 96


class EAFNOSUPPORT(LinuxError):
    """Address family not supported by protocol."""

    __slots__ = ()
    errno = 97


class EADDRINUSE(LinuxError):
    """Address already in use."""

    __slots__ = ()
    errno = 98


class EADDRNOTAVAIL(LinuxError):
    """Cannot assign requested address."""

    __slots__ = ()
    errno = 99


class ENETDOWN(LinuxError):
    """Network is down."""

    __slots__ = ()
    errno = 100


class ENETUNREACH(LinuxError):
    """Network is unreachable."""

    __slots__ = ()
    errno = 101


class ENETRESET(LinuxError):
    """Network dropped connection on reset."""

    __slots__ = ()
    errno = 102


class ECONNABORTED(LinuxError):
    """Software caused connection abort."""

    __slots__ = ()
    errno = 103


class ECONNRESET(LinuxError):
    """Connection reset by peer."""

    __slots__ = ()
    errno = 104


class ENOBUFS(LinuxError):
    """No buffer space available."""

    __slots__ = ()
    errno = 105


class EISCONN(LinuxError):
    """Transport endpoint is already connected."""

    __slots__ = ()
    errno = 106


class ENOTCONN(LinuxError):
    """Transport endpoint is not connected."""

    __slots__ = ()
    errno = 107


class ESHUTDOWN(LinuxError):
    """Cannot send after transport endpoint shutdown."""

    __slots__ = ()
    errno = 108


class ETOOMANYREFS(LinuxError):
    """Too many references: cannot splice."""

    __slots__ = ()
    errno = 109


class ETIMEDOUT(LinuxError):
    """Connection timed out."""

    __slots__ = ()
    errno = 110


class ECONNREFUSED(LinuxError):
    """Connection refused."""

    __slots__ = ()
    errno = 111


class EHOSTDOWN(LinuxError):
    """Host is down."""

    __slots__ = ()
    errno = 112


class EHOSTUNREACH(LinuxError):
    """No route to host."""

    __slots__ = ()
    errno = 113


class EALREADY(LinuxError):
    """Operation already in progress."""

    __slots__ = ()
    errno = 114


class EINPROGRESS(LinuxError):
    """Operation now in progress."""

    __slots__ = ()
    errno = 115


class ESTALE(LinuxError):
    """Stale file handle."""

    __slots__ = ()
    errno = 116


class EUCLEAN(LinuxError):
    """Structure needs cleaning."""

    __slots__ = ()
    errno = 117


class ENOTNAM(LinuxError):
    """Not a XENIX named type file."""

    __slots__ = ()
    errno = 118


class ENAVAIL(LinuxError):
    """No XENIX semaphores available."""

    __slots__ = ()
    errno = 119


class EISNAM(LinuxError):
    """Is a named type file."""

    __slots__ = ()
    errno = 120


class EREMOTEIO(LinuxError):
    """Remote I/O error."""

    __slots__ = ()
    errno = 121


class EDQUOT(LinuxError):
    """Disk quota exceeded."""

    __slots__ = ()
    errno = 122


class ENOMEDIUM(LinuxError):
    """No medium found."""

    __slots__ = ()
    errno = 123


class EMEDIUMTYPE(LinuxError):
    """Wrong medium type."""

    __slots__ = ()
    errno = 124


class ECANCELED(LinuxError):
    """Operation canceled."""

    __slots__ = ()
    errno = 125


class ENOKEY(LinuxError):
    """Required key not available."""

    __slots__ = ()
    errno = 126


class EKEYEXPIRED(LinuxError):
    """Key has expired."""

    __slots__ = ()
    errno = 127


class EKEYREVOKED(LinuxError):
    """Key has been revoked."""

    __slots__ = ()
    errno = 128


class EKEYREJECTED(LinuxError):
    """Key was rejected by service."""

    __slots__ = ()
    errno = 129


class EOWNERDEAD(LinuxError):
    """Owner died."""

    __slots__ = ()
    errno = 130


class ENOTRECOVERABLE(LinuxError):
    """State not recoverable."""

    __slots__ = ()
    errno = 131


class ERFKILL(LinuxError):
    """Operation not possible due to RF-kill."""

    __slots__ = ()
    errno = 132


EWOULDBLOCK: Final = EAGAIN
EDEADLOCK: Final = EDEADLK
ENOTSUP: Final = EOPNOTSUPP

BY_NUMBER: Final[dict[int, type[LinuxError]]] = {cls.errno: cls for cls in LinuxError.__subclasses__()}


def from_host(error: OSError) -> LinuxError:
    """Return the LinuxError for a host call's failure; EIO when the host gave no number."""
    return BY_NUMBER.get(error.errno or 0, EIO)()


class RestartError(Exception):
    """An interrupted call; what the guest sees is decided when a signal is delivered (signal(7))."""

    __slots__ = ()
    code: ClassVar[int] = 0


class ERESTARTSYS(RestartError):
    """Start again, unless a handler without SA_RESTART runs: then EINTR."""

    __slots__ = ()
    code = 512


class ERESTARTNOINTR(RestartError):
    """Start again always."""

    __slots__ = ()
    code = 513


class ERESTARTNOHAND(RestartError):
    """Start again only if no handler runs: else EINTR."""

    __slots__ = ()
    code = 514


class ERESTART_RESTARTBLOCK(RestartError):  # noqa: N801  (Linux's own name)
    """Go on through restart_syscall(2) with the time that is left; EINTR if a handler runs."""

    __slots__ = ()
    code = 516
