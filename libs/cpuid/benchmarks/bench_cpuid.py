"""What asking the processor and its description costs."""

import timeit
from collections.abc import Callable

import sentry_cpuid as c

host = c.host_features()
avx = c.feature("avx")


def time(name: str, rounds: int, function: Callable[[], object]) -> None:
    """Print the best of five, in microseconds per call."""
    best = min(timeit.repeat(function, number=rounds, repeat=5))
    print(f"{name:28} {best / rounds * 1e6:.2f} us")


time("cpuid", 1000, lambda: c.cpuid(7))
time("FeatureSet.read", 10, c.FeatureSet.read)
time("has", 100_000, lambda: host.has(avx))
time("emulate", 10_000, lambda: host.emulate(7))
time("check_host_compatible", 10_000, host.check_host_compatible)
time("flags", 1000, host.flags)
