"""A file of /proc whose content a function of the kernel makes."""

from typing import TYPE_CHECKING

from sentry_fs import Generated
from sentry_vfs import Filesystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sentry.kernel.state import KernelState


class Figure(Generated):
    """A file whose content a function of the kernel makes."""

    __slots__ = ("_kernel", "_make")

    def __init__(
        self, fs: Filesystem, kernel: "KernelState", make: "Callable[[KernelState], bytes]", mode: int = 0o444
    ) -> None:
        """Make the file."""
        super().__init__(fs, mode)
        self._kernel = kernel
        self._make = make

    def generate(self) -> bytes:
        """Return the content now."""
        return self._make(self._kernel)
