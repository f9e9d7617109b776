"""devpts: numbers, names, and what a full one leaves behind."""

import pytest

from sentry_abi.errors import EIO, ENOENT, ENOSPC
from sentry_fs import Devpts, _pts
from sentry_fs.testing import VFS, World
from sentry_tty import JobControl, PtyMasterFile, Tty
from sentry_vfs import MountNamespace, do_filp_open, filename_lookup


class Nothing:
    """Job control without processes."""

    def kill_pgrp(self, tty: Tty, signo: int) -> None:
        """Do nothing."""

    def check_read(self, tty: Tty) -> None:
        """Allow it."""

    def check_change(self, tty: Tty) -> None:
        """Allow it."""

    def opened(self, tty: Tty, flags: int) -> None:
        """Do nothing."""

    def disassociate(self, tty: Tty) -> None:
        """Do nothing."""

    def tiocsctty(self, tty: Tty, *, steal: bool) -> None:
        """Do nothing."""

    def tiocnotty(self, tty: Tty) -> None:
        """Do nothing."""

    def tiocgpgrp(self, tty: Tty) -> int:
        """Return none."""
        return 0

    def tiocgsid(self, tty: Tty) -> int:
        """Return none."""
        return 0

    def check_tiocspgrp(self, tty: Tty) -> None:
        """Allow it."""

    def tiocspgrp(self, tty: Tty, pgid: int) -> None:
        """Do nothing."""

    def tiocgptpeer(self, tty: Tty, flags: int) -> int:
        """Return a descriptor."""
        return 0


def world() -> tuple[World, Devpts]:
    """Return a devpts at the root."""
    control: JobControl = Nothing()
    fs = Devpts(VFS, control)
    return World(MountNamespace(fs, fs.root)), fs


def master(side: World) -> PtyMasterFile:
    """Open ptmx."""
    file = do_filp_open(None, b"ptmx", 2, 0, side.ctx, side.creds)
    assert isinstance(file, PtyMasterFile)
    file.incref()
    return file


def test_numbers_are_the_lowest_free_ones() -> None:
    """A terminal appears under its number, locked until the master says otherwise, and goes with the master."""
    side, fs = world()
    first, second = master(side), master(side)
    assert (first.tty.index, second.tty.index) == (0, 1)
    with pytest.raises(EIO):
        do_filp_open(None, b"0", 2, 0, side.ctx, side.creds)
    first.locked = False
    slave = do_filp_open(None, b"0", 2, 0, side.ctx, side.creds)
    slave.incref()
    slave.write([b"x"])
    buffer = bytearray(4)
    assert first.read([memoryview(buffer)]) == 1
    slave.decref()
    assert [name for name, _, _ in fs.root.positive().entries(fs.root)] == [b"ptmx", b"0", b"1"]
    first.decref()
    assert [name for name, _, _ in fs.root.positive().entries(fs.root)] == [b"ptmx", b"1"]
    with pytest.raises(ENOENT):
        filename_lookup(None, b"0", side.ctx, side.creds)
    assert master(side).tty.index == 0


def test_a_full_devpts_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC, and the place of ptmx is not counted for a file that was never made."""
    monkeypatch.setattr(_pts, "MAX_TERMINALS", 1)
    side, fs = world()
    held = master(side)
    where = filename_lookup(None, b"ptmx", side.ctx, side.creds)
    counts = where.dentry.count, where.mount.count
    with pytest.raises(ENOSPC):
        do_filp_open(None, b"ptmx", 2, 0, side.ctx, side.creds)
    assert (where.dentry.count, where.mount.count) == counts
    held.decref()
    assert master(side).tty.index == 0
    assert list(fs.slaves) == [0]
