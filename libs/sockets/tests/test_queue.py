"""The byte queue against a list of bytes, each with what was sent along with it."""

from hypothesis import given
from hypothesis import strategies as st

from sentry_sockets._queue import UNKNOWN, ByteQueue, Control, Ucred
from sentry_vfs import FileDescription

CREDS = (None, Ucred(1, 2, 3), Ucred(4, 5, 6))


def description() -> FileDescription:
    """Return a description without a file."""
    return FileDescription(0, None, None)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 6000), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("take"), st.integers(1, 9000), st.just(0), st.booleans()),
        st.tuples(st.just("peek"), st.integers(1, 9000), st.just(0), st.booleans()),
    ),
    max_size=40,
)


@given(OPERATIONS)
def test_every_byte_comes_once_with_its_own(operations: list[tuple[str, int, int, bool]]) -> None:
    """A read stops behind the first descriptions it meets, and where the sender changes if it asks for senders."""
    queue = ByteQueue()
    model: list[tuple[int, Ucred, FileDescription | None, int]] = []
    counter = 0
    for number, (name, size, which, flag) in enumerate(operations):
        if name == "send":
            data = bytes((counter + i) % 251 for i in range(size))
            counter += size
            file = description() if flag else None
            assert queue.append([data[: size // 2], data[size // 2 :]], size) == size
            if file is not None or CREDS[which] is not None:
                queue.mark(size, Control((file,) if file else (), CREDS[which]))
            model += [(byte, CREDS[which] or UNKNOWN, file, number) for byte in data]
            continue
        if not queue.size:
            assert not model
            continue
        limit = expected(model[:size], creds=flag)
        files = [file for _, _, file, _ in model[:limit] if file is not None][:1]
        got, control = queue.span(size, creds=flag)
        assert (got, list(control.files)) == (limit, files)
        assert control.creds == (model[0][1] if flag else None)
        buffer = bytearray(size)
        bufs = [memoryview(buffer)[: size // 3], memoryview(buffer)[size // 3 :]]
        assert (queue.peek if name == "peek" else queue.take)(bufs, limit) == limit
        assert bytes(buffer[:limit]) == bytes(byte for byte, _, _, _ in model[:limit])
        if name == "take":
            rest = [(b, c, None if f in files else f, n) for b, c, f, n in model[limit:]]
            model = rest
    assert queue.size == len(model)
    left = {id(file) for _, _, file, _ in model if file is not None}
    assert {id(file) for file in queue.files()} == left
    assert {id(file) for file in queue.clear()} == left
    assert not queue.size


def expected(bytes_: list[tuple[int, Ucred, FileDescription | None, int]], *, creds: bool) -> int:
    """Return how many of these bytes one read takes."""
    met: int | None = None
    for at, (_, who, file, number) in enumerate(bytes_):
        if creds and who != bytes_[0][1]:
            return at
        if met is not None and number != met:
            return at
        if file is not None and met is None:
            met = number
    return len(bytes_)


def test_room_and_skip() -> None:
    """What does not fit stays out; what is skipped is gone."""
    queue = ByteQueue()
    assert queue.append([b"x" * 10_000], 4_000) == 4_000
    queue.skip(3_999)
    buffer = bytearray(10)
    assert queue.take([memoryview(buffer)], 10) == 1
    assert queue.taken == 4_000
