"""What the tests of file systems share: a memory file, a tree over a directory of the host."""

from collections.abc import Iterator
from pathlib import Path as HostPath

import pytest

from sentry_fs import Overlay
from sentry_fs.testing import VFS, World
from sentry_pgalloc import MemoryFile
from sentry_vfs import MountNamespace


@pytest.fixture(scope="session")
def memory() -> Iterator[MemoryFile]:
    """Return one memory file for all tests."""
    with MemoryFile(1 << 36) as file:
        yield file


@pytest.fixture
def over(memory: MemoryFile, tmp_path: HostPath) -> World:
    """Return a world over an empty directory of the host."""
    overlay = Overlay(VFS, memory, bytes(tmp_path))
    return World(MountNamespace(overlay, overlay.root))
