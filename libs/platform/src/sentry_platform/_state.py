"""Which objects of platform can be saved, and how. Only save, load and tests import this."""

from typing import TYPE_CHECKING, Final

from sentry_platform._interface import Op, ProbeResult
from sentry_platform._loop import HostLoop
from sentry_platform._notify import NotifyPlatform
from sentry_platform._ptrace import PtracePlatform
from sentry_platform._stubs import StubContext, StubPlatform, StubSpace

if TYPE_CHECKING:
    from sentry_state import Registry

UNSAVABLE: Final[dict[type, str]] = {
    HostLoop: "of this process",
    NotifyPlatform: "stubs of this process",
    Op: "lives for one AddressSpace.apply",
    ProbeResult: "about this host",
    PtracePlatform: "stubs of this process",
    StubContext: "a host thread; its registers and extended state are what is saved",
    StubPlatform: "stubs of this process",
    StubSpace: "a host address space; mm makes another from its lists",
}


def register(registry: "Registry") -> None:
    """Register nothing: the kernel saves registers and memory, and makes new contexts after a load."""
