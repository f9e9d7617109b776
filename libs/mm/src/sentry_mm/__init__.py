"""Address spaces: areas, eager mapping, copy-on-write, guest memory for the kernel. Floor 7."""

from sentry_mm._areas import VM_GROWSDOWN, VM_LOCKED, VM_SHARED, Area, Run
from sentry_mm._fault import Outcome
from sentry_mm._manager import MemoryManager, may_be_written, truncated
from sentry_mm._mappable import Extent, Limits, Mappable, NoLimits, SharedMemory

__all__ = [
    "VM_GROWSDOWN",
    "VM_LOCKED",
    "VM_SHARED",
    "Area",
    "Extent",
    "Limits",
    "Mappable",
    "MemoryManager",
    "NoLimits",
    "Outcome",
    "Run",
    "SharedMemory",
    "may_be_written",
    "truncated",
]
