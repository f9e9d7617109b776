"""UTS, IPC and network namespaces.

The libraries behind IPC and sockets are imported on first use: most programs need neither.
"""

from typing import TYPE_CHECKING, Protocol

from sentry_host import KeptDescriptors

if TYPE_CHECKING:
    from sentry_auth import UserNamespace
    from sentry_pgalloc import MemoryFile
    from sentry_sockets import AbstractSocketNamespace, Network
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
    """The SEM_UNDO list that tasks with CLONE_SYSVSEM share; made on first use."""

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


class NamespaceHost(Protocol):
    """What a namespace needs of its kernel."""

    @property
    def memory(self) -> "MemoryFile":
        """The memory file, for segments."""
        ...

    @property
    def vfs(self) -> "VirtualFilesystem":
        """What file systems belong to."""
        ...

    def realtime_ns(self) -> int:
        """Return the real time."""
        ...

    def current_tgid(self) -> int:
        """Return the process whose call is under way, 0 outside of a call."""
        ...

    def current_ids(self) -> tuple[int, int, int]:
        """Return process, real user and real group of the task whose call is under way."""
        ...


class IPCNamespace:
    """System V IPC objects and POSIX message queues."""

    __slots__ = ("_posix_queues", "_queues", "_segments", "_semaphores", "host", "user_namespace")

    def __init__(self, user_namespace: "UserNamespace", host: NamespaceHost) -> None:
        """Make an empty namespace."""
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
            with KeptDescriptors():
                from sentry_sysvipc import Segments  # noqa: PLC0415  (most programs use no IPC)

            self._segments = Segments(self.host.memory, self)
        return self._segments

    @property
    def semaphores(self) -> "Semaphores":
        """Semaphore sets."""
        if self._semaphores is None:
            with KeptDescriptors():
                from sentry_sysvipc import Semaphores  # noqa: PLC0415  (most programs use no IPC)

            self._semaphores = Semaphores(self)
        return self._semaphores

    @property
    def queues(self) -> "Queues":
        """Message queues."""
        if self._queues is None:
            with KeptDescriptors():
                from sentry_sysvipc import Queues  # noqa: PLC0415  (most programs use no IPC)

            self._queues = Queues(self)
        return self._queues

    @property
    def posix_queues(self) -> "MqFilesystem":
        """POSIX message queues."""
        if self._posix_queues is None:
            with KeptDescriptors():
                from sentry_sysvipc import MqFilesystem  # noqa: PLC0415  (most programs use no IPC)

            self._posix_queues = MqFilesystem(self.host.vfs)
        return self._posix_queues


class NetNamespace:
    """Sockets: a loopback internet of its own, or none, and the names of unix sockets."""

    __slots__ = ("_internet", "_stack", "host", "user_namespace")

    def __init__(self, user_namespace: "UserNamespace", *, internet: bool = True) -> None:
        """Make a namespace without sockets, of unix ones alone if not `internet`; `Kernel.init` sets its host."""
        self.user_namespace = user_namespace
        self.host: NamespaceHost
        self._internet = internet
        self._stack: Network | None = None

    @property
    def stack(self) -> "Network":
        """The network."""
        if self._stack is None:
            with KeptDescriptors():
                from sentry_sockets import Network  # noqa: PLC0415  (3 ms, and most programs open no socket)

            self._stack = Network(self.host.vfs, self.host, internet=self._internet)
        return self._stack

    def sharing(self, abstract: "AbstractSocketNamespace") -> "NetNamespace":
        """Return a namespace with other abstract names and everything else of this one."""
        other = NetNamespace(self.user_namespace, internet=self._internet)
        other.host = self.host
        other._stack = self.stack.sharing(abstract)
        return other
