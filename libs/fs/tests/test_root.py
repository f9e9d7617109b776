"""/dev of the default root: /dev/tty, and an inherited terminal under its name on the host."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from sentry_abi.errors import ENOENT, ENXIO
from sentry_fs import Devfs, Devpts, HostFile, HostFilesystem, build_default_root, mount_at, show_terminal
from sentry_fs.testing import VFS, World
from sentry_pgalloc import MemoryFile
from sentry_vfs import FileDescription, Inode, Path, do_filp_open, filename_lookup

if TYPE_CHECKING:
    from sentry_tty import JobControl
    from sentry_vfs import FdWatcher


class Again:
    """What /dev/tty opens: always the same file."""

    def __init__(self, file: FileDescription) -> None:
        """Keep the file."""
        self.file = file

    def again(self, flags: int, where: Path) -> FileDescription:
        """Return it."""
        del flags, where
        return self.file


class Inherited(HostFile):
    """A descriptor with a name of the test's choice."""

    name = b""

    def path(self) -> bytes:
        """Return the name."""
        return self.name


@pytest.fixture
def file() -> Iterator[Inherited]:
    """Give an inherited descriptor."""
    fd = os.open("/dev/null", os.O_RDWR)
    yield Inherited(fd, cast("FdWatcher", None), HostFilesystem(VFS))
    os.close(fd)


@pytest.fixture
def tree(memory: MemoryFile) -> tuple[World, Devfs, Devpts]:
    """Give a default root with a devfs of the test's, and a devpts."""
    devfs = Devfs(VFS, memory)
    mnt = build_default_root(VFS, memory, cwd=b"/", devfs=devfs)
    devpts = Devpts(VFS, cast("JobControl", None))
    mount_at(mnt, b"/dev/pts", (devpts, devpts.root))
    return World(mnt), devfs, devpts


def inode_of(world: World, path: bytes) -> Inode:
    """Return what a path leads to."""
    return filename_lookup(None, path, world.ctx, world.creds).dentry.positive()


def test_dev_tty_opens_the_terminal_of_the_devfs(tree: tuple[World, Devfs, Devpts], file: Inherited) -> None:
    """ENXIO until the devfs has one."""
    world, devfs, _ = tree
    with pytest.raises(ENXIO):
        do_filp_open(None, b"/dev/tty", 2, 0, world.ctx, world.creds)
    devfs.terminal = Again(file)
    assert do_filp_open(None, b"/dev/tty", 2, 0, world.ctx, world.creds) is file


@pytest.mark.parametrize("name", [b"/dev/pts/17", b"/dev/tty1", b"/dev/mqueue/tty"])
def test_a_terminal_is_under_its_name(name: bytes, tree: tuple[World, Devfs, Devpts], file: Inherited) -> None:
    """In devpts by its number, else in /dev and the directories there."""
    world, devfs, devpts = tree
    file.name = name
    show_terminal(devfs, devpts, file)
    assert list(devpts.inherited) == ([17] if name == b"/dev/pts/17" else [])
    assert inode_of(world, name) is file.inode


@pytest.mark.parametrize("name", [b"/dev/nowhere/tty1", b"/elsewhere/tty1"])
def test_a_name_without_a_place_is_not_shown(name: bytes, tree: tuple[World, Devfs, Devpts], file: Inherited) -> None:
    """A directory that /dev does not have, and a path that is not below it."""
    world, devfs, devpts = tree
    file.name = name
    show_terminal(devfs, devpts, file)
    assert not devpts.inherited
    with pytest.raises(ENOENT):
        inode_of(world, name)
