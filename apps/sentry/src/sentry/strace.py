"""`--strace`: one line per call on standard error."""

import os
from typing import TYPE_CHECKING, Any

from sentry_abi.numbers import AMD64

if TYPE_CHECKING:
    from sentry.kernel.task import Task


class Strace:
    """Prints calls as they end."""

    __slots__ = ()

    def after(self, task: "Task", nr: int, args: tuple[int, ...], result: Any) -> None:  # noqa: ANN401  (what a handler returns)
        """Print a call whose handler has returned."""
        shown = ", ".join(f"{a:#x}" for a in args)
        line = f"[{task.tid}] {AMD64.get(nr, nr)}({shown}) = {result if isinstance(result, int) else repr(result)}\n"
        os.write(2, line.encode())

    def resumed(self, task: "Task", result: Any) -> None:  # noqa: ANN401  (what an attempt returns)
        """Print the end of a call that had waited."""
        os.write(2, f"[{task.tid}] ... = {result}\n".encode())
