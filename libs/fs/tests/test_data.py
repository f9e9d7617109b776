"""File contents against a bytearray."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_fs import FileData
from sentry_pgalloc import MemoryFile

MEMORY = MemoryFile(1 << 36)
OFFSETS = st.one_of(st.integers(0, 300_000), st.sampled_from([4095, 4096, 65535, 65536, 65537, 131072, 262143]))
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), OFFSETS, st.integers(0, 150_000)),
        st.tuples(st.just("read"), OFFSETS, st.integers(0, 150_000)),
        st.tuples(st.just("truncate"), OFFSETS, st.just(0)),
        st.tuples(st.just("punch"), OFFSETS, st.integers(0, 150_000)),
        st.tuples(st.just("map"), OFFSETS, st.integers(1, 9)),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=60)
@given(OPERATIONS)
def test_behaves_as_a_bytearray(operations: list[tuple[str, int, int]]) -> None:
    """Reads, holes, truncation and mapped pieces show what was written, zeros elsewhere."""
    data = FileData(MEMORY, 3)
    model = bytearray()
    for index, (name, pos, length) in enumerate(operations):
        if name == "write":
            content = bytes((index, 1, 2, 3)) * (length // 4 + 1)
            parts: list[bytes | memoryview] = [content[: length // 2], memoryview(content)[length // 2 : length]]
            assert data.write(parts, pos) == length
            if length:
                model.extend(bytes(max(0, pos + length - len(model))))
                model[pos : pos + length] = content[:length]
        elif name == "read":
            buffer = [bytearray(length // 3), bytearray(length - length // 3)]
            done = data.read([memoryview(part) for part in buffer], pos)
            assert b"".join(buffer)[:done] == model[pos : pos + length]
        elif name == "truncate":
            data.truncate(pos)
            del model[pos:]
            model.extend(bytes(pos - len(model)))
        elif name == "punch":
            data.punch(pos, length)
            end = min(pos + length, len(model))
            if pos < end:
                model[pos:end] = bytes(end - pos)
        else:
            start = pos & -4096
            pieces = data.pieces(start, length * 4096)
            assert sum(size for _, size in pieces) == length * 4096
            shown = b"".join(bytes(MEMORY.view[at : at + size]) for at, size in pieces)
            assert shown == bytes(model[start : start + length * 4096]).ljust(length * 4096, b"\0")
        assert data.size == len(model)
    data.release()
    MEMORY.reclaim(1 << 30)


def test_sparse_files_cost_nothing() -> None:
    """A terabyte of hole has no memory; data and holes are distinguished."""
    data = FileData(MEMORY, 3)
    data.truncate(1 << 40)
    assert data.allocated() == 0
    data.write([b"x"], 1 << 20)
    assert data.seek(0, data=True) == 1 << 20
    assert data.seek(1 << 20, data=False) == (1 << 20) + 4096
    buffer = bytearray(4)
    assert data.read([memoryview(buffer)], (1 << 39) + 5) == 4
    assert buffer == bytes(4)
    data.release()
