"""The memory file: allocation, references, reclaim, accounting, images, and its promises under threads."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_abi.errors import ENOMEM
from sentry_pgalloc import ImageError, MemoryFile, MemoryKind, _host
from sentry_pgalloc import _file as implementation
from sentry_pgalloc._free import FreeSpace

PAGE = 4096
HUGE = 2 << 20
ANON = MemoryKind.ANONYMOUS


@pytest.fixture
def memory() -> Iterator[MemoryFile]:
    """Return a small memory file."""
    with MemoryFile(1 << 36) as file:
        yield file


def test_neighbours_of_one_direction_lie_side_by_side(memory: MemoryFile) -> None:
    """Bottom-up rises, top-down falls, and both make one range of what they hand out."""
    low = [memory.allocate(PAGE * n, ANON) for n in (1, 2, 3)]
    high = [memory.allocate(PAGE * n, ANON, top_down=True) for n in (1, 2, 3)]
    assert low == [0, PAGE, 3 * PAGE]
    assert high == [memory.size - PAGE, memory.size - 3 * PAGE, memory.size - 6 * PAGE]
    assert memory.ranges() == [(0, 6 * PAGE, ANON, 1), (memory.size - 6 * PAGE, memory.size, ANON, 1)]


def test_large_ranges_are_aligned_and_leave_usable_holes(memory: MemoryFile) -> None:
    """From 2 MiB on offsets are multiples of 2 MiB; what that skips is used by small requests."""
    memory.allocate(PAGE, ANON)
    memory.allocate(PAGE, ANON, top_down=True)
    assert memory.allocate(HUGE, ANON) == HUGE
    assert memory.allocate(HUGE + PAGE, ANON, top_down=True) % HUGE == 0
    assert memory.allocate(HUGE - PAGE, ANON) == PAGE
    assert memory.allocate(HUGE, ANON) % HUGE == 0


def test_memory_is_zero_after_reuse(memory: MemoryFile) -> None:
    """Dropping the last reference frees nothing: a page is zeroed before it is allocated, and is SYSTEM's meanwhile."""
    at = memory.allocate(PAGE, ANON)
    memory.view[at : at + 5] = b"hello"
    assert memory.update_usage() == [0, PAGE, 0, 0, 0, 0]
    memory.decref(at, PAGE)
    assert memory.waste_bytes == PAGE
    assert memory.update_usage() == [PAGE, 0, 0, 0, 0, 0]
    assert memory.allocated() == [0] * 6
    assert memory.allocate(PAGE, ANON) != at
    assert memory.reclaim() is False
    assert memory.allocate(PAGE, ANON) == at
    assert bytes(memory.view[at : at + 5]) == bytes(5)


def test_references_are_counted_per_page(memory: MemoryFile) -> None:
    """Parts of a range may be shared and dropped; equal neighbours are one range again."""
    at = memory.allocate(4 * PAGE, ANON)
    memory.incref(at + PAGE, 2 * PAGE)
    assert [r[3] for r in memory.ranges()] == [1, 2, 1]
    assert not memory.exclusive(at, 4 * PAGE)
    assert memory.exclusive(at, PAGE)
    assert memory.exclusive_around(at, 0, 1 << 40) == (at, at + PAGE)
    assert memory.exclusive_around(at + PAGE, 0, 1 << 40) is None
    assert memory.references(at + PAGE) == 2
    memory.incref_many([(at + 2 * PAGE, PAGE), (at, PAGE), (at + PAGE, PAGE)])
    assert [r[3] for r in memory.ranges()] == [2, 3, 1]
    memory.decref(at, 3 * PAGE)
    memory.incref_many([(at + 3 * PAGE, PAGE), (at, PAGE)])
    memory.incref_many([])
    memory.decref(at, PAGE)
    memory.decref(at + 3 * PAGE, PAGE)
    memory.decref(at + PAGE, 2 * PAGE)
    assert memory.ranges() == [(at, at + 4 * PAGE, ANON, 1)]
    assert memory.exclusive_around(at + PAGE, at + PAGE, at + 2 * PAGE) == (at + PAGE, at + 2 * PAGE)
    assert not memory.exclusive(at, 8 * PAGE)
    memory.decref(at, 4 * PAGE)
    assert memory.references(at) == 0
    assert memory.ranges() == []


