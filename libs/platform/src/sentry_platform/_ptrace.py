"""The ptrace platform: guest calls are PTRACE_SYSEMU stops. Slower than notify, and works wherever ptrace does."""

import errno
import os

from sentry_platform._stubs import StubPlatform


class PtracePlatform(StubPlatform):
    """Stubs that stop at every call."""

    name = "ptrace"
    works = "PTRACE_SYSEMU works"
    _sysemu = 1

    @staticmethod
    def explain(number: int) -> str:
        """Say in one line why the template could not be made, and what would help."""
        if number in (errno.EPERM, errno.EACCES):
            return (
                "ptrace or seccomp is not permitted here: allow both in the container's own filter,"
                " and have kernel.yama.ptrace_scope below 3"
            )
        return f"the ptrace platform could not start: {os.strerror(number)}"
