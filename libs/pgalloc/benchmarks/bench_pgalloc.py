"""What the memory file costs. Run with the workspace's Python; prints microseconds."""

import random
import statistics
import time
import timeit
from collections.abc import Callable

from sentry_pgalloc import MemoryFile

ROUNDS = 10_000
LIVE = 1_000_000


def _us(function: Callable[[], object]) -> float:
    return timeit.timeit(function, number=ROUNDS) / ROUNDS * 1e6


def main() -> None:
    """Measure the hot paths, then allocation and release among a million live ranges."""
    with MemoryFile() as memory:
        block = memory.allocate(4 << 20, 1)
        print(f"allocate               {_us(lambda: memory.allocate(65536, 1)):6.2f}")

        def share() -> None:
            memory.incref(block, 65536)
            memory.decref(block, 65536)

        print(f"incref + decref        {_us(share):6.2f}")

        def turn() -> None:
            memory.decref(memory.allocate(65536, 1, top_down=True), 65536)
            memory.reclaim()

        print(f"allocate, free, reclaim{_us(turn):6.2f}")
        live = [memory.allocate(4096, 1 + (n & 1)) for n in range(LIVE)]
        random.Random(1).shuffle(live)  # noqa: S311  (no secret)
        times = []
        for n in range(ROUNDS // 2):
            start = time.perf_counter()
            memory.decref(live[n], 4096)
            middle = time.perf_counter()
            memory.allocate(4096, 1 + (n & 1))
            times += [middle - start, time.perf_counter() - middle]
            memory.reclaim(1 << 16)
        print(f"among {LIVE} ranges, median of {ROUNDS}: {statistics.median(times) * 1e6:.2f}")


if __name__ == "__main__":
    main()
