"""The platforms by name: which exist, which work on this host, and how one is opened.

A platform's module is imported when the platform is opened or probed, not before.
"""

from collections.abc import Callable
from typing import Final

from sentry_platform._interface import Platform, PlatformError, ProbeResult

AUTO: Final = "auto"
"""The name for the first platform of `PLATFORMS` that starts."""


class UnknownPlatformError(PlatformError):
    """No platform of that name is part of this version."""


def _notify() -> type[Platform]:
    from sentry_platform._notify import NotifyPlatform  # noqa: PLC0415  (imported when used)

    return NotifyPlatform


def _ptrace() -> type[Platform]:
    from sentry_platform._ptrace import PtracePlatform  # noqa: PLC0415  (imported when used)

    return PtracePlatform


_CLASSES: Final[dict[str, Callable[[], type[Platform]] | None]] = {"notify": _notify, "ptrace": _ptrace, "kvm": None}
"""Platforms in the order of preference; None for one that is not built yet."""

PLATFORMS: Final = tuple(_CLASSES)
"""Names of all platforms, in the order in which `AUTO` tries them."""


def open_platform(name: str = AUTO) -> Platform:
    """Start a platform. The calling thread becomes its kernel thread.

    Raises: UnknownPlatformError; PlatformError when it does not work on this host (for `AUTO`: why the first does not).
    """
    if name != AUTO:
        return _class_of(name)()
    first: PlatformError | None = None
    for find in filter(None, _CLASSES.values()):
        try:
            return find()()
        except PlatformError as error:
            first = first or error
    assert first is not None
    raise first


def probe_platforms() -> dict[str, ProbeResult]:
    """Try every platform in turn; return for each what was found."""
    return {
        name: ProbeResult(built=False, usable=False, reason="") if find is None else find().probe()
        for name, find in _CLASSES.items()
    }


def _class_of(name: str) -> type[Platform]:
    find = _CLASSES.get(name)
    if find is None:
        built = ", ".join(known for known, there in _CLASSES.items() if there is not None)
        message = f"the platform {name!r} is not part of this version; there are: {built}"
        raise UnknownPlatformError(message)
    return find()
