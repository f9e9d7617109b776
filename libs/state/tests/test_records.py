"""Records of waiting calls."""

# ruff: noqa: ANN401  (graphs of anything)

from typing import Any, NamedTuple

import pytest

from sentry_state import MissingExternalError, Registry, SaveError, decode_record, encode_record

registry = Registry(auto_records=True)


class Call(NamedTuple):
    """What a call remembers."""

    file: Any
    address: int
    done: int
    deadline: int | None
    rest: Any = ()


class File:
    """A live object."""


@registry.named("EINTR")
class Interrupted(Exception):  # noqa: N818  (Linux's own name)
    """A class by its name."""


def test_there_and_back() -> None:
    """Values are copied, live objects are the same, and each is listed once."""
    file, other = File(), File()
    live: list[Any] = []
    call = Call(file, 1 << 47, 12, None, ([file, other], b"x" * 100_000, {"k": Interrupted}))
    data = encode_record(call, live, registry)
    assert live == [file, other]
    found = decode_record(data, live, registry)
    assert found == call
    assert found is not call
    assert type(found) is Call
    assert found.file is file
    assert found.rest[0] is not call.rest[0]


@pytest.mark.parametrize("value", [len, lambda: 1, (n for n in range(2)), memoryview(b""), iter([]), File])
def test_no_place_in_a_record(value: Any) -> None:
    """What cannot be saved later is refused now, with its place."""
    with pytest.raises(SaveError, match=r"has no place in a record \(at root\.file\)"):
        encode_record(Call(value, 0, 0, None), [], registry)


def test_keys_are_for_images() -> None:
    """A record has no externals by key."""
    with pytest.raises(MissingExternalError):
        decode_record(b"\x3a\x01\0\0\0k", [], registry)
