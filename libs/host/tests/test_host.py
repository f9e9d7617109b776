"""The record of the host: the real one, and the one for tests."""

import os
import resource
import time
from pathlib import Path

import pytest

from sentry_host import nr_cpu_ids, real_host
from sentry_host.testing import FakeHost


def test_the_real_host_is_this_one() -> None:
    """Clocks and entropy are the host's own functions; CPUs and limits are those of this process."""
    host = real_host()
    assert (host.realtime_ns, host.monotonic_ns, host.random_bytes) == (time.time_ns, time.monotonic_ns, os.urandom)
    assert host.online_cpus == len(os.sched_getaffinity(0))
    assert host.possible_cpus >= (os.cpu_count() or 1) >= host.online_cpus
    source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    assert host.clock_source == (source.read_text().strip() if source.exists() else "")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert host.limits.soft(resource.RLIMIT_NOFILE) == soft % (1 << 64)


@pytest.mark.parametrize(("text", "ids"), [("0\n", 1), ("0-3\n", 4), ("0-3,8\n", 9), ("8,10-11\n", 12)])
def test_lists_of_cpus(text: str, ids: int) -> None:
    """Lists as /sys/devices/system/cpu writes them."""
    assert nr_cpu_ids(text) == ids


def test_a_list_that_is_none() -> None:
    """Anything else is an error, not a number."""
    with pytest.raises(ValueError, match="invalid literal"):
        nr_cpu_ids("all")


def test_the_fake_host_repeats_itself() -> None:
    """Two fake hosts give the same sequence; entropy does not repeat within one."""
    worlds = []
    for _ in range(2):
        host = FakeHost(5).record
        worlds.append((host.monotonic_ns(), host.realtime_ns(), host.random_bytes(40), host.random_bytes(40)))
    assert worlds[0] == worlds[1]
    assert worlds[0][0] == 6
    assert worlds[0][2] != worlds[0][3]
    assert len(worlds[0][2]) == 40