def test_wrong_use_is_refused_by_name(memory: MemoryFile) -> None:
    """Ranges that are empty, crooked, or not allocated."""
    at = memory.allocate(PAGE, ANON)
    for length in (0, -PAGE, 100):
        with pytest.raises(ValueError, match="allocate"):
            memory.allocate(length, ANON)
    for call in (memory.incref, memory.decref, memory.decommit):
        with pytest.raises(ValueError, match="not all of it is allocated"):
            call(at, 2 * PAGE)
        for offset, length in ((at + 1, PAGE), (at, 0), (-PAGE, PAGE), (memory.size, PAGE)):
            with pytest.raises(ValueError, match="range of the file"):
                call(offset, length)
    for kind in (-1, MemoryKind.MAPPED, 9):
        with pytest.raises(ValueError, match=f"kind {kind}: a memory file holds kinds 0 to 4"):
            memory.allocate(PAGE, kind)
        with pytest.raises(ValueError, match="kind"):
            memory.allocate_at(at + PAGE, PAGE, kind)
    for length in (0, -PAGE):
        with pytest.raises(ValueError, match="exclusive"):
            memory.exclusive(at, length)
        with pytest.raises(ValueError, match="mark_evictable"):
            memory.mark_evictable(Cache(), 0, length)
        with pytest.raises(ValueError, match="mark_unevictable"):
            memory.mark_unevictable(Cache(), 0, length)
    for low, high in ((at + PAGE, at + 2 * PAGE), (at, at)):
        with pytest.raises(ValueError, match="exclusive_around"):
            memory.exclusive_around(at, low, high)
    assert memory.ranges() == [(at, at + PAGE, ANON, 1)]
    with pytest.raises(ENOMEM):
        memory.allocate(1 << 40, ANON)
    with pytest.raises(ENOMEM):
        memory.allocate(1 << 40, ANON, top_down=True)


def test_a_range_grows_in_place_where_it_can(memory: MemoryFile) -> None:
    """allocate_at takes the frontier and the ends of holes, nothing else."""
    at = memory.allocate(PAGE, ANON)
    assert memory.allocate_at(at + PAGE, PAGE, ANON)
    assert not memory.allocate_at(at + PAGE, PAGE, ANON)
    assert not memory.allocate_at(at + 5 * PAGE, PAGE, ANON)
    assert not memory.allocate_at(at + 2 * PAGE, memory.size, ANON)
    top = memory.allocate(PAGE, ANON, top_down=True)
    assert memory.allocate_at(top - PAGE, PAGE, ANON)
    block = memory.allocate(8 * PAGE, ANON)
    memory.allocate(PAGE, ANON)
    memory.decref(block, 8 * PAGE)
    memory.reclaim()
    assert memory.allocate_at(block, PAGE, ANON)
    assert memory.allocate_at(block + 7 * PAGE, PAGE, ANON)
    assert not memory.allocate_at(block + 2 * PAGE, PAGE, ANON)


def test_reclaim_takes_slices_and_skips_holes(memory: MemoryFile) -> None:
    """A budget bounds the work; half a GiB that was hardly touched is one step."""
    sparse = memory.allocate(1 << 29, ANON)
    memory.view[sparse + (1 << 28)] = 1
    dense = memory.allocate(64 * PAGE, ANON)
    memory.view[dense : dense + 64 * PAGE] = b"x" * (64 * PAGE)
    memory.allocate(PAGE, ANON)
    memory.decref(sparse, 1 << 29)
    memory.decref(dense, 64 * PAGE)
    rounds = 0
    while memory.reclaim(16 * PAGE):
        rounds += 1
        assert rounds < 20
    assert rounds >= 3
    assert memory.total_usage() == 0
    assert memory.waste_bytes == 0
    assert memory.reclaim() is False


def test_full_file_and_too_much_waste_reclaim_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOMEM comes only after waste has been used; waste beyond the limit is reclaimed at once."""
    with MemoryFile(1 << 36) as memory:
        everything = memory.allocate(memory.size, ANON)
        monkeypatch.setattr(implementation, "_WASTE_LIMIT", 1 << 50)
        memory.decref(everything, memory.size - PAGE)
        assert memory.allocate(HUGE, ANON) == 0
        monkeypatch.setattr(implementation, "_WASTE_LIMIT", PAGE)
        memory.decref(0, HUGE)
        assert memory.waste_bytes == 0


def test_a_host_that_cannot_punch_gets_zeros_by_hand(memory: MemoryFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free pages read as zeros even then."""

    def refuse(*_: int) -> None:
        raise OSError(12, "no")

    at = memory.allocate(2 * PAGE, ANON)
    memory.view[at : at + 2 * PAGE] = b"x" * 2 * PAGE
    memory.decref(at, 2 * PAGE)
    monkeypatch.setattr(_host, "punch", refuse)
    memory.reclaim()
    assert memory.allocate(2 * PAGE, ANON) == at
    assert bytes(memory.view[at : at + 2 * PAGE]) == bytes(2 * PAGE)


