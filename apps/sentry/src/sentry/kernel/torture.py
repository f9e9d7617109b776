"""Torture mode: every wait is taken to pieces and put together again.

At each park the state of the wait is encoded to bytes, the Pending is dropped, and a new one is made from the name of
its attempt and the decoded state. What a wait needs and has not in its record is lost at once, in every test, and not
only when somebody saves. Live kernel objects that a record names (files, queues, tasks) are encoded by a number in a
table beside the bytes, as a save encodes a reference.
"""

from typing import TYPE_CHECKING, Any

from sentry.kernel.pending import Pending, attempts
from sentry.kernel.run import KernelBug
from sentry_abi import errors

if TYPE_CHECKING:
    from sentry.kernel.task import Task


class Encoder:
    """Records to bytes and back, with a table of the live objects that they name."""

    __slots__ = ("objects", "records")

    def __init__(self) -> None:
        """Begin with an empty table."""
        self.objects: list[Any] = []
        self.records: list[type] = []

    def encode(self, value: Any) -> bytes:  # noqa: ANN401  (any record)
        """Return value as bytes.

        Raises: KernelBug for what has no place in a record: functions, generators, buffers.
        """
        if value is None:
            return b"n"
        if value.__class__ in (int, bool):
            return b"i" + repr(value).encode() + b";"
        if isinstance(value, bytes):
            return b"b" + str(len(value)).encode() + b":" + value
        if isinstance(value, type) and issubclass(value, errors.LinuxError | errors.RestartError):
            return b"e" + value.__name__.encode() + b";"
        if isinstance(value, tuple | list):
            self.records.append(type(value))
            kind = len(self.records) - 1
            body = b"".join(self.encode(item) for item in value)
            return b"t" + f"{kind},{len(value)}:".encode() + body
        if callable(value) or isinstance(value, memoryview) or hasattr(value, "send"):
            message = f"a wait holds {value!r}, which cannot be saved"
            raise KernelBug(message)
        self.objects.append(value)
        return b"o" + str(len(self.objects) - 1).encode() + b";"

    def decode(self, data: bytes) -> Any:  # noqa: ANN401  (any record)
        """Return the value that `encode` made data of."""
        value, rest = self._decode(data)
        if rest:
            message = "a wait's record has a tail"
            raise KernelBug(message)
        return value

    def _decode(self, data: bytes) -> tuple[Any, bytes]:
        kind, rest = data[:1], data[1:]
        if kind == b"n":
            return None, rest
        if kind == b"i":
            text, _, rest = rest.partition(b";")
            return {b"True": True, b"False": False}.get(text) if text[:1] in b"TF" else int(text), rest
        if kind == b"b":
            length, _, rest = rest.partition(b":")
            return rest[: int(length)], rest[int(length) :]
        if kind == b"e":
            name, _, rest = rest.partition(b";")
            return getattr(errors, name.decode()), rest
        if kind == b"o":
            number, _, rest = rest.partition(b";")
            return self.objects[int(number)], rest
        head, _, rest = rest.partition(b":")
        record, count = (int(part) for part in head.split(b","))
        items = []
        for _ in range(count):
            item, rest = self._decode(rest)
            items.append(item)
        cls = self.records[record]
        return (cls(*items) if hasattr(cls, "_fields") else cls(items)), rest


class Torture:
    """The mode, and how often it has struck."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        """Begin at zero."""
        self.count = 0

    def pass_through(self, task: "Task", pending: Pending) -> Pending:
        """Return a wait equal to pending that shares nothing with it but kernel objects.

        Raises: KernelBug when its attempt is not registered or its state is not a record.
        """
        del task
        self.count += 1
        encoder = Encoder()
        image = encoder.encode(pending.state)
        fresh = encoder.decode(image)
        names = [
            None if f is None else f"{f.__module__}.{f.__qualname__}" for f in (pending.attempt, pending.on_signal)
        ]
        missing = [name for name in names if name is not None and name not in attempts]
        if missing:
            message = f"{missing[0]} is not a registered attempt"
            raise KernelBug(message)
        assert names[0] is not None
        on_signal = attempts[names[1]] if names[1] is not None else None
        return Pending(attempts[names[0]], fresh, pending.queues, pending.deadline, pending.restart, on_signal)
