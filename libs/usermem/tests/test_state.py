"""Memory of tests and tools through an image."""

import io

from sentry_state import Reader, Registry, Writer
from sentry_usermem import ByteMemory
from sentry_usermem._state import register


def test_memory_comes_back() -> None:
    """Bytes and address are the same."""
    memory = ByteMemory(64, 0x5000)
    memory.copy_out(0x5010, b"text")
    registry, file = Registry(), io.BytesIO()
    register(registry)
    with Writer(file, registry=registry) as writer:
        writer.save("memory", memory)
    file.seek(0)
    loaded = Reader(file, registry=registry).load("memory")
    assert loaded.cstring(0x5010, 8) == b"text"
    assert len(loaded.data) == 64
