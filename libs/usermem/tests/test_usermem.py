"""The protocol's helpers over plain bytes, and atomics on shared memory."""

import ctypes
import mmap
import os
import re
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sentry_usermem as usermem
from sentry_abi.errors import E2BIG, EFAULT, EINVAL, ENAMETOOLONG
from sentry_usermem import (
    ByteMemory,
    IoVec,
    SharedWords,
    gather,
    import_iovec,
    read_array,
    read_strings,
    read_struct,
    scatter,
    write_struct,
)

START = 0x10000
PAIR = struct.Struct("<QI")


def _memory(size: int = 4096) -> ByteMemory:
    return ByteMemory(size)


def test_readme() -> None:
    """The README's example runs."""
    text = (Path(__file__).parent.parent / "README.md").read_text()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102  (our own README)


def test_structures_go_in_and_out() -> None:
    """One, several, none."""
    memory = _memory()
    write_struct(memory, START + 8, PAIR, 5, 6)
    write_struct(memory, START + 20, PAIR, 7, 8)
    assert read_struct(memory, START + 8, PAIR) == (5, 6)
    assert read_array(memory, START + 8, PAIR, 2) == [(5, 6), (7, 8)]
    assert read_array(memory, 0, PAIR, 0) == []


def test_a_bad_byte_is_found_exactly() -> None:
    """The bytes before the bad one are copied, the bytes after it are not."""
    memory = _memory(16)
    assert memory.copy_out_partial(START + 12, b"abcdefgh") == 4
    with pytest.raises(EFAULT):
        memory.copy_out(START + 14, b"xyz")
    assert memory.copy_in(START + 12, 4) == b"abxy"
    with pytest.raises(EFAULT):
        memory.copy_in(START + 12, 5)
    for call in (memory.readable, memory.writable, memory.copy_in):
        with pytest.raises(EFAULT):
            call(START + 16, 1)
        with pytest.raises(EFAULT):
            call(START - 1, 1)
        assert not call(START + 99, 0)


def test_c_strings_end_or_fail() -> None:
    """A NUL within the limit, none within it, none before the hole."""
    memory = _memory(8)
    memory.copy_out(START, b"abc\0defg")
    assert memory.cstring(START, 8) == b"abc"
    with pytest.raises(ENAMETOOLONG):
        memory.cstring(START, 3)
    with pytest.raises(EFAULT):
        memory.cstring(START + 4, 10)
    with pytest.raises(ENAMETOOLONG):
        memory.cstring(START + 4, 4)


holes = st.tuples(st.integers(-40, 120), st.integers(0, 80))


@given(holes, st.binary(max_size=80), st.binary(min_size=64, max_size=64))
def test_copies_against_a_byte_at_a_time(place: tuple[int, int], data: bytes, content: bytes) -> None:
    """Every copy stops at the first bad byte, and returns or raises what that means."""
    memory = _memory(64)
    memory.copy_out(START, content)
    first, size = place
    good = 0
    while good < size and 0 <= first + good < 64:
        good += 1
    if size and not good:
        with pytest.raises(EFAULT):
            memory.readable(START + first, size)
    else:
        assert b"".join(memory.readable(START + first, size)) == content[max(first, 0) : max(first, 0) + good]
    if good < size:
        with pytest.raises(EFAULT):
            memory.copy_in(START + first, size)
    model = bytearray(content)
    done = 0
    while done < len(data) and 0 <= first + done < 64:
        model[first + done] = data[done]
        done += 1
    if data and not done:
        with pytest.raises(EFAULT):
            memory.copy_out_partial(START + first, data)
    else:
        assert memory.copy_out_partial(START + first, data) == done
    assert memory.data == model


