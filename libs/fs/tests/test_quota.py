"""The limit of a file system in memory: what is refused, what comes back, and that it all adds up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_abi.errors import ENOSPC
from sentry_abi.fcntl import O_CREAT, O_RDWR
from sentry_abi.structs import STATFS
from sentry_fs import Tmpfs
from sentry_fs.testing import VFS, World
from sentry_pgalloc import MemoryFile
from sentry_vfs import FileDescription, MountNamespace, do_filp_open, do_unlinkat

MEMORY = MemoryFile(1 << 36)
LIMIT = 64 << 10
PAGE = 4096


def world(limit: int | None) -> tuple[Tmpfs, World]:
    """Return a file system with a limit."""
    fs = Tmpfs(VFS, MEMORY, limit=limit)
    return fs, World(MountNamespace(fs, fs.root))


def make(side: World, name: bytes) -> FileDescription:
    """Make a file and open it."""
    file = do_filp_open(None, name, O_RDWR | O_CREAT, 0o644, side.ctx, side.creds)
    file.incref()
    return file


def test_short_then_refused() -> None:
    """A write goes up to the limit; the next one fails; removing frees space."""
    fs, side = world(LIMIT)
    file = make(side, b"f")
    assert file.write([b"x" * 1000, bytes(LIMIT)]) == LIMIT
    assert fs.quota is not None
    assert fs.quota.used == LIMIT
    with pytest.raises(ENOSPC):
        file.write([b"x"])
    assert file.pwrite([b"y" * LIMIT], 0) == LIMIT
    other = make(side, b"g")
    with pytest.raises(ENOSPC):
        other.write([b"x"])
    with pytest.raises(ENOSPC):
        other.allocate(0, 0, 1)
    file.truncate(LIMIT // 2)
    assert other.write([bytes(LIMIT)]) == LIMIT // 2
    fields = STATFS.unpack(fs.statfs())
    assert (fields[2], fields[3]) == (LIMIT // PAGE, 0)
    do_unlinkat(None, b"f", side.ctx, side.creds)
    assert fs.quota.left() == 0, "it is still open"
    file.decref()
    assert fs.quota.used == LIMIT // 2
    other.truncate(0)
    assert fs.quota.used == 0
    other.allocate(0, 0, 3 * PAGE)
    assert fs.quota.used == 3 * PAGE


def test_holes_take_nothing() -> None:
    """What was not written is not counted; a file system without a limit counts nothing."""
    fs, side = world(LIMIT)
    file = make(side, b"f")
    file.truncate(1 << 30)
    file.truncate(0)
    assert file.pwrite([b"x"], 1 << 30) == 1
    assert fs.quota is not None
    assert fs.quota.used == PAGE
    fs, side = world(-1)
    assert fs.quota is None
    assert make(side, b"f").write([bytes(LIMIT * 2)]) == LIMIT * 2
    fs, _ = world(None)
    assert fs.quota is not None
    assert fs.quota.limit > LIMIT


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "truncate", "unlink"]),
            st.integers(0, 2),
            st.integers(0, 40_000),
            st.integers(0, 30_000),
        ),
        max_size=30,
    )
)
def test_it_adds_up(operations: list[tuple[str, int, int, int]]) -> None:
    """Whatever happens, the sum over all files is what the file system says, within the limit; at the end nothing."""
    fs, side = world(LIMIT)
    quota = fs.quota
    assert quota is not None
    files: dict[int, FileDescription] = {}
    for name, which, pos, count in operations:
        file = files.get(which) or files.setdefault(which, make(side, b"%d" % which))
        if name == "write":
            try:
                assert file.pwrite([bytes(count)], pos) <= count
            except ENOSPC:
                assert quota.left() < PAGE or pos % PAGE
        elif name == "truncate":
            file.truncate(pos)
        else:
            do_unlinkat(None, b"%d" % which, side.ctx, side.creds)
            files.pop(which).decref()
        assert 0 <= quota.used <= LIMIT
        assert quota.used == sum(f.inode.charged for f in files.values())  # type: ignore[union-attr]
    for which, file in files.items():
        do_unlinkat(None, b"%d" % which, side.ctx, side.creds)
        file.decref()
    assert quota.used == 0
