"""Which objects of sysvipc can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_sysvipc._mqueue import MqFile, MqFilesystem, MqMessage, MqQueue, MqWaiter, Notification
from sentry_sysvipc._msg import Message, MessageQueue, Queues, Receiver
from sentry_sysvipc._objects import Object
from sentry_sysvipc._objects import Registry as ObjectRegistry
from sentry_sysvipc._sem import Semaphores, SemaphoreSet, SemOp, SemWaiter, UndoList
from sentry_sysvipc._shm import Segment, Segments

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {}


def register(registry: "Registry") -> None:
    """Register the objects of an IPC namespace.

    Needs the classes of sentry_vfs, sentry_mm and sentry_waiter, and that of the `Surroundings`; the memory file is an
    external.
    """
    registry.savable("sysvipc.Object", fields=Object.__slots__)(Object)
    registry.savable("sysvipc.Registry", fields=ObjectRegistry.__slots__)(ObjectRegistry)
    registry.savable("sysvipc.Segment", fields=Segment.__slots__)(Segment)
    registry.savable("sysvipc.Segments", fields=Segments.__slots__)(Segments)
    registry.savable("sysvipc.SemOp")(SemOp)
    registry.savable("sysvipc.UndoList", fields=UndoList.__slots__)(UndoList)
    registry.savable("sysvipc.SemWaiter", fields=SemWaiter.__slots__)(SemWaiter)
    registry.savable("sysvipc.SemaphoreSet", fields=SemaphoreSet.__slots__)(SemaphoreSet)
    registry.savable("sysvipc.Semaphores")(Semaphores)
    registry.savable("sysvipc.Message")(Message)
    registry.savable("sysvipc.Receiver", fields=Receiver.__slots__)(Receiver)
    registry.savable("sysvipc.MessageQueue", fields=MessageQueue.__slots__)(MessageQueue)
    registry.savable("sysvipc.Queues")(Queues)
    registry.savable("sysvipc.MqMessage")(MqMessage)
    registry.savable("sysvipc.MqWaiter", fields=MqWaiter.__slots__)(MqWaiter)
    registry.savable("sysvipc.Notification")(Notification)
    registry.savable("sysvipc.MqQueue", fields=MqQueue.__slots__)(MqQueue)
    registry.savable("sysvipc.MqFile", fields=MqFile.__slots__)(MqFile)
    registry.savable("sysvipc.MqFilesystem", fields=MqFilesystem.__slots__)(MqFilesystem)
