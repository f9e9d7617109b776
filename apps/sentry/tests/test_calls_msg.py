"""Handlers of `syscalls.msg`: System V message queues."""

import struct

from apps.sentry.tests.plain import BAD, Program
from sentry.syscalls import msg
from sentry_abi.errors import (
    E2BIG,
    EACCES,
    EAGAIN,
    EEXIST,
    EFAULT,
    EIDRM,
    EINVAL,
    ENOENT,
    ENOMSG,
    EPERM,
    ERESTARTNOHAND,
)
from sentry_abi.ipc import IPC_CREAT, IPC_EXCL, IPC_INFO, IPC_NOWAIT, IPC_PRIVATE, IPC_RMID, IPC_SET, IPC_STAT
from sentry_abi.structs import MSQID_DS

GONE = 99_999


def message(kind: int, text: bytes = b"") -> bytes:
    """Return a struct msgbuf."""
    return struct.pack("<q", kind) + text


def test_send_and_receive(p: Program) -> None:
    """Messages come by kind; the text is cut only with MSG_NOERROR."""
    q, buf = p.ok("msgget", IPC_PRIVATE, 0o600), p.zeros(32)
    p.ok("msgsnd", q, message(5, b"five"), 4, 0)
    p.ok("msgsnd", q, message(2, b"two"), 3, 0)
    assert p.ok("msgrcv", q, buf, 16, 2, 0) == 3
    assert p.get(buf, 11) == message(2, b"two")
    assert p.error("msgrcv", q, buf, 2, 0, 0) is E2BIG
    assert p.ok("msgrcv", q, buf, 2, -9, 0o10000) == 2
    assert p.error("msgrcv", q, buf, 2, 0, IPC_NOWAIT) is ENOMSG


def test_waits(p: Program) -> None:
    """A receive waits for its kind; the end of the queue ends it."""
    q, buf = p.ok("msgget", IPC_PRIVATE, 0o600), p.zeros(32)
    pending = p.wait("msgrcv", q, buf, 16, 7, 0)
    assert (pending.attempt, pending.restart) == (msg.receive_on, ERESTARTNOHAND)
    p.ok("msgsnd", q, message(1, b"x"), 1, 0)
    assert not p.woken()
    p.ok("msgsnd", q, message(7, b"y"), 1, 0)
    assert p.resume() == 1
    p.wait("msgrcv", q, buf, 16, 7, 0)
    assert p.interrupt() is ERESTARTNOHAND
    p.wait("msgrcv", q, buf, 16, 7, 0)
    p.ok("msgctl", q, IPC_RMID, 0)
    assert p.resume() == -EIDRM.errno


def test_full_queue(p: Program) -> None:
    """A send waits for space, or not with IPC_NOWAIT."""
    q, buf = p.ok("msgget", IPC_PRIVATE, 0o600), p.zeros(8300)
    for _ in range(2):
        p.ok("msgsnd", q, message(1, bytes(8192)), 8192, 0)
    assert p.error("msgsnd", q, message(1, b"x"), 1, IPC_NOWAIT) is EAGAIN
    p.wait("msgsnd", q, message(1, b"x"), 1, 0)
    p.ok("msgrcv", q, buf, 8192, 0, 0)
    assert p.resume() == 0


def test_get(p: Program) -> None:
    """A key names a queue for all."""
    assert p.error("msgget", 0x1234, 0) is ENOENT
    q = p.ok("msgget", 0x1234, IPC_CREAT | 0o600)
    assert p.ok("msgget", 0xFFFF_FFFF_0000_1234, 0) == q
    assert p.error("msgget", 0x1234, IPC_CREAT | IPC_EXCL) is EEXIST
    p.become(1000)
    assert p.error("msgget", 0x1234, 0o600) is EACCES


def test_errors(p: Program) -> None:
    """The kind is read first; numbers are checked before the text is read, the queue looked up after it."""
    assert p.error("msgsnd", -1, BAD, 5, 0) is EFAULT
    assert p.error("msgsnd", GONE, message(0), 5, 0) is EINVAL
    assert p.error("msgsnd", GONE, message(1), 70_000, 0) is EINVAL
    assert p.error("msgsnd", GONE, message(1), -1, 0) is EINVAL
    assert p.error("msgrcv", -1, BAD, 5, 0, 0) is EINVAL
    assert p.error("msgrcv", GONE, BAD, -1, 0, 0) is EINVAL
    q = p.ok("msgget", IPC_PRIVATE, 0o600)
    p.ok("msgsnd", q, message(1), 0, 0)
    assert p.error("msgrcv", q, BAD, 5, 0, 0) is EFAULT
    p.become(1000)
    assert p.error("msgsnd", q, message(1), 0, 0) is EACCES
    assert p.error("msgrcv", q, BAD, 5, 0, 0) is EACCES


def test_control(p: Program) -> None:
    """The structure is read before the queue is looked up; its owner may change it."""
    q, buf = p.ok("msgget", IPC_PRIVATE, 0o600), p.zeros(MSQID_DS.size)
    p.ok("msgctl", q, IPC_STAT, buf)
    fields = p.fields(MSQID_DS, buf)
    assert fields[5] & 0o777 == 0o600
    p.ok("msgctl", q, IPC_SET, MSQID_DS.pack(*fields[:5], 0o644, *fields[6:]))
    p.ok("msgctl", q, IPC_STAT, buf)
    assert p.fields(MSQID_DS, buf)[5] & 0o777 == 0o644
    assert p.ok("msgctl", 0, IPC_INFO, p.zeros(64)) >= 0
    assert p.error("msgctl", -1, 99, BAD) is EINVAL
    assert p.error("msgctl", GONE, IPC_SET, BAD) is EFAULT
    assert p.error("msgctl", GONE, IPC_STAT, BAD) is EINVAL
    assert p.error("msgctl", q, 99, BAD) is EINVAL
    assert p.error("msgctl", q, IPC_STAT, BAD) is EFAULT
    p.become(1000)
    assert p.error("msgctl", q, IPC_RMID, 0) is EPERM
