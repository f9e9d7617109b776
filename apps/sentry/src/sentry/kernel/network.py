"""The sender's credentials, for sockets that pass them on."""

from typing import TYPE_CHECKING

from sentry_sockets import Ucred

if TYPE_CHECKING:
    from sentry.kernel.state import KernelState


class CallingTask:
    """Whose credentials a message carries when its receiver wants some and the sender named none."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: "KernelState") -> None:
        """Speak for the tasks of one kernel."""
        self.kernel = kernel

    def ucred(self) -> Ucred:
        """Return process, real user and real group of the task whose call is under way."""
        task = self.kernel.current
        assert task is not None
        return Ucred(task.group.tgid, task.creds.uid, task.creds.gid)