@given(st.lists(st.tuples(st.integers(-8, 72), st.integers(0, 24)), max_size=6))
def test_scatter_lists_against_a_byte_at_a_time(places: list[tuple[int, int]]) -> None:
    """The bytes that a list names, one by one, until the first bad one."""
    memory = _memory(64)
    memory.copy_out(START, bytes(range(64)))
    wanted, whole = bytearray(), True
    for first, size in places:
        for offset in range(first, first + size):
            whole = whole and 0 <= offset < 64
            if whole:
                wanted.append(offset)
    pieces = [(START + first, size) for first, size in places]
    if any(size for _, size in places) and not wanted:
        for call in (gather, scatter):
            with pytest.raises(EFAULT):
                call(memory, pieces)
        return
    assert b"".join(gather(memory, pieces)) == wanted
    assert b"".join(scatter(memory, pieces)) == wanted


def test_wrong_use_is_named() -> None:
    """Negative sizes, counts and addresses."""
    memory = _memory(16)
    for call in (memory.readable, memory.writable, memory.copy_in, memory.cstring):
        with pytest.raises(ValueError, match="a copy of -1 bytes at 0x10000"):
            call(START, -1)
    with pytest.raises(ValueError, match="-2 structures"):
        read_array(memory, START, PAIR, -2)
    for size, start in ((-1, 0), (1, -1)):
        with pytest.raises(ValueError, match="not negative"):
            ByteMemory(size, start)


def _argv(memory: ByteMemory, texts: list[bytes]) -> None:
    pointers = []
    at = START + 2048
    for text in texts:
        memory.copy_out(at, text + b"\0")
        pointers.append(at)
        at += len(text) + 1
    memory.copy_out(START, struct.pack(f"<{len(pointers) + 1}Q", *pointers, 0))


@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\0", b"x")), max_size=40))
def test_argument_vectors(texts: list[bytes]) -> None:
    """Whatever the strings are, they come back; limits are exact."""
    memory = _memory()
    _argv(memory, texts)
    need = sum(len(text) + 9 for text in texts)
    assert read_strings(memory, START, need, 21) == texts
    if texts:
        with pytest.raises(E2BIG):
            read_strings(memory, START, need - 1, 21)


def test_argument_vectors_at_the_edge() -> None:
    """A null vector is empty; a string too long, a vector that runs into a hole."""
    memory = _memory(16)
    assert read_strings(memory, 0, 100, 100) == []
    memory.copy_out(START, struct.pack("<QQ", START + 8, START))
    with pytest.raises(EFAULT):
        read_strings(memory, START, 1000, 100)
    with pytest.raises(E2BIG):
        read_strings(memory, START, 1000, 1)
    with pytest.raises(EFAULT):
        read_strings(memory, START + 12, 1000, 100)


def test_iovecs_are_checked() -> None:
    """Count, sign, sum, and addresses beyond user memory."""
    memory = _memory()
    memory.copy_out(START, struct.pack("<QQQQ", START + 100, 5, START + 200, usermem.MAX_RW_COUNT))
    assert import_iovec(memory, START, 2) == ((START + 100, 5), (START + 200, usermem.MAX_RW_COUNT - 5))
    assert import_iovec(memory, START, 0) == ()
    for count in (-1, usermem.IOV_MAX + 1):
        with pytest.raises(EINVAL):
            import_iovec(memory, START, count)
    memory.copy_out(START, struct.pack("<QQ", START, 1 << 63))
    with pytest.raises(EINVAL):
        import_iovec(memory, START, 1)
    memory.copy_out(START, struct.pack("<QQ", (1 << 64) - 1, 1))
    with pytest.raises(EFAULT):
        import_iovec(memory, START, 1)
    memory.copy_out(START, struct.pack("<QQ", (1 << 64) - 1, 0))
    assert import_iovec(memory, START, 1) == (((1 << 64) - 1, 0),)
    with pytest.raises(EFAULT):
        import_iovec(memory, START + 4090, 1)


def _sizes_to_read(memory: ByteMemory, pieces: list[IoVec]) -> list[int]:
    return [len(piece) for piece in gather(memory, pieces)]


def _sizes_to_write(memory: ByteMemory, pieces: list[IoVec]) -> list[int]:
    return [len(piece) for piece in scatter(memory, pieces)]


