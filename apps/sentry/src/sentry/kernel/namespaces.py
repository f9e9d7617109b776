"""The namespaces of a task, and those that are the kernel's own: UTS and IPC."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sentry.kernel.group import PIDNamespace
    from sentry.kernel.kernel import Kernel
    from sentry_auth import UserNamespace
    from sentry_sockets import Network
    from sentry_sysvipc import MqFilesystem, Queues, Segments, Semaphores, UndoList
    from sentry_vfs import MountNamespace


class NSProxy(NamedTuple):
    """The namespaces of a task (struct nsproxy): immutable and shared; unshare(2) and setns(2) replace the whole."""

    mnt: "MountNamespace"
    pid: "PIDNamespace"
    ipc: "IPCNamespace"
    uts: "UTSNamespace"
    net: "Network"
    user: "UserNamespace"


class UTSNamespace:
    """Host and domain name, each up to 64 bytes; who owns them."""

    __slots__ = ("domainname", "hostname", "user_namespace")

    def __init__(self, hostname: bytes, domainname: bytes, user_namespace: "UserNamespace") -> None:
        """Make a namespace with these names."""
        self.hostname = hostname
        self.domainname = domainname
        self.user_namespace = user_namespace


class SharedUndo:
    """What tasks with CLONE_SYSVSEM share: where SEM_UNDO is noted, once it has been used."""

    __slots__ = ("undo", "users")

    def __init__(self) -> None:
        """Begin with one user."""
        self.undo: UndoList | None = None
        self.users = 1

    def release(self, pid: int) -> None:
        """Count one user less; with the last one everything is undone."""
        self.users -= 1
        if not self.users and self.undo is not None:
            self.undo.apply(pid)


class IPCNamespace:
    """What System V IPC objects belong to; most programs never make one, so the library is loaded on first use."""

    __slots__ = ("_posix_queues", "_queues", "_segments", "_semaphores", "kernel", "user_namespace")

    def __init__(self, user_namespace: "UserNamespace", kernel: "Kernel") -> None:
        """Make an empty namespace."""
        self.user_namespace = user_namespace
        self.kernel = kernel
        self._segments: Segments | None = None
        self._semaphores: Semaphores | None = None
        self._queues: Queues | None = None
        self._posix_queues: MqFilesystem | None = None

    def now(self) -> int:
        """Return the time of day in seconds: see `sentry_sysvipc.Surroundings`."""
        return self.kernel.clock.realtime_ns() // 1_000_000_000

    def pid(self) -> int:
        """Return the process whose call is handled, 0 for none."""
        task = self.kernel.loop.current
        return 0 if task is None else task.group.tgid

    @property
    def segments(self) -> "Segments":
        """Shared memory."""
        if self._segments is None:
            from sentry_sysvipc import Segments  # noqa: PLC0415  (a start does not pay for it)

            self._segments = Segments(self.kernel.memory, self)
        return self._segments

    @property
    def semaphores(self) -> "Semaphores":
        """Semaphore sets."""
        if self._semaphores is None:
            from sentry_sysvipc import Semaphores  # noqa: PLC0415  (a start does not pay for it)

            self._semaphores = Semaphores(self)
        return self._semaphores

    @property
    def queues(self) -> "Queues":
        """Message queues."""
        if self._queues is None:
            from sentry_sysvipc import Queues  # noqa: PLC0415  (a start does not pay for it)

            self._queues = Queues(self)
        return self._queues

    @property
    def posix_queues(self) -> "MqFilesystem":
        """POSIX message queues."""
        if self._posix_queues is None:
            from sentry_sysvipc import MqFilesystem  # noqa: PLC0415  (a start does not pay for it)

            self._posix_queues = MqFilesystem(self.kernel.vfs)
        return self._posix_queues
