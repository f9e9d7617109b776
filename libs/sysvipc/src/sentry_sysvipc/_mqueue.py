"""POSIX message queues: named, read by priority, seen as files.

As with the System V ones, a message goes at once to a waiting receiver, and the message of a sender that waits for
space is put in by the receive that makes space. Source: Linux ipc/mqueue.c (6.1); mq_overview(7).
"""

from bisect import insort
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry_abi.capability import CAP_FOWNER, CAP_SYS_RESOURCE
from sentry_abi.errors import (
    EACCES,
    EBUSY,
    EEXIST,
    EINVAL,
    EMFILE,
    ENAMETOOLONG,
    ENOENT,
    ENOSPC,
    EPERM,
)
from sentry_abi.fcntl import O_ACCMODE, O_CREAT, O_EXCL, O_RDWR, O_WRONLY
from sentry_abi.ipc import MQ_PRIO_MAX
from sentry_abi.stat import MQUEUE_MAGIC, S_IFREG
from sentry_vfs import READ, WRITE, FileDescription, Filesystem, Inode, KernelWide, may, scatter
from sentry_waiter import IN, OUT, RDNORM, WRNORM, Queue

if TYPE_CHECKING:
    from typing import TypeGuard

    from sentry_auth import Credentials

DEFAULT_MESSAGES: Final = 10
DEFAULT_SIZE: Final = 8192
MOST_QUEUES: Final = 256
HARD_MESSAGES: Final = 65536
HARD_SIZE: Final = 16 << 20
_PER_MESSAGE: Final = 48
"""What Linux counts for a message's head, and as much for a priority's node."""
_LONGEST: Final = 255
_STATUS_SIZE: Final = 80


class MqMessage(NamedTuple):
    """One message, in the order in which messages are taken."""

    order: int
    """Minus its priority."""
    number: int
    """How many messages were put in before it."""
    data: bytes

    @property
    def priority(self) -> int:
        """The sender's priority."""
        return -self.order


class MqWaiter:
    """A wait: for a message, or for space for one. Over when `done`; a receiver then has its message."""

    __slots__ = ("done", "message", "queue")

    def __init__(self, message: MqMessage | None = None) -> None:
        """Wait for a message, or with a message for space."""
        self.message = message
        self.done = False
        self.queue = Queue()

    def end(self) -> None:
        """End the wait."""
        self.done = True
        self.queue.notify(IN)


class Notification(NamedTuple):
    """A request to notify a process once, of a message in an empty queue: mq_notify(3)."""

    owner: object
    """The process, an object of the caller's."""
    signo: int
    """Signal to be sent, -1 for none."""
    value: int
    file: "MqFile"
    """The description it was made through; its release cancels it."""


class MqQueue(Inode):
    """One queue, also after its unlink."""

    __slots__ = (
        "capacity", "charge", "held", "largest", "messages", "notification", "number", "opened", "queue", "receivers",
        "senders", "user",
    )  # fmt: skip

    fs: "MqFilesystem"

    def __init__(
        self, fs: "MqFilesystem", mode: int, creds: "Credentials", capacity: int, largest: int, charge: int
    ) -> None:
        """Make an empty queue for capacity messages of at most largest bytes; charge is what it counts for its user."""
        super().__init__(fs, fs.new_ino(), S_IFREG | mode & 0o7777, int(creds.fsuid), int(creds.fsgid))
        self.capacity = capacity
        self.largest = largest
        self.charge = charge
        self.user = int(creds.uid)
        self.messages: list[MqMessage] = []
        self.held = 0
        self.number = 0
        self.opened = 0
        self.queue = Queue()
        self.receivers: dict[MqWaiter, None] = {}
        self.senders: dict[MqWaiter, None] = {}
        self.notification: Notification | None = None

    def size(self) -> int:
        """Return the size of the status text."""
        return _STATUS_SIZE

    def send(self, data: bytes, priority: int) -> tuple[MqWaiter | None, Notification | None]:
        """Put a message in: (None, the notification to send or None); if it is full: (a queued waiter, None)."""
        message = MqMessage(-priority, self.number, data)
        self.number += 1
        if len(self.messages) >= self.capacity:
            waiter = MqWaiter(message)
            self.senders[waiter] = None
            return waiter, None
        for receiver in self.receivers:
            del self.receivers[receiver]
            receiver.message = message
            receiver.end()
            return None, None
        due = None
        self._insert(message)
        if len(self.messages) == 1:
            due, self.notification = self.notification, None
        self.queue.notify(IN | RDNORM)
        return None, due

    def _insert(self, message: MqMessage) -> None:
        insort(self.messages, message)
        self.held += len(message.data)

    def receive(self) -> MqMessage | MqWaiter:
        """Take the first message of the highest priority, or return a queued waiter."""
        if not self.messages:
            waiter = MqWaiter()
            self.receivers[waiter] = None
            return waiter
        message = self.messages.pop(0)
        self.held -= len(message.data)
        for sender in self.senders:
            del self.senders[sender]
            if sender.message is not None:
                self._insert(sender.message)
            sender.end()
            return message
        self.queue.notify(OUT | WRNORM)
        return message

    def cancel(self, waiter: MqWaiter) -> bool:
        """Stop waiting; return whether it was over before."""
        self.receivers.pop(waiter, None)
        self.senders.pop(waiter, None)
        return waiter.done

    def ask(self, notification: Notification) -> None:
        """Request a notification of the next message. Raises: EBUSY."""
        if self.notification is not None:
            raise EBUSY
        self.notification = notification

    def withdraw(self, owner: object) -> None:
        """Cancel the request of a process; nothing happens if it has none."""
        if self.notification is not None and self.notification.owner is owner:
            self.notification = None


