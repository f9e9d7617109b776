"""A userspace Linux kernel: unmodified x86-64 Linux programs run under it, and none of their system calls reaches the host."""

__version__ = "0.1.0"
