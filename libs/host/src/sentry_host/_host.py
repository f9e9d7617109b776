"""The host as one record.

A kernel and its libraries read clocks, entropy and the number of CPUs from this record only. Another record, with
functions of its own, is another world: virtual time, or a run that can be repeated. The functions are attributes, so
that reading a clock costs what the host's own function costs.
"""

import os
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from sentry_limits import LimitSet, host_limits

_POSSIBLE: Final = "/sys/devices/system/cpu/possible"
_CLOCK_SOURCE: Final = "/sys/devices/system/clocksource/clocksource0/current_clocksource"


class Host(NamedTuple):
    """Clocks, entropy, CPUs and limits of a host."""

    realtime_ns: Callable[[], int]
    """Nanoseconds of CLOCK_REALTIME."""
    monotonic_ns: Callable[[], int]
    """Nanoseconds of CLOCK_MONOTONIC."""
    random_bytes: Callable[[int], bytes]
    """That many random bytes, good enough for keys."""
    possible_cpus: int
    """The highest number that a CPU of the host can have, plus one (nr_cpu_ids): the most application cores."""
    online_cpus: int
    """How many CPUs the kernel may run on."""
    limits: LimitSet
    """The resource limits that the kernel's process began with."""
    clock_source: str = ""
    """What drives both clocks, by Linux's name (`tsc`); empty if it is not the CPU's cycle counter."""


def real_host() -> Host:
    """Return the record of the host that this process runs on, with its limits as they are now."""
    online = len(os.sched_getaffinity(0))
    return Host(
        time.time_ns,
        time.monotonic_ns,
        os.urandom,
        max(_possible_cpus(), online),
        online,
        host_limits(),
        _read(_CLOCK_SOURCE).strip(),
    )


def _possible_cpus() -> int:
    try:
        return nr_cpu_ids(_read(_POSSIBLE))
    except ValueError:
        return os.cpu_count() or 1


def _read(path: str) -> str:
    """Return the content of a file; empty where there is none."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123  (start-up: pathlib is slow)
            return file.read()
    except OSError:
        return ""


def nr_cpu_ids(text: str) -> int:
    """Return one more than the highest CPU in a list such as `0-3,8`. Raises: ValueError."""
    return max(int(part.rpartition("-")[2]) for part in text.strip().split(",")) + 1