def test_decommit_keeps_references(memory: MemoryFile) -> None:
    """Decommitted memory is still allocated, and zero."""
    at = memory.allocate(4 * PAGE, ANON)
    memory.view[at : at + 4 * PAGE] = b"x" * 4 * PAGE
    memory.decommit(at + PAGE, 2 * PAGE)
    assert memory.committed(at, at + 4 * PAGE) == [(at, at + PAGE), (at + 3 * PAGE, at + 4 * PAGE)]
    assert memory.view[at + PAGE] == 0
    assert memory.references(at + PAGE) == 1


def test_usage_is_what_the_host_says_by_kind(memory: MemoryFile) -> None:
    """Touched pages count for their kind, waste for SYSTEM, untouched ones for nothing."""
    a = memory.allocate(8 * PAGE, ANON)
    t = memory.allocate(8 * PAGE, MemoryKind.TMPFS)
    w = memory.allocate(PAGE, MemoryKind.PAGE_CACHE)
    for at in (a, a + PAGE, t, w):
        memory.view[at] = 1
    memory.decref(w, PAGE)
    assert memory.allocated() == [0, 8 * PAGE, 0, 8 * PAGE, 0, 0]
    assert memory.update_usage() == [PAGE, 2 * PAGE, 0, PAGE, 0, 0]
    assert memory.total_usage() == 4 * PAGE


