"""Which objects of the loader can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_loader._elf import Elf, Segment
from sentry_loader._file import ExecFile
from sentry_loader._load import Hardware, Ids, Image, LoadedImage
from sentry_loader._stack import StackImage

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    Elf: "lives for one execve, or in the cache of parsed files",
    ExecFile: "protocol",
    Ids: "lives for one execve",
    Image: "lives for one execve",
    LoadedImage: "lives for one execve",
    Segment: "lives with its Elf",
    StackImage: "lives for one execve",
}


def register(registry: "Registry") -> None:
    """Register the classes of this library."""
    registry.savable("loader.Hardware")(Hardware)
