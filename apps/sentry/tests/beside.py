"""A kernel that is served in the main thread while a test works in another."""

import threading
from collections.abc import Callable

from sentry.kernel.kernel import Kernel


def beside(kernel: Kernel, work: Callable[[], None], *, end: bool = False) -> None:
    """Serve a started kernel here while work runs in another thread; raise what work raised.

    The tasks are killed when work fails, and always with `end`.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (shown by the main thread)
            failures.append(error)
        if end or failures:
            kernel.kill(9)

    thread = threading.Thread(target=run)
    thread.start()
    kernel.wait_exited()
    thread.join()
    if failures:
        raise failures[0]