class Cache:
    """An evictable user that notes what it is asked to give up."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.asked: list[tuple[int, int]] = []

    def evict(self, start: int, end: int) -> None:
        """Note it."""
        self.asked.append((start, end))


def test_eviction_takes_the_last_ranges_first(memory: MemoryFile) -> None:
    """Marks merge; unmarked parts are not asked for; a limit stops it."""
    one, two = Cache(), Cache()
    memory.mark_evictable(one, 0, 10)
    memory.mark_evictable(one, 10, 20)
    memory.mark_evictable(one, 30, 40)
    memory.mark_unevictable(one, 35, 40)
    memory.mark_unevictable(two, 0, 5)
    memory.mark_evictable(two, 0, 4)
    memory.mark_unevictable(two, 0, 4)
    assert memory.evict(8) == 8
    assert one.asked == [(30, 35), (17, 20)]
    assert memory.evict() == 17
    assert one.asked[2:] == [(0, 17)]
    assert memory.evict() == 0
    assert two.asked == []


def test_image_holds_everything_but_zeros(memory: MemoryFile) -> None:
    """Save and load give the same ranges and bytes; pages of zeros take no space, in the image nor afterwards."""
    a = memory.allocate(8 * PAGE, ANON)
    memory.incref(a, PAGE)
    top = memory.allocate(PAGE, MemoryKind.TMPFS, top_down=True)
    gone = memory.allocate(4 * PAGE, ANON)
    kept = memory.allocate(PAGE, ANON)
    memory.decref(gone, 4 * PAGE)
    memory.view[a + 2 * PAGE] = 7
    memory.view[a + 3 * PAGE : a + 5 * PAGE] = bytes(2 * PAGE)
    memory.view[a + 5 * PAGE] = 8
    memory.view[a + 6 * PAGE] = 0
    memory.view[top] = 9
    image = io.BytesIO()
    memory.save_to(image)
    assert len(image.getvalue()) == 4 * PAGE
    assert memory.total_usage() == 3 * PAGE
    with MemoryFile(1 << 36) as other:
        image.seek(0)
        other.load_from(image)
        assert other.ranges() == memory.ranges()
        assert other.allocated() == memory.allocated()
        assert (other.view[a + 2 * PAGE], other.view[a + 5 * PAGE], other.view[top]) == (7, 8, 9)
        assert other.total_usage() == 3 * PAGE
        assert other.allocate(4 * PAGE, ANON) == gone
        assert other.allocate(PAGE, ANON) == kept + PAGE
        with pytest.raises(ValueError, match="in use"):
            other.load_from(image)


def test_looking_for_zero_pages_commits_nothing(memory: MemoryFile) -> None:
    """A save of 32 GiB that were hardly touched reads no page of it, and its image is small."""
    at = memory.allocate(1 << 35, ANON)
    for place in (0, 1 << 30, (1 << 34) + 5 * PAGE):
        memory.view[at + place] = 1
    memory.view[at + HUGE] = 0
    image = io.BytesIO()
    memory.save_to(image)
    assert memory.total_usage() == 3 * PAGE
    assert len(image.getvalue()) == 4 * PAGE
    with MemoryFile(1 << 36) as other:
        image.seek(0)
        other.load_from(image)
        assert other.total_usage() == 3 * PAGE


def test_adjacent_runs_of_data_and_zeros(memory: MemoryFile) -> None:
    """Several stretches of touched pages, each with pages of zeros at its edges and inside."""
    at = memory.allocate(64 * PAGE, ANON)
    content = {place: place + 1 for place in (1, 2, 5, 20, 22, 40)}
    for place in (*range(8), *range(20, 24), *range(40, 44), 60):
        memory.view[at + place * PAGE] = content.get(place, 0)
    image = io.BytesIO()
    memory.save_to(image)
    assert memory.committed(0, memory.size) == [
        (at + 1 * PAGE, at + 3 * PAGE),
        *((at + n * PAGE, at + (n + 1) * PAGE) for n in (5, 20, 22, 40)),
    ]
    with MemoryFile(1 << 36) as other:
        image.seek(0)
        other.load_from(image)
        assert {n: other.view[at + n * PAGE] for n in range(64) if other.view[at + n * PAGE]} == content


class Short:
    """A writer that takes little at a time, and at some point nothing any more."""

    def __init__(self, most: int, end: int = 1 << 40) -> None:
        """Take up to most bytes of each write, and end bytes in all."""
        self.most, self.end, self.data = most, end, b""

    def write(self, data: bytes | memoryview) -> int:
        """Take some."""
        taken = bytes(data[: min(self.most, self.end - len(self.data))])
        self.data += taken
        return len(taken)


def test_a_writer_that_takes_pieces(memory: MemoryFile) -> None:
    """Short writes of an unbuffered file give the same image, and a full disk an error, never a damaged image."""
    at = memory.allocate(3 * PAGE, ANON)
    memory.view[at : at + 3 * PAGE] = b"x" * 3 * PAGE
    whole, short = io.BytesIO(), Short(1000)
    memory.save_to(whole)
    memory.save_to(short)
    assert short.data == whole.getvalue()
    for end in (100, 2 * PAGE):
        with pytest.raises(OSError, match="takes no more"):
            memory.save_to(Short(1000, end))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6), st.booleans(), st.integers(0, 63)), max_size=40),
    st.sampled_from([1 << 36, 1 << 37]),
)
def test_any_file_comes_back_from_its_image(program: list[tuple[int, int, bool, int]], window: int) -> None:
    """Ranges, references, kinds and bytes, and what is free: both files go on in the same way."""
    with MemoryFile(1 << 36) as memory, MemoryFile(window) as other:
        live: list[tuple[int, int]] = []
        for what, pages, top_down, pick in program:
            if what == 0 or not live:
                at = memory.allocate(pages * PAGE, pick % 5, top_down=top_down and window == memory.size)
                memory.view[at + pick % pages * PAGE] = pick
                live.append((at, pages * PAGE))
            elif what == 1:
                memory.incref(*live[pick % len(live)])
                live.append(live[pick % len(live)])
            else:
                memory.decref(*live.pop(pick % len(live)))
        image = io.BytesIO()
        memory.save_to(image)
        image.seek(0)
        other.load_from(image)
        assert other.ranges() == memory.ranges()
        assert other.allocated() == memory.allocated()
        assert other.total_usage() == memory.total_usage()
        for start, end in memory.committed(0, memory.size):
            assert bytes(other.view[start:end]) == bytes(memory.view[start:end])
        for at, length in live:
            other.decref(at, length)
        other.reclaim(1 << 40)
        assert other.ranges() == []
        assert (other._free.low, other._free.high, other.total_usage()) == (0, other.size, 0)


def test_save_refuses_evictable_memory(memory: MemoryFile) -> None:
    """What could be dropped must be dropped, or kept, before a save."""
    memory.mark_evictable(Cache(), 0, 1)
    with pytest.raises(RuntimeError, match="evict"):
        memory.save_to(io.BytesIO())


def test_image_of_a_larger_window_says_so(memory: MemoryFile) -> None:
    """Top-down memory of a 64 GiB file cannot be had in a smaller one."""
    memory.allocate(PAGE, ANON, top_down=True)
    image = io.BytesIO()
    memory.save_to(image)
    image.seek(0)
    with MemoryFile(1 << 35) as small, pytest.raises(ImageError, match="64 GiB, the host allows 32"):
        small.load_from(image)


def test_frontiers_beyond_the_window_are_refused() -> None:
    """An image whose lower frontier lies outside of a smaller file, though nothing is allocated at its top."""
    with MemoryFile(1 << 36) as large:
        large.allocate((1 << 35) + HUGE, ANON)
        image = io.BytesIO()
        large.save_to(image)
    image.seek(0)
    with MemoryFile(1 << 35) as small, pytest.raises(ImageError, match="needs a memory file"):
        small.load_from(image)


def _image() -> bytearray:
    with MemoryFile(1 << 36) as memory:
        for _ in range(3):
            at = memory.allocate(2 * PAGE, ANON)
            memory.view[at] = 1
            memory.allocate(PAGE, MemoryKind.TMPFS)
        image = io.BytesIO()
        memory.save_to(image)
        return bytearray(image.getvalue())


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0, 0, "not an image"),
        (8, 9, "version 9"),
        (16, 1, "header"),
        (40, 1, "1 bytes|sense|range"),
        (56 + 24 * 6 + 1, 0xF0, "pages 0x"),
    ],
)
def test_each_damage_has_its_message(at: int, value: int, says: str) -> None:
    """Magic, version, sizes and counts."""
    raw = _image()
    raw[at] = value
    with MemoryFile(1 << 36) as other, pytest.raises(ImageError, match=says):
        other.load_from(io.BytesIO(raw))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_images_end_in_one_clear_error(data: st.DataObject) -> None:
    """Cut or flipped bytes are an ImageError or change nothing but page contents."""
    raw = _image()
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    for _ in range(data.draw(st.integers(1, 4))):
        if raw:
            raw[data.draw(st.integers(0, min(len(raw), 400) - 1))] = data.draw(st.integers(0, 255))
    with MemoryFile(1 << 36) as other:
        try:
            other.load_from(io.BytesIO(raw))
        except ImageError as error:
            assert str(error)  # noqa: PT017  (both outcomes are fine)


LIMITED = """
import resource
from sentry_pgalloc import MemoryFile
resource.setrlimit(resource.{0}, ({1}, {1}))
try:
    print(MemoryFile().size)
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("limit", "value", "says"),
    [
        ("RLIMIT_FSIZE", 1 << 40, str(1 << 40)),
        ("RLIMIT_AS", 3 << 40, str(1 << 41)),
        ("RLIMIT_FSIZE", 1 << 20, "ulimit -f"),
        ("RLIMIT_AS", 1 << 32, "ulimit -v"),
    ],
)
def test_the_window_shrinks_under_limits(limit: str, value: int, says: str) -> None:
    """With ulimit -f and ulimit -v the file is smaller; when nothing fits the message names the limit."""
    code = LIMITED.format(limit, value)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert says in done.stdout


