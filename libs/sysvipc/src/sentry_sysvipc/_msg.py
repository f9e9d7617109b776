"""Message queues. A message that matches a waiting receiver is given to it at once and is never in the queue.

Source: Linux ipc/msg.c (6.1).
"""

from typing import TYPE_CHECKING, NamedTuple

from sentry_abi.errors import E2BIG, EAGAIN, EIDRM, EINVAL, ENOMSG
from sentry_abi.ipc import IPC_NOWAIT, MSG_COPY, MSG_EXCEPT, MSG_NOERROR, MSGMAX, MSGMNB, MSGMNI
from sentry_sysvipc._objects import READ, WRITE, Object, Registry, Surroundings
from sentry_waiter import IN, OUT, Queue

if TYPE_CHECKING:
    from sentry_auth import Credentials


class Message(NamedTuple):
    """One message."""

    kind: int
    """Its type, at least 1."""
    data: bytes


def wants(message: Message, kind: int, flags: int) -> bool:
    """Return whether msgrcv(2) with this type and these flags may take a message. Linux: testmsg."""
    if kind > 0:
        return (message.kind != kind) if flags & MSG_EXCEPT else message.kind == kind
    return kind == 0 or message.kind <= -kind


class Receiver:
    """A wait for a message; `message` or `error` is set when it is over."""

    __slots__ = ("error", "flags", "kind", "message", "owner", "pid", "queue", "size")

    def __init__(self, owner: "MessageQueue", kind: int, size: int, flags: int, pid: int) -> None:
        """Wait for a message of a type, of at most size bytes."""
        self.owner = owner
        self.kind = kind
        self.size = size
        self.flags = flags
        self.pid = pid
        self.message: Message | None = None
        self.error = 0
        """The errno that it ended with; EAGAIN: check the queue again."""
        self.queue = Queue()

    def fail(self, error: int) -> None:
        """End the wait with an error."""
        self.error = error
        self.queue.notify(IN)

    def cancel(self) -> None:
        """Stop waiting."""
        self.owner.receivers.pop(self, None)


class MessageQueue(Object):
    """One queue. Senders that wait for space register on `senders`."""

    __slots__ = (
        "_around", "held", "limit", "lrpid", "lspid", "messages", "receivers", "rtime", "senders", "stime",
    )  # fmt: skip

    def __init__(self, around: Surroundings, key: int, mode: int, creds: "Credentials") -> None:
        """Make an empty queue."""
        super().__init__(key, mode, creds, around.now())
        self._around = around
        self.limit = MSGMNB
        """msg_qbytes: bytes, and messages, that may be in it."""
        self.held = 0
        """Bytes in it."""
        self.messages: list[Message] = []
        self.receivers: dict[Receiver, None] = {}
        self.senders = Queue()
        self.stime = self.rtime = 0
        self.lspid = self.lrpid = 0

    def send(self, kind: int, data: bytes, pid: int, creds: "Credentials") -> None:
        """Put a message in, or hand it to the first receiver that wants it. Raises: EIDRM, EACCES, EAGAIN (full)."""
        if self.removed:
            raise EIDRM
        self.check(creds, WRITE)
        message = Message(kind, data)
        size = len(data)
        if self.held + size > self.limit or len(self.messages) >= self.limit:
            raise EAGAIN
        self.lspid = pid
        self.stime = self._around.now()
        for receiver in list(self.receivers):
            if not wants(message, receiver.kind, receiver.flags):
                continue
            del self.receivers[receiver]
            if size > receiver.size and not receiver.flags & MSG_NOERROR:
                receiver.fail(E2BIG.errno)
                continue
            receiver.message = message
            self.lrpid = receiver.pid
            self.rtime = self.stime
            receiver.queue.notify(IN)
            return
        self.messages.append(message)
        self.held += size

    def receive(self, kind: int, size: int, flags: int, pid: int, creds: "Credentials") -> Message | Receiver:
        """Take a message of a type, or return a queued receiver: msgrcv(2).

        With MSG_COPY, which needs IPC_NOWAIT, kind is a position and the message stays.
        Raises: EACCES, E2BIG, ENOMSG (IPC_NOWAIT), EINVAL.
        """
        copy = flags & MSG_COPY
        if copy and (flags & MSG_EXCEPT or not flags & IPC_NOWAIT):
            raise EINVAL
        self.check(creds, READ)
        index = self._position(kind) if copy else self._find(kind, flags)
        if index < 0:
            if flags & IPC_NOWAIT:
                raise ENOMSG
            receiver = Receiver(self, kind, size, flags, pid)
            self.receivers[receiver] = None
            return receiver
        message = self.messages[index]
        if len(message.data) > size and not flags & MSG_NOERROR:
            raise E2BIG
        if not copy:
            del self.messages[index]
            self.held -= len(message.data)
            self.rtime = self._around.now()
            self.lrpid = pid
            self.senders.notify(OUT)
        return message

    def _position(self, number: int) -> int:
        return number if 0 <= number < len(self.messages) else -1

    def _find(self, kind: int, flags: int) -> int:
        """Return the place of the message to be taken, -1 if there is none. Linux: find_msg."""
        found = -1
        for index, message in enumerate(self.messages):
            if wants(message, kind, flags):
                if kind >= 0:
                    return index
                if found < 0 or message.kind < self.messages[found].kind:
                    found = index
        return found

    def change(self, uid: int, gid: int, mode: int, limit: int) -> None:
        """Change owner, permissions and msg_qbytes: IPC_SET; all waiters check again. Raises: EINVAL."""
        self.set(uid, gid, mode, self._around.now())
        self.limit = limit
        self._fail_all(EAGAIN.errno)

    def _fail_all(self, error: int) -> None:
        receivers = list(self.receivers)
        self.receivers.clear()
        for receiver in receivers:
            receiver.fail(error)
        self.senders.notify(OUT)

    def end(self) -> None:
        """End all waits: the queue is removed."""
        self.messages.clear()
        self.held = 0
        self._fail_all(EIDRM.errno)


class Queues(Registry[MessageQueue]):
    """The message queues of a namespace."""

    __slots__ = ()

    largest = MSGMAX
    """Bytes of one message at most: msgmax."""

    def __init__(self, around: Surroundings) -> None:
        """Begin with none."""
        super().__init__(MSGMNI, around)

    def get(self, key: int, flags: int, creds: "Credentials") -> MessageQueue:
        """Return the queue of a key, or a new one: msgget(2). Raises: ENOENT, EEXIST, EACCES, ENOSPC."""
        found = self.existing(key, flags)
        if found is not None:
            found.check(creds, flags & 0o777)
            return found
        return self.add(MessageQueue(self.around, key, flags, creds))

    def remove(self, gone: MessageQueue) -> None:
        """Remove a queue and its messages; its waiters get EIDRM: IPC_RMID."""
        self.drop(gone)
        gone.end()
