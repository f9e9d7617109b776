"""Which objects of pgalloc can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_pgalloc._file import MemoryFile, MemoryKind, _Closed
from sentry_pgalloc._free import FreeSpace
from sentry_pgalloc._image import Tables
from sentry_pgalloc._ranges import Ranges

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    FreeSpace: "the memory file saves it, as what is not allocated",
    MemoryFile: "saved by its own `save`, pages as bulk bytes; an external of object graphs",
    MemoryKind: "constants",
    Ranges: "the memory file saves them",
    Tables: "lives while a memory file is loaded",
    _Closed: "the lock of a closed memory file",
}


def register(registry: "Registry") -> None:
    """Register nothing: pages and their counts are the memory file's own format."""