def test_a_host_that_knows_no_executable_memfds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old kernels do not know the flag; strict ones refuse it, and the message says which setting that is."""
    real = os.memfd_create
    answers = [22]

    def create(name: str, flags: int) -> int:
        if flags & implementation._MFD_EXEC:
            raise OSError(answers[0], "no")
        return real(name, flags)

    monkeypatch.setattr("os.memfd_create", create)
    MemoryFile(1 << 36).close()
    answers[0] = 13
    with pytest.raises(OSError, match="memfd_noexec"):
        MemoryFile(1 << 36)


def test_a_host_that_gives_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits as refusals of the host: halved until it agrees, and nothing is left open when it never does."""
    truncate, map_window = os.ftruncate, _host.map_window

    def small_files(fd: int, size: int) -> None:
        if size > 1 << 38:
            raise OSError(27, "too big")
        truncate(fd, size)

    def small_maps(fd: int, size: int) -> tuple[int, memoryview]:
        if size > 1 << 37:
            raise OSError(12, "no memory")
        return map_window(fd, size)

    def refuse(*_: int) -> "tuple[int, memoryview]":
        raise OSError(12, "never")

    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr("os.ftruncate", small_files)
        with MemoryFile() as memory:
            assert memory.size == 1 << 38
        patch.setattr(_host, "map_window", small_maps)
        with MemoryFile() as memory:
            assert memory.size == 1 << 37
        patch.setattr(_host, "map_window", refuse)
        with pytest.raises(OSError, match="no mapping of 64 GiB"):
            MemoryFile()
        patch.setattr("os.ftruncate", refuse)
        with pytest.raises(OSError, match="no memory file of 64 GiB"):
            MemoryFile()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(OSError, match="PUNCH_HOLE"):
        _host.punch(-1, 0, PAGE)


