"""UTS and IPC namespaces: names of the host, System V IPC and POSIX message queues."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sentry_auth import UserNamespace
    from sentry_pgalloc import MemoryFile
    from sentry_sysvipc import MqFilesystem, Queues, Segments, Semaphores, UndoList
    from sentry_vfs import VirtualFilesystem


class UTSNamespace:
    """Host and domain name, each up to 64 bytes; `user_namespace` owns them."""

    __slots__ = ("domainname", "hostname", "user_namespace")

    def __init__(self, hostname: bytes, domainname: bytes, user_namespace: "UserNamespace") -> None:
        """Make a namespace with these names."""
        self.hostname = hostname
        self.domainname = domainname
        self.user_namespace = user_namespace


class SharedUndo:
    """What tasks with CLONE_SYSVSEM share: the list of SEM_UNDO, made on its first use."""

    __slots__ = ("undo", "users")

    def __init__(self) -> None:
        """Begin with one user."""
        self.undo: UndoList | None = None
        self.users = 1

    def release(self, pid: int) -> None:
        """Drop one user; the last one applies the list (exit_sem)."""
        self.users -= 1
        if not self.users and self.undo is not None:
            self.undo.apply(pid)


class IPCHost(Protocol):
    """What an IPC namespace asks of its kernel."""

    @property
    def memory(self) -> "MemoryFile":
        """Where segments lie."""
        ...

    @property
    def vfs(self) -> "VirtualFilesystem":
        """What file systems are made in."""
        ...

    def realtime_ns(self) -> int:
        """Return the real time."""
        ...

    def current_tgid(self) -> int:
        """Return the process whose call is under way, 0 outside of a call."""
        ...


class IPCNamespace:
    """System V IPC objects and POSIX message queues. The library is imported on first use: most programs need none."""

    __slots__ = ("_posix_queues", "_queues", "_segments", "_semaphores", "host", "user_namespace")

    def __init__(self, user_namespace: "UserNamespace", host: IPCHost) -> None:
        """Make an empty namespace of a kernel (`KernelState`)."""
        self.user_namespace = user_namespace
        self.host = host
        self._segments: Segments | None = None
        self._semaphores: Semaphores | None = None
        self._queues: Queues | None = None
        self._posix_queues: MqFilesystem | None = None

    def now(self) -> int:
        """Return the time of day in seconds: see `sentry_sysvipc.Surroundings`."""
        return self.host.realtime_ns() // 1_000_000_000

    def pid(self) -> int:
        """Return the process whose call is under way, 0 outside of a call."""
        return self.host.current_tgid()

    @property
    def segments(self) -> "Segments":
        """Shared memory."""
        if self._segments is None:
            from sentry_sysvipc import Segments  # noqa: PLC0415  (not at start-up)

            self._segments = Segments(self.host.memory, self)
        return self._segments

    @property
    def semaphores(self) -> "Semaphores":
        """Semaphore sets."""
        if self._semaphores is None:
            from sentry_sysvipc import Semaphores  # noqa: PLC0415  (not at start-up)

            self._semaphores = Semaphores(self)
        return self._semaphores

    @property
    def queues(self) -> "Queues":
        """Message queues."""
        if self._queues is None:
            from sentry_sysvipc import Queues  # noqa: PLC0415  (not at start-up)

            self._queues = Queues(self)
        return self._queues

    @property
    def posix_queues(self) -> "MqFilesystem":
        """POSIX message queues."""
        if self._posix_queues is None:
            from sentry_sysvipc import MqFilesystem  # noqa: PLC0415  (not at start-up)

            self._posix_queues = MqFilesystem(self.host.vfs)
        return self._posix_queues
