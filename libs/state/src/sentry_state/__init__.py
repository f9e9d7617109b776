"""Save and load of object graphs: versioned, declared, and safe to read. Floor 1.

Nothing that an image names is run or imported: classes and values are looked up in a `Registry`, and an object is
made without its constructor. Writers and readers belong to one thread each; a registry is filled at import, then only
read.
"""

from sentry_state._decode import Limits
from sentry_state._errors import (
    DamagedError,
    HookError,
    LimitError,
    LoadError,
    MalformedError,
    MissingExternalError,
    NewerVersionError,
    NotAnImageError,
    OlderVersionError,
    RegistrationError,
    SaveError,
    StateError,
    TruncatedError,
    UnknownTypeError,
    WaitCycleError,
)
from sentry_state._records import decode_record, encode_record
from sentry_state._registry import Registry, Upgrade, named, registry, savable
from sentry_state._stream import FORMAT, MAGIC, Bytes, Reader, Sink, Source, Stats, Writer

__all__ = [
    "FORMAT",
    "MAGIC",
    "Bytes",
    "DamagedError",
    "HookError",
    "LimitError",
    "Limits",
    "LoadError",
    "MalformedError",
    "MissingExternalError",
    "NewerVersionError",
    "NotAnImageError",
    "OlderVersionError",
    "Reader",
    "RegistrationError",
    "Registry",
    "SaveError",
    "Sink",
    "Source",
    "StateError",
    "Stats",
    "TruncatedError",
    "UnknownTypeError",
    "Upgrade",
    "WaitCycleError",
    "Writer",
    "decode_record",
    "encode_record",
    "named",
    "registry",
    "savable",
]
