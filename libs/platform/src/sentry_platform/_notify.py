"""The notify platform: guest calls are seccomp user notifications. Linux 5.19 or later, ptrace allowed."""

import errno
import os

from sentry_platform._stubs import StubPlatform


class NotifyPlatform(StubPlatform):
    """Stubs whose every call notifies the sentry."""

    name = "notify"
    works = "seccomp user notification and ptrace work"
    _sysemu = 0

    @staticmethod
    def explain(number: int) -> str:
        """Say in one line why the template could not be made, and what would help."""
        if number in (errno.EPERM, errno.EACCES):
            return (
                "ptrace or seccomp is not permitted here: allow both in the container's own filter,"
                " and have kernel.yama.ptrace_scope below 3"
            )
        if number == errno.EBUSY:
            return "this process already has a seccomp listener: start sentry outside of that supervisor"
        if number in (errno.EINVAL, errno.ENOSYS):
            return "the host's Linux is too old for the notify platform: 5.19 or later is needed"
        return f"the notify platform could not start: {os.strerror(number)}"
