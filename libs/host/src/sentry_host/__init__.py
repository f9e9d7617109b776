"""What a kernel takes from its host: clocks, entropy, CPUs, limits. Floor 3."""

from sentry_host._descriptors import KeptDescriptors, keep_descriptors
from sentry_host._host import Host, nr_cpu_ids, real_host

__all__ = ["Host", "KeptDescriptors", "keep_descriptors", "nr_cpu_ids", "real_host"]
