"""One record to bytes and back: the state of a parked system call."""

from typing import Any, Final

from sentry_state._decode import Decoder, Limits
from sentry_state._encode import Encoder
from sentry_state._errors import SaveError
from sentry_state._paths import path_to
from sentry_state._registry import Registry, registry

_LIMITS: Final = Limits(objects=1 << 20)


def encode_record(record: Any, externals: list[Any], registry: Registry = registry) -> bytes:  # noqa: ANN401
    """Return a small graph as bytes, with no envelope; live objects are appended to externals.

    What is plain, registered or named is written. An instance of any other class of Python's is left alive: the bytes
    hold its place in externals. Functions, generators and buffers have no place in a record.

    Raises: SaveError.
    """
    encoder = Encoder(registry, live=externals)
    try:
        encoder.run(record)
    except SaveError as error:
        message = f"{error} (at {path_to(registry, record, encoder.last)})"
        raise SaveError(message) from error.__cause__
    return b"".join(encoder.pieces)


def decode_record(data: bytes, externals: list[Any], registry: Registry = registry) -> Any:  # noqa: ANN401
    """Return the record that `encode_record` made data of, around the same live objects. Runs no hooks.

    Raises: LoadError.
    """
    return Decoder(registry, _LIMITS, live=externals).run(data)
