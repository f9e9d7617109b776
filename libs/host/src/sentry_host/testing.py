"""A host for tests: its clocks advance by one step a reading, its entropy is the hashes of a counter."""

from hashlib import sha256

from sentry_host._host import Host
from sentry_limits import LimitSet


class FakeHost:
    """Clocks and entropy that give the same values in each run; `record` is the `Host` made of them."""

    __slots__ = ("_reads", "boot_ns", "now_ns", "record", "step_ns")

    def __init__(self, now_ns: int = 1_000_000_000, *, boot_ns: int = 1_600_000_000_000_000_000, cpus: int = 2) -> None:
        """Begin at a monotonic time; boot_ns is the real time at monotonic 0."""
        self.now_ns = now_ns
        self.boot_ns = boot_ns
        self.step_ns = 1
        self._reads = 0
        self.record = Host(self.realtime_ns, self.monotonic_ns, self.random_bytes, cpus, cpus, LimitSet.distribution())

    def monotonic_ns(self) -> int:
        """Advance by one step; return the monotonic time."""
        self.now_ns += self.step_ns
        return self.now_ns

    def realtime_ns(self) -> int:
        """Advance by one step; return the real time."""
        return self.boot_ns + self.monotonic_ns()

    def random_bytes(self, count: int) -> bytes:
        """Return the next count bytes of the fixed sequence."""
        found = b""
        while len(found) < count:
            found += sha256(self._reads.to_bytes(8, "little")).digest()
            self._reads += 1
        return found[:count]