@pytest.mark.parametrize("call", [_sizes_to_read, _sizes_to_write])
def test_scatter_lists_stop_at_the_first_bad_byte(call: Callable[[ByteMemory, list[IoVec]], list[int]]) -> None:
    """A bad first piece is EFAULT; a bad later one, or a piece cut short, ends the list."""
    memory = _memory(16)
    good = (START, 4)
    assert call(memory, [good, (0, 0), (START + 8, 4)]) == [4, 4]
    assert call(memory, [good, (START + 12, 9), good]) == [4, 4]
    assert call(memory, [good, (5, 1), good]) == [4]
    with pytest.raises(EFAULT):
        call(memory, [(5, 1), good])
    assert call(memory, []) == []


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 40), st.integers(0, 40))
def test_a_part_of_a_list(sizes: list[int], skip: int, limit: int) -> None:
    """Skip and limit: as a slice of the joined bytes."""
    memory = _memory(64)
    memory.copy_out(START, bytes(range(64)))
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    pieces = [(START + at, size) for at, size in zip(starts, sizes, strict=True)]
    wanted = bytes(range(sum(sizes)))[skip : skip + limit]
    assert b"".join(gather(memory, pieces, skip, limit)) == wanted
    assert b"".join(scatter(memory, pieces, skip, limit)) == wanted


def _shared_page() -> tuple[mmap.mmap, int, "ctypes.Array[ctypes.c_char]"]:
    page = mmap.mmap(-1, 4096)
    hold = (ctypes.c_char * 4096).from_buffer(page)
    return page, ctypes.addressof(hold), hold


def test_atomics_do_what_they_say() -> None:
    """Load, store, swap, add with wrap, compare and swap."""
    page, at, hold = _shared_page()
    usermem.store_u32(at, 7)
    assert usermem.load_u32(at) == 7
    assert usermem.cas_u32(at, 8, 9) == 7
    assert usermem.cas_u32(at, 7, 9) == 7
    assert usermem.swap_u32(at, 0xFFFFFFFF) == 9
    assert usermem.add_u32(at, 2) == 0xFFFFFFFF
    assert usermem.load_u32(at) == 1
    assert page[:4] == b"\1\0\0\0"
    with pytest.raises(OverflowError):
        usermem.store_u32(at, 1 << 32)
    with pytest.raises(OverflowError):
        usermem.store_u32(at, -1)
    del hold


def test_shared_words_check() -> None:
    """The same operations, with checked offsets; a buffer is held, and must be writable and aligned."""
    page = mmap.mmap(-1, 4096)
    words = SharedWords(page)
    words.store(8, 7)
    assert (words.load(8), words.cas(8, 8, 9), words.cas(8, 7, 9), words.swap(8, 0xFFFFFFFF)) == (7, 7, 7, 9)
    assert words.add(8, 2) == 0xFFFFFFFF
    assert page[8:12] == b"\1\0\0\0"
    for offset in (-4, 1, 2, 4093, 4096, 1 << 70):
        with pytest.raises(ValueError, match=f"word at offset {offset}"):
            words.load(offset)
    with pytest.raises(OverflowError):
        words.store(0, 1 << 32)
    with pytest.raises(BufferError):
        page.close()
    with pytest.raises(ValueError, match="multiple of 4"):
        SharedWords(memoryview(page)[1:])
    with pytest.raises(ValueError, match="up to -1"):
        SharedWords(bytearray(3)).load(0)
    for bad in (b"bytes", "text", None):
        with pytest.raises((TypeError, BufferError)):
            SharedWords(bad)
    del words
    page.close()


def test_atomics_are_atomic_between_processes() -> None:
    """A child and two threads add to one word; nothing is lost."""
    page, at, hold = _shared_page()
    child = os.fork()
    if child == 0:
        for _ in range(20000):
            usermem.add_u32(at, 1)
        os._exit(0)

    def add() -> None:
        for _ in range(10000):
            usermem.add_u32(at, 1)

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert usermem.load_u32(at) == 40000
    assert page[:4] == (40000).to_bytes(4, "little")
    del hold
