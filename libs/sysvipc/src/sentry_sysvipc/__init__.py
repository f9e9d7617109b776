"""System V IPC: shared memory, semaphores, message queues; POSIX message queues. Floor 9."""

from sentry_sysvipc._mqueue import MqFile, MqFilesystem, MqMessage, MqQueue, MqWaiter, Notification
from sentry_sysvipc._msg import Message, MessageQueue, Queues, Receiver
from sentry_sysvipc._objects import Object, Registry, Surroundings
from sentry_sysvipc._sem import Semaphores, SemaphoreSet, SemOp, SemWaiter, UndoList
from sentry_sysvipc._shm import Segment, Segments

__all__ = [
    "Message",
    "MessageQueue",
    "MqFile",
    "MqFilesystem",
    "MqMessage",
    "MqQueue",
    "MqWaiter",
    "Notification",
    "Object",
    "Queues",
    "Receiver",
    "Registry",
    "Segment",
    "Segments",
    "SemOp",
    "SemWaiter",
    "SemaphoreSet",
    "Semaphores",
    "Surroundings",
    "UndoList",
]
