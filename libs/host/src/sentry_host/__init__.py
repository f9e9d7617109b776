"""What a kernel takes from its host: clocks, entropy, CPUs, limits. Floor 3."""

from sentry_host._host import Host, count_cpus, real_host

__all__ = ["Host", "count_cpus", "real_host"]
