"""What every platform has besides guests: kicks, signals and descriptors of the host, and the clock."""

from typing import TYPE_CHECKING

from sentry_platform._native._lib import ffi, lib

if TYPE_CHECKING:
    from sentry_platform._native._lib import Loop


class HostLoop:
    """The part of a `Platform` that does not depend on what runs guest code (`loop.c`)."""

    __slots__ = ("_loop", "_sample")

    def __init__(self, loop: "Loop") -> None:
        """Take a `struct ks_loop` that the platform opens and closes."""
        self._loop = loop
        self._sample = ffi.new("int64_t[4]")

    def watch(self, fd: int, mask: int) -> bool:
        """Ask for one FD event when fd is ready for mask (poll bits); False when the host says it is always ready."""
        return lib.ks_watch(self._loop, fd, mask) >= 0

    def unwatch(self, fd: int) -> None:
        """Forget fd; before it is closed."""
        lib.ks_unwatch(self._loop, fd)

    def catch(self, signo: int) -> None:
        """Turn a signal of the sentry into WAKE events."""
        lib.ks_catch(self._loop, signo)

    def wake(self, bits: int) -> None:
        """Make `next_event` return a WAKE event; any thread."""
        lib.ks_kick(self._loop, bits)

    def clock_sample(self) -> tuple[int, int, int, int]:
        """Return cycle counter, monotonic ns at that moment, real minus monotonic ns, and the width in cycles."""
        lib.ks_clock_sample(self._sample)
        sample = self._sample
        return sample[0], sample[1], sample[2], sample[3]