def test_a_closed_file_says_so() -> None:
    """Every use of a closed file is one clear error."""
    memory = MemoryFile(1 << 36)
    memory.allocate(PAGE, ANON)
    memory.close()
    for call in (
        lambda: memory.allocate(PAGE, ANON),
        lambda: memory.incref(0, PAGE),
        lambda: memory.decref(0, PAGE),
        lambda: memory.references(0),
        lambda: memory.save_to(io.BytesIO()),
        memory.update_usage,
    ):
        with pytest.raises(ValueError, match="is closed"):
            call()
    memory.close()


def test_close_is_idempotent() -> None:
    """Nothing is left open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    memory = MemoryFile(1 << 36)
    memory.close()
    memory.close()
    assert memory.fd == -1
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_threads_do_not_disturb_each_other(memory: MemoryFile) -> None:
    """Four threads allocate, share, drop and reclaim; in the end nothing is allocated and nothing is lost."""
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for turn in range(300):
                length = PAGE * (1 + (seed * 7 + turn) % 9)
                at = memory.allocate(length, ANON, top_down=turn & 1 == 1)
                memory.view[at : at + 4] = b"mine"
                memory.incref(at, length)
                memory.decref(at, length)
                assert bytes(memory.view[at : at + 4]) == b"mine"
                memory.decref(at, length)
                memory.reclaim()
        except BaseException as error:  # noqa: BLE001  (to be shown by the main thread)
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    memory.reclaim(1 << 40)
    assert memory.ranges() == []
    assert (memory._free.low, memory._free.high) == (0, memory.size)


sizes = st.sampled_from([PAGE, 2 * PAGE, 3 * PAGE, 17 * PAGE, HUGE, HUGE + PAGE])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), sizes, st.booleans(), st.integers(0, 50)), max_size=60))
def test_it_counts_as_a_dictionary_of_pages_does(program: list[tuple[int, int, bool, int]]) -> None:
    """Against one counter per page: references, freedom, zeros."""
    with MemoryFile(1 << 36) as memory:
        counts: dict[int, int] = {}
        live: list[tuple[int, int]] = []
        for what, size, top_down, pick in program:
            if what == 0 or not live:
                at = memory.allocate(size, ANON, top_down=top_down)
                assert size < HUGE or at % HUGE == 0
                pages = range(at, at + size, PAGE)
                assert not any(counts.get(page) for page in pages)
                assert memory.view[at] == 0
                memory.view[at] = 255
                counts.update(dict.fromkeys(pages, 1))
                live.append((at, size))
                continue
            index = pick % len(live)
            at, length = live[index]
            if what == 1:
                memory.incref(at, length)
                live.append((at, length))
            elif what == 2:
                memory.decref(at, length)
                live.pop(index)
            else:
                memory.reclaim(PAGE * pick)
                continue
            for page in range(at, at + length, PAGE):
                counts[page] += 1 if what == 1 else -1
        for page, count in counts.items():
            assert memory.references(page) == count
        for at, length in live:
            memory.decref(at, length)
        memory.reclaim(1 << 40)
        assert memory.ranges() == []
        assert (memory._free.low, memory._free.high) == (0, memory.size)
        assert memory.total_usage() == 0


def test_free_space_looks_at_holes_that_do_not_fit() -> None:
    """A hole of the right class can be too small: after a few looks the frontier serves."""
    free = FreeSpace(1 << 30)
    taken = [free.take(5 * PAGE, top_down=False) for _ in range(40)]
    for at in taken[::2]:
        free.give(at, at + 5 * PAGE)
    assert len(free.holes()) == 20
    assert free.take(7 * PAGE, top_down=False) == 40 * 5 * PAGE
    assert free.take(3 * PAGE, top_down=True) in {t + 2 * PAGE for t in taken}
