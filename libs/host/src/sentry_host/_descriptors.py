"""Descriptors that guests cannot use up.

A module that is imported while guests run needs a descriptor or two. Guests can use all that the process may have, so a
few stay beyond the soft limit, which is raised for the length of an import.
"""

import resource
from types import TracebackType
from typing import Final

_KEPT: Final = 4
"""An import has a directory or a file open, and a C extension one library more."""


def keep_descriptors() -> None:
    """Set the soft limit of descriptors to the hard one, less those kept for imports."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - _KEPT if hard > _KEPT else hard, hard))


class KeptDescriptors:
    """A context in which the kept descriptors can be used: `with KeptDescriptors():` around an import."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        """Raise the soft limit to the hard one."""
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._before[1], self._before[1]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Set the soft limit back."""
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)
