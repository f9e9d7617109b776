"""A userspace Linux kernel: unmodified x86-64 Linux programs run under it, never under the host's."""

__version__ = "0.1.0"