class MqFile(FileDescription):
    """An open queue."""

    __slots__ = ("messages",)

    seekable = True

    def __init__(self, messages: MqQueue, flags: int) -> None:
        """Open a queue."""
        super().__init__(flags, None, messages, messages.queue)
        self.messages = messages
        messages.opened += 1

    def release(self) -> None:
        """Count one opening less; an unlinked queue ends with the last."""
        messages = self.messages
        if messages.notification is not None and messages.notification.file is self:
            messages.notification = None
        messages.opened -= 1
        messages.fs.ended(messages)

    def readiness(self) -> int:
        """Readable with a message in it, writable with space."""
        messages = self.messages
        ready = IN | RDNORM if messages.messages else 0
        return ready | (OUT | WRNORM if len(messages.messages) < messages.capacity else 0)

    def read(self, bufs: list[memoryview]) -> int:
        """Read the status text."""
        done = self.pread(bufs, self.pos)
        self.pos += done
        return done

    def pread(self, bufs: list[memoryview], pos: int) -> int:
        """Read the status text at pos."""
        notification = self.messages.notification
        signo = notification.signo if notification is not None and notification.signo >= 0 else 0
        kind = 1 if notification is not None and notification.signo < 0 else 0
        pid = getattr(notification.owner, "tgid", 0) if notification is not None else 0
        text = b"QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n" % (self.messages.held, kind, signo, pid)
        return scatter(bufs, text[pos:])

    def path(self) -> bytes:
        """Return the link text."""
        return self.messages.fs.path_of(self.messages)


class MqFilesystem(Filesystem):
    """All queues of a namespace by name."""

    __slots__ = ("count", "names", "used")

    name = b"mqueue"
    magic = MQUEUE_MAGIC

    def __init__(self, vfs: KernelWide) -> None:
        """Begin with none."""
        super().__init__(vfs)
        self.names: dict[bytes, MqQueue] = {}
        self.count = 0
        """How many there are, unlinked ones included."""
        self.used: dict[int, int] = {}
        """Bytes charged to each user for its queues: RLIMIT_MSGQUEUE."""

    @staticmethod
    def check_name(name: bytes) -> None:
        """Check a name, which has no slash. Raises: ENOENT, EACCES, ENAMETOOLONG."""
        if not name:
            raise ENOENT
        if name in (b".", b"..") or b"/" in name:
            raise EACCES
        if len(name) > _LONGEST:
            raise ENAMETOOLONG

    def open(
        self,
        name: bytes,
        flags: int,
        mode: int,
        attributes: tuple[int, int] | None,
        creds: "Credentials",
        limit: int,
    ) -> MqFile:
        """Open a queue, or make it (O_CREAT): mq_open(3).

        mode: without what the umask takes. attributes: messages and their size. limit: RLIMIT_MSGQUEUE.
        Raises: ENOENT, EEXIST, EINVAL, EACCES, ENAMETOOLONG, ENOSPC, EMFILE.
        """
        self.check_name(name)
        found = self.names.get(name)
        if found is None:
            if not flags & O_CREAT:
                raise ENOENT
            found = self.names[name] = self._make(mode, attributes, creds, limit)
        else:
            if flags & O_CREAT and flags & O_EXCL:
                raise EEXIST
            access = flags & O_ACCMODE
            if access == O_ACCMODE:
                raise EINVAL
            may(found, creds, READ | WRITE if access == O_RDWR else WRITE if access == O_WRONLY else READ)
        return MqFile(found, flags)

    def _make(self, mode: int, attributes: tuple[int, int] | None, creds: "Credentials", limit: int) -> MqQueue:
        privileged = creds.capable(CAP_SYS_RESOURCE)
        if self.count >= MOST_QUEUES and not privileged:
            raise ENOSPC
        capacity, largest = attributes or (DEFAULT_MESSAGES, DEFAULT_SIZE)
        most, longest = (HARD_MESSAGES, HARD_SIZE) if privileged else (DEFAULT_MESSAGES, DEFAULT_SIZE)
        if not 0 < capacity <= most or not 0 < largest <= longest:
            raise EINVAL
        charge = capacity * (largest + _PER_MESSAGE) + min(capacity, MQ_PRIO_MAX) * _PER_MESSAGE
        user = int(creds.uid)
        if self.used.get(user, 0) + charge > limit:
            raise EMFILE
        made = MqQueue(self, mode, creds, capacity, largest, charge)
        self.count += 1
        self.used[user] = self.used.get(user, 0) + charge
        return made

    def unlink(self, name: bytes, creds: "Credentials") -> None:
        """Unlink a queue: mq_unlink(3). Raises: ENOENT, EACCES, ENAMETOOLONG, EPERM (another's)."""
        self.check_name(name)
        found = self.names.get(name)
        if found is None:
            raise ENOENT
        if creds.fsuid != found.uid and not creds.capable(CAP_FOWNER):
            raise EPERM
        del self.names[name]
        found.nlink = 0
        self.ended(found)

    def owns(self, file: object) -> "TypeGuard[MqFile]":
        """Return whether a description is an open queue."""
        return isinstance(file, MqFile)

    def notification(self, owner: object, signo: int, value: int, file: MqFile) -> Notification:
        """Return a request for `MqQueue.ask`."""
        return Notification(owner, signo, value, file)

    def ended(self, messages: MqQueue) -> None:
        """Uncharge a queue that has neither name nor opening any more."""
        if not messages.nlink and not messages.opened:
            self.count -= 1
            left = self.used.pop(messages.user) - messages.charge
            if left:
                self.used[messages.user] = left

    def path_of(self, messages: MqQueue) -> bytes:
        """Return what /proc/PID/fd shows of an open queue."""
        for name, other in self.names.items():
            if other is messages:
                return b"/" + name
        return b"/ (deleted)"
