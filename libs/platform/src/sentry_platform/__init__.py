"""How guest code runs: the platform interface and the platforms behind it. Floor 6."""

from sentry_platform._interface import (
    FAULT_EXEC,
    FAULT_READ,
    FAULT_WRITE,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    AddressSpace,
    Backing,
    Context,
    EventKind,
    MapError,
    Op,
    Platform,
    ProbeResult,
)

__all__ = [
    "FAULT_EXEC",
    "FAULT_READ",
    "FAULT_WRITE",
    "PROT_EXEC",
    "PROT_NONE",
    "PROT_READ",
    "PROT_WRITE",
    "AddressSpace",
    "Backing",
    "Context",
    "EventKind",
    "MapError",
    "Op",
    "Platform",
    "ProbeResult",
]
