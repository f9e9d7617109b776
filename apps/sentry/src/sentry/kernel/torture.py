"""Torture mode: every wait is encoded, dropped and made again.

At each park the state of the wait is encoded to bytes, the Pending is dropped, and a new one is made from the name of
its attempt and the decoded state. What a wait needs and its record lacks is lost at once, in every test, not only in
a save. Live kernel objects that a record names (files, queues, tasks) are encoded by a number in a
table beside the bytes, as a save encodes a reference.
"""

from sentry.kernel.pending import Pending, attempts, name_of
from sentry.kernel.state import KernelBug
from sentry_abi import errors
from sentry_state import Registry, SaveError, decode_record, encode_record


def records() -> Registry:
    """Return a registry of what a wait's record may refer to: any record, and the classes of errors by name."""
    registry = Registry(auto_records=True)
    for name, value in vars(errors).items():
        if (
            isinstance(value, type)
            and issubclass(value, errors.LinuxError | errors.RestartError)
            and name == value.__name__
        ):
            registry.named(name)(value)
    return registry


class Torture:
    """The mode, and a count of the waits it has remade."""

    __slots__ = ("count", "registry")

    def __init__(self) -> None:
        """Start the count at zero."""
        self.count = 0
        self.registry = records()

    def pass_through(self, pending: Pending) -> Pending:
        """Return a wait equal to pending that shares nothing with it but kernel objects.

        Raises: KernelBug when its attempt is not registered or its state is not a record.
        """
        self.count += 1
        live: list[object] = []
        try:
            encoded = encode_record(pending.state, live, self.registry)
        except SaveError as error:
            message = f"a wait cannot be saved: {error}"
            raise KernelBug(message) from error
        fresh = decode_record(encoded, live, self.registry)
        for function in (pending.attempt, pending.on_signal):
            if function is not None and attempts.get(name_of(function)) is not function:
                message = f"{name_of(function)} is not a registered attempt"
                raise KernelBug(message)
        return Pending(
            pending.attempt,
            fresh,
            pending.queues,
            pending.deadline,
            pending.restart,
            pending.on_signal,
            limited=pending.limited,
            killable=pending.killable,
        )
