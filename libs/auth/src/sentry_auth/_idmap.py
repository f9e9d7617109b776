"""Id maps: immutable, from ids of a user namespace to kernel ids and back.

A map has up to 340 extents and never changes once it is set. Both directions are a search by bisection.
Ids are 32 bits wide and the last one, `NO_ID`, is no id: an extent may not contain it.

Differs: gVisor takes five lines at most and merges neighbours, so that a read can show fewer lines than were written.
Linux since 4.15 takes 340 and shows what was written (sorted, beyond five); so do we.

Sources: user_namespaces(7); Linux kernel/user_namespace.c map_write, map_id_range_down, insert_extent, sort_idmaps.
"""

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from sentry_abi.errors import EINVAL
from sentry_auth._ids import NO_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_EXTENTS: Final = 340
_BASE_EXTENTS: Final = 5
_U32: Final = 0xFFFF_FFFF


class Extent(NamedTuple):
    """The ids first, first + 1, ... map to lower, lower + 1, ...: length of them."""

    first: int
    lower: int
    length: int


class IdMap:
    """Extents in the order in which they are shown; translation both ways."""

    __slots__ = ("_backward", "_forward", "_lower_starts", "_starts", "extents")

    def __init__(self, extents: "Iterable[Extent]" = ()) -> None:
        """Make a map; a map of more than five extents is sorted.

        Raises: EINVAL if an extent is empty, contains `NO_ID` or overlaps another in either column, or if there are
        more than 340.
        """
        self._index(tuple(extents))

    def after_load(self) -> None:
        """Sort again what an image had. Raises: EINVAL as for a new map."""
        self._index(self.extents)

    def _index(self, listed: "tuple[Extent, ...]") -> None:
        if len(listed) > MAX_EXTENTS:
            raise EINVAL
        forward = sorted(listed)
        backward = sorted(listed, key=_by_lower)
        for extent in listed:
            _check(extent)
        for column, ordered in ((0, forward), (1, backward)):
            for left, right in pairwise(ordered):
                if left[column] + left.length > right[column]:
                    raise EINVAL
        self.extents = listed if len(listed) <= _BASE_EXTENTS else tuple(forward)
        self._forward = forward
        self._starts = [extent.first for extent in forward]
        self._backward = backward
        self._lower_starts = [extent.lower for extent in backward]

    def __len__(self) -> int:
        """Return the number of extents; a map that is not set has none."""
        return len(self.extents)

    def down(self, number: int, count: int = 1) -> int:
        """Return what an id (the first of count in one extent) maps to, or `NO_ID`."""
        index = bisect_right(self._starts, number) - 1
        if index < 0:
            return NO_ID
        first, lower, length = self._forward[index]
        return lower + number - first if number + count <= first + length else NO_ID

    def up(self, number: int) -> int:
        """Return the id that maps to number, or `NO_ID`."""
        index = bisect_right(self._lower_starts, number) - 1
        if index < 0:
            return NO_ID
        first, lower, length = self._backward[index]
        return first + number - lower if number < lower + length else NO_ID


def _by_lower(extent: Extent) -> int:
    return extent.lower


def _check(extent: Extent) -> None:
    first, lower, length = extent
    if length <= 0 or first < 0 or lower < 0 or first + length > NO_ID or lower + length > NO_ID:
        raise EINVAL


EMPTY: Final = IdMap()
"""The map of a new user namespace."""

IDENTITY: Final = IdMap([Extent(0, 0, NO_ID)])
"""The map of the initial user namespace."""


def parse(text: bytes) -> list[Extent]:
    """Return the extents of a write to uid_map or gid_map; `lower` is as written, an id of the parent namespace.

    The text ends at its first NUL. A line is three decimal numbers, anything that the C locale calls space between.
    Numbers are cut to 32 bits, as Linux's simple_strtoul into an u32 does.

    Raises: EINVAL for anything else: junk, an empty line, none or more than 340 lines, an extent that is empty, wraps
    or overlaps one before it.
    """
    lines = text.split(b"\0", 1)[0].split(b"\n")
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    if len(lines) > MAX_EXTENTS:
        raise EINVAL
    extents = [_parse_line(line) for line in lines]
    IdMap(extents)
    return extents


def _parse_line(line: bytes) -> Extent:
    words = line.replace(b"\xa0", b" ").split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        raise EINVAL
    return Extent(*(int(word) & _U32 for word in words))
