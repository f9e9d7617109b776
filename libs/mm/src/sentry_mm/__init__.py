"""Address spaces: VMAs, eager mapping, copy-on-write, guest memory for the kernel. Floor 7."""

from sentry_mm._fault import Outcome
from sentry_mm._limits import Limits, NoLimits
from sentry_mm._manager import MemoryManager
from sentry_mm._mappable import Counted, Extent, Mappable, Mapper, Mappers, Pages, Uncounted
from sentry_mm._pma import Pma
from sentry_mm._shared import SharedMemory
from sentry_mm._vma import VM_GROWSDOWN, VM_LOCKED, VM_SHARED, Vma

__all__ = [
    "VM_GROWSDOWN",
    "VM_LOCKED",
    "VM_SHARED",
    "Counted",
    "Extent",
    "Limits",
    "Mappable",
    "Mapper",
    "Mappers",
    "MemoryManager",
    "NoLimits",
    "Outcome",
    "Pages",
    "Pma",
    "SharedMemory",
    "Uncounted",
    "Vma",
]
