"""/proc: the kernel's tasks and counters as files.

`mount_proc` puts one over a kernel's tree. Everything is generated when it is read; nothing of the host's /proc shows
through.
"""

from sentry.procfs._filesystem import Procfs, mount_proc

__all__ = ["Procfs", "mount_proc"]
