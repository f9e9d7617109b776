"""Which of mm's objects can be saved, and how. Only save, load and tests import this.

The memory file saves the pages. A loaded address space has no platform space: `MemoryManager.attach` gives it one and
maps what the lists have.
"""

from typing import TYPE_CHECKING, Final

from sentry_mm._limits import Limits, NoLimits
from sentry_mm._manager import MemoryManager
from sentry_mm._mappable import Counted, Extent, Mappable, Mapper, Mappers, Pages
from sentry_mm._mm import MMState
from sentry_mm._pma import Pma
from sentry_mm._shared import SharedMemory
from sentry_mm._sorted import Piece, Sorted
from sentry_mm._vma import Vma

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    Counted: "protocol",
    Extent: "lives for one call of Mappable.extents",
    Limits: "protocol",
    Mappable: "protocol",
    Mapper: "protocol",
    Pages: "protocol",
    Piece: "protocol",
}


def register(registry: "Registry") -> None:
    """Register address spaces. Their memory file, futexes, limits and files are their own libraries'."""
    registry.savable(
        "mm.MMState",
        fields=(
            "arg_end", "arg_start", "auxv", "brk_end", "brk_start", "code_end", "code_start", "cow_end", "cow_size",
            "data_bytes", "data_end", "data_start", "def_flags", "env_end", "env_start", "exe", "futexes", "limits",
            "locked_bytes", "memory", "mmap_base", "pmas", "search_from", "skipped_hole", "spurious", "stack_bytes",
            "stack_start", "total_bytes", "users", "vmas",
        ),
        unsaved={
            "space": "the platform's; attach gives a new one",
            "view": "the memory file's; attach takes it again",
        },
        fresh={"batch": type(None), "dropped": list, "read_pages": dict, "write_pages": dict},
    )(MMState)  # fmt: skip
    registry.savable("mm.MemoryManager")(MemoryManager)
    registry.savable("mm.Vma", fields=Vma.__slots__)(Vma)
    registry.savable("mm.Pma", fields=Pma.__slots__)(Pma)
    registry.savable("mm.Sorted", fields=("items",), unsaved={"starts": "derived from items"})(Sorted)
    registry.savable("mm.Mappers", fields=Mappers.__slots__)(Mappers)
    registry.savable("mm.SharedMemory", fields=SharedMemory.__slots__)(SharedMemory)
    registry.savable("mm.NoLimits")(NoLimits)
